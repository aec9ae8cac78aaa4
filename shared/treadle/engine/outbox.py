"""The outbox: a queue in which events wait while the bus cannot be reached. What follows from them follows late, and nothing is lost.

Runs go on meanwhile: what a step makes ready is found out where the step ended, not by way of the bus.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.errors import Corrupted
from ..core.model import SCHEMA
from ..ports import Bus, Event, Message
from ..topology import OUTBOX

PAUSE_MS = 15_000  # after a failure the bus is left alone so long: a step does not wait for a bus that does not answer
KIND = "event"
_FIELDS = {"kind": str, "id": str, "run_id": str, "time": int, "data": dict, "source": str}


def message(event: Event) -> Message:
    return Message(OUTBOX, {"schema": SCHEMA, "kind": KIND, "event": {name: getattr(event, name) for name in _FIELDS}})


def relay(bus: Bus, body: Mapping[str, Any]) -> None:
    """Put what waited. Raises Unavailable: the bus is still down; Corrupted: no event."""
    told = body.get("event")
    if not isinstance(told, dict):
        raise Corrupted("a message of the outbox without an event")
    wrong = [name for name, kind in _FIELDS.items() if not isinstance(told.get(name), kind)]
    if wrong:
        raise Corrupted(f"a message of the outbox whose event has no {wrong[0]}")
    bus.put([Event(**{name: told[name] for name in _FIELDS})])
