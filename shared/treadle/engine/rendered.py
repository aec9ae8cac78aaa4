"""What a definition's templates gave for an event, a failure or a time, made sure of: a value may be anything.

All of it raises ExpressionFault for what cannot be used, so that the step fails and nothing else does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.errors import ExpressionFault
from ..core.expressions import as_text
from ..core.model import Json, StepError
from ..core.moments import from_rfc3339, rfc3339
from ..ports import Event
from ..topology import EVENT_SOURCE
from .items import encode
from .run import Run

MAX_MESSAGE = 4096  # characters
MAX_NAME = 128  # EventBridge: of a detail-type
MAX_SOURCE = 256
MAX_ASKED = 64 * 1024  # bytes of all names together; an item has at most 400 KB
MAX_EVENT = 200 * 1024  # bytes of a detail; EventBridge takes 256 KB with what stands around it


def failure(told: Mapping[str, Any]) -> StepError:
    """Of `fail`."""
    return shortened(StepError(_text(told["error"], "fail.error", MAX_MESSAGE), as_text(told.get("message", ""))))


def shortened(error: StepError) -> StepError:
    """No part of it is longer than an item can hold."""
    if len(error.message) <= MAX_MESSAGE:
        return error
    return StepError(error.name, error.message[: MAX_MESSAGE - 1] + "…", error.details, error.permanent)


def event(run: Run, told: Mapping[str, Any], identity: str) -> Event:
    """Of `emit`."""
    source = _text(told.get("source", "treadle.workflow"), "emit.source", MAX_SOURCE)
    if source == EVENT_SOURCE or source.startswith("aws."):
        raise ExpressionFault(f"emit.source gave {source[:40]!r}, which is reserved")
    detail = told.get("detail")
    size = len(encode(detail).encode())
    if size > MAX_EVENT:
        raise ExpressionFault(f"emit.detail has {size} bytes: an event has at most {MAX_EVENT}")
    return Event(_text(told["type"], "emit.type", MAX_NAME), identity, run.id, run.now, {} if detail is None else detail, source)


def moment(value: Json) -> int:
    """Of `wait.until`: ms."""
    try:
        until = from_rfc3339(value)
        rfc3339(until)  # in UTC the last hours of the year 9999 may be those of a year that no timestamp can name
        return until
    except (TypeError, ValueError, OverflowError):
        raise ExpressionFault(f"wait.until must give a timestamp, not {encode(value)[:100]}") from None


def question(told: Mapping[str, Any]) -> dict[str, Json]:
    """Of `approval`: who is asked, and what."""
    asked: dict[str, Json] = {}
    if "by" in told:
        asked["by"] = [_text(who, "approval.by", MAX_SOURCE) for who in told["by"]]
        if (size := len(encode(asked["by"]).encode())) > MAX_ASKED:
            raise ExpressionFault(f"approval.by names people in {size} bytes: it has at most {MAX_ASKED}")
    if "message" in told:
        asked["message"] = as_text(told["message"])[:MAX_MESSAGE]
    return asked


def _text(value: Json, what: str, most: int) -> str:
    if not isinstance(value, str) or not value:
        raise ExpressionFault(f"{what} must give a text that is not empty, not {encode(value)[:100]}")
    if len(value) > most:
        raise ExpressionFault(f"{what} gave a text of {len(value)} characters: it has at most {most}")
    return value
