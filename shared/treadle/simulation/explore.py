"""Which simulations are made of a shape: none of its calls failing, each of them, each pair of them, and any schedule at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from ..core.errors import Rejected
from ..engine import World
from .actors import Schedule
from .faults import Chance, Fault, Faults, Kind, Planned
from .fleet import Fleet
from .invariants import Violation, Watch
from .outages import Outage
from .rest import Result, check, result_of
from .schedules import AtRandom, InOrder
from .shapes import Act, Shape, has_key, has_races
from .simulator import Simulation
from .world import Prepared, prepare

# One fault costs a visibility timeout, or the sweeper's first look at a run; several may hide each other from who would have noticed.
BOUND_MS = 6 * 60_000
BOUND_OF_MANY_MS = 60 * 60_000

MAX_SKEW_MS = 5 * 60_000  # of a worker's clock

Wrap = Callable[[World], World]
Skew = Callable[[], int]


def unchanged(world: World) -> World:
    return world


@dataclass(frozen=True)
class Case:
    """What came of one simulation. `how`: the arguments of `treadle simulate` that have it again."""

    shape: str
    how: str
    result: Result
    violations: tuple[Violation, ...]
    calls: tuple[str, ...]
    fired: Counter[tuple[str, Kind]]
    trace: tuple[tuple[Any, ...], ...] = ()
    places: tuple[str, ...] = ()  # of the calls, in the source
    fired_at: Counter[tuple[str, Kind]] = field(default_factory=Counter)  # by place
    planned: int = 0  # faults: each of them has to happen
    ran: Counter[tuple[str, int]] = field(default_factory=Counter)  # attempts of the run's own steps, by path and number
    why: str | None = None  # the run failed
    sweeps: int = 0  # that found something
    only_swept: bool = False  # of a single fault: without the sweeper the run would not have come to its end

    def lines(self) -> Iterator[str]:
        for violation in self.violations:
            yield f"{violation}: treadle simulate {self.how}"
        if self.planned > self.fired.total():
            yield f"{self.planned - self.fired.total()} of {self.planned} planned faults never happened: treadle simulate {self.how}"


class Unswept(Simulation):
    """The sweeper never comes by."""

    def next_sweep(self) -> int | None:
        return None

    def _may_fit_later(self, act: Act, refused: Rejected) -> bool:
        return self.next_time() is not None and super()._may_fit_later(act, refused)  # else nothing would ever be otherwise


@dataclass
class Explorer:
    """Simulates one shape. `wrap`: the mutant; `calm`: the result without faults. `subject`: the arguments of `treadle simulate` that
    name it, of a workflow that is none of the catalogue's."""

    prepared: Prepared
    wrap: Wrap = unchanged
    keeps_trace: bool = False
    subject: str = ""
    calm: Case = field(init=False)

    def __post_init__(self) -> None:
        self.subject = self.subject or f"--shape {self.name}"
        self.calm = self._calm()

    @property
    def name(self) -> str:
        return self.prepared.shape.name

    def _calm(self) -> Case:
        return self._simulate(InOrder(), Planned(), self.subject, None)

    def _simulate(
        self,
        schedule: Schedule,
        faults: Faults,
        how: str,
        expected: Result | None,
        seed: int = 0,
        skew: Skew = lambda: 0,
        fleet: Fleet | None = None,
        shape: Shape | None = None,
        says_no: Callable[[], bool] = lambda: False,
    ) -> Case:
        watch = Watch()
        prepared = self.prepared if shape is None else replace(self.prepared, shape=shape)
        simulation = Simulation(prepared, schedule, faults, watch, seed, self.wrap, self.keeps_trace, skew, fleet, says_no)
        began = simulation.now
        simulation.run()
        if simulation.refused is not None:
            raise simulation.refused
        result = result_of(simulation, began)
        is_single = isinstance(schedule, InOrder) and sum(faults.fired.values()) <= 1
        check(simulation, watch, expected, result, BOUND_MS if is_single else BOUND_OF_MANY_MS)
        return Case(
            self.name, how, result, tuple(watch.violations), tuple(simulation.calls), faults.fired, tuple(simulation.trace),
            tuple(simulation.places), simulation.fired_at, len(faults.faults) if isinstance(faults, Planned) else 0,
            Counter({(path, attempt): count for (run_id, path, attempt), count in watch.ran.items() if run_id == simulation.run_id}),
            _why(simulation), simulation.sweeps,
        )  # fmt: skip

    # -------------------------------------------------------------------------------------------- what is tried

    def with_faults(self, *faults: Fault) -> Case:
        """One worker at a time, and these faults."""
        how = " ".join([self.subject, *(f"--fault call={fault}" for fault in faults)])
        case = self._simulate(InOrder(), Planned.of(faults), how, self.calm.result)
        if len(faults) != 1 or not case.sweeps or self.calm.sweeps:
            return case
        return replace(case, only_swept=not self._ends_unswept(*faults))

    def _ends_unswept(self, fault: Fault) -> bool:
        """The same once more, and nobody comes by."""
        simulation = Unswept(self.prepared, InOrder(), Planned.of([fault]), Watch(), wrap=self.wrap)
        simulation.run()
        return result_of(simulation, simulation.now).status in (self.prepared.shape.ends or (self.calm.result.status,))

    def with_outage(self, outage: Outage) -> Case:
        """One worker at a time, and a service that is away for a while."""
        return self._simulate(InOrder(), outage, f"{self.subject} --fault outage={outage}", self.calm.result)

    def singles(self) -> Iterator[Fault]:
        """Each call of the calm run, with each fault that is possible at it."""
        for number, call in enumerate(self.calm.calls, 1):
            for kind in Kind:
                if kind.is_possible(call):
                    yield Fault(number, kind)

    def seconds(self, first: Fault, case: Case) -> Iterator[Fault]:
        """Faults at the calls that come after the first one."""
        for number, call in enumerate(case.calls[first.call :], first.call + 1):
            for kind in Kind:
                if kind.is_possible(call):
                    yield Fault(number, kind)

    def at_random(self, seed: int) -> Case:
        """Any order, duplicates, several workers, late and dying ones, clocks that are wrong, faults at calls; all of it from the seed."""
        random = Random(f"{self.name}/{seed}")
        hostility = random.choice((0, 5, 20, 60))
        faults = Chance(random, budget=random.choice((0, 0, 1, 3)), probability=0.02)
        schedule = AtRandom(random, workers=random.choice((1, 2, 3, 5)), hostility=hostility, budget=random.choice((0, 1, 2)))
        most_ms = random.choice((0, 0, 0, MAX_SKEW_MS))
        answers = self.prepared.shape.answers and has_key(self.prepared.shape.definition, "approval")
        says_no = answers and random.choice((True, False))
        return self._simulate(
            schedule,
            faults,
            f"{self.subject} --seed {seed}",
            self.calm.result,
            seed,
            skew=lambda: random.choice((-most_ms, 0, 0, most_ms)),
            shape=self._of_any_end() if says_no else None,
            says_no=lambda: says_no and random.choice((True, False)),
        )

    def in_rollout(self, seed: int) -> Case:
        """Two versions of the engine at once, one taking the place of the other; with some of all that else may go wrong."""
        random = Random(f"{self.name}/rollout/{seed}")
        faults = Chance(random, budget=random.choice((0, 0, 1, 2)), probability=0.02)
        schedule = AtRandom(random, workers=random.choice((1, 2, 3)), hostility=random.choice((0, 10)), budget=1)
        fleet = Fleet.at_random(random)
        how = f"{self.subject} --rollout {seed}"
        return self._simulate(schedule, faults, how, self.calm.result, seed, fleet=fleet, shape=self._in_its_time())

    def _in_its_time(self) -> Shape:
        """Timeouts go on while a deployment takes hours: what they end is a matter of timing."""
        shape = self.prepared.shape
        return self._of_any_end() if any(map(has_races, (shape.definition, *shape.children))) else shape

    def _of_any_end(self) -> Shape:
        """How its run ends is somebody's to say, or a matter of timing."""
        shape = self.prepared.shape
        return replace(shape, loose=("*",), ends=(self.calm.result.status, "succeeded", "failed", "timedOut", "cancelled"))


def _why(simulation: Simulation) -> str | None:
    """`step: name: message`"""
    error = (simulation.control or {}).get("error")
    if not error:
        return None
    return ": ".join(str(error[key]) for key in ("step", "name", "message") if error.get(key))


def explorer(name_or_shape: Any, **more: Any) -> Explorer:
    from .shapes import catalogue

    shape = catalogue()[name_or_shape] if isinstance(name_or_shape, str) else name_or_shape
    return Explorer(prepare(shape), **more)
