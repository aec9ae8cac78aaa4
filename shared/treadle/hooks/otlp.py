"""OTLP over HTTP as JSON: what the OpenTelemetry hook has collected, in the form that every collector takes.

Law: what cannot be sent is dropped, and told once. Telemetry never holds a run up for longer than TIMEOUT_S, nor, once the
collector did not answer, more than once in PAUSE_S.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

TIMEOUT_S: Final = 2.0
PAUSE_S: Final = 30.0
_TAKEN: Final = (200, 202)


def attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items() if value is not None]


def _value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case _:
            return {"stringValue": str(value)}


class Collector:
    """Where it goes. `endpoint`: `http[s]://host[:port][/path]`, to which `/v1/traces` and `/v1/metrics` are added."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], resource: Mapping[str, Any]) -> None:
        """Raises ValueError for an endpoint that is none."""
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"an OTLP endpoint is http[s]://host[:port], not {endpoint!r}")
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._at = (parts.hostname, parts.port)
        self._path = parts.path.rstrip("/")
        self._headers = {"content-type": "application/json", **headers}
        self._head = {"resource": {"attributes": attributes(resource)}}
        self._connection: http.client.HTTPConnection | None = None
        self._not_before = 0.0

    def spans(self, spans: Sequence[dict[str, Any]]) -> None:
        """Raises OSError when they were not taken."""
        self._post("/v1/traces", {"resourceSpans": [{**self._head, "scopeSpans": [{"scope": {"name": "treadle"}, "spans": spans}]}]})

    def metrics(self, metrics: Sequence[dict[str, Any]]) -> None:
        """Raises OSError when they were not taken."""
        self._post(
            "/v1/metrics", {"resourceMetrics": [{**self._head, "scopeMetrics": [{"scope": {"name": "treadle"}, "metrics": metrics}]}]}
        )

    def _post(self, path: str, content: dict[str, Any]) -> None:
        if time.monotonic() < self._not_before:
            return
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        try:
            status = self._ask(path, body)
        except (OSError, http.client.HTTPException) as fault:
            self._give_up()
            raise OSError(f"the OTLP collector cannot be reached: {type(fault).__name__}") from None
        if status not in _TAKEN:
            self._give_up()
            raise OSError(f"the OTLP collector answered {status}")

    def _ask(self, path: str, body: bytes) -> int:
        """One connection, kept; one that the other side has closed meanwhile is made anew."""
        if self._connection is not None:
            try:
                return self._send(self._connection, path, body)
            except (OSError, http.client.HTTPException):
                self._connection.close()
        self._connection = self._kind(*self._at, timeout=TIMEOUT_S)
        return self._send(self._connection, path, body)

    def _send(self, connection: http.client.HTTPConnection, path: str, body: bytes) -> int:
        connection.request("POST", self._path + path, body, self._headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    def _give_up(self) -> None:
        self._not_before = time.monotonic() + PAUSE_S
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def pairs(text: str) -> dict[str, str]:
    """`a=1,b=2`, as OpenTelemetry's variables have headers and attributes."""
    found = (part.partition("=") for part in text.split(",") if "=" in part)
    return {unquote(name.strip()): unquote(value.strip()) for name, _, value in found}
