"""A simulation in which all that may happen next is a list of choices, and in which equal states are known for equal.

Workers, messages and requests are named by what they are, not by when they came: the same worker has the same name, and draws
the same numbers, in whatever order the others acted before it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from hashlib import sha256
from random import Random
from typing import Any

from greenlet import getcurrent

from .. import topology
from ..core.errors import Rejected
from ..core.model import State
from ..core.plan import Plan
from ..engine.items import step_key
from ..ports import Written
from .actors import Move, Worker
from .faults import Kind
from .footprints import TASK, Touch, seen, text_of
from .invariants import Watch
from .queues import Received
from .shapes import Act
from .simulator import FROZEN_MS, Simulation
from .watched import WitnessedCloud
from .windows import Window

LOCAL = Touch("", is_local=True)
TIME = Touch("time")
DIES = "dies"  # before its next call


@dataclass(frozen=True, slots=True)
class Choice:
    """`kind`: `go`, `take`, `twice`, `act`, `time`, `late`, `dies`, or a kind of fault. `who`: the worker, message or request."""

    kind: str
    who: str
    touch: Touch

    @property
    def id(self) -> tuple[str, str]:
        return self.kind, self.who

    def depends_on(self, other: Choice) -> bool:
        """Whether the order of the two matters: they are of one worker, time passes in one of them, or they touch the same."""
        return self.who == other.who or TIME in (self.touch, other.touch) or self.touch.depends_on(other.touch)


@dataclass(frozen=True, slots=True)
class Allowance:
    """How often a fault may happen, and at which calls (`dispatcher store.put s#a ended*`)."""

    times: int
    at: str = "*"


@dataclass
class Chosen:
    """`faults.Faults`: what was chosen for the next call."""

    fired: Counter[tuple[str, Kind]] = field(default_factory=Counter)
    next: Kind | None = None

    def at(self, number: int, site: str) -> Kind | None:
        kind, self.next = self.next, None
        if kind is not None:
            self.fired[site, kind] += 1
        return kind


class ByName(Random):
    """The numbers that a worker draws are its own."""

    def __init__(self, simulation: Scoped) -> None:
        super().__init__(0)
        self._simulation = simulation

    def _draw(self) -> int:
        name = self._simulation.name
        self._simulation.drawn[name] += 1
        return int.from_bytes(sha256(f"{name} {self._simulation.drawn[name]}".encode()).digest()[:16])

    def getrandbits(self, k: int, /) -> int:
        return self._draw() % (1 << k)

    def random(self) -> float:
        return (self._draw() % (1 << 53)) / (1 << 53)


# of a simulation in which nobody is at work: copied, for this is all there is to know of it
_COPIED = (
    "run_id", "tokens", "checkpoint", "deliveries", "sweeps", "asks_again_at", "disturbed_at", "has_asked_again", "swept_at", "calls",
    "places", "fired_at", "trace", "acts", "names", "drawn", "spent", "happened", "_count", "_begun",
    "bus_again_at",
)  # fmt: skip


@dataclass(frozen=True)
class Moment:
    """A simulation in which nobody is at work, as it was, to go on from any number of times."""

    cloud: Callable[[WitnessedCloud], None]
    plans: Mapping[str, Plan]
    fired: Counter[tuple[str, Kind]]
    told: Mapping[str, Any]
    watch: Watch

    @classmethod
    def of(cls, simulation: Scoped, watch: Watch) -> Moment:
        told = {name: copy(getattr(simulation, name)) for name in _COPIED}
        return cls(simulation.cloud.saved(), simulation.known_plans(), copy(simulation.faults.fired), told, watch.copied())

    def begin(self, simulation: Scoped) -> None:
        self.cloud(simulation.cloud)
        simulation.known_plans(self.plans)
        simulation.faults.fired.update(self.fired)
        for name, value in self.told.items():
            setattr(simulation, name, copy(value))


@dataclass
class Scoped(Simulation):
    """`start`: where it begins; None: nothing was asked for yet. `allowed`: the faults. `together`: requests are made at once, else one
    after another's answer. `promptly`: time does not pass while a request can be made. `insists`: who gets no answer asks again.
    `certain`: faults happen wherever they may, not only perhaps. `window`: outside of it all goes in order."""

    start: Moment | None = None
    allowed: Mapping[str, Allowance] = field(default_factory=dict)
    together: bool = False
    promptly: bool = False
    insists: bool = True
    certain: bool = False
    window: Window = field(default_factory=Window)

    def __post_init__(self) -> None:
        wrap = self.wrap
        self.names: dict[int, str] = {}
        self.touched: dict[str, Touch] = {}  # by worker: the call before which it is suspended
        self.past: dict[str, str] = {}  # by worker: the digest of all that it was answered
        self.drawn: Counter[str] = Counter()
        self.spent: Counter[str] = Counter()
        self.happened: list[tuple[str, str]] = []  # (who, what), for patterns of races
        self.happened_before = 0  # how much of it, before the last choice
        self._begun: Counter[str] = Counter()
        self._bodies: dict[str, str] = {}
        self.wrap = lambda world: wrap(replace(seen(world, self), random=ByName(self)))
        super().__post_init__()
        if self.start is not None:
            self.start.begin(self)

    @property
    def bus_again_at(self) -> int:
        """What the workers know of the bus: they are of one process."""
        return self.wiring.engine.world.bus_again_at

    @bus_again_at.setter
    def bus_again_at(self, at: int) -> None:
        self.wiring.engine.world.bus_again_at = at

    def known_plans(self, plans: Mapping[str, Plan] | None = None) -> dict[str, Plan]:
        """Those that a worker of this process has read before, and these."""
        self._world.plans.update(plans or {})
        return dict(self._world.plans)

    # -------------------------------------------------------------------------------------------- names

    @property
    def name(self) -> str:
        """Of whoever is at work."""
        return self.names[self.current.number] if self.current else "nobody"

    def _begin(
        self, function: str, timeout_s: int, body: Callable[[], Any], messages: tuple[Received, ...] = (), act: Act | None = None
    ) -> None:
        asked = [_label(act)] if act else [self.told(message.id, message.body) for message in messages]
        told = " ".join([function, *asked])
        self._begun[told] += 1
        name = told if self._begun[told] == 1 else f"{told} ({self._begun[told]})"
        self.names[self._count + 1] = name
        self.touched[name], self.past[name] = LOCAL, ""
        super()._begin(function, timeout_s, body, messages, act)

    def told(self, message_id: str, body: str) -> str:
        """A message by what it says: of what came over the bus, without the event's own number."""
        if message_id not in self._bodies:
            said = json.loads(body)
            said.pop("id", None)
            self._bodies[message_id] = json.dumps(said, sort_keys=True)
        return self._bodies[message_id]

    def begin_at(self, act: Act, body: Callable[[], Any]) -> None:
        """A worker that is no part of the engine."""
        self._begin("api", topology.FUNCTION_TIMEOUT_S, body, act=act)

    def number_of(self, name: str) -> int:
        """Of the worker, in the order in which they began; 0: it is none."""
        return next((number for number, known in self.names.items() if known == name), 0)

    def worker(self, name: str) -> Worker:
        return next(worker for worker in self.workers if self.names[worker.number] == name)

    # -------------------------------------------------------------------------------------------- what is known of calls

    def touches(self, touch: Touch) -> None:
        if self.current is not None:
            self.touched[self.name] = touch

    def answered(self, touch: Touch, answer: Any) -> None:
        if self.current is not None:
            is_lost = isinstance(answer, Written) and not answer.ok
            came = f" {type(answer).__name__}" if isinstance(answer, Exception) else " lost" if is_lost else ""
            self._tell(self.name, f"{self.current.function} {touch.call} {touch.about}{came}")
            self._remember(f"{touch.call} {_without_tokens(touch, text_of(answer))}")

    def _remember(self, what: str) -> None:
        name = self.name
        self.past[name] = sha256(f"{self.past[name]} {self.now} {what}".encode()).hexdigest()

    def _tell(self, who: str, what: str) -> None:
        self.happened.append((who, what))

    def began(self, run_id: str, path: str, attempt: int) -> None:
        """The last moment before a task runs: others act between what its worker read and this."""
        self._pause(replace(TASK, about=path))
        self._tell(self.name, f"{self.current.function if self.current else ''} task {path} {attempt}")
        super().began(run_id, path, attempt)

    def spend(self, ms: int) -> None:
        if self.current is not None:
            self.touched[self.name] = TASK
        super().spend(ms)
        self._remember("spent")

    def _pause(self, touch: Touch) -> None:
        """Unless the task runs in a thread of its own, as one with a timeout does: its worker does nothing else meanwhile."""
        if self.current is not None and self.current.thread is getcurrent():
            self.touched[self.name] = touch
            self._hub.switch()
            self._remember(touch.call)

    # -------------------------------------------------------------------------------------------- what may happen

    def choices(self, *, reduced: bool = True) -> list[Choice]:
        """All that may happen now; `reduced`: of what changes nothing for anybody else, the first alone.

        A delivery, a request that is made promptly, and a call that nobody else's call touches, may come before whatever the others
        do until its worker goes on, and time does not pass before it has. So to let it happen now loses nothing (a persistent set),
        unless a worker may stand still while time passes: then it matters what came before.
        """
        workers = [found for worker in self.ready() if (found := self._of_worker(worker))]
        messages = [self._of_message(told) for told in sorted(self._visible())]
        acts = [Choice("act", _label(act), LOCAL) for act in self._possible_acts()]
        if not self.window.is_open(self.happened):
            in_order = [choice for some in (*workers, acts, *messages) for choice in some]
            return in_order[:1] or ([Choice("time", "time", TIME)] if self.next_time() is not None else [])
        if reduced and self._left("late") == 0:
            if messages or (self.promptly and acts):
                return messages[0] if messages else acts[:1]
            for found in workers:
                if found[0].touch.is_local:
                    return found
        now = [choice for some in (*workers, *messages) for choice in some]
        if not now and not (self.promptly and acts) and self.next_time() is not None:
            now.append(Choice("time", "time", TIME))
        return now + acts

    def ready(self) -> Iterator[Worker]:
        sleeps = not self.window.may_wake(self.happened)
        return (worker for worker in super().ready() if not (sleeps and worker.outlives))

    def _left(self, kind: str) -> int:
        allowance = self.allowed.get(kind)
        return 0 if allowance is None else allowance.times - self.spent[kind]

    def _of_worker(self, worker: Worker) -> list[Choice]:
        name = self.names[worker.number]
        touch = self.touched[name]
        site = f"{worker.function} {touch.call} {touch.about}".strip()
        kinds = [kind for kind in self.allowed if kind not in ("twice", "time") and self._may(kind, site, touch)]
        faults = [Choice(kind, name, TIME if kind == "late" else LOCAL if kind in (DIES, "throttled") else touch) for kind in kinds]
        return faults if faults and self.certain else [Choice("go", name, touch), *faults]

    def _may(self, kind: str, site: str, touch: Touch) -> bool:
        if self._left(kind) <= 0 or not fnmatchcase(site, self.allowed[kind].at) or not touch.call:
            return False
        is_call = touch.call != "task"
        return kind in (DIES, "late") or (is_call and (kind != "partial" or touch.call in ("lanes.send", "bus.put")))

    def _of_message(self, told: str) -> list[Choice]:
        again = [Choice("twice", told, LOCAL)] if self._left("twice") > 0 and fnmatchcase(told, self.allowed["twice"].at) else []
        return [Choice("take", told, LOCAL), *again]

    def _visible(self) -> dict[str, tuple[str, str]]:
        """By what it says: (queue, id) of one of the messages that say the same."""
        lanes = self.cloud.lanes
        found: dict[str, tuple[str, str]] = {}
        for queue in self.deployed.queues:
            for message in lanes.visible(queue.name):
                if self.window.leaves_alone(lanes.body_of(queue.name, message), self.happened):
                    continue
                found.setdefault(f"{queue.name} {self.told(message, lanes.body_of(queue.name, message))}", (queue.name, message))
        return found

    def _possible_acts(self) -> Iterator[Act]:
        if self.now < self.asks_again_at or not self.window.may_ask(self.happened):
            return
        if not self.together and any(worker.act for worker in self.workers):
            return
        for act in self.acts if self.together else self.acts[:1]:
            if self._is_possible(act):
                yield act

    def _is_possible(self, act: Act) -> bool:
        """What could not come of anything is not asked for."""
        status = self.status
        match act.verb:
            case "start":
                return True
            case _ if status is None:
                return False
            case "retry":
                return status.is_final
            case "resume":
                return status == "paused"
            case "approve" | "reject" | "decide":
                item = self.cloud.store.peek(step_key(self.run_id, act.arguments["step"]))
                return item is not None and item["state"] == State.WAITING
            case "succeed" | "fail" | "heartbeat":
                return bool(self.tokens) and not status.is_final
        return not status.is_final

    def _died(self, worker: Worker) -> None:
        if self.insists:
            super()._died(worker)

    def _may_fit_later(self, act: Act, refused: Rejected) -> bool:
        return False

    # -------------------------------------------------------------------------------------------- making it happen

    def do(self, choice: Choice) -> None:
        kind, who = choice.id
        self.happened_before = len(self.happened)
        match kind:
            case "go":
                self.make(Move("go", self.worker(who)))
            case "time":
                self._tell("time", "time")
                self.make(Move("time"))
            case "act":
                act = next(act for act in self.acts if _label(act) == who)
                self.acts.remove(act)
                self._act(act)
            case "take" | "twice":
                queue, message = self._visible()[who]
                if kind == "twice":
                    self.spent["twice"] += 1
                    self.cloud.lanes.deliver(queue, self.cloud.lanes.body_of(queue, message))
                    self._fault(queue, Kind.TWICE)
                self.make(Move("take", queue=queue, messages=(message,)))
            case _:
                self._go_wrong(kind, self.worker(who))

    def _go_wrong(self, kind: str, worker: Worker) -> None:
        self.spent[kind] += 1
        touch = self.touched[self.names[worker.number]]
        self._tell(self.names[worker.number], f"{kind} {worker.function} {touch.call} {touch.about}")
        if kind == DIES:
            self.make(Move("kill", worker))
        elif kind == "late":
            worker.outlives = True
            self.make(Move("late", ms=FROZEN_MS))
        else:
            self.faults.next = Kind(kind)  # type: ignore[attr-defined]
            self.make(Move("go", worker))


def _label(act: Act) -> str:
    return " ".join([act.verb, *(f"{name}={value}" for name, value in act.arguments.items() if name != "source")])


def _without_tokens(touch: Touch, text: str) -> str:
    """A token is random, and what it is makes no difference."""
    return "" if touch.about == "token" else text
