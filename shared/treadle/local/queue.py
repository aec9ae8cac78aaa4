"""A standard queue of moto's whose costs do not grow with its depth.

moto walks through all messages of a queue at every call, so a thousand waiting messages make each receive take
milliseconds. Here a heap holds them by the time they are visible from. Times are the local clock's.
"""

from __future__ import annotations

import heapq
import itertools
import re
from collections.abc import Callable
from typing import Any

from moto.sqs.exceptions import InvalidParameterValue, ReceiptHandleIsInvalid
from moto.sqs.models import MAXIMUM_MESSAGE_DELAY, Message, Queue

from .wire import new_id

_MAX_VISIBILITY_MS = 43_200_000
_HANDLE = re.compile(r"[0-9a-f-]{36}:\d+")
_ORDER = itertools.count()  # first in, first out among equals, as far as a standard queue goes


class DeepQueue(Queue):
    """Made of a queue that moto created, by `adopt`."""

    now_ms: Callable[[], int]
    on_message: Callable[[int], None]  # told from when (ms) a message is visible that came or changed
    _heap: list[tuple[int, int, Message]]  # (visible from, ms; order; message); an entry counts if it is the message's last
    _by_handle: dict[str, Message]
    _is_last: dict[str, int]  # message id -> order of its entry

    @classmethod
    def adopt(cls, queue: Queue, now_ms: Callable[[], int], on_message: Callable[[int], None]) -> DeepQueue:
        queue.__class__ = cls
        assert isinstance(queue, DeepQueue)
        queue.now_ms, queue.on_message = now_ms, on_message
        queue._messages = []
        return queue

    @property
    def _messages(self) -> list[Message]:
        return [message for _, order, message in sorted(self._heap, key=lambda entry: entry[1]) if self._is_last.get(message.id) == order]

    @_messages.setter
    def _messages(self, nothing: list[Message]) -> None:
        """moto assigns an empty list to purge."""
        self._heap, self._by_handle, self._is_last = [], {}, {}

    def _schedule(self, message: Message, visible_from: int) -> None:
        order = next(_ORDER)
        message.visible_at = visible_from
        self._is_last[message.id] = order
        heapq.heappush(self._heap, (visible_from, order, message))

    def _drop_old(self) -> None:
        while self._heap and self._is_last.get(self._heap[0][2].id) != self._heap[0][1]:
            heapq.heappop(self._heap)

    def next_visible_ms(self) -> int | None:
        """When the next message is or was visible; None: there is none at all."""
        self._drop_old()
        return self._heap[0][0] if self._heap else None

    def __len__(self) -> int:
        """Messages, visible or not."""
        return len(self._is_last)

    def __bool__(self) -> bool:
        return True

    @property
    def messages(self) -> list[Message]:
        now = self.now_ms()
        return [message for message in self._messages if message.visible_at <= now]

    @property
    def approximate_number_of_messages_delayed(self) -> int:
        now = self.now_ms()
        return sum(message.visible_at > now and not message.approximate_receive_count for message in self._messages)

    @property
    def approximate_number_of_messages_not_visible(self) -> int:
        now = self.now_ms()
        return sum(message.visible_at > now and message.approximate_receive_count > 0 for message in self._messages)

    def add_message(self, message: Message) -> None:
        """Also what arrives as a dead letter: it keeps its count of receives, as in SQS."""
        self._schedule(message, visible_from := max(int(message.delayed_until), self.now_ms()))
        self.on_message(visible_from)

    def send(self, body: str, delay_s: int | None, group: str | None) -> Message:
        """Raises moto's InvalidParameterValue for a body or a delay that is over SQS's limits."""
        if len(body.encode()) > self.maximum_message_size:  # type: ignore[attr-defined]
            most = self.maximum_message_size  # type: ignore[attr-defined]
            raise InvalidParameterValue(f"One or more parameters are invalid. Reason: Message must be shorter than {most} bytes.")
        if not 0 <= (delay_s or 0) <= MAXIMUM_MESSAGE_DELAY:
            raise InvalidParameterValue(
                f"Value {delay_s} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= {MAXIMUM_MESSAGE_DELAY}."
            )
        message = Message(new_id(), body)
        message.group_id = group
        now = self.now_ms()
        message.sent_timestamp = now  # type: ignore[assignment]  # moto's own annotation says None
        message.delayed_until = now + (self.delay_seconds if delay_s is None else delay_s) * 1000  # type: ignore[attr-defined]
        self.add_message(message)
        return message

    def receive(self, count: int, visibility_s: int) -> list[Message]:
        """At most `count` visible messages. Never waits: whoever polls here is woken by `on_message`."""
        now = self.now_ms()
        received: list[Message] = []
        while len(received) < count:
            visible_from = self.next_visible_ms()
            if visible_from is None or visible_from > now:
                break
            message = heapq.heappop(self._heap)[2]
            if self._is_over(message, now):
                self._forget(message)
            elif self.redrive_policy and message.approximate_receive_count >= self.redrive_policy["maxReceiveCount"]:
                self._forget(message)
                assert self.dead_letter_queue is not None
                self.dead_letter_queue.add_message(message)
            else:
                self._hand_out(message, now, visibility_s)
                received.append(message)
        return received

    def _hand_out(self, message: Message, now: int, visibility_s: int) -> None:
        message.approximate_receive_count += 1
        message.approximate_first_receive_timestamp = message.approximate_first_receive_timestamp or now
        message.receipt_handle = f"{new_id()}:{message.approximate_receive_count}"
        message._old_receipt_handles.append(message.receipt_handle)
        self._by_handle[message.receipt_handle] = message
        self._schedule(message, now + visibility_s * 1000)

    def _is_over(self, message: Message, now: int) -> bool:
        sent: Any = message.sent_timestamp
        return bool(now - sent >= self.message_retention_period * 1000)  # type: ignore[attr-defined]

    def _forget(self, message: Message) -> None:
        self._is_last.pop(message.id, None)
        for handle in message._old_receipt_handles:
            self._by_handle.pop(handle, None)
        message._old_receipt_handles.clear()

    def delete_message(self, receipt_handle: str) -> None:
        """Deleting twice is fine, as in SQS; a handle that no queue ever gave out is not."""
        message = self._by_handle.get(receipt_handle)
        if message:
            self._forget(message)
        elif not _HANDLE.fullmatch(receipt_handle):
            raise ReceiptHandleIsInvalid()

    def change_visibility(self, receipt_handle: str, visibility_s: int) -> None:
        message = self._by_handle.get(receipt_handle)
        if message is None:
            raise ReceiptHandleIsInvalid()
        until = self.now_ms() + visibility_s * 1000
        sent: Any = message.sent_timestamp
        if until - sent > _MAX_VISIBILITY_MS:
            raise InvalidParameterValue(
                f"Value {visibility_s} for parameter VisibilityTimeout is invalid. Reason: Total "
                "VisibilityTimeout for the message is beyond the limit [43200 seconds]"
            )
        self._schedule(message, until)
        self.on_message(until)
