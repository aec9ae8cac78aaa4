"""One simulation: the real handlers over an in-memory AWS, with every delivery, every call and all time in one hand.

Law: nothing in here is random or reads a clock of its own. A `Schedule` chooses among the moves that are possible, `Faults` says
what goes wrong at which call; the same choices give the same trace.

A worker (an invocation of a Lambda, or the request of a client) is a greenlet: ordinary blocking code that is suspended before
each of its calls, so that any other worker may act in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from greenlet import getcurrent, greenlet

from .. import topology
from ..core.errors import Conflict, Newer, Rejected, Unavailable
from ..core.model import RunStatus
from ..core.plan import Plan
from ..engine import World
from ..engine.items import run_key
from ..ports import Item
from ..wiring import Wiring, using
from .actors import Context, Move, Observer, OwnClock, Schedule, SeenEngine, Worker, handler_of
from .deployed import deployed, unmeasured
from .faults import Crash, Faults, Kind, Refused
from .fleet import THIS, Fleet, as_read
from .outages import Outage
from .places import calling
from .queues import Received
from .requests import may_fit_later, request
from .shapes import Act
from .watched import WitnessedCloud
from .world import Prepared, Tasks, expressions

MAX_DELIVERIES = 1500  # of one simulation: whoever needs more will never end; in a deployment, which may take hours, four times that
FROZEN_MS = (topology.VISIBILITY_S + 10) * 1000  # the message is with somebody else by then, and the lease is over
MAX_SWEEPS = 1000  # that found something
CLIENT_TIMEOUT_S = 29  # of a request to the API
CLIENT_PAUSE_MS = 2000  # until a request that was answered 409 or 503 is made again
START = Act("start")


@dataclass
class Simulation:
    """`wrap`: puts something else in the place of the world's ports (a mutant). `skew`: of the next worker's clock, in ms."""

    prepared: Prepared
    schedule: Schedule
    faults: Faults
    observer: Observer
    seed: int = 0
    wrap: Callable[[World], World] = lambda world: world
    keeps_trace: bool = False
    skew: Callable[[], int] = lambda: 0
    fleet: Fleet | None = None  # two versions of the engine at once
    says_no: Callable[[], bool] = lambda: False  # whoever is asked to approve

    def __post_init__(self) -> None:
        self.cloud = WitnessedCloud(lambda key, old, new: self.observer.wrote(self, key, old, new))
        if isinstance(self.faults, Outage):
            self.faults.clock = self.cloud.clock
        self.calls: list[str] = []  # `dispatcher store.put`; the first has the number 1
        self.places: list[str] = []  # where in the source each of them comes from
        self.fired_at: Counter[tuple[str, Kind]] = Counter()  # faults by these
        self.trace: list[tuple[Any, ...]] = []
        self.workers: list[Worker] = []
        self.current: Worker | None = None
        self.acts: list[Act] = [START, *self.prepared.shape.acts]
        self.deliveries = self.sweeps = 0
        self.asked: Counter[str] = Counter()  # of whoever is found to answer, by what is asked
        self.asks_again_at = 0  # somebody who was refused for the time being asks again
        self.disturbed_at = 0  # when the last fault happened, or somebody last asked for something
        self.run_id = ""
        self.tokens: list[str] = []  # of callbacks, as they were given to whoever may use them
        self.checkpoint = ""  # the last one that was taken
        self.has_asked_again = False  # a person asked for a failed step to be tried again
        self.refused: Rejected | None = None  # the request that was to start the run
        self._count = 0
        self.swept_at = self.cloud.clock.now()
        self._hub = getcurrent()
        self.deployed = deployed(self.prepared.shape.pools)
        self.cloud.lanes.deploy(self.deployed.queues)
        self.wiring = self._wire()

    def _wire(self) -> Wiring:
        cloud, prepared = self.cloud, self.prepared
        versions = (self.fleet.old, self.fleet.new) if self.fleet else (THIS,)
        for item in prepared.items:
            cloud.store.put(versions[0].said(item))
        tasks = Tasks(self, prepared.registry)
        world = World(cloud.store, cloud.lanes, cloud.bus, cloud.blobs, OwnClock(self), expressions(), tasks, cloud.secrets,
                      settings=prepared.shape.settings, random=Random(self.seed))  # fmt: skip
        unmeasured(world)
        world.plans.update({} if prepared.shape.cold else prepared.plans)
        self._world = world
        worlds = {version: self.wrap(version.engine(world)) for version in versions}
        self._wirings = {it: self.deployed.wired(worlds[it], self._engine, cloud.inbox, prepared.checker) for it in versions}
        cloud.listen(self._call)
        return self._wirings[versions[-1]][""]

    def _engine(self, world: World) -> SeenEngine:
        return SeenEngine(world, lambda fault: self.observer.failed(self, fault))

    @property
    def now(self) -> int:
        return self.cloud.clock.now()

    @property
    def is_skewed(self) -> bool:
        """Some worker's clock was wrong: what is only kept by leases (who works at what) may be taken twice."""
        return bool(self.faults.fired["clock", Kind.SKEWED])

    @property
    def control(self) -> Item | None:
        """Of the run that the shape is about."""
        return self.cloud.store.peek(run_key(self.run_id)) if self.run_id else None

    @property
    def status(self) -> RunStatus | None:
        control = self.control
        return RunStatus(control["status"]) if control else None

    def plan_of(self, control: Item) -> Plan:
        """Of a run: the one it was started with, or amended to."""
        return self._world.plans.get(control["plan"]) or self.prepared.plans[control["plan"]]

    # -------------------------------------------------------------------------------------------- the loop

    def run(self) -> None:
        """Until nothing can happen any more."""
        while not self.is_endless and (move := self.schedule.choose(self)) is not None:
            self.make(move)

    @property
    def is_endless(self) -> bool:
        return self.deliveries >= MAX_DELIVERIES * (1 if self.fleet is None else 4) or self.sweeps >= MAX_SWEEPS

    def make(self, move: Move) -> None:
        match move.kind:
            case "go" if move.worker:
                self._resume(move.worker)
            case "take":
                self._take(move.queue, move.messages)
            case "act":
                self._act(self.acts.pop(0))
            case "time":
                self._pass_time()
            case "again":
                self._deliver_twice(move.queue, move.messages)
            case "kill" if move.worker:
                self._fault("worker", Kind.BEFORE)
                self._kill(move.worker)
            case "late":
                self._fault("clock", Kind.FROZEN)
                self.cloud.clock.advance(move.ms)

    def _fault(self, what: str, kind: Kind) -> None:
        self.faults.fired[what, kind] += 1
        self.disturbed_at = self.now

    # -------------------------------------------------------------------------------------------- workers

    def _begin(
        self, function: str, timeout_s: int, body: Callable[[], Any], messages: tuple[Received, ...] = (), act: Act | None = None
    ) -> None:
        self._count += 1
        worker = Worker(self._count, function, self.now + timeout_s * 1000, body, messages=messages, act=act, skew_ms=self.skew())
        worker.version = self.fleet.version(self.now) if self.fleet else THIS
        if worker.skew_ms:
            self.faults.fired["clock", Kind.SKEWED] += 1
        worker.thread = greenlet(lambda: self._live(worker), self._hub)
        self.workers.append(worker)
        self._resume(worker)

    def _live(self, worker: Worker) -> None:
        try:
            wirings = self._wirings[worker.version]
            with using(wirings.get(worker.function, wirings[""])):
                worker.body()
        except Crash:
            self._died(worker)

    def _resume(self, worker: Worker) -> None:
        if worker.deadline <= self.now and not worker.outlives:
            self._fault("deadline", Kind.BEFORE)
            self._kill(worker)
            return
        self._switch(worker)

    def _switch(self, worker: Worker, *thrown: BaseException) -> None:
        thread = worker.thread
        if thread is None:
            return
        self.current, before = worker, self.current
        if thrown:
            thread.throw(*thrown)
        else:
            thread.switch()
        self.current = before
        if thread.dead:
            self.workers.remove(worker)

    def _kill(self, worker: Worker) -> None:
        self._switch(worker, Crash())

    def _died(self, worker: Worker) -> None:
        """Its messages come back by themselves. A client that got no answer asks again."""
        if worker.act is not None:
            self.acts.insert(0, worker.act)

    def _call(self, call: str, when: str) -> bool:
        """Before and after each call of each port. True: it is to be made once more."""
        worker = self.current
        if worker is None or worker.thread is not getcurrent():
            return False
        if when == "before":
            self._hub.switch()
            self._before(worker, call)
            return False
        return self._after(worker, call)

    def _before(self, worker: Worker, call: str) -> None:
        self.calls.append(f"{worker.function} {call}")
        self.places.append(f"{worker.function} {calling()} {call}")
        if self.keeps_trace:
            self.trace.append((self.now, worker.number, worker.function, call))
        kind = self.faults.at(len(self.calls), self.calls[-1])
        worker.fault = None
        if kind is None:
            return
        self.fired_at[self.places[-1], kind] += 1
        self.disturbed_at = self.now
        match kind:
            case Kind.BEFORE:
                raise Crash
            case Kind.THROTTLED:
                raise Unavailable(f"{call} was throttled")
            case Kind.PARTIAL:
                raise Refused
            case Kind.FROZEN:
                worker.outlives = True
                self._stand(worker, FROZEN_MS)
            case Kind.TWICE:
                for message in worker.messages:
                    self.cloud.lanes.deliver(message.queue, message.body)
                self._stand(worker, 1)
            case _:
                worker.fault = kind

    def _stand(self, worker: Worker, ms: int) -> None:
        worker.stands, worker.wakes_at = True, self.now + ms
        self._hub.switch()
        worker.stands, worker.wakes_at = False, 0
        self.disturbed_at = self.now

    def _after(self, worker: Worker, call: str) -> bool:
        kind, worker.fault = worker.fault, None
        if kind is Kind.AFTER:
            raise Crash
        if kind is Kind.AMBIGUOUS:
            raise Unavailable(f"{call} was done, and answered an error")
        return kind is Kind.REPEATED

    # -------------------------------------------------------------------------------------------- messages

    def _take(self, queue: str, names: tuple[str, ...]) -> None:
        taken = [self.cloud.lanes.take(queue, name) for name in names]
        self._invoke(queue, tuple(message for message in taken if message is not None))

    def _invoke(self, queue: str, messages: tuple[Received, ...]) -> None:
        if not messages:
            return
        self.deliveries += 1
        function = self.deployed.functions[self.deployed.consumers[queue]]
        self._begin(function.name, function.timeout_s, lambda: self._handle(function.code, messages), messages)

    def _handle(self, function: str, messages: tuple[Received, ...]) -> None:
        """As Lambda's event source mapping does: what was handled is acknowledged, what was not comes back in its time."""
        version = self.current.version if self.current else THIS
        event = {"Records": [{**message.to_record(), "body": as_read(version, message.body)} for message in messages]}
        answer = handler_of(function)(event, self._context())
        kept = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        for message in messages:
            if message.id not in kept:
                self.cloud.lanes.delete(message.queue, message.receipt)
                self.observer.acknowledged(self, message, version)

    def _context(self) -> Context:
        worker = self.current
        deadline = worker.deadline if worker else 0
        return Context(lambda: max(0, deadline - self.now))

    def _deliver_twice(self, queue: str, names: tuple[str, ...]) -> None:
        """SQS may deliver what is in somebody's hand once more: the copy is acknowledged by itself."""
        bodies = [message.body for worker in self.workers for message in worker.messages if message.id in names]
        self.faults.fired[queue, Kind.TWICE] += 1
        for body in bodies:
            self.cloud.lanes.deliver(queue, body)

    # -------------------------------------------------------------------------------------------- people

    def _act(self, act: Act) -> None:
        self.disturbed_at = self.now
        self.has_asked_again = self.has_asked_again or act.arguments.get("choice") == "retry"
        self._begin("api", CLIENT_TIMEOUT_S, lambda: self._ask(act), act=act)

    def _ask(self, act: Act) -> None:
        """A request; an answer of 503 is asked again, one of 4xx is final unless the run has yet to come to where it fits."""
        try:
            request(self, act)
        except (Unavailable, Conflict, Newer):
            self.acts.insert(0, act)
            self.asks_again_at = self.now + CLIENT_PAUSE_MS
        except Rejected as refused:
            if act.verb == "start":
                self.refused = refused
            elif self._may_fit_later(act, refused):
                self.acts.insert(0, act)

    def _may_fit_later(self, act: Act, refused: Rejected) -> bool:
        return may_fit_later(self, act, refused)

    # -------------------------------------------------------------------------------------------- time

    def next_time(self) -> int | None:
        """When something happens by itself: a message becomes visible, a worker goes on, the sweeper finds something."""
        times = [worker.wakes_at for worker in self.workers if worker.wakes_at > self.now]
        times += [self.asks_again_at] if self.asks_again_at > self.now else []
        visible = self.cloud.lanes.next_visible_at()
        if visible is not None and (visible > self.now or not times):  # else it waits for a worker to be free
            times.append(visible)
        if (sweep := self.next_sweep()) is not None:
            times.append(sweep)
        return min(times, default=None)

    def next_sweep(self) -> int | None:
        """The sweeper comes by once a minute; only the times at which it finds something matter."""
        due = self.cloud.store.first_due()
        if due is None:
            return None
        every = topology.SWEEP_EVERY_S * 1000
        earliest = max(self.swept_at + every, due - every - 15_000)
        return self.swept_at + -(-(earliest - self.swept_at) // every) * every

    def _pass_time(self) -> None:
        at, sweep = self.next_time(), self.next_sweep()
        if at is None:
            return
        self.cloud.clock.advance_to(at)
        if sweep is not None and sweep <= self.now:
            self.swept_at = sweep
            self.sweeps += 1
            self._begin("sweeper", self.deployed.functions["sweeper"].timeout_s, self._sweep)

    def _sweep(self) -> None:
        try:
            handler_of("sweeper")({}, self._context())
        except Unavailable:
            return  # the function failed; it is called again in a minute

    # -------------------------------------------------------------------------------------------- what tasks ask (world.Host)

    def generation(self, run_id: str) -> int:
        control = self.cloud.store.peek(run_key(run_id))
        return control["gen"] if control else 1

    def is_tried_anew(self, run_id: str) -> bool:
        return self.has_asked_again or self.generation(run_id) > 1

    def began(self, run_id: str, path: str, attempt: int) -> None:
        self.observer.began(self, run_id, path, attempt)

    def ended(self, run_id: str, path: str) -> None:
        self.observer.ended(self, run_id, path)

    def issued(self, token: str) -> None:
        self.tokens.append(token)

    def spend(self, ms: int) -> None:
        """A task takes so long; others act meanwhile."""
        worker = self.current
        if worker is not None:
            worker.wakes_at = self.now + ms
            self._hub.switch()
            worker.wakes_at = 0

    @property
    def is_asked(self) -> bool:
        """A request is under way: what somebody asks for next depends on its answer."""
        return self.now < self.asks_again_at or any(worker.act is not None for worker in self.workers)

    def ready(self) -> Iterator[Worker]:
        """Workers that may make their next call now."""
        now = self.now
        return (worker for worker in self.workers if worker.wakes_at <= now)
