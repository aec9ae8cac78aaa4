"""What can go wrong at a call, and which of it a simulation lets happen.

Each call of the engine to AWS has a number, counted from 1 over the whole simulation; a fault is a number and a kind
(`17:after`), so that any failure can be had again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Protocol


class Kind(StrEnum):
    BEFORE = "before"  # the worker dies, and the call was never made
    AFTER = "after"  # the call was made, and the worker dies before it knows
    AMBIGUOUS = "ambiguous"  # the call was made and answers an error
    THROTTLED = "throttled"  # the call was not made and answers an error
    REPEATED = "repeated"  # the call was made, its answer was lost, and the AWS client made it once more by itself
    PARTIAL = "partial"  # a batch answers 200, and some of its entries were refused (for good: the adapters do try again)

    SKEWED = "skewed"  # the worker's clock is up to five minutes wrong (of workers, not of calls)

    TWICE = "twice"  # the message that is being handled is delivered to another worker, which is done with it before the call is made
    FROZEN = "frozen"  # the worker stands still before the call for longer than its lease, and then goes on

    def is_possible(self, site: str) -> bool:
        """`site`: the function and its call, as in `dispatcher store.put`."""
        function, _, call = site.partition(" ")
        match self:
            case Kind.SKEWED:
                return False
            case Kind.PARTIAL:
                return call in BATCHES
            case Kind.REPEATED:
                return call in WRITES
            case Kind.TWICE:
                return function not in ("api", "sweeper")  # they are given no messages
        return True


BATCHES = frozenset({"lanes.send", "bus.put"})
WRITES = BATCHES | {"store.put", "store.update", "store.delete", "blobs.put"}


class Crash(BaseException):
    """The worker is gone. Not an Exception: nothing in the engine or in Lambda's batch processor may catch it."""


class Refused(Exception):
    """Some entries of a batch are to be refused; the simulated queue or bus turns it into Unavailable."""


@dataclass(frozen=True, slots=True)
class Fault:
    call: int
    kind: Kind

    @classmethod
    def parse(cls, text: str) -> Fault:
        """`17:after`. Raises ValueError."""
        number, _, kind = text.partition(":")
        return cls(int(number), Kind(kind))

    def __str__(self) -> str:
        return f"{self.call}:{self.kind}"


class Faults(Protocol):
    """What happens at a call. `fired` counts what did, by call site (`dispatcher store.put`) and kind."""

    fired: Counter[tuple[str, Kind]]

    def at(self, number: int, site: str) -> Kind | None: ...


@dataclass
class Planned:
    """Exactly these. `count_only`, without any, is the run in which nothing goes wrong."""

    faults: Mapping[int, Kind] = field(default_factory=dict)
    fired: Counter[tuple[str, Kind]] = field(default_factory=Counter)

    @classmethod
    def of(cls, faults: Iterable[Fault]) -> Planned:
        return cls({fault.call: fault.kind for fault in faults})

    def at(self, number: int, site: str) -> Kind | None:
        kind = self.faults.get(number)
        if kind is None or not kind.is_possible(site):
            return None
        self.fired[site, kind] += 1
        return kind


@dataclass
class Chance:
    """At each call with some probability, until `budget` is used up: a system that fails for ever need not end."""

    random: Random
    budget: int
    probability: float
    kinds: tuple[Kind, ...] = (Kind.BEFORE, Kind.AFTER, Kind.AMBIGUOUS, Kind.THROTTLED, Kind.REPEATED, Kind.PARTIAL)
    fired: Counter[tuple[str, Kind]] = field(default_factory=Counter)

    def at(self, number: int, site: str) -> Kind | None:
        if self.budget <= 0 or self.random.random() >= self.probability:
            return None
        kind = self.random.choice(self.kinds)
        if not kind.is_possible(site):
            return None
        self.budget -= 1
        self.fired[site, kind] += 1
        return kind
