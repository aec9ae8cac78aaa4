"""The task `lambda`: invokes a function that the deployment allows, and waits for what it returns or for its callback.

mode `wait` (default): the event is `payload` itself, so any function will do; who asks stands in the client context.
mode `callback`: the event is `{"payload": ..., "treadle": {token, url, run, step, attempt, idempotencyKey}}`, the invocation is
asynchronous, and the step ends when somebody posts to `url`/succeed or `url`/fail.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..core.errors import TaskError
from ..core.model import Json
from .allowed import Allowed
from .aws import Clients, named
from .later import LATER

if TYPE_CHECKING:
    from .registry import TaskContext

MAX_EVENT: Final = {"wait": 6 * 1024 * 1024, "callback": 1024 * 1024}  # bytes: Lambda's limits of the two kinds of invocation
OURS: Final = "treadle"  # key of what is told to a function beside its payload, and of an answer that means more than its value


@dataclass(frozen=True, slots=True)
class Invoked:
    """`answer`: the text that the function returned; empty for an asynchronous invocation. `failed`: it raised."""

    answer: bytes = b""
    failed: bool = False


class Invoke(Protocol):
    def __call__(self, function: str, event: bytes, *, waits: bool, about: Mapping[str, Any]) -> Invoked:
        """`about`: who asks, for the client context. Raises TaskError."""
        ...


class Lambda:
    """`invoke` may be given, so that a test needs no Lambda."""

    def __init__(self, allowed: Allowed, invoke: Invoke) -> None:
        self._allowed = allowed
        self._invoke = invoke

    def __call__(self, given: Json, context: TaskContext) -> Json:
        """Raises TaskError: InputInvalid, NotAllowed, PayloadTooLarge (permanent), Throttled, and what the function failed with."""
        function, payload, mode = _read(given)
        if not self._allowed.has_function(function):
            why = f"{function} is not on this deployment's list of functions (integration.allow.functions)"
            raise TaskError("NotAllowed", why, permanent=True)
        about = {"run": context.run_id, "step": context.step_id, "attempt": context.attempt, "idempotencyKey": context.idempotency_key}
        if mode == "wait":
            event = _event(payload, mode)
            return _result(function, self._invoke(function, event, waits=True, about=about))
        _event(payload, mode)  # refused before a token is made
        callback = context.callback()
        told = {"payload": payload, OURS: about | {"token": callback.token, "url": callback.url}}
        self._invoke(function, _event(told, mode), waits=False, about=about)
        return LATER


def _read(given: Json) -> tuple[str, Json, str]:
    if not isinstance(given, dict) or not given.keys() <= {"function", "payload", "mode"}:
        raise _invalid("takes an object of function, payload, mode")
    function, mode = given.get("function"), given.get("mode", "wait")
    if not isinstance(function, str) or not function:
        raise _invalid("function must be the name or the ARN of a Lambda")
    if not isinstance(mode, str) or mode not in MAX_EVENT:
        raise _invalid("mode must be wait or callback")
    return function, given.get("payload"), mode


def _invalid(what: str) -> TaskError:
    return TaskError("InputInvalid", f"lambda: {what}", permanent=True)


def _event(value: Json, mode: str) -> bytes:
    event = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    if len(event) > MAX_EVENT[mode]:
        raise TaskError("PayloadTooLarge", f"a payload has at most {MAX_EVENT[mode]} bytes in mode {mode}", permanent=True)
    return event


def _result(function: str, invoked: Invoked) -> Json:
    try:
        answer = json.loads(invoked.answer) if invoked.answer else None
    except ValueError:
        raise TaskError("OutputInvalid", f"{function} answered with what is no JSON", permanent=True) from None
    if invoked.failed:
        told = answer if isinstance(answer, dict) else {}
        raise TaskError(str(told.get("errorType") or "TaskFailed"), str(told.get("errorMessage") or f"{function} failed"))
    if isinstance(answer, dict) and answer.keys() == {OURS}:
        return _told(answer[OURS])
    return answer


def _told(answer: Any) -> Json:
    """What `Task.handler` answers with: `{"output": ...}` or `{"error": {name, message, details, permanent}}`."""
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        error = answer["error"]
        name, message = str(error.get("name", "TaskFailed")), str(error.get("message", ""))
        raise TaskError(name, message, error.get("details"), bool(error.get("permanent")))
    return answer.get("output") if isinstance(answer, dict) else answer


def invoker(clients: Clients) -> Invoke:
    """By boto3. The client is made at the first call."""

    @cache
    def client() -> Any:
        from botocore.config import Config

        # A call that is given up is not made again here: the function may be running. The step's retry decides.
        return clients("lambda", Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=110))

    def invoke(function: str, event: bytes, *, waits: bool, about: Mapping[str, Any]) -> Invoked:
        asked: dict[str, Any] = {"FunctionName": function, "Payload": event, "InvocationType": "RequestResponse" if waits else "Event"}
        if waits:  # Lambda passes it on in synchronous invocations only
            asked["ClientContext"] = base64.b64encode(json.dumps({"custom": {OURS: about}}).encode()).decode()
        with named("lambda.invoke"):
            answer = client().invoke(**asked)
            return Invoked(answer["Payload"].read(), "FunctionError" in answer)

    return invoke
