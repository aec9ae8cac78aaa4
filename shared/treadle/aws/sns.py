"""Topics in SNS: `notifications.Topics`."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from .calls import ask

MAX_SUBJECT = 100  # characters that SNS takes, of printable ASCII


class AwsTopics:
    def __init__(self, client: Any) -> None:
        self._client = client

    def publish(self, arn: str, subject: str, body: str, attributes: dict[str, str]) -> None:
        """Raises Unavailable; ValueError for what SNS refuses."""
        told: Any = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        plain = "".join(char if " " <= char <= "~" else "?" for char in subject)[:MAX_SUBJECT]
        try:
            ask(self._client.publish, TopicArn=arn, Subject=plain, Message=body, MessageAttributes=told)
        except ClientError as refused:
            raise ValueError(str(refused)) from refused
