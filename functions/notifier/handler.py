"""Notifications: one target is told of one thing. Fed by the bus through a queue; what cannot be delivered comes again, later each time."""

from __future__ import annotations

import json
from typing import Any

from treadle import wiring
from treadle.deliveries import in_turn, partial_answer


def take(record: dict[str, Any]) -> None:
    attempt = int(record["attributes"]["ApproximateReceiveCount"])
    in_turn(record, lambda: wiring.current().notifier.take(json.loads(record["body"]), attempt))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return partial_answer(event, take)
