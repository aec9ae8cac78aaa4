"""Events that the bus would not take: put as soon as it is back. Fed by the outbox queue, which is empty but for outages."""

from __future__ import annotations

from typing import Any

from treadle import wiring
from treadle.deliveries import in_turn, partial_answer
from treadle.engine import messages, outbox


def take(record: dict[str, Any]) -> None:
    bus = wiring.current().engine.world.bus
    in_turn(record, lambda: outbox.relay(bus, messages.of_this_version(messages.parsed(record["body"]))))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return partial_answer(event, take)
