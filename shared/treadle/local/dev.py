"""`treadle dev`: the whole engine on this machine, with its HTTP API and AWS's own on two ports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..auth import DevelopmentKey, Role
from ..tasks import Outside
from .endpoint import AwsEndpoint
from .http import HttpServer
from .secrets import Values
from .stack import TENANT, Config, Stack


@dataclass(frozen=True, slots=True)
class Dev:
    """`url`: of the HTTP API, without `/v1`. `token`: of an administrator. `endpoint_url`: for boto3 and `aws --endpoint-url`.
    `bus`, `inbox`: what submissions from outside are sent to and dropped into."""

    url: str
    token: str
    endpoint_url: str
    bus: str
    inbox: str
    key: DevelopmentKey
    stack: Stack

    def token_of(self, name: str, roles: Iterable[str]) -> str:
        """Of somebody else who may do what the roles allow."""
        return self.key.token(name, tenant=TENANT, roles=tuple(map(Role, roles)))


@contextmanager
def serve(
    port: int = 0,
    *,
    tasks: Any = (),
    config: Config = None,
    skip_time: bool = False,
    aws_port: int = 0,
    outside: Outside | None = None,
    secrets: Values | None = None,
) -> Iterator[Dev]:
    """Ports of this machine only; 0: any free one. Raises OSError for a port that is taken, ImportError for tasks."""
    key = DevelopmentKey()
    with (
        Stack(tasks, config=config, skip_time=skip_time, outside=outside, secrets=secrets) as stack,
        HttpServer(stack.request, key.verifier, port) as api,
        AwsEndpoint(stack.cloud.account, aws_port) as endpoint,
    ):
        names = stack.cloud.names
        stack.wiring.engine.world.url = api.url
        yield Dev(api.url, key.token(tenant=TENANT), endpoint.url, names.bus, names.inbox, key, stack)
