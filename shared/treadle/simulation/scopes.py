"""The small scopes that are explored completely, and the races that they are about: `scopes.yaml` beside this file.

A scope begins where its race can begin (`after` so many messages, or once nothing more happens without time passing) and is
explored from there to the end of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from ..core.durations import parse_duration
from ..definition.reading import read
from .actors import Move
from .choices import Allowance, Chosen, Moment, Scoped
from .exhaustive import Exploration, Search, follow, judged
from .explore import BOUND_MS, BOUND_OF_MANY_MS, Explorer, Wrap, unchanged
from .invariants import Watch
from .schedules import InOrder, ask_around, is_due, is_resting
from .shapes import Shape, shape_from
from .simulator import Simulation
from .windows import Window
from .world import Prepared, prepare

SCOPES = Path(__file__).with_name("scopes.yaml")
REST = "rest"


@dataclass(frozen=True, slots=True)
class Race:
    """Both parties were in the window: somebody did what `opens` says, then another one what `meets` says, and then the first one
    what `closes` says. Patterns of `Scoped.happened`: `dispatcher store.put s#a ended*`. Without `meets` nobody else is needed."""

    opens: str
    meets: str
    closes: str

    def __str__(self) -> str:
        return " | ".join(part for part in (self.opens, self.meets, self.closes) if part)

    def is_met(self, happened: Sequence[tuple[str, str]]) -> bool:
        """By the last thing that happened."""
        who, what = happened[-1]
        if not fnmatchcase(what, self.closes):
            return False
        has_met = not self.meets
        for other, before in reversed(happened[:-1]):
            if other != who:
                has_met = has_met or fnmatchcase(before, self.meets)
            elif fnmatchcase(before, self.opens):
                return has_met
        return False


@dataclass(frozen=True)
class Scope:
    """`told`: what meets what. `after`: messages, `rest`, or how long after the start. `first`: of the shape's acts, how many are asked
    for before that. `together`, `promptly`, `insists`, `certain`, `window`: as in `Scoped`; what the window keeps is left alone before
    the scope begins, too. `within_ms`: how much longer it may take than the run in which nothing goes wrong, because of timers of its
    own. `shape.ends`: each
    of these statuses must come of it, and no other."""

    name: str
    told: str
    shape: Shape
    after: int | str = 0
    first: int = 0
    together: bool = False
    promptly: bool = False
    insists: bool = True
    certain: bool = False
    window: Window = field(default_factory=Window)
    within_ms: int = 0
    faults: Mapping[str, Allowance] = field(default_factory=dict)
    races: tuple[Race, ...] = ()


@cache
def scopes() -> Mapping[str, Scope]:
    """By name, in the order of the file."""
    return {name: _scope(name, dict(written)) for name, written in read(SCOPES).value.items()}


def _scope(name: str, written: dict[str, Any]) -> Scope:
    names = ("told", "after", "together", "promptly", "insists", "certain", "faults", "races", "first")
    own: dict[str, Any] = {name: written.pop(name) for name in names if name in written}
    of_window = ("opens", "closes", "once", "wakes", "keep")
    window: dict[str, Any] = {
        name: tuple(told) if isinstance(told := written.pop(name), list) else told for name in of_window if name in written
    }
    first = own.pop("first", [])
    written["acts"] = [*first, *written.get("acts", [])]
    own["window"] = Window(**window)
    own["within_ms"] = parse_duration(written.pop("within", "0s"))
    written.setdefault("ends", ["succeeded"])
    own["faults"] = {kind: _allowance(told) for kind, told in own.get("faults", {}).items()}
    own["races"] = tuple(Race(*race) for race in own.get("races", ()))
    return Scope(name, shape=shape_from(name.lower(), written), first=len(first), **own)


def _allowance(told: int | str) -> Allowance:
    """How often, or where (once)."""
    return Allowance(told) if isinstance(told, int) else Allowance(1, told)


# ------------------------------------------------------------------------------------------------ where a scope begins


@dataclass
class Prelude:
    """One message at a time, until the scope begins."""

    scope: Scope

    def choose(self, simulation: Simulation) -> Move | None:
        ask_around(simulation)
        if (worker := next(simulation.ready(), None)) is not None:
            return Move("go", worker)
        left = len(self.scope.shape.acts) - self.scope.first
        is_asked_for = len(simulation.acts) > left
        if is_asked_for and (is_due(simulation) or is_resting(simulation)):
            return Move("act")
        if not is_asked_for and self._is_there(simulation):
            return None
        lanes = simulation.cloud.lanes
        for queue in simulation.deployed.queues:
            for message in lanes.visible(queue.name):
                if not any(fnmatchcase(lanes.body_of(queue.name, message), kept) for kept in self.scope.window.keep):
                    return Move("take", queue=queue.name, messages=(message,))
        goes_on = is_asked_for or (isinstance(self.scope.after, str) and self.scope.after != REST)
        return Move("time") if goes_on and simulation.next_time() is not None else None

    def _is_there(self, simulation: Simulation) -> bool:
        after, control = self.scope.after, simulation.control
        if isinstance(after, int) or after == REST or control is None:
            return simulation.deliveries == after
        return bool(simulation.now >= control["started_at"] + parse_duration(after))


def begin(scope: Scope, prepared: Prepared) -> Moment:
    watch = Watch()
    simulation = Scoped(prepared, Prelude(scope), Chosen(), watch)
    simulation.run()
    if simulation.workers or len(simulation.acts) != len(scope.shape.acts) - scope.first:
        raise ValueError(f"scope {scope.name} does not begin: {simulation.deliveries} messages were handled")
    return Moment.of(simulation, watch)


@dataclass
class Small:
    """One scope, ready to be explored. `wrap`: the mutant."""

    scope: Scope
    wrap: Wrap = unchanged
    keeps_trace: bool = False

    def __post_init__(self) -> None:
        explorer = Explorer(prepare(self.scope.shape))
        calm = explorer.calm.result
        self.prepared, self.expected = explorer.prepared, replace(calm, took_ms=calm.took_ms + self.scope.within_ms)
        self.start = begin(self.scope, self.prepared)

    def begins(self, moment: Moment | None = None) -> tuple[Scoped, Watch]:
        """The scope at its beginning, or at another moment of it."""
        start = moment or self.start
        watch = start.watch.copied()
        scope = self.scope
        simulation = Scoped(
            self.prepared, InOrder(), Chosen(), watch, wrap=self.wrap, keeps_trace=self.keeps_trace, start=start, allowed=scope.faults,
            together=scope.together, promptly=scope.promptly, insists=scope.insists, certain=scope.certain,
            window=scope.window,
        )  # fmt: skip
        return simulation, watch

    def _judge(self) -> Callable[[Scoped, Watch], Any]:
        control = self.begins()[0].control
        began = control["started_at"] if control else 0
        return judged(self.expected, began, BOUND_OF_MANY_MS if self.scope.faults else BOUND_MS)

    def explore(self, *, reduced: bool = True, most: int = 1_000_000) -> Exploration:
        search = Search(self.begins, self._judge(), self._sees, reduced=reduced, most=most)
        return search.run()

    def _sees(self, simulation: Scoped) -> Iterator[str]:
        happened = simulation.happened
        for race in self.scope.races:
            if any(race.is_met(happened[:end]) for end in range(simulation.happened_before + 1, len(happened) + 1)):
                yield str(race)

    def follow(self, path: str) -> tuple[Scoped, Watch]:
        """One schedule again, to its end."""
        simulation, watch = self.begins()
        for _ in follow(simulation, path):
            if watch.violations:
                return simulation, watch
        self._judge()(simulation, watch)
        return simulation, watch
