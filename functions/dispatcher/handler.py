"""Workers: one message is one segment of a run. Fed by the lanes."""

from __future__ import annotations

from typing import Any

from treadle import wiring
from treadle.deliveries import deadline, in_turn, or_leave, partial_answer
from treadle.engine import messages


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    def work(record: dict[str, Any]) -> None:
        in_turn(record, lambda: wiring.current().engine.work(messages.of_lane(record["body"]), deadline(context)))

    return or_leave(event, partial_answer(event, work))
