"""Submissions by S3 and the bus: parse, validate, compile, start; or an event that says why not. Fed through a queue."""

from __future__ import annotations

from typing import Any

from treadle import wiring
from treadle.deliveries import in_turn, partial_answer
from treadle.engine import messages
from treadle.inbox import submit


def take(record: dict[str, Any]) -> None:
    in_turn(record, lambda: submit(wiring.current(), messages.parsed(record["body"])))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return partial_answer(event, take)
