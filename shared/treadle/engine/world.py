"""What the engine works with: the ports, the settings, and the caches that outlive one message."""

from __future__ import annotations

import math
import random
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from ..core.durations import parse_duration
from ..core.errors import NotFound, Unavailable
from ..core.expressions import Expressions
from ..core.plan import Plan, Step
from ..core.resources import DEFAULT, Needs, Pool, fitted, pools_of
from ..ports import Blobs, Bus, Clock, Event, Lanes, Secrets, Store
from ..topology import ATTEMPT_TIMEOUT_S, BEGIN_MARGIN_S, LEASE_S, SWEEP_EVERY_S, times_of
from . import caches, outbox
from .attempts import Attempts
from .caches import Caches
from .items import REF, decode, digest, is_ref, plan_key
from .reading import Checked

if TYPE_CHECKING:
    from .observed import Observed
    from .triggers import Triggered

NEVER = 1 << 62
LARGEST_INLINE = 200 * 1024  # bytes of a payload that an item takes while there is no object storage; an item has at most 400 KB


class Tasks(Protocol):
    """What may run tasks by name (treadle.tasks.Registry)."""

    def find(self, name: str) -> Any: ...


class Violations(Protocol):
    """What in a value breaks a JSON Schema: (JSON pointer, message). Given from outside: the dispatcher starts without jsonschema."""

    def __call__(self, schema: Any, value: Any, /) -> list[tuple[str, str]]: ...


class Keeper(Protocol):
    """Holds a lease by renewing it (treadle.keeping.Keeper): for workers whose tasks may outlast any lease."""

    def holding(self, renew: Callable[[int], bool], /) -> AbstractContextManager[Any]:
        """While a task runs. `renew(until)`: hold it until then (ms); False: it is lost."""
        ...


class Hooks(Protocol):
    """What is told of runs, steps and attempts (treadle.hooks.Hooks). It raises nothing."""

    def tell(self, moment: str, event: dict[str, Any], payload: Callable[[], dict[str, Any]] | None = None) -> Any:
        """What is to stand in the place of a result (`hooks.Instead`), or None."""
        ...

    def flush(self) -> None:
        """What was collected is sent: the invocation is about to end."""
        ...

    def newly_broken(self) -> list[tuple[str, str]]:
        """(name, why) of the hooks that failed for the first time since this was asked."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """`advance`: whether the dispatcher itself finds out what a success makes ready (`inline`: no hop) or leaves it to the
    completions handler (`bus`). Both give the same facts. Times in seconds. Plain JSON: workers get it in TREADLE_SETTINGS."""

    advance: str = "inline"
    lease_s: int = LEASE_S
    attempt_timeout_s: int = ATTEMPT_TIMEOUT_S
    begin_margin_s: int = BEGIN_MARGIN_S
    chunk_size: int = 64  # items of a forEach that one message stands for
    chunk_s: float = 1.0  # a chunk slower than this sends the rest of its range to others
    tally: int = 128  # failed items of a loop, or counts of them, that one item holds
    max_runs: int | None = None  # live runs of this engine; more stay pending. None: no limit
    recovery: str = "automatic"  # of an attempt lost with its worker: it runs again; `manual`: a person decides; `none`: it has failed
    caching: bool = True  # of plans in a worker, and of tasks' results where a step asks for it
    fair: bool = True  # between tenants within a lane
    outward: bool = True  # there are the tasks http, lambda and aws
    pools: Mapping[str, Mapping[str, Any]] | None = None  # of workers, by name (core.resources.Pool). None: nobody said, there is one
    rates: Mapping[str, int] = field(default_factory=dict)  # by task: microseconds between two beginnings
    largest: Mapping[str, float] = field(default_factory=dict)  # cpu (vCPU), memory, storage (MB): the most that a step may ask for
    defaults: Mapping[str, Any] = field(default_factory=dict)  # `errorHandling` for what a definition leaves open
    checkpoint_every_ms: int | None = None  # of long runs, where their definitions say nothing; None: nobody takes one by itself
    one_at_a_time: bool = False  # of the tasks of one run
    optimises: bool = False  # pools are chosen by what tasks were seen to need
    retention: Mapping[str, int] = field(default_factory=dict)  # by workflow, or `*`: ms that a run is kept after its end; 0: for ever

    def kept_ms(self, workflow: str) -> int | None:
        """None: for ever."""
        return self.retention.get(workflow, self.retention.get("*", 0)) or None


@dataclass(eq=False)
class World:
    store: Store
    lanes: Lanes
    bus: Bus
    blobs: Blobs
    clock: Clock
    expressions: Expressions
    tasks: Tasks
    secrets: Secrets | None = None
    violations: Violations | None = None
    settings: Settings = field(default_factory=Settings)
    hooks: Hooks | None = None
    url: str | None = None  # of the HTTP API, where callbacks are posted to; None: there is none
    attempts: Attempts = field(default_factory=Attempts)
    random: random.Random = field(default_factory=random.Random)
    plans: OrderedDict[str, Plan] = field(default_factory=OrderedDict)  # the one used last is the last
    caches: Caches = field(default_factory=Caches)
    triggers: dict[str, tuple[int, Sequence[Triggered]]] = field(default_factory=dict)  # by tenant, with when they were read
    bus_again_at: int = 0  # ms; the bus failed a moment ago: until then it is not asked
    pool: str = DEFAULT  # that this worker belongs to
    keeper: Keeper | None = None  # None: no task outlasts its lease
    stops_at: int = NEVER  # ms: when this worker goes away, whatever its invocation may still do
    observed: Observed | None = None  # what tasks were seen to need; None: nobody looks
    pools: tuple[Pool, ...] = field(init=False)  # all there are

    def __post_init__(self) -> None:
        self.pools = pools_of(self.settings.pools)
        if not isinstance(self.store, Checked):
            self.store = Checked(self.store)
        if self.settings.optimises and self.observed is None:
            from .observed import Observed

            self.observed = Observed(self.store, self.clock)

    def in_pool(self, pool: Pool, keeper: Keeper | None = None) -> World:
        """The same, as the workers of a pool see it."""
        settings = replace(self.settings, lease_s=times_of(pool).lease_s, attempt_timeout_s=pool.attempt_s)
        return replace(self, pool=pool.name, settings=settings, keeper=keeper)

    @property
    def own_pool(self) -> Pool:
        return next(pool for pool in self.pools if pool.name == self.pool)

    @property
    def most_mb(self) -> float:
        """Of memory, that any step may have."""
        return self.settings.largest.get("memory", math.inf)

    def needs(self, step: Step, plan: Plan) -> Needs | None:
        """What a step's task needs: as it declares, and as it was seen. None: it says nothing, and nobody has seen it."""
        if self.observed is None or step.action != "task":
            return step.needs
        return self.needs_of_task(step.spec, step.needs, (other.spec for other in plan.steps.values() if other.action == "task"))

    def needs_of_task(self, task: str, declared: Needs | None, beside: Iterable[str] = ()) -> Needs | None:
        return declared if self.observed is None else fitted(declared, self.observed.of(task, beside), self.pools, self.most_mb)

    def holding(self, renew: Callable[[int], bool]) -> AbstractContextManager[Any]:
        return nullcontext() if self.keeper is None else self.keeper.holding(renew)

    def lenient(self) -> World:
        """For views: what can be read of a run is shown, although something of it cannot."""
        return replace(self, store=Checked(self.raw, lenient=True))

    @property
    def raw(self) -> Store:
        """For those who set aside what cannot be read."""
        return self.store.raw if isinstance(self.store, Checked) else self.store

    def new_fence(self) -> int:
        """A number that no other claim has: a write under it proves that the claim still stands."""
        return self.random.getrandbits(48)

    def tell(self, events: Sequence[Event]) -> None:
        """Put events on the bus; while it cannot be reached they wait in the outbox. Raises Unavailable when that fails as well."""
        if self.clock.now() >= self.bus_again_at:
            try:
                self.bus.put(events)
                return
            except Unavailable:
                self.bus_again_at = self.clock.now() + outbox.PAUSE_MS
        self.lanes.send([outbox.message(event) for event in events])

    def plan(self, name: str) -> Plan:
        """Raises NotFound. Plans never change, so a cached one is as good as a read."""
        cached = self.plans.get(name)
        if cached is not None:
            self.caches.count(caches.PLAN_HITS)
            with suppress(KeyError):  # another thread has just made room
                self.plans.move_to_end(name)
            return cached
        self.caches.count(caches.PLAN_MISSES)
        item = self.store.get(plan_key(name), consistent=False) or self.store.get(plan_key(name))
        if item is None:
            raise NotFound("plan", name)
        return self.remember(Plan.from_json(self.load(decode(item["plan"]))), name)

    def remember(self, plan: Plan, name: str) -> Plan:
        if self.settings.caching:
            self.plans[name] = plan
        while len(self.plans) > caches.MAX_PLANS:
            self.plans.popitem(last=False)
            self.caches.count(caches.PLAN_EVICTIONS)
        return plan

    def checkpoint_every(self, plan: Plan) -> int | None:
        """ms between the checkpoints that a run takes by itself, as its definition or else the engine says; None: it takes none."""
        own = plan.source.get("checkpoint")
        every = self.settings.checkpoint_every_ms if own is None else parse_duration(own)
        return None if every is None else max(every, SWEEP_EVERY_S * 1000)  # nobody comes by more often

    def load(self, value: Any) -> Any:
        """The value itself, read from its blob if it is a reference."""
        if is_ref(value):
            return decode(self.blobs.get(value[REF][5:]).decode())
        return value

    def keep(self, text: str, limit: int, *, owner: str = "") -> Any:
        """A JSON text as it goes into an item: decoded if it is small, else put as a blob first and referred to. `owner`: what the
        blob's name begins with, where it goes one day with what it belongs to.

        A user's value that looks like a reference goes into a blob as well: what `load` resolves is always the engine's own.
        """
        content = text.encode()
        value = decode(text) if len(content) <= limit else None
        if len(content) <= limit and not is_ref(value):
            return value
        name = owner + digest(text)
        try:
            self.blobs.put(name, content)
        except Unavailable:
            if len(content) > LARGEST_INLINE or is_ref(value := decode(text)):
                raise
            return value  # dearer in an item than in an object, and still recorded
        return {REF: f"blob:{name}"}
