"""Handling a delivered batch: each message by itself, and those that cannot be done with now handed back."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from . import wiring
from .core.errors import Conflict, Corrupted, Newer, TreadleError, Unavailable
from .ports import Message
from .topology import CONSUMED, DEAD, MAX_DEFER_S, MAX_RECEIVES

if TYPE_CHECKING:
    from .engine.letters import Dead

log = logging.getLogger("treadle.deliveries")

MIN_DEFER_S = 1
# Until a delivery that failed for want of an AWS service, or of a newer worker, is tried again: twice as long each time, so that
# MAX_RECEIVES deliveries outlast an outage, or a deployment, of three hours.
BREATHER_MS = 5000
LONGEST_BREATHER_MS = 600_000
SPARE_RECEIVES = 5  # so long before its last delivery a message that nobody here understands is sent anew
_RECEIVES = {queue.name: queue.max_receives for queue in CONSUMED}


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
    try:
        world.lanes.defer(logical_queue(record), record["receiptHandle"], min(wait_s, MAX_DEFER_S))
    except Unavailable:
        return  # it comes back when its visibility ends


def logical_queue(record: dict[str, Any]) -> str:
    """The logical name of the queue that a record came from: deployments put a prefix before it."""
    queue = str(record["eventSourceARN"]).rpartition(":")[2]
    names = wiring.current().names.queue_urls
    return next((name for name, url in names.items() if url.rpartition("/")[2] == queue), queue)


def in_turn(record: dict[str, Any], act: Callable[[], int | None]) -> None:
    """Raises Deferred when the message is to come back; one that failed because of the world comes back soon, too.

    A failure of the last delivery is kept for the dead letter that the message becomes.
    """
    try:
        again_at = act()
    except (Unavailable, Newer) as failed:
        if isinstance(failed, Newer) and _sent_anew(record, failed):
            return
        _failed_last(record, failed)
        defer(record, wiring.current().engine.world.clock.now() + breather_ms(_receives(record)))
        raise
    except Corrupted as failed:
        log.error("a message is given back: %s", failed, extra={"messageId": record.get("messageId")})
        _failed_last(record, failed)
        defer(record, wiring.current().engine.world.clock.now() + BREATHER_MS)
        raise
    except TreadleError as failed:
        _failed_last(record, failed)
        raise
    except Exception as failed:
        # the batch processor keeps only that it failed; why must not be lost
        log.exception("a delivery failed", extra={"messageId": record.get("messageId")})
        _failed_last(record, failed)
        raise
    if again_at is not None:
        defer(record, again_at)
        raise Deferred(again_at)


def _sent_anew(record: dict[str, Any], met: Newer) -> bool:
    """A message that met what only a newer version understands is no poison: before it has been received too often a copy takes its
    place, whose receives are counted from the first on. So it waits for a worker of that version as long as there is none."""
    queue = logical_queue(record)
    if queue.endswith(DEAD) or _receives(record) < _RECEIVES.get(queue, MAX_RECEIVES) - SPARE_RECEIVES:
        return False
    group = record.get("attributes", {}).get("MessageGroupId")
    copy = Message(queue, json.loads(record["body"]), LONGEST_BREATHER_MS // 1000, group)
    try:
        wiring.current().engine.world.lanes.send([copy])
    except Unavailable:
        return False
    log.warning("a message waits for a newer version: %s", met, extra={"messageId": record.get("messageId")})
    return True


def breather_ms(receives: int) -> int:
    """Of a message that was received so often."""
    return int(min(BREATHER_MS * 2 ** min(receives - 1, 20), LONGEST_BREATHER_MS))


def _receives(record: dict[str, Any]) -> int:
    return max(1, int(record.get("attributes", {}).get("ApproximateReceiveCount", 1)))


def _failed_last(record: dict[str, Any], failed: Exception) -> None:
    if _receives(record) >= _RECEIVES.get(logical_queue(record), MAX_RECEIVES):
        from .engine.letters import say_why  # on demand, as below: most workers never see a dead letter

        with suppress(Unavailable):
            say_why(wiring.current().engine.world, record["messageId"], failed)


def dead(record: dict[str, Any]) -> Dead:
    """A record of a dead-letter queue. What EventBridge could not deliver has the reason beside it."""
    from .engine.letters import Dead

    attributes = record.get("attributes", {})
    said = record.get("messageAttributes", {}).get("ERROR_MESSAGE", {}).get("stringValue")
    sent_at = int(attributes.get("SentTimestamp", 0))
    queue = logical_queue(record).removesuffix(DEAD)
    receives = min(_receives(record) - 1, _RECEIVES.get(queue, MAX_RECEIVES))  # without those from the dead letters
    return Dead(queue, record["messageId"], record["body"], receives, sent_at, f"EventBridge: {said}" if said else None)


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
