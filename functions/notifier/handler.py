"""Notifications: one target is told of one thing. Fed by the bus through a queue; what cannot be delivered comes again, later each time."""

from __future__ import annotations

from typing import Any

from treadle import wiring
from treadle.deliveries import in_turn, partial_answer
from treadle.engine import messages


def take(record: dict[str, Any]) -> None:
    attempt = int(record["attributes"]["ApproximateReceiveCount"])
    in_turn(record, lambda: wiring.current().notifier.take(messages.parsed(record["body"]), attempt))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return partial_answer(event, take)
