"""Every port twice: in memory, and the adapter for AWS against moto as it comes. What both do is the contract.

The queues are told what arrived in them through a `Mailbox`, because how one looks into a queue is not part of the port.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from threading import RLock
from typing import Any, Protocol

import pytest
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber
from treadle import topology
from treadle.aws import Adapters, Clients, connect
from treadle.ports import Blobs, Bus, Lanes, Store
from treadle.simulation.memory import MemoryCloud
from treadle.simulation.patterns import with_names

BACKENDS = ("memory", "moto")
NAMES = {"table": "treadle", "bus": "treadle", "blobs": "treadle-blobs", "inbox": "treadle-inbox"}


@dataclass(frozen=True)
class Mail:
    receipt: str
    body: dict[str, Any]
    group: str | None


class Mailbox(Protocol):
    def receive(self, queue: str) -> list[Mail]: ...

    def hidden(self, queue: str) -> int:
        """Messages that are there but delayed or in somebody's hand."""
        ...


@dataclass(frozen=True)
class World:
    """The ports of one back end, and eyes for its queues."""

    store: Store
    lanes: Lanes
    bus: Bus
    blobs: Blobs
    mailbox: Mailbox


@pytest.fixture(params=BACKENDS)
def world(request: pytest.FixtureRequest) -> World:
    return request.getfixturevalue(f"{request.param}_world")  # type: ignore[no-any-return]


@pytest.fixture
def memory_world() -> World:
    cloud = MemoryCloud()
    return World(cloud.store, cloud.lanes, cloud.bus, cloud.blobs, MemoryMailbox(cloud))


@pytest.fixture
def moto_world(moto_clients: Clients) -> World:
    adapters = deploy(moto_clients)
    return World(adapters.store, adapters.lanes, adapters.bus, adapters.blobs, SqsMailbox(moto_clients, adapters))


@pytest.fixture(scope="session")
def clients() -> Clients:
    """Made once: it takes longer than most tests."""
    return Clients()


@pytest.fixture
def moto_clients(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    # moto runs in the threads of its callers and checks conditions without a lock; DynamoDB does not.
    lock, unlocked = RLock(), BotocoreStubber.process_request

    def locked(self: BotocoreStubber, *args: Any, **kwargs: Any) -> Any:
        with lock:
            return unlocked(self, *args, **kwargs)

    monkeypatch.setattr(BotocoreStubber, "process_request", locked)
    with mock_aws():
        yield clients


class MemoryMailbox:
    def __init__(self, cloud: MemoryCloud) -> None:
        self._lanes = cloud.lanes

    def receive(self, queue: str) -> list[Mail]:
        return [Mail(each.receipt, json.loads(each.body), each.attributes.get("MessageGroupId")) for each in self._lanes.receive(queue)]

    def hidden(self, queue: str) -> int:
        return len(self._lanes.bodies(queue)) - len(self._lanes.visible(queue))


class SqsMailbox:
    def __init__(self, clients: Clients, adapters: Adapters) -> None:
        self._sqs = clients.sqs
        self._adapters = adapters

    def receive(self, queue: str) -> list[Mail]:
        url = self._sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        answer = self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"], WaitTimeSeconds=0)
        return [
            Mail(each["ReceiptHandle"], json.loads(each["Body"]), each["Attributes"].get("MessageGroupId"))
            for each in answer.get("Messages", ())
        ]

    def hidden(self, queue: str) -> int:
        url = self._sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        counts = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return int(counts["ApproximateNumberOfMessagesDelayed"]) + int(counts["ApproximateNumberOfMessagesNotVisible"])


# ---------------------------------------------------------------------------------------- the topology, put into moto


def deploy(clients: Clients) -> Adapters:
    """As much of the topology as the ports touch."""
    create_table(clients)
    urls = {}
    for queue in topology.QUEUES:
        attributes: Any = {"VisibilityTimeout": str(topology.VISIBILITY_S)}
        urls[queue.name] = clients.sqs.create_queue(QueueName=queue.name, Attributes=attributes)["QueueUrl"]
    create_bus(clients)
    for bucket in (NAMES["blobs"], NAMES["inbox"]):
        clients.s3.create_bucket(Bucket=bucket)
    return connect(topology.Names(**NAMES, queue_urls=urls), clients=clients)


def create_table(clients: Clients) -> None:
    types = {"pk": "S", "sk": "S"}
    for index in topology.INDEXES:
        types |= {index.hash_key: index.hash_type, index.range_key: index.range_type}
    clients.dynamodb.create_table(
        TableName=NAMES["table"],
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()],  # type: ignore[typeddict-item]
        KeySchema=key_schema("pk", "sk"),
        GlobalSecondaryIndexes=[
            {"IndexName": index.name, "KeySchema": key_schema(index.hash_key, index.range_key), "Projection": projection(index)}
            for index in topology.INDEXES
        ],
    )


def key_schema(hash_key: str, range_key: str) -> Any:
    return [{"AttributeName": hash_key, "KeyType": "HASH"}, {"AttributeName": range_key, "KeyType": "RANGE"}]


def projection(index: topology.Index) -> Any:
    if index.includes is None:
        return {"ProjectionType": "KEYS_ONLY"}
    return {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(index.includes)}


def create_bus(clients: Clients) -> None:
    clients.events.create_event_bus(Name=NAMES["bus"])
    for rule in topology.RULES:
        bus = NAMES["bus"] if rule.bus == "engine" else "default"
        pattern = json.dumps(with_names(rule.pattern, NAMES))
        clients.events.put_rule(Name=rule.name, EventBusName=bus, EventPattern=pattern)
        target = {"Id": "queue", "Arn": f"arn:aws:sqs:us-east-1:123456789012:{rule.to}"}
        clients.events.put_targets(Rule=rule.name, EventBusName=bus, Targets=[target])  # type: ignore[list-item]
