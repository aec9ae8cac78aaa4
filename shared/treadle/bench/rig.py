"""The engine under the meter: the real handlers over the local cloud, one delivery at a time, on the model's clock.

Law: whatever depends on the machine stays out. There is one thread, queues are asked in a fixed order, random numbers come from a
seed, and time passes only as the model says. So two runs of the same workload count the same to the last byte.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from .. import topology, wiring
from ..core.errors import TreadleError
from ..core.model import Json
from ..engine.items import run_key
from ..engine.world import Settings
from ..local.cloud import REGION, Cloud
from ..local.invocation import FUNCTIONS, failed_ids, sqs_event
from ..tasks import Registry
from . import model
from .meter import Meter

TENANT = "bench"
SEED = 1

T = TypeVar("T")


class Stuck(TreadleError):
    """A workload that did not end as it should: its figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class _Context:
    """Lambda's context, on the model's clock."""

    function_name: str
    memory_limit_in_mb: int
    clock: model.ModelClock
    ends_ms: float
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:bench"
    aws_request_id: str = "bench"

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int(self.ends_ms - self.clock.ms))


class Rig:
    """Use it as a context manager."""

    def __init__(self, tasks: Any = (), settings: Settings | None = None) -> None:
        self.clock = model.ModelClock()
        self.meter = Meter(self._on_call)
        self.cloud = Cloud(self.clock)
        self._tasks = Registry.load(tasks)
        self._settings = settings
        self._memory_mb = 0  # of the function that runs now; 0: none, somebody else's call takes no time
        self._open = ExitStack()

    def __enter__(self) -> Rig:
        with ExitStack() as opening:
            opening.enter_context(self.cloud)
            self.wiring = wiring.wire(self.cloud.names, self._tasks, self.clock, self._settings, self.cloud.clients, TENANT)
            self.wiring.engine.world.random = random.Random(SEED)
            opening.enter_context(wiring.using(self.wiring))
            self._handlers = {name: importlib.import_module(f"functions.{name}.handler").handler for name in FUNCTIONS}
            self.meter.attach(self.cloud.clients)
            self._open = opening.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    def _on_call(self, call: str) -> None:
        if self._memory_mb:
            self.clock.pass_by(model.call_ms(call, self._memory_mb))

    # ------------------------------------------------------------------------------------------------ doing

    def register(self, definition: Json) -> str:
        """The workflow's id."""
        with self.meter.during("registering"):
            return self._within("api", lambda context: self.wiring.operations.register(TENANT, definition)).id

    def start(self, workflow: str, given: Json) -> str:
        """A new run, as the function `api` starts it."""
        return self._within("api", lambda context: self.wiring.operations.start(TENANT, workflow, given)).id

    def drain(self) -> None:
        """Deliver until nothing is left; over times at which there is nothing to do."""
        while True:
            while any(self._deliver(queue) for queue in topology.QUEUES):
                pass
            later = self.cloud.next_visible_ms()
            if later is None:
                return
            self.clock.jump_to(later)

    def must_have_succeeded(self, run_id: str) -> None:
        with self.meter.during("looking"):
            control = self.wiring.engine.world.store.get(run_key(run_id)) or {}
        if control.get("status") != "succeeded":
            raise Stuck(f"run {run_id} of {control.get('workflow')} is {control.get('status')}: {control.get('error')}")

    def sweep(self) -> None:
        with self.meter.during("sweeping"):
            self._within("sweeper", lambda context: self._handlers["sweeper"]({}, context))

    # ------------------------------------------------------------------------------------------------ as Lambda does

    def _deliver(self, queue: topology.Queue) -> bool:
        """One batch, if there is one."""
        if not self.cloud.is_ready(queue.name):
            return False
        sqs, url = self.cloud.clients.sqs, self.cloud.names.queue_urls[queue.name]
        asked: Any = {"QueueUrl": url, "MaxNumberOfMessages": queue.batch_size, "MessageSystemAttributeNames": ["All"]}
        messages = sqs.receive_message(**asked)["Messages"]
        self.clock.pass_by(model.HOP_MS)
        if not queue.name.startswith("lane-"):
            self.meter.routed([message["Body"] for message in messages])
            self.clock.pass_by(model.BUS_HOP_MS)
        event = sqs_event(messages, self.cloud.queues[queue.name].queue_arn, REGION)
        handed_back = failed_ids(self._within(queue.consumer, lambda context: self._handlers[queue.consumer](event, context)))
        done = [message["ReceiptHandle"] for message in messages if message["MessageId"] not in handed_back]
        if done:
            sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "ReceiptHandle": handle} for n, handle in enumerate(done)])
        return True

    def _within(self, function: str, do: Callable[[_Context], T]) -> T:
        """One invocation: counted, and its time billed by the millisecond."""
        it, began = FUNCTIONS[function], self.clock.ms
        self._memory_mb = it.memory_mb
        try:
            return do(_Context(function, it.memory_mb, self.clock, began + it.timeout_s * 1000))
        finally:
            self._memory_mb = 0
            self.clock.pass_by(model.INVOCATION_MS)
            tally = self.meter.tallies[self.meter.phase]
            tally.invocations[function] += 1
            billed_ms = -(-(self.clock.ms - began) // 1)
            tally.gb_s += billed_ms / 1000 * it.memory_mb / 1024
