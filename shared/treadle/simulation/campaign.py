"""Many simulations, counted: what `treadle simulate` does and tells.

In order, until the time is over: each shape without faults, each single fault of each shape, then deployments of another version,
random schedules and pairs of faults, in parcels of each shape in turn, so that whatever the time allows is spread over all of them.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import zip_longest
from random import Random
from typing import Any, TypeVar

from ..tasks.registry import Registry
from .coverage import Coverage
from .explore import Case, Explorer, explorer
from .faults import Fault, Kind
from .shapes import Shape, catalogue
from .stories import Story
from .world import StandIns, prepare

T = TypeVar("T")

PARCEL = 25  # simulations of one shape before it is the next one's turn
COUNTED = ("shapes", "schedules", "crash_points", "pairs", "rollouts")
PATIENCE = 4  # parcels that wait for each process: enough that none is idle, few enough to stop soon


@dataclass(frozen=True)
class Orders:
    """`seeds`: schedules per shape, from `seed` on. `seconds`: when to stop (None: when all is done).
    `pairs`: of each small shape, with so many of its single faults as the first of two (None: with all of them).
    `rollouts`: deployments of another version per shape. `mixed`: single faults, in an order of the seed's, schedules and rollouts in
    turns, and no pairs: a short time tries some of everything."""

    seeds: int = 200
    rollouts: int = 20
    seed: int = 1
    seconds: float | None = 60.0
    singles: bool = True
    pairs: int | None = None
    mixed: bool = False


@dataclass
class Report:
    """Contract of `treadle simulate -o json`. `swept`: single faults that only the sweeper mends, by place and kind: of all others the
    run comes to its end by the messages that come back. `is_complete`: the time sufficed for all that was ordered. `story`: of a user's
    own workflow, which has it in the place of the engine's coverage."""

    seed: int
    shapes: int = 0
    schedules: int = 0
    crash_points: int = 0
    pairs: int = 0
    rollouts: int = 0
    faults_fired: Counter[str] = field(default_factory=Counter)
    coverage: Coverage = field(default_factory=Coverage)
    swept: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    is_complete: bool = True
    seconds: float = 0.0
    story: Story | None = None
    _known: set[tuple[str, str]] = field(default_factory=set)

    def add(self, case: Case, kind: str) -> None:
        setattr(self, kind, getattr(self, kind) + 1)
        self.faults_fired.update({f"{call} {fault}": count for (call, fault), count in case.fired.items()})
        if case.only_swept:
            self.swept.update(f"{place} {fault}" for place, fault in case.fired_at)
        self.tell(case)

    def tell(self, case: Case) -> None:
        self.coverage.add(case)
        self._violated(case.lines())

    def _violated(self, lines: Iterable[str]) -> None:
        """Of violations that say the same of the same shape, the first."""
        for line in lines:
            if (same := _about(line)) not in self._known:
                self._known.add(same)
                self.violations.append(line)

    def merge(self, other: Report) -> None:
        for name in COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.faults_fired += other.faults_fired
        self.coverage.merge(other.coverage)
        self.swept += other.swept
        if self.story is not None and other.story is not None:
            self.story.merge(other.story)
        self._violated(other.violations)
        self.is_complete = self.is_complete and other.is_complete

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in COUNTED} | {
            "faults_fired": dict(sorted(self.faults_fired.items())),
            **({"coverage": self.coverage.to_json()} if self.story is None else self.story.to_json()),
            "swept": {"faults": self.swept.total(), "places": dict(self.swept.most_common())},
            "violations": self.violations,
            "seed": self.seed,
            "complete": self.is_complete,
            "seconds": round(self.seconds, 1),
        }


def _about(line: str) -> tuple[str, str]:
    """(what is violated, of what) of `I9 (..): what: treadle simulate --shape NAME ...`"""
    what, _, how = line.rpartition(": treadle simulate ")
    return what, how.partition(" --fault ")[0].partition(" --seed ")[0].partition(" --rollout ")[0]


# ------------------------------------------------------------------------------------------------ what there is to do


@dataclass(frozen=True, slots=True)
class Parcel:
    """Some simulations of one shape, of one kind. `numbers`: of its single faults (`pairs`: the first of the two), or seeds."""

    shape: str
    kind: str  # crash_points, schedules, rollouts or pairs, as the report counts them
    numbers: Sequence[int]

    def cases(self, explorer: Explorer) -> Iterator[Case]:
        match self.kind:
            case "schedules":
                yield from map(explorer.at_random, self.numbers)
            case "rollouts":
                yield from map(explorer.in_rollout, self.numbers)
            case "crash_points":
                firsts = list(explorer.singles())
                yield from (explorer.with_faults(firsts[number]) for number in self.numbers)
            case _:
                firsts = list(explorer.singles())
                for number in self.numbers:
                    after_one = explorer.with_faults(firsts[number])
                    yield from (explorer.with_faults(firsts[number], second) for second in explorer.seconds(firsts[number], after_one))


def parcels(explorers: Sequence[Explorer], orders: Orders) -> Iterator[Parcel]:
    """All that is ordered. Pairs come in an order of the seed's, so that a short time tries some of everything."""
    seeds, rollouts = range(orders.seed, orders.seed + orders.seeds), range(orders.seed, orders.seed + orders.rollouts)
    counts = {explorer.name: len(list(explorer.singles())) for explorer in explorers}
    if orders.mixed:
        shuffle = Random(orders.seed).sample
        singles = [_cut(name, "crash_points", shuffle(range(count), count)) for name, count in counts.items()]
        others = [_cut(name, kind, numbers) for name in counts for kind, numbers in (("schedules", seeds), ("rollouts", rollouts))]
        yield from _in_turns([*singles, *others])
        return
    if orders.singles:
        yield from _in_turns([_cut(name, "crash_points", range(count)) for name, count in counts.items()])
    yield from _in_turns([_cut(name, "rollouts", rollouts) for name in counts])
    yield from _in_turns([_cut(name, "schedules", seeds) for name in counts])
    random = Random(orders.seed)
    small = [explorer.name for explorer in explorers if explorer.prepared.shape.is_small]
    shuffled = {name: random.sample(range(counts[name]), counts[name])[: orders.pairs] for name in small}
    yield from _in_turns([_cut(name, "pairs", numbers, 1) for name, numbers in shuffled.items()])


def _cut(shape: str, kind: str, numbers: Sequence[int], size: int = PARCEL) -> list[Parcel]:
    return [Parcel(shape, kind, numbers[at : at + size]) for at in range(0, len(numbers), size)]


def _in_turns(of_shapes: Sequence[Sequence[Parcel]]) -> Iterator[Parcel]:
    return (parcel for turn in zip_longest(*of_shapes) for parcel in turn if parcel is not None)


# ------------------------------------------------------------------------------------------------ doing it

Progress = Callable[[Report], None]  # told after each parcel


@dataclass
class Campaign:
    """`seconds`: when to stop (None: when all is done)."""

    explorers: Sequence[Explorer]
    orders: Orders
    progress: Progress = lambda report: None

    def __post_init__(self) -> None:
        self.began = time.monotonic()
        self.report = Report(self.orders.seed, shapes=len(self.explorers))
        for each in self.explorers:
            self.report.tell(each.calm)

    @property
    def is_late(self) -> bool:
        return self.orders.seconds is not None and time.monotonic() - self.began > self.orders.seconds

    def here(self) -> Report:
        """In this process, one after another."""
        by_name = {explorer.name: explorer for explorer in self.explorers}
        for parcel in parcels(self.explorers, self.orders):
            if self.is_late:
                self.report.is_complete = False
                break
            explorer = by_name[parcel.shape]
            self._took(_done(explorer, parcel, lambda: self.is_late, story_of(explorer) if self.report.story else None))
        return self._over()

    def over(self, jobs: int, make: Callable[[], Explorer] | None = None) -> Report:
        """Over so many processes: each gets its next parcel when it is done with one. `make`: of a user's own workflow, what makes its
        explorer in a process; None: shapes of the catalogue."""
        todo = parcels(self.explorers, self.orders)
        work = _elsewhere if make is None else _elsewhere_own
        begin: dict[str, Any] = {} if make is None else {"initializer": _make_own, "initargs": (make,)}
        with ProcessPoolExecutor(jobs, **begin) as pool:
            under_way: set[Future[Report]] = set()
            while True:
                for parcel in self._next(todo, jobs * PATIENCE - len(under_way)):
                    under_way.add(pool.submit(work, parcel))
                if not under_way:
                    return self._over()
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                for part in done:
                    self._took(part.result())

    def _next(self, todo: Iterator[Parcel], count: int) -> Iterator[Parcel]:
        for _ in range(count):
            parcel = next(todo, None)
            if parcel is None:
                return
            if self.is_late:
                self.report.is_complete = False
                return
            yield parcel

    def _took(self, part: Report) -> None:
        self.report.merge(part)
        self.report.seconds = time.monotonic() - self.began
        self.progress(self.report)

    def _over(self) -> Report:
        self.report.seconds = time.monotonic() - self.began
        self.report.violations.sort()
        return self.report


def _done(explorer: Explorer, parcel: Parcel, is_late: Callable[[], bool] = lambda: False, story: Story | None = None) -> Report:
    report = Report(0)
    for case in parcel.cases(explorer):
        report.add(case, parcel.kind)
        if story is not None:
            story.add(case)
        if is_late():
            break
    report.story = story
    return report


_explorer = cache(explorer)  # of one process
_own: list[Explorer] = []  # of a process that simulates a user's own workflow


def _elsewhere(parcel: Parcel) -> Report:
    return quietly(lambda: _done(_explorer(parcel.shape), parcel))


def _make_own(make: Callable[[], Explorer]) -> None:
    _own.append(quietly(make))


def _elsewhere_own(parcel: Parcel) -> Report:
    explorer = _own[0]
    return quietly(lambda: _done(explorer, parcel, story=story_of(explorer)))


def simulate(names: Sequence[str], orders: Orders, *, jobs: int | None = None, progress: Progress = lambda report: None) -> Report:
    """The shapes of these names (none: all of them), over so many processes (None: one per core)."""
    count = jobs or os.cpu_count() or 1

    def work() -> Report:
        campaign = Campaign([_explorer(name) for name in names or catalogue()], orders, progress)
        return campaign.here() if count == 1 else campaign.over(count)

    return quietly(work)


def nothing() -> None:
    return None


@dataclass(frozen=True)
class OwnWorkflow:
    """A user's, as any process can make it ready. `tasks`: makes the registry of its tasks; None: stand-ins that give their input back.
    `subject`: the arguments of `treadle simulate` that it was named by."""

    shape: Shape
    tasks: Callable[[], Registry | None] = nothing
    subject: str = ""

    def explorer(self, *, keeps_trace: bool = False) -> Explorer:
        """Raises Rejected("invalid-definition")."""
        return explorer_of(self.shape, self.tasks(), self.subject, keeps_trace=keeps_trace)


def simulate_definition(own: OwnWorkflow, orders: Orders, progress: Progress = lambda report: None, *, jobs: int = 1) -> Report:
    """Raises Rejected("invalid-definition")."""

    def work() -> Report:
        explorer = own.explorer()
        campaign = Campaign([explorer], replace(orders, mixed=True), progress)
        campaign.report.story = story_of(explorer)
        campaign.report.story.add(explorer.calm)
        return campaign.here() if jobs == 1 else campaign.over(jobs, own.explorer)

    return quietly(work)


def story_of(explorer: Explorer) -> Story:
    """One without any schedule yet."""
    prepared = explorer.prepared
    plan = next(plan for plan in prepared.plans.values() if plan.workflow == prepared.workflow)
    known = frozenset(plan.workflow for plan in prepared.plans.values())
    return Story(
        plan, explorer.calm, is_loose="*" in prepared.shape.loose, has_stand_ins=isinstance(prepared.registry, StandIns), known=known
    )


def explorer_of(shape: Shape, registry: Registry | None, subject: str, *, keeps_trace: bool = False) -> Explorer:
    """Of a user's own workflow."""
    explorer = Explorer(prepare(shape, StandIns() if registry is None else registry), keeps_trace=keeps_trace, subject=subject)
    if explorer.calm.result.status != "succeeded":
        explorer.prepared = replace(explorer.prepared, shape=replace(shape, loose=("*",)))  # who fails first is a matter of timing
    return explorer


def reproduce(explorer: Explorer, faults: Sequence[Fault], seed: int | None, rollout: int | None = None) -> Case:
    if rollout is not None:
        return explorer.in_rollout(rollout)
    return explorer.at_random(seed) if seed is not None else explorer.with_faults(*faults)


def quietly(work: Callable[[], T]) -> T:
    """What the engine logs about a world that fails is no news here, whichever of its loggers it is."""
    log, nobody = logging.getLogger("treadle"), logging.NullHandler()
    propagates, log.propagate, handlers, log.handlers = log.propagate, False, log.handlers, [nobody]
    try:
        return work()
    finally:
        log.propagate, log.handlers = propagates, handlers


def sites(report: Report) -> set[tuple[str, Kind]]:
    """Call sites and kinds of faults that fired."""
    return {(site, Kind(kind)) for site, _, kind in (name.rpartition(" ") for name in report.faults_fired)}
