"""Many simulations, counted: what `treadle simulate` does and tells.

In order, until the time is over: each shape without faults, each single fault of each shape, then random schedules and pairs of
faults, a slice of each shape at a time, so that whatever the time allows is spread over all of them.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from random import Random
from typing import Any

from ..tasks.registry import Registry
from .explore import Case, Explorer
from .faults import Fault, Kind
from .shapes import Shape, catalogue
from .world import prepare

SLICE = 25  # simulations of one shape before it is the next one's turn


@dataclass(frozen=True)
class Orders:
    """`seeds`: schedules per shape, from `seed` on. `seconds`: when to stop (None: when all is done). `pairs`: on small shapes."""

    seeds: int = 200
    seed: int = 1
    seconds: float | None = 60.0
    singles: bool = True
    pairs: bool = True


@dataclass
class Report:
    """Contract of `treadle simulate -o json`. `is_complete`: the time sufficed for all that was ordered."""

    seed: int
    shapes: int = 0
    schedules: int = 0
    crash_points: int = 0
    pairs: int = 0
    faults_fired: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    is_complete: bool = True
    seconds: float = 0.0

    def add(self, case: Case, kind: str) -> None:
        setattr(self, kind, getattr(self, kind) + 1)
        self.faults_fired.update({f"{call} {fault}": count for (call, fault), count in case.fired.items()})
        self.tell(case)

    def tell(self, case: Case) -> None:
        """Of violations that say the same of the same shape, the first."""
        known = {line.rpartition(": ")[0] for line in self.violations if f"--shape {case.shape}" in line}
        self.violations += [line for line in case.lines() if line.rpartition(": ")[0] not in known]

    def merge(self, other: Report) -> None:
        for name in ("shapes", "schedules", "crash_points", "pairs"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.faults_fired += other.faults_fired
        self.violations += other.violations
        self.is_complete = self.is_complete and other.is_complete

    def to_json(self) -> dict[str, Any]:
        named = ("shapes", "schedules", "crash_points", "pairs")
        return {name: getattr(self, name) for name in named} | {
            "faults_fired": dict(sorted(self.faults_fired.items())),
            "violations": self.violations,
            "seed": self.seed,
            "complete": self.is_complete,
            "seconds": round(self.seconds, 1),
        }


# ------------------------------------------------------------------------------------------------ one process


class Campaign:
    """All orders for some shapes, in this process."""

    def __init__(self, explorers: Sequence[Explorer], orders: Orders) -> None:
        self.explorers = explorers
        self.orders = orders
        self.report = Report(orders.seed)
        self.ends_at = None if orders.seconds is None else time.monotonic() + orders.seconds

    def run(self) -> Report:
        for explorer in self.explorers:
            self.report.shapes += 1
            self.report.tell(explorer.calm)
        if self.orders.singles:
            self._in_turns([self._singles(explorer) for explorer in self.explorers], "crash_points")
        self._in_turns([self._schedules(explorer) for explorer in self.explorers], "schedules")
        if self.orders.pairs:
            self._in_turns([self._pairs(explorer) for explorer in self.explorers if explorer.prepared.shape.is_small], "pairs")
        return self.report

    def _singles(self, explorer: Explorer) -> Iterator[Case]:
        return (explorer.with_faults(fault) for fault in explorer.singles())

    def _schedules(self, explorer: Explorer) -> Iterator[Case]:
        return (explorer.at_random(seed) for seed in range(self.orders.seed, self.orders.seed + self.orders.seeds))

    def _pairs(self, explorer: Explorer) -> Iterator[Case]:
        """In an order of the seed's, so that a short time tries some of everything."""
        firsts = list(explorer.singles())
        random = Random(self.orders.seed)
        random.shuffle(firsts)
        for first in firsts:
            after_one = explorer.with_faults(first)
            for second in explorer.seconds(first, after_one):
                yield explorer.with_faults(first, second)

    def _in_turns(self, cases: list[Iterator[Case]], kind: str) -> None:
        while cases:
            for source in list(cases):
                some = 0
                for case in islice(source, SLICE):
                    some += 1
                    self.report.add(case, kind)
                    if self.ends_at is not None and time.monotonic() > self.ends_at:
                        self.report.is_complete = False
                        return
                if some < SLICE:
                    cases.remove(source)


# ------------------------------------------------------------------------------------------------ several


def simulate(names: Sequence[str], orders: Orders, *, jobs: int | None = None) -> Report:
    """The shapes of these names (none: all of them), over so many processes (None: one per core)."""
    began = time.monotonic()
    chosen = list(names) or list(catalogue())
    count = min(jobs or os.cpu_count() or 1, len(chosen))
    report = Report(orders.seed)
    if count == 1:
        report.merge(_work(chosen, orders))
    else:
        with ProcessPoolExecutor(count) as pool:
            for part in pool.map(_work, [chosen[at::count] for at in range(count)], [orders] * count):
                report.merge(part)
    report.seconds = time.monotonic() - began
    return report


def _work(names: Sequence[str], orders: Orders) -> Report:
    return _quietly(lambda: Campaign([Explorer(prepare(catalogue()[name])) for name in names], orders).run())


def simulate_definition(shape: Shape, orders: Orders, registry: Registry | None = None) -> Report:
    """A user's own workflow. Raises Rejected("invalid-definition"). `registry`: its tasks; None: stand-ins that give their input back."""
    began = time.monotonic()

    def work() -> Report:
        explorer = Explorer(prepare(shape, registry))
        if explorer.calm.result.status != "succeeded":
            explorer.prepared = replace(explorer.prepared, shape=replace(shape, loose=("*",)))  # who fails first is a matter of timing
        return Campaign([explorer], orders).run()

    report = _quietly(work)
    report.seconds = time.monotonic() - began
    return report


def reproduce(explorer: Explorer, faults: Sequence[Fault], seed: int | None) -> Case:
    return explorer.at_random(seed) if seed is not None else explorer.with_faults(*faults)


def _quietly(work: Callable[[], Report]) -> Report:
    """What the engine logs about a world that fails is no news here."""
    log = logging.getLogger("treadle")
    before = log.disabled, log.level
    for name in ("treadle", "treadle.deliveries", "treadle.tasks"):
        logging.getLogger(name).disabled = True
    try:
        return work()
    finally:
        for name in ("treadle", "treadle.deliveries", "treadle.tasks"):
            logging.getLogger(name).disabled = False
        log.disabled, log.level = before


def sites(report: Report) -> set[tuple[str, Kind]]:
    """Call sites and kinds of faults that fired."""
    return {(site, Kind(kind)) for site, _, kind in (name.rpartition(" ") for name in report.faults_fired)}
