"""Submissions by S3 and the bus: parse, validate, compile, start; or an event that says why not. Fed through a queue."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from treadle import wiring
from treadle.deliveries import in_turn
from treadle.engine import messages
from treadle.inbox import submit


def take(record: dict[str, Any]) -> None:
    in_turn(record, lambda: submit(wiring.current(), messages.parsed(record["body"])))


def handler(event: dict[str, Any], context: Any) -> Any:
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event, take, processor, context)
