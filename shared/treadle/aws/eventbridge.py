"""The bus in EventBridge: `ports.Bus`. Each event is one entry, a CloudEvent in its detail."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..batches import batches
from ..ports import Event
from .calls import ask
from .entries import Entry, Refusals, deliver

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient


class AwsBus:
    def __init__(self, client: EventBridgeClient, bus: str) -> None:
        self._client = client
        self._bus = bus

    def put(self, events: Sequence[Event]) -> None:
        for batch in batches([self._to_entry(event) for event in events], _size_bytes):
            deliver(batch, self._put)

    def _put(self, entries: list[Entry]) -> Refusals:
        results = ask(self._client.put_events, Entries=entries)["Entries"]
        return [(entry, result["ErrorCode"]) for entry, result in zip(entries, results, strict=True) if "ErrorCode" in result]

    def _to_entry(self, event: Event) -> Entry:
        detail = json.dumps(event.to_cloud_event(), ensure_ascii=False, separators=(",", ":"))
        return {"EventBusName": self._bus, "Source": event.source, "DetailType": event.kind, "Detail": detail}


def _size_bytes(entry: Entry) -> int:
    """As EventBridge counts it: source, detail-type and detail in UTF-8."""
    return len(entry["Source"].encode()) + len(entry["DetailType"].encode()) + len(entry["Detail"].encode())
