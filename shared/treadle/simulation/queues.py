"""Standard SQS queues in memory: at least once, in no promised order, each with a dead-letter queue.

Which message is handed out next is fair.py's to say. A message in hand is invisible until its visibility timeout ends or it is
deferred; a message received more often than the queue says goes to `NAME-dlq` instead of being received again. Time comes from a
Clock and never passes by itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from threading import RLock
from typing import Any

from .. import topology
from ..batches import batches
from ..ports import Clock, Message
from .calls import Calls, Watched, watched
from .fair import FairQueue, Stored

_MAX_VISIBILITY_S = 12 * 3600


@dataclass(frozen=True, slots=True)
class Received:
    """A message in hand. `receipt` is good for this receive alone; `attributes` are SQS's own, as text."""

    queue: str
    id: str
    receipt: str
    body: str
    attributes: dict[str, str]

    def to_record(self) -> dict[str, Any]:
        """A record of the event that an event source mapping would call the function with."""
        return {
            "messageId": self.id,
            "receiptHandle": self.receipt,
            "body": self.body,
            "attributes": self.attributes,
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:us-east-1:000000000000:{self.queue}",
            "awsRegion": "us-east-1",
        }


@dataclass(frozen=True, slots=True)
class Held:
    """A message as it lies in a queue, for those who only look. `receipt`: of the last receive."""

    queue: str
    id: str
    body: str
    visible_at: int
    group: str | None
    receives: int
    receipt: str | None


class MemoryLanes(Watched):
    """`ports.Lanes`, and what a pump needs: `receive`, `delete`, `next_visible_at`."""

    def __init__(self, clock: Clock, calls: Calls | None = None, queues: Sequence[topology.Queue] = topology.QUEUES) -> None:
        self.calls = calls
        self._clock = clock
        self._lock = RLock()
        self._order = 0  # of everything that ever became visible; also makes ids
        self._queues: dict[str, FairQueue] = {}
        self._visibility_s: dict[str, int] = {}
        self._max_receives: dict[str, int] = {}  # of a dead letter there is no limit
        self.deploy(queues)

    def deploy(self, queues: Iterable[topology.Queue]) -> None:
        """There are these from now on. What was in a queue that is no more is lost, as in AWS."""
        declared = tuple(queues)
        self._visibility_s = {queue.name: queue.visibility_s for queue in declared}
        self._max_receives = {queue.name: queue.max_receives for queue in declared}
        names = [name for queue in self._visibility_s for name in (queue, dead_letters_of(queue))]
        self._queues = {name: self._queues.get(name, FairQueue()) for name in names}

    # --------------------------------------------------------------------------------------------------- ports.Lanes

    def send(self, messages: Sequence[Message]) -> None:
        by_queue: dict[str, list[Message]] = {}
        for message in messages:
            by_queue.setdefault(message.queue, []).append(message)
        for queue, some in by_queue.items():
            entries = [(json.dumps(m.body, ensure_ascii=False, separators=(",", ":")), m.delay_s, m.group) for m in some]
            for batch in batches(entries, lambda entry: len(entry[0].encode())):
                self._send_batch(queue, batch)

    @watched("lanes.send")
    def _send_batch(self, queue: str, entries: Sequence[tuple[str, int, str | None]]) -> None:
        for _, delay_s, _ in entries:
            if not 0 <= delay_s <= topology.MAX_DELAY_S:
                raise ValueError(f"a message's delay is 0 to {topology.MAX_DELAY_S} s, not {delay_s}")
        for body, delay_s, group in entries:
            self.deliver(queue, body, delay_s=delay_s, group=group)

    @watched("lanes.defer")
    def defer(self, queue: str, receipt: str, delay_s: int) -> None:
        if not 0 <= delay_s <= _MAX_VISIBILITY_S:
            raise ValueError(f"a message is deferred by 0 to {_MAX_VISIBILITY_S} s, not {delay_s}")
        with self._lock:
            message = self._of_receipt(queue, receipt)
            if message is not None and message.visible_at > self._clock.now():  # otherwise it is no longer in hand
                self._order += 1
                self._queues[queue].show(message, self._clock.now() + delay_s * 1000, self._order)

    # ------------------------------------------------------------------------------------------- for whoever pumps

    def deliver(self, queue: str, body: str, *, delay_s: int = 0, group: str | None = None) -> None:
        """Put text into a queue as an EventBridge rule or a stranger would: not a call of the engine's, so not announced."""
        with self._lock:
            self._order += 1
            message = Stored(f"message-{self._order}", body, self._clock.now(), group, 0)
            self._queues[queue].messages[message.id] = message
            self._queues[queue].show(message, self._clock.now() + delay_s * 1000, self._order)

    def receive(self, queue: str, max_messages: int = 10, visibility_s: int | None = None) -> list[Received]:
        """Up to `max_messages` that are visible now, the longest visible first as far as that is fair. Each is then in the receiver's
        hand for `visibility_s`."""
        chosen: list[Stored] = []
        with self._lock:
            held = self._queues[queue]
            now = self._clock.now()
            while len(chosen) < max_messages and (message := held.next(now)) is not None:
                if self._is_spent(queue, message):
                    self._bury(queue, message)
                else:
                    chosen.append(message)
            return [self._hand_over(queue, message, now, visibility_s) for message in chosen]

    def visible(self, queue: str) -> list[str]:
        """Ids of what could be received now, oldest first: a simulation chooses among them, as SQS promises no order."""
        messages = self._queues[queue].messages
        if not messages:
            return []
        with self._lock:
            now = self._clock.now()
            return [message.id for message in messages.values() if message.visible_at <= now]

    def body_of(self, queue: str, message_id: str) -> str:
        return self._queues[queue].messages[message_id].body

    def take(self, queue: str, message_id: str, visibility_s: int | None = None) -> Received | None:
        """Receive this one of the `visible` messages; None: it became a dead letter instead."""
        with self._lock:
            message = self._queues[queue].messages[message_id]
            if self._is_spent(queue, message):
                self._bury(queue, message)
                return None
            return self._hand_over(queue, message, self._clock.now(), visibility_s)

    def _is_spent(self, queue: str, message: Stored) -> bool:
        return message.receives >= self._max_receives.get(queue, message.receives + 1)

    def _hand_over(self, queue: str, message: Stored, now: int, visibility_s: int | None) -> Received:
        self._order += 1
        message.receives += 1
        message.first_received_at = message.first_received_at or now
        message.receipt = f"{message.id}/{self._order}"
        self._queues[queue].take_up(message, now)
        hidden_s = self._visibility_s.get(queue, topology.VISIBILITY_S) if visibility_s is None else visibility_s
        self._queues[queue].show(message, now + hidden_s * 1000, self._order)
        return Received(queue, message.id, message.receipt, message.body, message.attributes())

    def _bury(self, queue: str, message: Stored) -> None:
        self._queues[queue].drop(message, self._clock.now())
        self._order += 1
        dead = self._queues[dead_letters_of(queue)]
        dead.messages[message.id] = message
        dead.show(message, self._clock.now(), self._order)

    def delete(self, queue: str, receipt: str) -> None:
        """Acknowledge. A receipt that is no longer the last one deletes nothing: the message is in somebody else's hand."""
        with self._lock:
            message = self._of_receipt(queue, receipt)
            if message is not None:
                self._queues[queue].drop(message, self._clock.now())

    def _of_receipt(self, queue: str, receipt: str) -> Stored | None:
        message = self._queues[queue].messages.get(receipt.partition("/")[0])
        return message if message is not None and message.receipt == receipt else None

    def next_visible_at(self, *queues: str) -> int | None:
        """When (ms) something can be received next, perhaps in the past; None: never. Without names: of all but the dead letters."""
        with self._lock:
            names = queues or [name for name in self._queues if not name.endswith(_DEAD)]
            heads = [head.visible_at for name in names if (head := self._queues[name].first()) is not None]
        return min(heads, default=None)

    def held(self) -> list[Held]:
        """All there is, dead letters too, in the order of the queues."""
        with self._lock:
            return [
                Held(queue, message.id, message.body, message.visible_at, message.group, message.receives, message.receipt)
                for queue, some in self._queues.items()
                for message in some.messages.values()
            ]

    def saved(self) -> Callable[[MemoryLanes], None]:
        """What makes another one be as this one is now."""
        order, queues = self._order, deepcopy(self._queues)

        def restore(other: MemoryLanes) -> None:
            other._order, other._queues = order, deepcopy(queues)

        return restore

    def bodies(self, queue: str) -> list[str]:
        """Everything in a queue, visible or not, oldest first."""
        with self._lock:
            return [message.body for message in self._queues[queue].messages.values()]

    def dead(self, queue: str) -> list[str]:
        return self.bodies(dead_letters_of(queue))

    def redrive(self, queue: str) -> int:
        """Move the dead letters of a queue back into it, with their receives forgotten. Returns how many."""
        with self._lock:
            dead = self._queues[dead_letters_of(queue)]
            moved = list(dead.messages.values())
            dead.clear()
            for message in moved:
                self.deliver(queue, message.body, group=message.group)
        return len(moved)

    def duplicate(self, queue: str) -> int:
        """Make everything in hand visible again, as when SQS delivers twice. Returns how many."""
        with self._lock:
            held = self._queues[queue]
            now = self._clock.now()
            again = [message for message in held.messages.values() if message.receipt and message.visible_at > now]
            for message in again:
                self._order += 1
                message.receipt = None  # so that the one who has it now cannot acknowledge both
                held.show(message, now, self._order)
        return len(again)


_DEAD = "-dlq"


def dead_letters_of(queue: str) -> str:
    return queue + _DEAD
