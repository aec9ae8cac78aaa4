"""A run as one invocation sees it: its plan, the control item as last read, and the facts it has come across.

Facts never change, so what was read once stays true, until a person has the run tried again (`still_stands`). Control does change:
it is read again, strongly consistent, after each claim (whoever controls a run writes first and then reads the claims; one of the two
always sees the other).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from typing import Any

from ..core import paths
from ..core.advance import Fact
from ..core.errors import NotFound
from ..core.model import SCHEMA, Json, RunStatus
from ..core.plan import Plan, Scope, Step
from ..core.resources import DEFAULT, Needs, pool_for
from ..ports import Event, Item, Message
from ..topology import MAX_DELAY_S, lane
from . import hooking
from .items import INLINE_LIMIT, body_key, decode, digest, encode, fact_of, is_fact, run_key, step_key, stop_key
from .world import World

_UNREAD: Json = object()
ROWS_PER_EVENT = 2000  # completions in one packed event: 160 bytes each at most, 1 MiB an event


def blobs_of(run_id: str) -> str:
    """What the names of a run's own blobs begin with."""
    return f"runs/{run_id}/"


class Gate(Enum):
    """What control says to somebody who wants to start a step."""

    OPEN = auto()
    HELD = auto()  # paused: back off, it goes on later
    CLOSED = auto()  # stopping or over: back off for good


class Run:
    def __init__(self, world: World, run_id: str, control: Item | None = None) -> None:
        self.world = world
        self.id = run_id
        self.control: Item = control or {}
        self._plan: Plan | None = None
        self._input: Json = _UNREAD
        self.stops: dict[str, Item] = {}
        self.facts: dict[str, Fact] = {}
        self.headers: dict[str, Item] = {}  # open loops
        self.loop_items: dict[str, Json] = {}  # value of each forEach item that was met
        self.completed: list[list[Any]] = []
        self.deadline = 1 << 62  # ms: when the invocation must be over
        self.needs_advance = False
        self.to_advance: list[str] = []  # keys that the completions handler is to go on from
        self.must_settle = False  # something was stopped: what is under way in it has to be ended
        self.events: list[Event] = []

    # -------------------------------------------------------------------------------------------- what it is

    # Not functools.cached_property: on Python 3.11 it holds one lock for all instances, and these read the store.

    @property
    def plan(self) -> Plan:
        if self._plan is None:
            self._plan = self.world.plan(self.control["plan"])
        return self._plan

    @property
    def generation(self) -> int:
        return int(self.control["gen"])

    @property
    def tenant(self) -> str:
        return str(self.control["tenant"])

    @property
    def status(self) -> RunStatus:
        return RunStatus(self.control["status"])

    @property
    def now(self) -> int:
        return self.world.clock.now()

    def step(self, key: str) -> Step:
        return self.plan.steps[paths.step_id(key)]

    def pool_of(self, key: str) -> str:
        """Whose workers run the step: the smallest pool that has what the step's task needs."""
        if len(self.world.pools) == 1:
            return DEFAULT
        needs = self.needs_of(key)
        return DEFAULT if needs is None else pool_for(needs, self.world.pools).name

    def needs_of(self, key: str) -> Needs | None:
        """None: nothing is known that it needs."""
        step = self.plan.steps.get(paths.step_id(key))  # an amended plan may have it no more
        return None if step is None else self.world.needs(step, self.plan)

    def is_elsewhere(self, key: str) -> bool:
        """The step is another pool's to run. Where pools are chosen by what was observed, whoever has enough for it keeps it: what
        workers believe differs by minutes, and what moves only upwards comes to rest."""
        if self.pool_of(key) == self.world.pool:
            return False
        return self.world.observed is None or not (self.needs_of(key) or Needs()).fit(self.world.own_pool)

    def scope(self, key: str) -> Scope:
        return self.plan.scope_of[paths.step_id(key)]

    @property
    def input(self) -> Json:
        if self._input is _UNREAD:
            item = self.world.store.get(body_key(self.id))
            if item is None:
                raise NotFound("body of run", self.id)
            self._input = self.world.load(decode(item["input"]))
        return self._input

    # -------------------------------------------------------------------------------------------- control

    def read_control(self, *keys: str) -> None:
        """RUN, and the STOP items of everything around the keys, strongly consistent. Raises NotFound."""
        known = self.control.get("gen", 1)
        around = {container for key in keys for container in paths.containers(key)}
        if not around:
            control = self.world.store.get(run_key(self.id))
        else:
            stops = {container: stop_key(self.id, known, container) for container in around}
            found = self.world.store.get_many([run_key(self.id), *stops.values()])
            control = found.get(run_key(self.id))
            self.stops |= {container: found[stop] for container, stop in stops.items() if stop in found}
        if control is None:
            raise NotFound("run", self.id)
        if self.control and control["plan"] != self.control.get("plan"):
            self._plan = None
        self.control = control
        if control["gen"] != known:
            self._forget()
            if around:
                self.read_control(*keys)

    def _forget(self) -> None:
        """The run has been retried: what stopped before goes on, and what had ended may run again."""
        for known in (self.stops, self.facts, self.headers, self.loop_items):
            known.clear()

    @property
    def is_over(self) -> bool:
        """As last read; False when it was not read yet."""
        return "status" in self.control and self.status.is_final

    def is_stopping(self, *keys: str) -> bool:
        """The run, or something around one of the keys, starts nothing new."""
        stopped = {container for container, stop in self.stops.items() if stop["kind"] != "continue"}
        inside = any(container in stopped for key in keys for container in paths.containers(key))
        return inside or self.status in (RunStatus.STOPPING, RunStatus.COMPENSATING)

    def gate(self, key: str) -> Gate:
        """Of the control as last read. Where a scope stops by itself its clean-up steps (`join: done`) still start,
        and what is inside of them."""
        if paths.step_id(key) not in self.plan.steps:
            return Gate.CLOSED  # an amended plan has it no more
        match self.status:
            case RunStatus.RUNNING | RunStatus.WAITING if "hold" in self.control:
                return Gate.HELD
            case RunStatus.RUNNING | RunStatus.WAITING:
                pass
            case RunStatus.STOPPING if self.control.get("stop") == "stop" and self._is_cleanup(key, ""):
                pass
            case RunStatus.PAUSED | RunStatus.PENDING | RunStatus.RETRYING:
                return Gate.HELD
            case _:
                return Gate.CLOSED
        return Gate.CLOSED if self.is_stopped_around(key) else Gate.OPEN

    def is_stopped_around(self, key: str) -> bool:
        """Whether a loop or group that the step is in starts it no more, whatever the run itself does: it may be paused."""
        for container in paths.containers(key):
            kind = self.stops[container]["kind"] if container in self.stops else "continue"
            if kind == "cancel" or (kind == "stop" and not self._is_cleanup(key, container)):
                return True
        return False

    def _is_cleanup(self, key: str, container: str) -> bool:
        """The ancestor (or itself) of `key` that stands directly in `container` is a clean-up step."""
        rest = key[len(container) + 1 :] if container else key
        step = self.plan.steps.get(paths.step_id(rest.partition(".")[0]))
        return step is not None and step.join == "done"

    # -------------------------------------------------------------------------------------------- facts

    def note(self, item: Item) -> Fact:
        fact = fact_of(item)
        self.facts[fact.key] = fact
        return fact

    def still_stands(self, item: Item) -> bool:
        """A fact that was read before control. A retry of the run takes facts away: one of an earlier generation is read again. Whoever
        retries goes on from what is left, and from all of it when it has been reopened."""
        if self.status is RunStatus.RETRYING:
            return False
        if item.get("gen", 1) == self.generation:
            return True
        standing = self.world.store.get((item["pk"], item["sk"]))
        return standing is not None and is_fact(standing) and bool(standing["fence"] == item["fence"])

    def find_facts(self, keys: Iterable[str]) -> dict[str, Fact]:
        """Those of the steps that have ended, strongly consistent: an eventually consistent read could miss a sibling and strand a join."""
        wanted = list(dict.fromkeys(keys))
        missing = [key for key in wanted if key not in self.facts]
        if len(missing) == 1:
            item = self.world.store.get(step_key(self.id, missing[0]))
            if item is not None and is_fact(item):
                self.note(item)
        elif missing:
            for item in self.world.store.get_many([step_key(self.id, key) for key in missing]).values():
                if is_fact(item):
                    self.note(item)
        return {key: self.facts[key] for key in wanted if key in self.facts}

    def sources(self, scope_key: str, step: Step) -> dict[str, Fact]:
        """By step id: the facts of the sources of a step's edges."""
        found = self.find_facts(paths.join(scope_key, edge.source) for edge in step.edges)
        return {paths.step_id(key): fact for key, fact in found.items()}

    def output_of(self, fact: Fact) -> Json:
        return self.world.load(fact.output)

    def kept(self, value: Json, limit: int = INLINE_LIMIT) -> Json:
        """A payload as an item may hold it: itself, or a reference to the blob that it was put into."""
        return self.keep(encode(value), limit)

    def keep(self, text: str, limit: int = INLINE_LIMIT) -> Json:
        """The same of a JSON text. Where runs are removed one day their blobs are their own, and go with them."""
        return self.world.keep(text, limit, owner=blobs_of(self.id) if self.world.settings.retention else "")

    # -------------------------------------------------------------------------------------------- sending

    def message(self, kind: str, key: str, *, delay_s: int = 0, pool: str | None = None, **more: Any) -> Message:
        """`pool`: whose lane it goes to; None: that of the step's pool."""
        body = {"schema": SCHEMA, "kind": kind, "run": self.id, "path": key, **more}
        priority = self.step(key).priority if key else "normal"
        if priority == "normal":
            priority = self.control.get("priority", "normal")
        queue = lane(priority, pool or (self.pool_of(key) if key else DEFAULT))
        return Message(queue, body, min(delay_s, MAX_DELAY_S), self.control.get("tenant") if self.world.settings.fair else None)

    def send(self, messages: list[Message]) -> None:
        if messages:
            self.world.lanes.send(messages)

    def event(self, kind: str, about: str = "", attempt: int = 0, /, **data: Any) -> None:
        """Kept until the invocation's end: events go out packed, and before the message is acknowledged."""
        identity = digest(self.id, about, str(self.generation), str(attempt), kind)
        named = {"run": self.id, "workflow": self.control["workflow"], "tenant": self.tenant}
        self.events.append(Event(kind, identity, self.id, self.now, {**named, **data}))

    def has_ended(self, fact: Fact) -> None:
        """For the packed event: what happened to which step. A skip is told too: nothing is silent."""
        self.facts[fact.key] = fact
        self.completed.append([paths.shown(fact.key), fact.outcome.value, fact.attempts, fact.ended_at])

    def publish(self) -> None:
        """Put everything that happened. Raises Unavailable: the message then comes back, and with it these events."""
        rows, self.completed = self.completed, []
        for at in range(0, len(rows), ROWS_PER_EVENT):
            part = rows[at : at + ROWS_PER_EVENT]
            more = {"keys": self.to_advance} if self.needs_advance and at == 0 else {}
            self.event("StepsCompleted", part[0][0], len(rows) + at, steps=part, advance=bool(more), **more)
        if self.world.hooks is not None:
            hooking.published(self, rows, list(self.events))
        events, self.events = self.events, []
        # the packed completions first, then what they led to
        events.sort(key=lambda event: event.kind != "StepsCompleted")
        if events:
            self.world.tell(events)
        if self.world.hooks is not None:
            hooking.delivered(self)
            self.world.hooks.flush()
