"""A standard queue's messages, and which of them SQS hands out next: fair between the tenants that the message groups name.

After "How Amazon SQS fair queues work" (SQS Developer Guide): a tenant with more than a tenth of what is in flight, and at least
thirty of its own, or with more than a tenth of the consumers' recent time, is a noisy neighbour. As long as messages of quiet
tenants can be had, those are handed out; among noisy ones the tenant with the fewest in flight comes first. A message without a
group is a tenant by itself. Nothing is dropped or held up: where only noisy tenants have messages, they get them as ever. Who
has no backlog any more is quiet again.

AWS calls its thresholds approximate and does not say how long "recent" is; a minute is this model's.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from heapq import heappop, heappush

SHARE = 0.1
LEAST_IN_FLIGHT = 30
RECENT_MS = 60_000


@dataclass(slots=True)
class Stored:
    id: str
    body: str
    sent_at: int
    group: str | None
    visible_at: int
    receipt: str | None = None  # of the last receive; None: never received
    receives: int = 0
    received_at: int = 0
    first_received_at: int = 0

    def attributes(self) -> dict[str, str]:
        shown = {
            "ApproximateReceiveCount": str(self.receives),
            "SentTimestamp": str(self.sent_at),
            "ApproximateFirstReceiveTimestamp": str(self.first_received_at),
            "SenderId": "treadle",
        }
        return shown | ({"MessageGroupId": self.group} if self.group is not None else {})


@dataclass(slots=True)
class FairQueue:
    messages: dict[str, Stored] = field(default_factory=dict)  # by id
    # by group: a heap of (visible_at, order, id); stale entries are dropped when met
    visible: dict[str | None, list[tuple[int, int, str]]] = field(default_factory=dict)
    in_hand: dict[str, dict[str, Stored]] = field(default_factory=dict)  # by group, by id; some may be visible again by now
    worked: deque[tuple[int, str, int]] = field(default_factory=deque)  # (when, group, ms) of what was acknowledged in the last minute
    spent: dict[str, int] = field(default_factory=dict)  # the ms of `worked`, by group

    def show(self, message: Stored, at: int, order: int) -> None:
        message.visible_at = at
        heappush(self.visible.setdefault(message.group, []), (at, order, message.id))

    def take_up(self, message: Stored, now: int) -> None:
        """It is in somebody's hand."""
        message.received_at = now
        if message.group is not None:
            self.in_hand.setdefault(message.group, {})[message.id] = message

    def drop(self, message: Stored, now: int) -> None:
        """Acknowledged, or a dead letter."""
        del self.messages[message.id]
        if message.group is not None:
            self.in_hand.get(message.group, {}).pop(message.id, None)
            took = now - message.received_at
            self.worked.append((now, message.group, took))
            self.spent[message.group] = self.spent.get(message.group, 0) + took

    def clear(self) -> None:
        self.messages.clear()
        self.visible.clear()
        self.in_hand.clear()

    def first(self) -> Stored | None:
        """The message that is (or will be) visible first, whoever's it is."""
        heads = self._heads()
        return self.messages[min(heads.values())[2]] if heads else None

    def next(self, now: int) -> Stored | None:
        """The one to hand out now; None: nothing is visible."""
        heads = {group: head for group, head in self._heads().items() if head[0] <= now}
        if not heads:
            return None
        if len(heads) == 1:
            return self._taken(*heads)
        in_flight = self._in_flight(now)
        noisy = self._noisy(in_flight, now)
        quiet = [head for group, head in heads.items() if group not in noisy]
        if quiet:
            return self._taken(self.messages[min(quiet)[2]].group)
        return self._taken(min(heads, key=lambda group: (in_flight.get(group or "", 0), heads[group])))

    def _taken(self, group: str | None) -> Stored:
        return self.messages[heappop(self.visible[group])[2]]

    def _heads(self) -> dict[str | None, tuple[int, int, str]]:
        """The first entry of each group that has any."""
        found: dict[str | None, tuple[int, int, str]] = {}
        for group, heap in list(self.visible.items()):
            while heap and not self._counts(heap[0]):
                heappop(heap)
            if heap:
                found[group] = heap[0]
            else:
                del self.visible[group]
        return found

    def _counts(self, entry: tuple[int, int, str]) -> bool:
        message = self.messages.get(entry[2])
        return message is not None and message.visible_at == entry[0]

    def _in_flight(self, now: int) -> dict[str, int]:
        for held in self.in_hand.values():
            for message in [message for message in held.values() if message.visible_at <= now]:
                del held[message.id]
        return {group: len(held) for group, held in self.in_hand.items() if held}

    def _noisy(self, in_flight: dict[str, int], now: int) -> set[str]:
        all_of_them = sum(in_flight.values())
        noisy = {group for group, count in in_flight.items() if count >= LEAST_IN_FLIGHT and count > SHARE * all_of_them}
        while self.worked and self.worked[0][0] <= now - RECENT_MS:
            _, group, took = self.worked.popleft()
            self.spent[group] -= took
        return noisy | {group for group, ms in self.spent.items() if ms > SHARE * sum(self.spent.values())}
