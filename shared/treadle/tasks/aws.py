"""The task `aws`: one boto3 call that the deployment allows, its result as JSON.

Only what a service's model names can be called: no presigned URLs, no paginators, no attribute of a client that is no operation.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from functools import cache
from threading import Lock
from typing import Any, Final

from ..core.errors import TaskError
from ..core.model import Json
from .allowed import Allowed

MAX_BYTES: Final = 5 * 1024 * 1024  # of bytes in a result, streams included
Clients = Callable[[str, Any], Any]  # (service, botocore Config) -> its boto3 client

_one_at_a_time: Final = Lock()
_SERVICE: Final = re.compile(r"[a-z][a-z0-9-]{0,63}\Z")
_ACTION: Final = re.compile(r"[a-z][a-z0-9_]{0,127}\Z")
_THROTTLED: Final = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "SlowDown",
        "PriorRequestNotComplete",
        "EC2ThrottledException",
    }
)
_TOO_LARGE: Final = frozenset({"RequestTooLargeException", "EntityTooLarge", "RequestEntityTooLargeException", "PayloadTooLargeException"})
# No repetition mends these. Others may pass: the step's `retry` says how often it is tried.
_HOPELESS: Final = re.compile(
    r"(AccessDenied|Unauthorized|Forbidden|Validation|InvalidParameter|Malformed|UnrecognizedClient|InvalidSignature)"
)


def boto3_client(service: str, config: Any) -> Any:
    """Of the worker's own role and region."""
    import boto3

    with _one_at_a_time:  # boto3's default session is not for several threads
        return boto3.client(service, config=config)  # type: ignore[call-overload]


class Aws:
    """`clients` may be given, so that a test brings its own."""

    def __init__(self, allowed: Allowed, clients: Clients = boto3_client) -> None:
        self._allowed = allowed
        self._client = cache(lambda service: _client(clients, service))

    def __call__(self, given: Json) -> Json:
        """`{service, action, parameters?}`, as in `boto3.client(service).action(**parameters)`.

        Raises TaskError: InputInvalid, NotAllowed, PayloadTooLarge (permanent), Throttled, or the code that the service answered.
        """
        service, action, parameters = _read(given)
        if not self._allowed.has_action(service, action):
            told = f"{service}.{action} is not on this deployment's list of actions (integration.allow.actions)"
            raise TaskError("NotAllowed", told, permanent=True)
        with named(f"{service}.{action}"):
            client = self._client(service)
            if action not in client.meta.method_to_api_mapping:
                raise TaskError("InputInvalid", f"{service} has no action {action}", permanent=True)
            answer = getattr(client, action)(**parameters)
            answer.pop("ResponseMetadata", None)
            return as_json(answer, [MAX_BYTES])


def _read(given: Json) -> tuple[str, str, dict[str, Any]]:
    if not isinstance(given, dict) or not given.keys() <= {"service", "action", "parameters"}:
        raise _invalid("takes an object of service, action, parameters")
    service, action, parameters = given.get("service"), given.get("action"), given.get("parameters", {})
    if not isinstance(service, str) or not _SERVICE.match(service):
        raise _invalid("service must be the name that boto3 gives it, such as dynamodb")
    if not isinstance(action, str) or not _ACTION.match(action):
        raise _invalid("action must be the name that boto3 gives it, such as get_item")
    if not isinstance(parameters, dict):
        raise _invalid("parameters must be an object")
    return service, action, parameters


def _invalid(what: str) -> TaskError:
    return TaskError("InputInvalid", f"aws: {what}", permanent=True)


def _client(clients: Clients, service: str) -> Any:
    from botocore.config import Config

    return clients(service, Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=5, read_timeout=50))


@contextmanager
def named(call: str) -> Iterator[None]:
    """botocore's errors as a task's, by the service's own code."""
    from botocore import exceptions

    try:
        yield
    except exceptions.ClientError as fault:
        told = fault.response.get("Error", {})
        raise _of_service(call, str(told.get("Code") or "TaskFailed"), str(told.get("Message") or "")) from None
    except (exceptions.ParamValidationError, exceptions.UnknownServiceError) as fault:
        raise TaskError("InputInvalid", f"{call}: {fault}", permanent=True) from None
    except (TypeError, AttributeError) as fault:  # some of botocore's own handlers take types for granted
        raise TaskError("InputInvalid", f"{call}: {fault}", permanent=True) from None
    except (exceptions.ReadTimeoutError, exceptions.ConnectTimeoutError):
        raise TaskError("Timeout", f"{call} took too long") from None
    except exceptions.BotoCoreError as fault:
        raise TaskError(type(fault).__name__, f"{call}: {fault}") from None


def _of_service(call: str, code: str, message: str) -> TaskError:
    if code in _THROTTLED:
        return TaskError("Throttled", f"{call}: {message or code}", {"code": code})
    if code in _TOO_LARGE:
        return TaskError("PayloadTooLarge", f"{call}: {message or code}", {"code": code}, permanent=True)
    return TaskError(code, f"{call}: {message}", permanent=bool(_HOPELESS.search(code)))


def as_json(value: Any, left: list[int]) -> Json:
    """Times as RFC 3339, decimals as numbers, sets as sorted lists; bytes and streams as text, or as `{"base64": ...}` where they
    are none. `left`: the bytes that may still come. Raises TaskError PayloadTooLarge."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case dict():
            return {str(name): as_json(inner, left) for name, inner in value.items()}
        case list() | tuple():
            return [as_json(inner, left) for inner in value]
        case set() | frozenset():
            return [as_json(inner, left) for inner in sorted(value)]
        case datetime():
            return value.isoformat()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case bytes() | bytearray():
            return _text(bytes(value), left)
        case _ if hasattr(value, "read"):
            content = value.read(left[0] + 1)
            value.close()
            return _text(content, left)
    if hasattr(value, "close"):  # a stream of events: its connection must not stay open
        value.close()
    raise TaskError("OutputInvalid", f"the result has a {type(value).__name__}, which is no JSON", permanent=True)


def _text(content: bytes, left: list[int]) -> Json:
    left[0] -= len(content)
    if left[0] < 0:
        raise TaskError("PayloadTooLarge", f"the result has more than {MAX_BYTES} bytes", permanent=True)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}
