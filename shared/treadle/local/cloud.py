"""An AWS account on this machine: topology.py rendered into moto.

Each `Cloud` is an account of its own within the process, so several may be open at once. The first one has moto's default
account, and so any boto3 client that a user makes while it is open sees the very same table, queues and buckets.
Nothing here ever reaches the network: credentials are invented, and moto answers all of AWS's addresses.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import TracebackType
from typing import Any

import botocore.session
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sqs.models import sqs_backends

from .. import aws, topology
from ..aws.values import from_wire_item
from ..core.resources import DEFAULT_POOL, Pool
from ..engine.triggers import LISTED
from ..ports import Item
from . import express, patches
from .clock import LocalClock
from .queue import DeepQueue

PREFIX = "treadle"
REGION = express.REGION
_RETENTION_S = 14 * 86_400

_accounts_in_use: set[str] = set()
_accounts_lock = threading.Lock()
_session_lock = threading.Lock()


class Cloud:
    """Use it as a context manager. `on_message(visible_from_ms)` is called, with moto's lock held, for each message that came
    or changed its visibility."""

    def __init__(
        self, clock: LocalClock | None = None, rules: Sequence[topology.Rule] = (), pools: tuple[Pool, ...] = (DEFAULT_POOL,)
    ) -> None:
        self.clock = clock or LocalClock()
        self._rules = (*topology.RULES, *rules)  # those that a configuration asks for as well
        self.declared, self.consumed = topology.queues(pools), topology.consumed(pools)
        self.functions = {function.name: function for function in topology.functions(pools, containers=True)}
        self.on_message: Callable[[int], None] = lambda visible_from_ms: None
        self.on_dead_letter: Callable[[str], None] = lambda queue: None  # told with the lock held
        self.account = ""
        self.names: topology.Names
        self.clients: aws.Clients
        self.queues: dict[str, DeepQueue] = {}  # by logical name; dead-letter queues as NAME-dlq

    def __enter__(self) -> Cloud:
        patches.MOCK.enter()
        self.account = _take_account()
        patches.register(self.account, self.clock)
        self.clients = self.connect()
        self.names = topology.Names(
            table=PREFIX,
            bus=PREFIX,
            blobs=f"{PREFIX}-blobs-{self.account}",
            inbox=f"{PREFIX}-inbox-{self.account}",
            queue_urls={queue.name: self._url(queue.name) for queue in self.consumed},
        )
        self._render()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        patches.forget(self.account)
        patches.MOCK.leave()
        with _accounts_lock:
            _accounts_in_use.discard(self.account)

    def connect(self) -> aws.Clients:
        """Clients of this account. Hooks that are put on them (`client.meta.events`) see their calls only."""
        return _Clients(self.account)

    def adapters(self, clients: aws.Clients | None = None) -> aws.Adapters:
        return aws.connect(self.names, clients=clients or self.clients)

    def client(self, service: str, config: Any = None) -> Any:
        """A boto3 client of this account for any service that moto has here: what the task `aws` works with."""
        with _session_lock:
            client = _session().create_client(service, config=config)
        express.connect(client, self.account)
        return client

    def _url(self, queue: str) -> str:
        return f"https://sqs.{REGION}.amazonaws.com/{self.account}/{PREFIX}-{queue}"

    # ------------------------------------------------------------------------------------------- what is deployed

    def _render(self) -> None:
        self._make_table()
        for queue in self.declared:
            self._make_queue(queue)
        self.clients.events.create_event_bus(Name=self.names.bus)
        for rule in self._rules:
            self._make_rule(rule)
        for bucket in (self.names.blobs, self.names.inbox):
            self.clients.s3.create_bucket(Bucket=bucket)
        self.clients.s3.put_bucket_notification_configuration(
            Bucket=self.names.inbox, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )

    def _make_table(self) -> None:
        kinds = {"pk": "S", "sk": "S"}
        for index in topology.INDEXES:
            kinds |= {index.hash_key: index.hash_type, index.range_key: index.range_type}
        self.clients.dynamodb.create_table(
            TableName=self.names.table,
            KeySchema=_key_schema("pk", "sk"),
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in kinds.items()],  # type: ignore[typeddict-item]
            GlobalSecondaryIndexes=[
                {"IndexName": index.name, "KeySchema": _key_schema(index.hash_key, index.range_key), "Projection": _projection(index)}
                for index in topology.INDEXES
            ],
            BillingMode="PAY_PER_REQUEST",
        )

    def _make_queue(self, queue: topology.Queue) -> None:
        dead = self._create_queue(queue.name + topology.DEAD, {"VisibilityTimeout": str(topology.VISIBILITY_S)})
        dead.on_message = lambda visible_from_ms: self._died(queue.name, visible_from_ms)
        redrive = {"deadLetterTargetArn": dead.queue_arn, "maxReceiveCount": queue.max_receives}
        self._create_queue(queue.name, {"VisibilityTimeout": str(queue.visibility_s), "RedrivePolicy": json.dumps(redrive)})

    def _create_queue(self, name: str, attributes: dict[str, str]) -> DeepQueue:
        kept = {"MessageRetentionPeriod": str(_RETENTION_S), **attributes}
        self.clients.sqs.create_queue(QueueName=f"{PREFIX}-{name}", Attributes=kept)  # type: ignore[arg-type]
        with patches.LOCK:
            queue = DeepQueue.adopt(sqs_backends[self.account][REGION].queues[f"{PREFIX}-{name}"], self.clock.now, self._message)
        self.queues[name] = queue
        return queue

    def _message(self, visible_from_ms: int) -> None:
        self.on_message(visible_from_ms)

    def _died(self, queue: str, visible_from_ms: int) -> None:
        self.on_dead_letter(queue)
        self.on_message(visible_from_ms)

    def _make_rule(self, rule: topology.Rule) -> None:
        bus = self.names.bus if rule.bus == "engine" else "default"
        pattern = json.dumps(rule.pattern).replace("{inbox}", self.names.inbox)
        self.clients.events.put_rule(Name=f"{PREFIX}-{rule.name}", EventBusName=bus, EventPattern=pattern)
        target = {"Id": rule.to, "Arn": self.queues[rule.to].queue_arn}
        self.clients.events.put_targets(Rule=f"{PREFIX}-{rule.name}", EventBusName=bus, Targets=[target])  # type: ignore[list-item]

    # ------------------------------------------------------------------- what the pump wants to know, within the lock

    def is_ready(self, queue: str) -> bool:
        """Some message of the queue is visible now."""
        visible_from = self.queues[queue].next_visible_ms()
        return visible_from is not None and visible_from <= self.clock.now()

    def next_visible_ms(self) -> int | None:
        """When the first message of all queues that have a consumer is (or was) visible; None: there is no message."""
        moments = [self.queues[queue.name].next_visible_ms() for queue in self.consumed]
        return min((moment for moment in moments if moment is not None), default=None)

    def next_due_ms(self, *, schedules: bool = True, over: bool = False) -> int | None:
        """The earliest `due` of the sparse index, with or without those of workflows' schedules and of runs whose time will be over;
        None: nothing is due, ever."""
        with patches.request_of(self.account):
            table = patches.fast_table(self.account, REGION, self.names.table)
            below = topology.DUE_SHARDS * (2 if over else 1)
            return table.earliest(topology.DUE.name, below=below, but_not=None if schedules else LISTED)

    def items(self) -> list[Item]:
        """All there are in the table: for whoever looks whether something was left over."""
        with patches.request_of(self.account):
            return [from_wire_item(wire) for wire in patches.fast_table(self.account, REGION, self.names.table).everything()]

    def dead_letters(self) -> dict[str, int]:
        """Logical queue name -> messages that were given up, and are not yet written down in the table."""
        return {queue.name: len(self.queues[f"{queue.name}-dlq"]) for queue in self.declared if len(self.queues[f"{queue.name}-dlq"])}


class _Clients(aws.Clients):
    def __init__(self, account: str) -> None:
        super().__init__(_session())
        self._account = account

    def _make(self, service: str) -> Any:
        with _session_lock:  # the session is the whole process's
            client = super()._make(service)
        express.connect(client, self._account)
        return client


def _take_account() -> str:
    with _accounts_lock:
        account = DEFAULT_ACCOUNT_ID
        while account in _accounts_in_use:
            account = str(int(account) + 1)
        _accounts_in_use.add(account)
        return account


@lru_cache(maxsize=1)
def _session() -> botocore.session.Session:
    """One for the process: reading the service models is what makes a first client slow."""
    session = botocore.session.get_session()
    session.set_credentials("local", "local")  # moto takes any
    session.set_config_variable("region", REGION)
    return session


def _key_schema(hash_key: str, range_key: str) -> Any:
    return [{"AttributeName": hash_key, "KeyType": "HASH"}, {"AttributeName": range_key, "KeyType": "RANGE"}]


def _projection(index: topology.Index) -> Any:
    if index.includes is None:
        return {"ProjectionType": "KEYS_ONLY"}
    return {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(index.includes)}
