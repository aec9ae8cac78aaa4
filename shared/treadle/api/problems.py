"""Refusals as RFC 9457 problem documents. CATALOGUE has every code that the API answers with, and what it means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from ..core.errors import Rejected

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1


@dataclass(frozen=True, slots=True)
class Kind:
    status: int
    title: str


CATALOGUE: Mapping[str, Kind] = MappingProxyType(
    {
        # how the request is written
        "invalid-json": Kind(400, "The body is not JSON"),
        "invalid-encoding": Kind(400, "The body is not UTF-8"),
        "invalid-number": Kind(400, "A number is not finite, or an integer has more than 64 bits"),
        "duplicate-key": Kind(400, "An object has the same key twice"),
        "too-deep": Kind(400, "The body is nested too deeply"),
        "unsafe-yaml": Kind(400, "The YAML uses what is not allowed (anchors, tags, several documents)"),
        "unknown-field": Kind(400, "A field or parameter that there is not"),
        "missing-field": Kind(400, "A field that is needed is missing"),
        "bad-type": Kind(400, "A field has a value of the wrong type"),
        "bad-value": Kind(400, "A field has a value that it cannot have"),
        "payload-too-large": Kind(413, "The body is too large"),
        "unsupported-media-type": Kind(415, "The body has a media type that is not read here"),
        # who asks
        "unauthenticated": Kind(401, "There is no valid token"),
        "forbidden": Kind(403, "The caller may not do this"),
        "rate-limited": Kind(429, "Too many requests"),
        # what is asked for
        "not-found": Kind(404, "There is no such thing"),
        "method-not-allowed": Kind(405, "This address does not take that method"),
        "wrong-state": Kind(409, "The run or step is not in a state that allows it"),
        "step-locked": Kind(409, "A step has begun: it cannot be amended any more"),
        "version-conflict": Kind(409, "This version is registered with other content"),
        "idempotency-conflict": Kind(409, "The idempotency key was used with another request"),
        "already-used": Kind(409, "The callback was answered before, and otherwise"),
        "too-late": Kind(410, "Nobody waits for the callback any more"),
        "conflict": Kind(409, "Somebody else changed it at the same moment"),
        "precondition-failed": Kind(412, "It has changed since the caller looked"),
        "precondition-required": Kind(428, "The header If-Match is needed"),
        "invalid-definition": Kind(422, "The definition has faults"),
        "invalid-input": Kind(422, "The input, payload or answer does not fit"),
        # what went wrong here
        "internal": Kind(500, "Something went wrong here"),
        "unavailable": Kind(503, "A service that is needed cannot be reached; try again"),
    }
)


def refusal(code: str, message: str) -> Rejected:
    """A Rejected with the status that the catalogue gives its code."""
    return Rejected(code, message, status=CATALOGUE[code].status)


class WrongMethod(Rejected):
    """The address is one, and takes others."""

    def __init__(self, methods: Sequence[str]) -> None:
        code = "method-not-allowed"
        super().__init__(code, f"this address takes {', '.join(methods)}", status=CATALOGUE[code].status)
        self.methods = methods


def document(refused: Rejected, request_id: str) -> dict[str, Any]:
    """The problem document of a refusal; `diagnostics` only where there are some."""
    kind = CATALOGUE.get(refused.code) or Kind(refused.status, HTTPStatus(refused.status).phrase)
    body: dict[str, Any] = {
        "type": f"urn:treadle:problem:{refused.code}",
        "title": kind.title,
        "status": refused.status,
        "detail": refused.message,
        "code": refused.code,
        "requestId": request_id,
    }
    if refused.diagnostics:
        body["diagnostics"] = as_json(refused.diagnostics)
    return body


def headers(refused: Rejected) -> dict[str, str]:
    """What a refusal's answer says beside its body."""
    if refused.status == HTTPStatus.UNAUTHORIZED:
        return {"www-authenticate": 'Bearer realm="treadle"'}
    if refused.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        return {"retry-after": str(RETRY_AFTER_S)}
    if isinstance(refused, WrongMethod):
        return {"allow": ", ".join(refused.methods)}
    return {}


def as_json(diagnostics: Sequence[Any]) -> list[Any]:
    """Diagnostics (pydantic models or plain maps) as JSON values."""
    return [item.model_dump(mode="json", by_alias=True) if hasattr(item, "model_dump") else item for item in diagnostics]
