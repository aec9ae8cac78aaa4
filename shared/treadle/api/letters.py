"""What each route about dead letters does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import shapes
from .calls import Reply, Request

if TYPE_CHECKING:
    from ..operations import Operations


def page(request: Request, operations: Operations) -> Reply:
    query: shapes.LettersQuery = request.query
    letters = operations.dead_letters
    items, after = letters.page(request.tenant, queue=query.queue, run=query.run, limit=query.limit, cursor=query.cursor)
    return Reply({"items": items, "next": after})


def show(request: Request, operations: Operations) -> Reply:
    return Reply(operations.dead_letters.show(request.tenant, request.path["letter"]))


def redrive(request: Request, operations: Operations) -> Reply:
    wanted: shapes.Redrive = request.body
    return Reply(
        operations.dead_letters.redrive(
            request.tenant, only=wanted.letters, queue=wanted.queue, run=wanted.run, cursor=wanted.cursor, by=request.by
        )
    )


def drop(request: Request, operations: Operations) -> Reply:
    letter, reason = request.path["letter"], request.body.reason
    return Reply(operations.dead_letters.drop(request.tenant, letter, by=request.by, reason=reason))
