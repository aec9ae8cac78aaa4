"""How the answers of AWS become the engine's errors. Every call of an adapter goes through `ask`.

The world's fault (throttled, unreachable, timed out, 5xx) is `Unavailable`: the queue delivers again. A request that AWS
calls malformed is a bug of the caller's and becomes a ValueError. Anything else (no permission, no such table) stays the
ClientError that it is: its sentence names the operation and the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError, ConnectionError, CredentialRetrievalError, HTTPClientError, IncompleteReadError

from ..core.errors import Unavailable

_OUTAGES = frozenset(
    {
        "InternalFailure",
        "InternalServerError",
        "KMS.ThrottlingException",
        "KmsThrottled",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TransactionConflictException",
    }
)
_BUGS = frozenset(
    {
        "AWS.SimpleQueueService.BatchRequestTooLong",
        "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        "EntityTooLarge",
        "InvalidMessageContents",
        "InvalidParameterValue",
        "SerializationException",
        "ValidationException",
    }
)


def ask(operation: Callable[..., Any], **parameters: Any) -> Any:
    """One call. Raises Unavailable, ValueError, or the ClientError itself."""
    try:
        return operation(**parameters)
    except ClientError as error:
        if is_outage(error):
            raise Unavailable(str(error)) from error
        if code_of(error) in _BUGS:
            raise ValueError(str(error)) from error
        raise
    except (HTTPClientError, IncompleteReadError, ConnectionError, CredentialRetrievalError) as error:
        raise Unavailable(str(error)) from error


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def is_outage(error: ClientError) -> bool:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return code_of(error) in _OUTAGES or status >= 500 or status == 429
