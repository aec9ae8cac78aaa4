"""The lanes in SQS: `ports.Lanes`. Queues are standard; a message group there only means fairness between tenants."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from ..batches import batches
from ..ports import Message
from .calls import ask, code_of
from .entries import Entry, Refusals, deliver

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

NO_LONGER_IN_HAND = frozenset({"AWS.SimpleQueueService.MessageNotInflight", "MessageNotInflight", "ReceiptHandleIsInvalid"})


class AwsLanes:
    def __init__(self, client: SQSClient, queue_urls: Mapping[str, str]) -> None:
        """`queue_urls`: by logical name (topology.py)."""
        self._client = client
        self._urls = queue_urls

    def send(self, messages: Sequence[Message]) -> None:
        by_queue: defaultdict[str, list[Entry]] = defaultdict(list)
        for message in messages:
            by_queue[message.queue].append(_to_entry(message))
        for queue, entries in by_queue.items():
            for batch in batches(entries, lambda entry: len(entry["MessageBody"].encode())):
                deliver(batch, lambda some, url=self._urls[queue]: self._send(url, some))  # type: ignore[misc]

    def _send(self, url: str, entries: list[Entry]) -> Refusals:
        numbered = [{"Id": str(number), **entry} for number, entry in enumerate(entries)]
        answer = ask(self._client.send_message_batch, QueueUrl=url, Entries=numbered)
        failed = answer.get("Failed", ())
        for failure in failed:
            if failure["SenderFault"]:
                raise ValueError(f"SQS refuses a message: {failure['Code']} {failure.get('Message', '')}")
        return [(entries[int(failure["Id"])], failure["Code"]) for failure in failed]

    def defer(self, queue: str, receipt: str, delay_s: int) -> None:
        """A message that is no longer in hand is left alone: somebody else has it, or nobody needs it."""
        try:
            ask(self._client.change_message_visibility, QueueUrl=self._urls[queue], ReceiptHandle=receipt, VisibilityTimeout=delay_s)
        except ClientError as error:
            if code_of(error) not in NO_LONGER_IN_HAND:
                raise


def _to_entry(message: Message) -> Entry:
    entry: Entry = {"MessageBody": json.dumps(message.body, ensure_ascii=False, separators=(",", ":"))}
    if message.delay_s:
        entry["DelaySeconds"] = message.delay_s
    if message.group is not None:
        entry["MessageGroupId"] = message.group
    return entry
