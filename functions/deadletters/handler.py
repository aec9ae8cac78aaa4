"""What was delivered too often: kept in the table, and the run that it belongs to is told. Fed by the dead-letter queues."""

from __future__ import annotations

from typing import Any

from treadle import wiring
from treadle.deliveries import dead, in_turn, partial_answer
from treadle.engine import letters


def take(record: dict[str, Any]) -> None:
    it = wiring.current()
    in_turn(record, lambda: letters.record(it.engine.world, it.tenant, dead(record)))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return partial_answer(event, take)
