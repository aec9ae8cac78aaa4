"""Taking messages out of queues, for a worker that no event source mapping feeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from .calls import ask, code_of
from .sqs import NO_LONGER_IN_HAND

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class AwsTaking:
    def __init__(self, client: SQSClient, queue_urls: Mapping[str, str]) -> None:
        """`queue_urls`: by logical name (topology.py)."""
        self._client = client
        self._urls = queue_urls

    def take(self, queue: str, wait_s: int) -> dict[str, Any] | None:
        """A record as an event source mapping would hand it over; None: there was none within `wait_s` (1 s at least asks all of
        SQS's servers). Raises Unavailable."""
        url = self._urls[queue]
        answer = ask(
            self._client.receive_message,
            QueueUrl=url,
            MaxNumberOfMessages=1,
            WaitTimeSeconds=wait_s,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        for message in answer.get("Messages", ()):
            return {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message.get("Attributes", {}),
                "eventSourceARN": f"arn:aws:sqs:::{url.rpartition('/')[2]}",
            }
        return None

    def done(self, queue: str, receipt: str) -> None:
        """Acknowledge. One that is in somebody else's hand by now is left alone. Raises Unavailable."""
        try:
            ask(self._client.delete_message, QueueUrl=self._urls[queue], ReceiptHandle=receipt)
        except ClientError as error:
            if code_of(error) not in NO_LONGER_IN_HAND:
                raise
