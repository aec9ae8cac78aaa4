"""The ports on AWS: the only place of the engine with an SDK.

The clients are botocore's, which are what boto3 hands out: what boto3 has beside them (resources, transfers) is a tenth of a cold start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from botocore.config import Config
from botocore.session import Session, get_session

from ..topology import Names
from .dynamodb import AwsStore
from .eventbridge import AwsBus
from .s3 import AwsBlobs
from .secrets import AwsSecrets
from .sqs import AwsLanes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

__all__ = ["Adapters", "AwsBlobs", "AwsBus", "AwsLanes", "AwsSecrets", "AwsStore", "Clients", "connect"]

# Requests are small and all these services answer in milliseconds: a call that hangs is given up early, tried at most
# twice more, and then left to the queue. Parameters are not checked against the service models on the way out: the
# adapters are the only callers, and the check costs as much as the rest of a small call.
_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 3},
    connect_timeout=2,
    read_timeout=6,
    max_pool_connections=32,
    tcp_keepalive=True,
    parameter_validation=False,
)


class Clients:
    """One client per service, made by the first call (each costs some 50 ms of a cold start, and few invocations need all)."""

    def __init__(self, session: Session | None = None, *, endpoint_url: str | None = None) -> None:
        self._session = session or get_session()
        self._endpoint_url = endpoint_url
        self._lock = Lock()  # a session makes one client at a time
        self.dynamodb = cast("DynamoDBClient", _OnFirstUse(self._make, "dynamodb"))
        self.sqs = cast("SQSClient", _OnFirstUse(self._make, "sqs"))
        self.events = cast("EventBridgeClient", _OnFirstUse(self._make, "events"))
        self.s3 = cast("S3Client", _OnFirstUse(self._make, "s3"))
        self.secrets = cast("SecretsManagerClient", _OnFirstUse(self._make, "secretsmanager"))
        self.sns: Any = _OnFirstUse(self._make, "sns")

    def _make(self, service: str) -> Any:
        with self._lock:
            return self._session.create_client(service, config=_CONFIG, endpoint_url=self._endpoint_url)


class _OnFirstUse:
    """Stands for a client until something is asked of it."""

    def __init__(self, make: Callable[[str], Any], service: str) -> None:
        self._make = make
        self._service = service

    @cached_property
    def _client(self) -> Any:
        return self._make(self._service)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@dataclass(frozen=True, slots=True, eq=False)
class Adapters:
    store: AwsStore
    lanes: AwsLanes
    bus: AwsBus
    blobs: AwsBlobs
    inbox: AwsBlobs  # what users drop in; only read
    secrets: AwsSecrets


def connect(names: Names, *, clients: Clients | None = None) -> Adapters:
    """The ports of a deployment. No call is made and no client built yet."""
    clients = clients or Clients()
    return Adapters(
        store=AwsStore(clients.dynamodb, names.table),
        lanes=AwsLanes(clients.sqs, names.queue_urls),
        bus=AwsBus(clients.events, names.bus),
        blobs=AwsBlobs(clients.s3, names.blobs),
        inbox=AwsBlobs(clients.s3, names.inbox),
        secrets=AwsSecrets(clients.secrets, names.secrets),
    )
