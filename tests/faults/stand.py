"""The deployed handlers over the AWS in memory: batches as SQS brings them, dead letters and all, until nothing moves any more."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from treadle import topology
from treadle.core.errors import Unavailable
from treadle.simulation.driver import TENANT, MemoryEngine
from treadle.wiring import using

MOST = 3000  # deliveries: whoever needs more goes round in circles


@dataclass(frozen=True)
class Context:
    get_remaining_time_in_millis: Callable[[], int] = lambda: 120_000
    function_name: str = "test"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:test"
    aws_request_id: str = "test"


class Stand(MemoryEngine):
    """`run`, `start` and so on are MemoryEngine's; `rest` lets the handlers work. `sweeps`: whether the sweeper comes by."""

    sweeps = True

    def rest(self, minutes: float = 24 * 60) -> None:
        """Until nothing happens within so long."""
        until = self.now() + int(minutes * 60_000)
        for _ in range(MOST):
            if not self._one() and not self._pass_time(until):
                return
        raise AssertionError(f"no rest after {MOST} deliveries")

    def _one(self) -> bool:
        for queue in topology.CONSUMED:
            if taken := self.cloud.lanes.receive(queue.name, queue.batch_size):
                self.handle(queue, [message.to_record() for message in taken])
                return True
        return False

    def handle(self, queue: topology.Queue, records: list[dict[str, Any]]) -> dict[str, Any]:
        self.delivered += 1
        with using(self.wiring):
            answer: dict[str, Any] = import_module(f"functions.{queue.consumer}.handler").handler({"Records": records}, Context())
        kept = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        for record in records:
            if record["messageId"] not in kept:
                self.cloud.lanes.delete(queue.name, record["receiptHandle"])
        return answer

    def _pass_time(self, until: int) -> bool:
        visible = self.cloud.lanes.next_visible_at(*(queue.name for queue in topology.CONSUMED))
        due = [due for shard in range(topology.DUE_SHARDS) for _, due in self.cloud.store.query_due(shard, until, limit=1)]
        sweep = [max(min(due), self._swept_at + topology.SWEEP_EVERY_S * 1000)] if due and self.sweeps else []
        moments = [moment for moment in (*sweep, *([] if visible is None else [visible])) if moment <= until]
        if not moments:
            return False
        self.cloud.clock.advance_to(max(self.now(), min(moments)))
        if sweep and sweep[0] <= self.now():
            self._swept_at = self.now()
            with using(self.wiring), suppress(Unavailable):
                import_module("functions.sweeper.handler").handler({}, Context())
        return True

    def letters(self, tenant: str = TENANT) -> list[dict[str, Any]]:
        return self.operations.dead_letters.page(tenant)[0]

    def in_queues(self) -> dict[str, int]:
        return {queue.name: found for queue in topology.CONSUMED if (found := len(self.cloud.lanes.bodies(queue.name)))}

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The data of the events of a kind that were put on the bus."""
        return [event["detail"]["data"] for event in self.cloud.bus.events if event["detail-type"] == kind]
