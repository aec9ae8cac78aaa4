"""The in-memory AWS, seen through: each write of the table is shown to a witness, and batches can be refused in part."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from ..core.errors import Unavailable
from ..ports import Item, Key
from .calls import Calls
from .faults import Refused
from .memory import ManualClock, MemoryBlobs, MemoryBus, MemoryLanes, MemorySecrets, MemoryStore

Witness = Callable[[Key, Item | None, Item | None], None]  # (key, the item before, the item now)


class WitnessedStore(MemoryStore):
    def __init__(self, witness: Witness) -> None:
        super().__init__()
        self._witness = witness

    def _replace(self, key: Key, new: Item | None) -> None:
        old = self._items.get(key)
        super()._replace(key, new)
        self._witness(key, old, new)

    def peek(self, key: Key) -> Item | None:
        """The item itself, not a copy, and not a call: for those who only look."""
        return self._items.get(key)

    def peek_all(self) -> list[Item]:
        return list(self._items.values())

    def first_due(self) -> int | None:
        """The earliest time in the due index; None: nothing is due ever."""
        return min((due for entries in self._due.values() for due in entries.values()), default=None)


class PartialLanes(MemoryLanes):
    """Half of a batch is sent where its fault is `partial` (of one entry: nothing)."""

    def _send_batch(self, queue: str, entries: Sequence[tuple[str, int, str | None]]) -> None:
        try:
            super()._send_batch(queue, entries)
        except Refused:
            for body, delay_s, group in entries[: len(entries) // 2]:
                self.deliver(queue, body, delay_s=delay_s, group=group)
            raise Unavailable(f"{len(entries) - len(entries) // 2} of {len(entries)} messages were refused") from None


class PartialBus(MemoryBus):
    def _put_batch(self, batch: Sequence[tuple[str, str, str]]) -> None:
        try:
            super()._put_batch(batch)
        except Refused:
            for source, kind, detail in batch[: len(batch) // 2]:
                self.put_event(source, kind, json.loads(detail))
            raise Unavailable(f"{len(batch) - len(batch) // 2} of {len(batch)} events were refused") from None


class WitnessedCloud:
    """As MemoryCloud, over a witnessed table."""

    def __init__(self, witness: Witness) -> None:
        self.clock = ManualClock()
        self.store = WitnessedStore(witness)
        self.lanes = PartialLanes(self.clock)
        self.bus = PartialBus(self.lanes, self.clock)
        self.blobs = MemoryBlobs()
        self.inbox = MemoryBlobs()
        self.secrets = MemorySecrets()

    def saved(self) -> Callable[[WitnessedCloud], None]:
        """What makes another one be as this one is now."""
        now, store, lanes, bus, blobs = self.clock.now(), self.store.saved(), self.lanes.saved(), self.bus.saved(), self.blobs.saved()

        def restore(other: WitnessedCloud) -> None:
            other.clock.advance_to(now)
            store(other.store)
            lanes(other.lanes)
            bus(other.bus)
            blobs(other.blobs)

        return restore

    def listen(self, calls: Calls | None) -> None:
        for port in (self.store, self.lanes, self.bus, self.blobs, self.inbox, self.secrets):
            port.calls = calls
