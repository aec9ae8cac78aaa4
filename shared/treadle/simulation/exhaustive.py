"""Everything that can happen in a small scope: depth first over all choices, each equal state looked at once.

A state in which somebody is at work cannot be copied (workers are suspended in the middle of their code), so going back is going on
anew from the last one in which nobody was, and choosing the same again.

What is left out changes nothing:
- of choices that commute one order is tried (sleep sets), and a choice that commutes with all that others can do is taken at once
  (persistent sets, `Scoped.choices`);
- a state that is equal to one seen before is not gone on from (`states`), but for the choices that were asleep there and are awake
  now.
So each order of dependent calls is tried, and with it each order in which two workers can see each other's writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from .choices import Choice, Moment, Scoped
from .invariants import Violation, Watch
from .rest import Result, check, result_of
from .states import Digests

Sleep = dict[tuple[str, str], Choice]
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Breach:
    """`path`: the choices that lead to it, a digit each where there was more than one."""

    path: str
    violations: tuple[Violation, ...]


@dataclass
class Exploration:
    """What was found. `schedules`: that came to their end or to a state that was known. `ends`: statuses, with in how many different
    last states; `last`: these. `orders`: of all complete ones, where nothing was left out (`reduced=False`)."""

    states: int = 0
    transitions: int = 0
    schedules: int = 0
    deepest: int = 0
    orders: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    last: set[bytes] = field(default_factory=set)
    met: Counter[str] = field(default_factory=Counter)
    breaches: list[Breach] = field(default_factory=list)
    is_complete: bool = False


@dataclass
class _Frame:
    """A state on the way. `orders`: of what was explored behind it."""

    key: bytes
    choices: list[Choice]
    todo: list[Choice]
    sleep: Sleep
    moment: Moment | None  # if nobody is at work in it
    taken: Choice | None = None
    orders: int = 0


@dataclass
class Search:
    """`begins`: the scope at its beginning, or at a moment of it, as often as it is asked for. `judge`: what is wrong when nothing can
    happen any more. `sees`: which of the races that the scope is about were met by the last choice. `most`: transitions; what takes
    more is not complete."""

    begins: Callable[[Moment | None], tuple[Scoped, Watch]]
    judge: Callable[[Scoped, Watch], Result]
    sees: Callable[[Scoped], Iterable[str]] = lambda simulation: ()
    reduced: bool = True
    most: int = 1_000_000
    breaches: int = 3  # enough to stop at
    found: Exploration = field(default_factory=Exploration)

    def run(self) -> Exploration:
        self._known: dict[bytes, frozenset[tuple[str, str]]] = {}
        self._orders: dict[bytes, int] = {}
        self._begin()
        stack: list[_Frame] = []
        if (first := self._arrive({})) is not None:
            stack.append(first)
        fresh = True
        while stack and len(self.found.breaches) < self.breaches and self.found.transitions < self.most:
            frame = stack[-1]
            if not frame.todo:
                self._leave(stack)
                fresh = False
                continue
            if not fresh:
                self._again(stack)
            fresh = self._advance(stack, frame)
        self.found.is_complete = not stack
        self.found.states = len(self._known)
        return self.found

    # -------------------------------------------------------------------------------------------- going

    def _begin(self, moment: Moment | None = None) -> None:
        self.simulation, self.watch = self.begins(moment)
        self.digests = Digests(self.simulation, self.watch)

    def _again(self, stack: list[_Frame]) -> None:
        """From the last moment in which nobody was at work."""
        at = max((number for number, frame in enumerate(stack) if frame.moment), default=0)
        self._begin(stack[at].moment)
        for frame in stack[at:-1]:
            if frame.taken:
                self.simulation.do(frame.taken)

    def _advance(self, stack: list[_Frame], frame: _Frame) -> bool:
        """Take the next choice. Whether the simulation stands in the state on top of the stack."""
        choice = frame.todo.pop(0)
        sleep = {name: other for name, other in frame.sleep.items() if not other.depends_on(choice)} if self.reduced else {}
        frame.sleep[choice.id] = choice
        frame.taken = choice
        self.simulation.do(choice)
        self.found.transitions += 1
        self.found.deepest = max(self.found.deepest, len(stack))
        self.found.met.update(self.sees(self.simulation))
        following = None if self._is_broken(stack) else self._arrive(sleep, stack)
        if following is None:
            self.found.schedules += 1
            return False
        stack.append(following)
        return True

    def _arrive(self, sleep: Sleep, stack: list[_Frame] | None = None) -> _Frame | None:
        """None: nothing new is to be seen from here."""
        above = stack or []
        choices = self.simulation.choices(reduced=self.reduced)
        key = self.digests.digest()
        known = self._known.get(key)
        if known is not None and not choices:
            self._count(above, 1)
            return None
        if known is None:
            self._known[key] = frozenset(sleep)
            if not choices:
                self._judge(above)
                self.found.last.add(key)
                self._orders[key] = 1
                self._count(above, 1)
                return None
            todo = [choice for choice in choices if choice.id not in sleep]
        else:
            awake = known - sleep.keys()
            self._known[key] = known & sleep.keys()
            sleep = {name: choice for name, choice in sleep.items() if name in known}
            todo = [choice for choice in choices if choice.id in awake]
        if not todo:
            self._count(above, self._orders.get(key, 0))
            return None
        moment = None if self.simulation.workers else Moment.of(self.simulation, self.watch)
        return _Frame(key, choices, todo, sleep, moment)

    def _leave(self, stack: list[_Frame]) -> None:
        frame = stack.pop()
        self._orders[frame.key] = frame.orders
        self._count(stack, frame.orders)

    def _count(self, stack: list[_Frame], orders: int) -> None:
        if stack:
            stack[-1].orders += orders
        else:
            self.found.orders += orders

    # -------------------------------------------------------------------------------------------- looking

    def _is_broken(self, stack: list[_Frame]) -> bool:
        if self.watch.violations:
            self._breach(stack)
        elif self.simulation.is_endless:
            self.watch.violated("I13", f"{self.simulation.deliveries} messages and no end")
            self._breach(stack)
        return bool(self.watch.violations)

    def _judge(self, stack: list[_Frame]) -> None:
        result = self.judge(self.simulation, self.watch)
        self.found.ends[result.status] += 1
        if self.watch.violations:
            self._breach(stack)

    def _breach(self, stack: list[_Frame]) -> None:
        self.found.breaches.append(Breach(path_of(stack), tuple(self.watch.violations)))


def path_of(stack: Iterable[_Frame]) -> str:
    """The way here, as `follow` reads it."""
    return "".join(DIGITS[frame.choices.index(frame.taken)] for frame in stack if frame.taken and len(frame.choices) > 1)


def follow(simulation: Scoped, path: str) -> Iterator[Choice]:
    """The same choices again, and the first ones after them, until nothing can happen any more."""
    digits = iter(path)
    while choices := simulation.choices():
        choice = choices[DIGITS.index(next(digits, "0"))] if len(choices) > 1 else choices[0]
        yield choice
        simulation.do(choice)


def judged(expected: Result | None, began: int, bound_ms: int) -> Callable[[Scoped, Watch], Result]:
    """All invariants at rest."""

    def judge(simulation: Scoped, watch: Watch) -> Result:
        result = result_of(simulation, began)
        check(simulation, watch, expected, result, bound_ms)
        return result

    return judge
