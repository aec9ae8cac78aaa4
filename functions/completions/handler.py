"""Completions that still need advancing: asynchronous results, and all successes under `advance: bus`. Fed by the bus through a queue."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from treadle import wiring
from treadle.deliveries import deadline, in_turn
from treadle.engine import messages


def take(record: dict[str, Any], lambda_context: Any) -> None:
    engine = wiring.current().engine
    in_turn(record, lambda: engine.completed(messages.of_bus(record["body"], messages.COMPLETED), deadline(lambda_context)))


def handler(event: dict[str, Any], context: Any) -> Any:
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event, take, processor, context)
