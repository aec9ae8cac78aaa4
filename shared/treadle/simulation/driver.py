"""The whole engine in one thread: real operations, real handlers' work, an AWS in memory, and time that jumps.

    engine = MemoryEngine(tasks=[charge], seed=7)
    run = engine.run("order.yaml", input={"total": 12})

Law: nothing happens but in `step`, one message at a time, and the same seed gives the same trace. With a seed the next
message is any of those that are visible (SQS promises no order); without one it is the first of the first queue that has any.
The clock moves only when no message is visible: to the next moment at which one is, or something is due; the sweeper comes
then, and at most once at any moment.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .. import topology
from ..cel import Cel
from ..core.durations import parse_duration
from ..core.resources import DEFAULT_POOL, pools_of
from ..definition.schemas import violations
from ..engine import Engine, Settings, World
from ..engine.items import run_key
from ..engine.observed import Observed
from ..inbox import submit
from ..tasks import Registry
from ..viewing import summary
from ..wiring import Wiring
from .memory import MemoryCloud
from .queues import Received

if TYPE_CHECKING:
    from ..core.model import Json
    from ..definition import Diagnostic
    from ..engine.gauge import Gauge
    from ..operations import Registered
    from ..views import RunView

__all__ = ["TENANT", "Definition", "MemoryEngine"]

Definition = dict[str, Any] | str | bytes | os.PathLike[str]  # data, the text of a definition, or the path of one

TENANT = "local"
MOST_DELIVERIES = 100_000  # of one `wait` or `advance`: more than any honest run of a simulation needs

_FINAL = ("succeeded", "failed", "cancelled", "timedOut")
_FILE_ENDINGS = (".yaml", ".yml", ".json")
_FOREVER = 1 << 60
_MOST_RUNS = 10_000
_INVOCATION_MS = topology.FUNCTION_TIMEOUT_S * 1000


class MemoryEngine:
    """Has the methods of `testing.LocalEngine`, and three for the one who holds time in hand: `step`, `advance`, `now`.

    `gauge`: of what tasks need, where settings say that it is looked at.

    `tasks`: functions, modules, module names, paths of Python files, or lists of these; or a registry. Tasks run in the calling thread
    and take no time.
    """

    def __init__(self, tasks: Any = (), *, seed: int | None = None, settings: Settings | None = None, gauge: Gauge | None = None) -> None:
        self._gauge = gauge
        self.cloud = MemoryCloud()
        self.tasks = tasks if isinstance(tasks, Registry) else Registry.load(tasks)
        self._order = None if seed is None else random.Random(seed)
        self._random = random.Random(seed)
        self.delivered = 0
        self._swept_at = -1
        self.deploy(settings or Settings())

    def deploy(self, settings: Settings) -> None:
        """From now on the engine has these settings: the lanes of pools that are no more are gone, with what was in them."""
        cloud, pools = self.cloud, pools_of(settings.pools)
        self.world = World(
            cloud.store, cloud.lanes, cloud.bus, cloud.blobs, cloud.clock, Cel(), self.tasks,
            cloud.secrets, settings=settings, random=self._random,
            violations=violations,
            observed=Observed(cloud.store, cloud.clock, self._gauge) if settings.optimises else None,
        )  # fmt: skip
        self.engine = Engine(self.world)
        self.queues = topology.queues(pools)
        cloud.lanes.deploy(self.queues)
        self._engines = {topology.dispatcher(pool.name): Engine(self.world.in_pool(pool)) for pool in pools if pool != DEFAULT_POOL}
        self._engines.setdefault("dispatcher", self.engine)
        self._timeouts_ms = {it.name: it.timeout_s * 1000 for it in topology.functions(pools, containers=True)}
        self._served = {queue.name: queue for queue in self.queues}
        names = topology.Names("treadle", "treadle", "blobs", "inbox", queue_urls={})
        self.wiring = Wiring(self.engine, self.tasks, names, cloud.inbox, TENANT)
        self.operations = self.wiring.operations

    # ------------------------------------------------------------------------------------------------- time passes

    def now(self) -> int:
        """Milliseconds since the epoch, by the engine's clock."""
        return self.cloud.clock.now()

    def step(self, until: int = _FOREVER) -> bool:
        """Deliver one message, or else move the clock to the next moment that is not behind `until` (ms).

        False: the engine is at rest until then.
        """
        received = self._receive()
        if received is not None:
            self._handle(received)
            return True
        moment = self._next_moment()
        if moment is None or moment > until:
            return False
        self.cloud.clock.advance_to(moment)
        self._swept_at = moment
        self.engine.sweep()
        return True

    def advance(self, until: int) -> None:
        """Let everything happen that happens by then (ms); it is then that time. Raises RuntimeError if it does not come to rest."""
        if not self._steps(lambda: False, until):
            self.cloud.clock.advance_to(until)

    def rest(self) -> None:
        """Let everything happen that will without somebody's doing. Raises RuntimeError if there is no end to it."""
        self._steps(lambda: False)

    def pass_time(self, duration: str) -> None:
        """`3d`, and all that happens meanwhile."""
        self.advance(self.now() + parse_duration(duration))

    def _steps(self, is_there: Callable[[], bool], until: int = _FOREVER) -> bool:
        """Whether it came to that before the engine was at rest."""
        for _ in range(MOST_DELIVERIES):
            if is_there():
                return True
            if not self.step(until):
                return is_there()
        raise RuntimeError(f"no rest after {MOST_DELIVERIES} deliveries")

    def _next_moment(self) -> int | None:
        """When something is due or visible next. What was due and is so still after a sweep waits for the sweep that follows."""
        moments = [due for shard in range(topology.DUE_SHARDS) for _, due in self.cloud.store.query_due(shard, _FOREVER, limit=1)]
        if self.now() == self._swept_at:
            next_sweep = self._swept_at + topology.SWEEP_EVERY_S * 1000
            moments = [due if due > self._swept_at else next_sweep for due in moments]
        visible_at = self.cloud.lanes.next_visible_at(*self._served)
        return min(moments if visible_at is None else [*moments, visible_at], default=None)

    # ---------------------------------------------------------------------------------------------- one message

    def _receive(self) -> Received | None:
        lanes = self.cloud.lanes
        if self._order is None:
            return next((received for queue in self._served for received in lanes.receive(queue, 1)), None)
        while visible := [(queue, message) for queue in self._served for message in lanes.visible(queue)]:
            received = lanes.take(*self._order.choice(visible))
            if received is not None:
                return received
        return None

    def _handle(self, received: Received) -> None:
        """What the handler of the queue's function does. An error that it would let through is raised: a simulation wants to see it."""
        self.delivered += 1
        body, now = json.loads(received.body), self.now()
        queue = self._served[received.queue]
        match queue.consumer:
            case consumer if consumer in self._engines:
                again_at = self._engines[consumer].work(body, now + self._timeouts_ms[consumer])
                if again_at is not None:
                    wait_s = min(max(1, -(-(again_at - now) // 1000)), topology.MAX_DEFER_S)
                    self.cloud.lanes.defer(received.queue, received.receipt, wait_s)
                    return
            case "completions":
                self.engine.completed(body["detail"], now + _INVOCATION_MS)
            case "errors":
                self.engine.failed(body["detail"], now + _INVOCATION_MS)
            case "parser":
                submit(self.wiring, body)
        self.cloud.lanes.delete(received.queue, received.receipt)

    # ------------------------------------------------------------------------------------------------ definitions

    def validate(self, definition: Definition) -> list[Diagnostic]:
        return self.operations.validate(_source(definition))

    def register(self, definition: Definition) -> Registered:
        return self.operations.register(TENANT, _source(definition))

    # ------------------------------------------------------------------------------------------------------- runs

    def run(self, definition: Definition, input: Json = None) -> RunView:
        """From start to end. Raises TimeoutError if it comes to rest before."""
        return self.wait(self.start(definition, input))

    def start(self, definition: Definition, input: Json = None, *, key: str | None = None) -> str:
        """The id of the new run. An input that is not given is an empty object."""
        return self.operations.run_definition(TENANT, _source(definition), {} if input is None else input, key=key).id

    def wait(self, run_id: str, status: str | None = None, *, timeout: float = 0) -> RunView:
        """The run, once it has `status` (None: a final one). Raises TimeoutError if the engine comes to rest before that.

        `timeout` is there for those who can also be given a LocalEngine: no real time passes here.
        """

        def is_there() -> bool:
            control = self.world.raw.get(run_key(run_id))
            seen = summary(control).status if control else self.show(run_id).status  # which says that there is no such run
            return seen in _FINAL if status is None else seen == status

        if not self._steps(is_there):
            raise TimeoutError(f"run {run_id} rests {self.show(run_id).status}, not {status or 'in a final status'}")
        return self.show(run_id)

    def show(self, run_id: str) -> RunView:
        return self.operations.show(TENANT, run_id)

    def runs(self, workflow: str) -> list[RunView]:
        """All of them, newest first: those that a trigger started as well."""
        return self.operations.runs(TENANT, workflow=workflow, limit=_MOST_RUNS)[0]

    def history(self, run_id: str) -> list[dict[str, Any]]:
        return self.operations.history(TENANT, run_id)

    # ----------------------------------------------------------------------------------- what people may do to one

    def signal(self, run_id: str, name: str, payload: Json = None) -> RunView:
        return self.operations.signal(TENANT, run_id, name, payload)

    def approve(self, run_id: str, step: str, *, by: str, comment: str | None = None) -> RunView:
        return self.operations.approve(TENANT, run_id, step, by=by, comment=comment)

    def reject(self, run_id: str, step: str, *, by: str, comment: str | None = None) -> RunView:
        return self.operations.reject(TENANT, run_id, step, by=by, comment=comment)

    def decide(
        self, run_id: str, step: str, choice: Literal["retry", "skip", "fail"], *, input: Json = None, output: Json = None
    ) -> RunView:
        return self.operations.decide(TENANT, run_id, step, choice, input=input, output=output)

    def pause(self, run_id: str) -> RunView:
        return self.operations.pause(TENANT, run_id)

    def resume(self, run_id: str) -> RunView:
        return self.operations.resume(TENANT, run_id)

    def cancel(self, run_id: str) -> RunView:
        return self.operations.cancel(TENANT, run_id)


def _source(definition: Definition) -> Definition:
    """A string of one line that ends like a file's name is a path; any other is the text itself."""
    is_path = isinstance(definition, str) and "\n" not in definition and definition.endswith(_FILE_ENDINGS)
    return Path(definition) if is_path else definition  # type: ignore[arg-type]
