"""Callbacks: whoever has an attempt's token ends it, or says that it goes on. The token is the credential; there is no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from ..auth import Principal
from .calls import Reply, Request
from .shapes import Shape

if TYPE_CHECKING:
    from ..operations import Operations


class Success(Shape):
    output: Any = Field(None, description="Any JSON: the result of the step's action.")


class Failure(Shape):
    """An error, as a task raises it."""

    name: Annotated[str, Field(min_length=1, max_length=200, description="What `retry` and `catch` go by.")]
    message: Annotated[str, Field(max_length=4096)] = ""
    details: Any = None
    permanent: bool = Field(False, description="No other attempt, unless the step's `retry` names the error.")


class Beat(Shape):
    details: Any = Field(None, description="For the caller's own logs; nothing is kept of it.")


def whoever_has(token: str, operations: Operations) -> Principal:
    """Nobody by name, with no rights beyond the one attempt. Raises NotFound."""
    operations.know(token)
    return Principal("callback", "", frozenset())


def succeed(request: Request, operations: Operations) -> Reply:
    operations.succeed(request.path["token"], request.body.output)
    return Reply({})


def fail(request: Request, operations: Operations) -> Reply:
    told: Failure = request.body
    operations.fail(request.path["token"], told.name, told.message, told.details, permanent=told.permanent)
    return Reply({})


def heartbeat(request: Request, operations: Operations) -> Reply:
    operations.heartbeat(request.path["token"])
    return Reply({})
