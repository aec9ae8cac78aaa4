"""What a Lambda function is given: events as an SQS event source mapping and the scheduler make them, and a context."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import topology
from .wire import new_id

FUNCTIONS: Mapping[str, topology.Function] = {function.name: function for function in topology.FUNCTIONS}


@dataclass(frozen=True, slots=True)
class Context:
    """Lambda's context object, as far as Python code may rely on it."""

    function_name: str
    memory_limit_in_mb: int
    timeout_s: float
    invoked_function_arn: str
    aws_request_id: str = field(default_factory=new_id)
    function_version: str = "$LATEST"
    log_group_name: str = "local"
    log_stream_name: str = "local"
    identity: None = None
    client_context: None = None
    _began: float = field(default_factory=time.monotonic)

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._began + self.timeout_s - time.monotonic()) * 1000))


def context_of(it: topology.Function, region: str, account: str) -> Context:
    return Context(it.name, it.memory_mb, it.timeout_s, f"arn:aws:lambda:{region}:{account}:function:treadle-{it.name}")


def sqs_event(messages: Sequence[Mapping[str, Any]], queue_arn: str, region: str) -> dict[str, Any]:
    """`messages`: as ReceiveMessage gives them, with all attributes."""
    return {"Records": [_record(message, queue_arn, region) for message in messages]}


def _record(message: Mapping[str, Any], queue_arn: str, region: str) -> dict[str, Any]:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message["Attributes"]),
        "messageAttributes": {},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": region,
    }


def failed_ids(answer: Any) -> frozenset[str]:
    """The messages that the answer of an SQS consumer hands back. Raises ValueError for an answer that Lambda would take as
    the failure of the whole batch."""
    failures = (answer or {}).get("batchItemFailures") or []
    ids = [failure.get("itemIdentifier") for failure in failures]
    if not all(isinstance(id, str) and id for id in ids):
        raise ValueError(f"batchItemFailures without itemIdentifier: {answer!r}")
    return frozenset(ids)
