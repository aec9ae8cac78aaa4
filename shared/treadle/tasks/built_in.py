"""The tasks that are always there. What reaches outside is imported when it is first run: a worker's cold start does without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..core.model import Json
from .allowed import NOTHING, Allowed

if TYPE_CHECKING:
    from .lambda_ import Invoke
    from .registry import TaskContext

OUTWARD = ("http", "lambda", "aws")


@dataclass(eq=False)
class Outside:
    """What the built-in tasks may reach and by what: `clients` makes boto3 clients, `invoke` invokes Lambdas, `resolve` finds
    addresses; each as the worker's own environment does it where it is None. `is_on`: False where there are no such tasks at all."""

    allowed: Allowed = NOTHING
    clients: Callable[[str, Any], Any] | None = None
    invoke: Invoke | None = None
    resolve: Callable[[str, int], list[str]] | None = None
    is_on: bool = True

    def tasks(self) -> Iterator[tuple[str, Callable[[Json, TaskContext], Json]]]:
        if not self.is_on:
            return
        yield "http", lambda given, context: self._http(given)
        yield "lambda", lambda given, context: self._lambda(given, context)
        yield "aws", lambda given, context: self._aws(given)

    @cached_property
    def _http(self) -> Callable[[Json], Json]:
        from . import http

        return http.Http(self.allowed, resolve=self.resolve or http.resolve)

    @cached_property
    def _aws(self) -> Callable[[Json], Json]:
        from . import aws

        return aws.Aws(self.allowed, self.clients or aws.boto3_client)

    @cached_property
    def _lambda(self) -> Callable[[Json, TaskContext], Json]:
        from . import aws, lambda_

        return lambda_.Lambda(self.allowed, self.invoke or lambda_.invoker(self.clients or aws.boto3_client))
