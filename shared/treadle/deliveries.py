"""Handling a delivered batch: each message by itself, and those that cannot be done with now handed back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

from . import wiring
from .core.errors import Conflict, TreadleError, Unavailable

log = logging.getLogger("treadle.deliveries")

MIN_DEFER_S = 1
BREATHER_MS = 5000  # until a delivery that failed for want of an AWS service is tried again


class Context(Protocol):
    """What the engine needs of Lambda's context."""

    def get_remaining_time_in_millis(self) -> int: ...


def deadline(context: Context) -> int:
    """When this invocation must be over: ms by the engine's clock."""
    return wiring.current().engine.world.clock.now() + context.get_remaining_time_in_millis()


class Deferred(Conflict):
    """The message belongs to a step that another worker holds, or that may not start yet: it goes back to its queue until then."""

    def __init__(self, again_at: int) -> None:
        super().__init__(f"not before {again_at}")
        self.again_at = again_at


def defer(record: dict[str, Any], again_at: int) -> None:
    """Make the message visible again at that time rather than at the end of its visibility."""
    world = wiring.current().engine.world
    wait_s = max(MIN_DEFER_S, -(-(again_at - world.clock.now()) // 1000))
    queue = record["eventSourceARN"].rpartition(":")[2]
    try:
        world.lanes.defer(_logical(queue), record["receiptHandle"], min(wait_s, 11 * 3600))
    except Unavailable:
        return  # it comes back when its visibility ends


def _logical(queue: str) -> str:
    """The logical name of a queue: deployments put a prefix before it."""
    names = wiring.current().names.queue_urls
    return next((name for name, url in names.items() if url.rpartition("/")[2] == queue), queue)


def in_turn(record: dict[str, Any], act: Callable[[], int | None]) -> None:
    """Raises Deferred when the message is to come back; one that failed because of the world comes back soon, too."""
    try:
        again_at = act()
    except Unavailable:
        defer(record, wiring.current().engine.world.clock.now() + BREATHER_MS)
        raise
    except TreadleError:
        raise
    except Exception:
        # the batch processor keeps only that it failed; why must not be lost
        log.exception("a delivery failed", extra={"messageId": record.get("messageId")})
        raise
    if again_at is not None:
        defer(record, again_at)
        raise Deferred(again_at)


def partial_answer(event: dict[str, Any], act: Callable[[dict[str, Any]], None]) -> dict[str, list[dict[str, str]]]:
    """Each record by itself; the answer names those to be delivered again.

    What Powertools' batch processor does, without its imports: the dispatcher's cold start is a budget.
    """
    failures = []
    for record in event["Records"]:
        try:
            act(record)
        except Exception:  # noqa: BLE001 (told by `in_turn`; the queue delivers it again)
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


def or_leave(event: dict[str, Any], answer: dict[str, list[dict[str, str]]]) -> dict[str, list[dict[str, str]]]:
    """The answer, unless an attempt was left behind in a thread, which cannot be killed: then the worker's process ends here, and
    the next one starts clean. What was done is written; its messages come back in a second, find that, and are acknowledged."""
    its = wiring.current()
    runaways = its.engine.world.attempts.runaways()
    if its.leave is None or not runaways:
        return answer
    log.error("a worker ends: tasks that took too long still run in it", extra={"runaways": runaways})
    handed_back = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
    for record in event["Records"]:
        if record["messageId"] not in handed_back:  # those have a time of their own
            defer(record, its.engine.world.clock.now())
    its.leave()
    return answer
