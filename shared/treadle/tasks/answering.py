"""A task as a Lambda of its own: what the task `lambda` asks is answered in the shape that it understands.

Asked by anybody else, the event is the input and the result the output; an error is raised, as in any Lambda.
"""

from __future__ import annotations

import http.client
import json
import logging
import math
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ..core.errors import TaskError, Unavailable
from ..core.model import Json
from .lambda_ import OURS

if TYPE_CHECKING:
    from .registry import Task, TaskContext

TIMEOUT_S: Final = 10.0
BEAT_EVERY_S: Final = 1.0
_SETTLED: Final = (200, 404, 409, 410)  # taken, or of no use to say again

log = logging.getLogger("treadle.tasks")


def answer(task: Task, event: Any, context: Any) -> Any:
    """`event`, `context`: Lambda's. In mode `callback` the result is posted and None returned; Unavailable is raised when that
    failed for want of the API: Lambda then invokes the function again, at most twice."""
    if isinstance(event, dict) and event.keys() == {"payload", OURS} and isinstance(event[OURS], dict):
        _call_back(task, event["payload"], event[OURS], context)
        return None
    asked = _asked(context)
    if asked is None:
        return task.run(event, _context({}, context))
    return {OURS: _attempt(task, event, _context(asked, context))}


def _attempt(task: Task, given: Json, context: TaskContext) -> dict[str, Json]:
    """`{"output": ...}` or `{"error": ...}`"""
    try:
        output = task.run(given, context)
    except (Exception, SystemExit) as raised:  # noqa: BLE001 (a task's failure becomes a value here, too: the engine decides about it)
        return {"error": _error(task, raised)}
    try:
        json.dumps(output, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as fault:
        return {"error": {"name": "OutputInvalid", "message": f"the task's result is no JSON: {fault}", "permanent": True}}
    return {"output": output}


def _asked(context: Any) -> dict[str, Any] | None:
    """What the task `lambda` says of itself in the client context; None: somebody else asks."""
    custom = getattr(getattr(context, "client_context", None), "custom", None)
    told = custom.get(OURS) if isinstance(custom, dict) else None
    return told if isinstance(told, dict) else None


def _context(asked: dict[str, Any], context: Any) -> TaskContext:
    from .registry import TaskContext

    left_s = context.get_remaining_time_in_millis() / 1000 if hasattr(context, "get_remaining_time_in_millis") else TIMEOUT_S
    return TaskContext(
        run_id=str(asked.get("run", "")),
        step_id=str(asked.get("step", "")),
        attempt=int(asked.get("attempt", 1)),
        idempotency_key=str(asked.get("idempotencyKey") or getattr(context, "aws_request_id", "")),
        deadline=time.time() + left_s,
        logger=log,
    )


def _plain(details: Json) -> Json:
    """As JSON holds it, or its text."""
    try:
        json.dumps(details, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return repr(details)
    return details


def _error(task: Task, raised: BaseException) -> dict[str, Json]:
    if isinstance(raised, TaskError):
        permanent = raised.permanent or raised.name in task.permanent
        return {"name": raised.name, "message": raised.message, "details": _plain(raised.details), "permanent": permanent}
    name = type(raised).__name__
    return {"name": name, "message": str(raised), "permanent": name in task.permanent}


# ------------------------------------------------------------------------------------------------ mode callback


def _call_back(task: Task, payload: Json, asked: dict[str, Any], context: Any) -> None:
    url = asked.get("url")
    if not isinstance(url, str):
        raise TaskError("NoCallback", "the engine has no HTTP API to call back", permanent=True)
    own = _context(asked, context)

    own.heartbeat = beats = _Beats(url)
    own.is_cancelled = beats.is_cancelled
    told = _attempt(task, payload, own)
    if "error" in told:
        post(url, "fail", {name: value for name, value in told["error"].items() if value is not None})
    else:
        post(url, "succeed", told)


class _Beats:
    """What the engine answers to a heartbeat says whether anybody still waits. Asking beats as well, at most once a second."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._beat_at = -math.inf
        self._is_awaited = True

    def __call__(self, details: Json = None) -> bool:
        self._beat_at = time.monotonic()
        self._is_awaited = post(self._url, "heartbeat", {} if details is None else {"details": details}) == 200
        return self._is_awaited

    def is_cancelled(self) -> bool:
        if self._is_awaited and time.monotonic() - self._beat_at >= BEAT_EVERY_S:
            self()
        return not self._is_awaited


def post(url: str, verb: str, body: Json) -> int:
    """The status of the answer. Raises Unavailable for anything that may go better another time, ValueError for a URL that no
    engine gave. The URL is in no message: it holds the token."""
    parts = urlsplit(url)
    is_near = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if not parts.hostname or (parts.scheme != "https" and not (parts.scheme == "http" and is_near)):
        raise ValueError("a callback goes to an https address")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=TIMEOUT_S)
    try:
        content = json.dumps(body, ensure_ascii=False).encode()
        connection.request("POST", f"{parts.path}/{verb}", content, {"content-type": "application/json"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as fault:
        raise Unavailable(f"the engine cannot be reached: {type(fault).__name__}") from None
    finally:
        connection.close()
    if status not in _SETTLED:
        raise Unavailable(f"the engine answered {status}")
    if status != 200:
        log.warning("a callback was not taken", extra={"status": status, "verb": verb})
    return status
