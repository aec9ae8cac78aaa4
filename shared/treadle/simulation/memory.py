"""An AWS in memory, as small as the engine needs and as strict as the real one: the ports with real semantics, to simulate on.

`MemoryCloud` puts them together; each port also stands alone. Time is a `ManualClock`: nothing happens between two calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from threading import RLock
from typing import Any

from .. import topology
from ..batches import batches
from ..core.errors import NotFound
from ..core.patterns import matches
from ..ports import Clock, Event, TooLarge, rfc3339
from .calls import Calls, Watched, watched
from .patterns import leaves, with_names
from .queues import MemoryLanes, Received, dead_letters_of
from .table import MemoryStore

__all__ = [
    "Calls",
    "ManualClock",
    "MemoryBlobs",
    "MemoryBus",
    "MemoryCloud",
    "MemoryLanes",
    "MemorySecrets",
    "MemoryStore",
    "Received",
    "dead_letters_of",
]

_START = 1_800_000_000_000  # some day in 2027: a round number, the same in every simulation


class ManualClock:
    """Stands still until it is moved."""

    def __init__(self, now: int = _START) -> None:
        self._now = now

    def now(self) -> int:
        return self._now

    def advance(self, ms: int) -> None:
        self._now += ms

    def advance_to(self, time: int) -> None:
        """Forward only: a time in the past changes nothing."""
        self._now = max(self._now, time)


class MemoryBlobs(Watched):
    def __init__(self, calls: Calls | None = None) -> None:
        self.calls = calls
        self._lock = RLock()
        self._contents: dict[str, bytes] = {}

    @watched("blobs.put")
    def put(self, name: str, content: bytes) -> None:
        with self._lock:
            self._contents[name] = bytes(content)

    @watched("blobs.get")
    def get(self, name: str, *, most: int | None = None) -> bytes:
        with self._lock:
            if name not in self._contents:
                raise NotFound("object", name)
            if most is not None and len(self._contents[name]) > most:
                raise TooLarge(name)
            return self._contents[name]

    @watched("blobs.under")
    def under(self, prefix: str) -> list[str]:
        return [name for name in self.names() if name.startswith(prefix)]

    @watched("blobs.remove")
    def remove(self, name: str) -> None:
        with self._lock:
            self._contents.pop(name, None)

    def names(self) -> list[str]:
        with self._lock:
            return sorted(self._contents)

    def saved(self) -> Callable[[MemoryBlobs], None]:
        """What makes another one be as this one is now."""
        contents = dict(self._contents)

        def restore(other: MemoryBlobs) -> None:
            other._contents = dict(contents)

        return restore


class MemoryBus(Watched):
    """EventBridge with the topology's rules: what a rule matches lies in its queue at once, the whole bus event as the body."""

    def __init__(
        self,
        lanes: MemoryLanes,
        clock: Clock,
        calls: Calls | None = None,
        *,
        names: Mapping[str, str] | None = None,
        rules: Sequence[topology.Rule] = topology.RULES,
    ) -> None:
        """`names`: for the placeholders in the rules (`inbox`: the inbox bucket's name)."""
        self.calls = calls
        self._lanes = lanes
        self._clock = clock
        self._lock = RLock()
        placeholders = {"inbox": "inbox", **(names or {})}
        usual = rules is topology.RULES
        self._router = _usual_router(tuple(placeholders.items())) if usual else _Router(rules, placeholders)
        self._count = 0
        self.events: list[dict[str, Any]] = []  # every bus event that was ever put, in order

    def put(self, events: Sequence[Event]) -> None:
        for batch in batches([_to_entry(event) for event in events], _size_bytes):
            self._put_batch(batch)

    @watched("bus.put")
    def _put_batch(self, batch: Sequence[tuple[str, str, str]]) -> None:
        for source, kind, detail in batch:
            self.put_event(source, kind, json.loads(detail))

    def saved(self) -> Callable[[MemoryBus], None]:
        """What makes another one be as this one is now."""
        count, events = self._count, list(self.events)

        def restore(other: MemoryBus) -> None:
            other._count, other.events = count, list(events)

        return restore

    def put_event(self, source: str, detail_type: str, detail: Mapping[str, Any], *, bus: str = "engine") -> None:
        """What anybody may put: S3's `Object Created` (bus `default`), a submission. Not a call of the engine's, so not announced."""
        with self._lock:
            self._count += 1
            event = {
                "version": "0",
                "id": f"00000000-0000-0000-0000-{self._count:012x}",
                "detail-type": detail_type,
                "source": source,
                "account": "000000000000",
                "time": rfc3339(self._clock.now())[:-5] + "Z",  # whole seconds
                "region": "us-east-1",
                "resources": [],
                "detail": detail,
            }
            self.events.append(event)
        for queue in self._router.targets(bus, event):
            self._lanes.deliver(queue, json.dumps(event, ensure_ascii=False, separators=(",", ":")))


class _Router:
    """Where an event goes. The rules look at little of it, and what they say of that is remembered: most events look alike to them."""

    def __init__(self, rules: Sequence[topology.Rule], names: Mapping[str, str]) -> None:
        self._rules = [(rule, with_names(rule.pattern, names)) for rule in rules]
        self._seen = sorted({path for _, pattern in self._rules for path in leaves(pattern)})
        self._known: dict[tuple[str, str], list[str]] = {}

    def targets(self, bus: str, event: Mapping[str, Any]) -> list[str]:
        seen = bus, repr([_at(event, path) for path in self._seen])
        if seen not in self._known:
            self._known[seen] = [rule.to for rule, pattern in self._rules if rule.bus == bus and matches(pattern, event)]
        return self._known[seen]


@cache
def _usual_router(names: tuple[tuple[str, str], ...]) -> _Router:
    return _Router(topology.RULES, dict(names))


def _at(event: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        event = event.get(name) if isinstance(event, dict) else event  # a list on the way: all of it counts
    return event


def _to_entry(event: Event) -> tuple[str, str, str]:
    """(source, detail-type, detail as text)"""
    return event.source, event.kind, json.dumps(event.to_cloud_event(), ensure_ascii=False, separators=(",", ":"))


def _size_bytes(entry: tuple[str, str, str]) -> int:
    """As EventBridge counts it: source, detail-type and detail in UTF-8."""
    return sum(len(part.encode()) for part in entry)


class MemorySecrets(Watched):
    """Every name stands for a text that comes from nowhere else, so that it can be looked for."""

    MARK = "canary-in-the-mine-of-"

    def __init__(self, calls: Calls | None = None) -> None:
        self.calls = calls

    @watched("secrets.get")
    def get(self, tenant: str, name: str, *, anew: bool = False) -> str:
        return f"{self.MARK}{tenant}-{name}"


class MemoryCloud:
    """All ports over one clock, with one listener to their calls."""

    def __init__(self, clock: ManualClock | None = None, calls: Calls | None = None) -> None:
        self.clock = clock or ManualClock()
        self.store = MemoryStore(calls)
        self.lanes = MemoryLanes(self.clock, calls)
        self.bus = MemoryBus(self.lanes, self.clock, calls)
        self.blobs = MemoryBlobs(calls)
        self.inbox = MemoryBlobs(calls)
        self.secrets = MemorySecrets(calls)

    def listen(self, calls: Calls | None) -> None:
        """From now on `calls` is told of every call of every port; None: nobody is."""
        for port in (self.store, self.lanes, self.bus, self.blobs, self.inbox, self.secrets):
            port.calls = calls
