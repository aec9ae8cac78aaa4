"""The engine against the reference interpreter: the same definition in both, and what differs.

    python -m treadle.simulation.compare --count 50000 --seed 1
    python -m treadle.simulation.compare --count 50000 --seed 1 --from 12000 --jobs 2
    python -m treadle.simulation.compare --count 2000 --coverage

The engine runs once, its messages in a random order. The reference then goes through the order in which the engine did
things at each instant (`following`): all that the two come to must be the same, in one such order. What the engine's order
leaves open is tried by chance, at most MOST_SAMPLES times. Exit status 1 if there is any difference.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from ..core.durations import parse_duration
from ..core.errors import TreadleError
from ..definition import Checker
from .constructs import Table
from .driver import MemoryEngine
from .generate import Case, case
from .notebook import Notebook
from .reference_scopes import every_step
from .reference_values import ANY_TEXT
from .shrinking import shrunk
from .sides import Facts, ended_steps, engine_facts, reference_facts, undone_steps

MOST_SAMPLES = 40
PARCEL = 25  # definitions that a process is given at once
FOLLOWING = 30  # so many samples follow the engine; the rest goes by chance alone
SLACK_MS = 50_000  # the engine's timers may be late by that much, never early; generated durations are whole minutes

# What an engine with a fault raises in the middle of its work: such a one differs as well.
BREAKDOWNS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TreadleError, TypeError, ValueError)

FOREVER = 1 << 60

Span = tuple[int, int]  # ms since the start


@dataclass(frozen=True)
class Difference:
    """`expected`: what the reference came to, in the order of things in which the two differ least."""

    name: str
    expected: Any
    got: Any

    def __str__(self) -> str:
        return f"{self.name}: expected {json.dumps(self.expected)}, got {json.dumps(self.got)}"


# ----------------------------------------------------------------------------------------------------------- comparing


def is_same(name: str, expected: Any, got: Any, paused: Sequence[Span] = ()) -> bool:
    """`paused`: when the run was. It is not said when the end of what was under way then is noticed, up to the run's going on."""
    if name.endswith("ended"):
        if got is None or expected is None:
            return got is expected
        is_open = any(begin <= expected <= end and begin <= got <= end + SLACK_MS for begin, end in paused)
        return is_open or bool(expected <= got <= expected + SLACK_MS)
    if name.endswith(".attempts") and expected == 0:
        return True  # whether a step that failed before its action has made an attempt is not said
    return _is_equal(expected, got)


def _is_equal(expected: Any, got: Any) -> bool:
    if expected == ANY_TEXT:
        return isinstance(got, str)
    if isinstance(expected, dict):
        return isinstance(got, dict) and expected.keys() == got.keys() and all(_is_equal(expected[key], got[key]) for key in expected)
    if isinstance(expected, list):
        return isinstance(got, list) and len(expected) == len(got) and all(map(_is_equal, expected, got))
    return isinstance(expected, bool) == isinstance(got, bool) and bool(expected == got)


def compare(number: int, given: Case | None = None) -> Compared:
    """`given`: another case than the one with this number (a smaller one); the number still seeds the order of messages."""
    given = given or case(number)
    try:
        facts, trail = engine_facts(given, number)
        ran = Ran(ended_steps(facts), undone_steps(trail), {entry["do"]: False for entry in given.script})
        ran.acts.update({entry["do"]: True for n, entry in enumerate(given.script) if n not in facts["refused"]})
    except BREAKDOWNS as error:
        return Compared(number, given, breakdown=f"{type(error).__name__}: {error}")
    nearest: tuple[Difference, ...] = ()
    for sample in range(MOST_SAMPLES):
        expected = reference_facts(given, sample, trail if sample < FOLLOWING else None)
        found = tuple(_differing(expected, facts, _pauses(given)))
        if not found:
            return Compared(number, given, ran=ran)
        if not nearest or len(found) < len(nearest):
            nearest = found
    return Compared(number, given, nearest, ran=ran)


def _differing(expected: Facts, facts: Facts, paused: Sequence[Span]) -> Iterator[Difference]:
    for name in sorted(facts.keys() | expected.keys()):
        if not is_same(name, expected.get(name), facts.get(name), paused):
            yield Difference(name, expected.get(name), facts.get(name))


def _pauses(given: Case) -> list[Span]:
    acts = [(parse_duration(entry["at"]), entry["do"]) for entry in given.script]
    ends = [at for at, act in acts if act == "resume"]
    return [(at, min((end for end in ends if end >= at), default=FOREVER)) for at, act in acts if act == "pause"]


@dataclass(frozen=True)
class Ran:
    """In the engine: ids of the steps that ended, and of those that were undone; what people did, and whether it was taken."""

    steps: frozenset[str]
    undone: frozenset[str]
    acts: dict[str, bool]


@dataclass(frozen=True)
class Compared:
    """What came of the definition with this number. `breakdown`: how the engine broke, if it did."""

    number: int
    case: Case
    found: tuple[Difference, ...] = ()
    breakdown: str | None = None
    ran: Ran | None = None

    @property
    def differs(self) -> bool:
        return bool(self.found or self.breakdown)

    @property
    def things(self) -> frozenset[str]:
        """`status`, `log` ...: of the run or of whichever steps."""
        return frozenset({"breakdown"} if self.breakdown else (one.name.rpartition(".")[2] for one in self.found))

    def __str__(self) -> str:
        told = json.dumps({"definition": self.case.definition, "script": self.case.script, "input": self.case.input})
        lines = [self.breakdown] if self.breakdown else [str(one) for one in self.found]
        return "\n  ".join([f"--one {self.number}: {told}", *lines])


def covered(one: Compared, table: Table) -> None:
    """Note what of the language was in it, children that were called included."""
    if one.ran is None:
        return
    called = {step["workflow"]["id"] for step in every_step(one.case.definition) if "workflow" in step and step["id"] in one.ran.steps}
    children = [child for child in one.case.workflows if child["id"] in called]
    inside = {step["id"] for child in children for step in every_step(child)}
    table.add([one.case.definition, *children], one.ran.steps | inside, one.ran.undone, one.ran.acts)


def smallest(one: Compared, valid: Checker) -> Compared:
    """A difference in the same things, in as small a definition as was found."""
    things = one.things
    return compare(one.number, shrunk(one.case, valid, lambda smaller: compare(one.number, smaller).things == things))


# ------------------------------------------------------------------------------------------------------------- command


def checker() -> Checker:
    engine = MemoryEngine(Notebook().tasks())
    return Checker(engine.tasks, engine.world.expressions)


def all_compared(numbers: Sequence[int], jobs: int) -> Generator[Compared, None, None]:
    """In this order, by so many processes."""
    if jobs == 1:
        yield from map(compare, numbers)
        return
    with ProcessPoolExecutor(jobs) as pool:
        try:
            yield from pool.map(compare, numbers, chunksize=PARCEL)
        finally:
            pool.shutdown(cancel_futures=True)


def progress(done: int, total: int, found: int, begin: int, seconds: float) -> str:
    """`begin`: of the numbers before it nothing is known here."""
    speed = (done - begin) / seconds
    left = (total - done) / speed / 60
    return f"{done} of {total} compared, {found} differ; {speed:.0f} a second, {left:.0f} min left; --from {done} goes on here"


def main() -> int:
    options = argparse.ArgumentParser(description="the engine against the reference interpreter")
    options.add_argument("--count", type=int, default=1000, help="definitions to compare")
    options.add_argument("--seed", type=int, default=0, help="of the definitions' numbers")
    options.add_argument("--from", type=int, default=0, metavar="N", dest="begin", help="go on behind the first N of them")
    options.add_argument("--jobs", type=int, default=1, help="processes; default: 1")
    options.add_argument("--one", type=int, metavar="NUMBER", help="only this definition, as a difference names it")
    options.add_argument("--stop-after", type=int, default=10, metavar="N", help="differences to look for")
    options.add_argument("--coverage", action="store_true", help="print what of the language was in them, and what was executed")
    chosen = options.parse_args()
    if chosen.jobs < 1 or not 0 <= chosen.begin < chosen.count:
        options.error("--jobs is at least 1, and --from less than --count")

    numbers = random.Random(chosen.seed)
    wanted = [chosen.one] if chosen.one is not None else [numbers.getrandbits(48) for _ in range(chosen.count)][chosen.begin :]
    valid = checker()
    since = time.perf_counter()
    done, found, table = chosen.begin, 0, Table()
    with closing(all_compared(wanted, chosen.jobs)) as every:
        for compared in every:
            done += 1
            covered(compared, table)
            if compared.differs:
                found += 1
                print(smallest(compared, valid), flush=True)
            if found >= chosen.stop_after:
                break
            if done % 1000 == 0:
                print(progress(done, chosen.count, found, chosen.begin, time.perf_counter() - since), file=sys.stderr, flush=True)
    seconds = time.perf_counter() - since
    if chosen.coverage:
        print(table)
    print(f"{done - chosen.begin} compared, {found} differ; {seconds:.0f} s, {(done - chosen.begin) / seconds:.0f} a second")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
