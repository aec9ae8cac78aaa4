"""What the task `http` is asked for, read and checked before anything is resolved or opened.

No message shows a URL's path or a header's value: either may hold a secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from ..core.durations import parse_duration
from ..core.errors import TaskError
from ..core.model import Json

MAX_BYTES: Final = 5 * 1024 * 1024  # of a body, either way: what the HTTP API takes as a run's input
MAX_URL: Final = 8192
DEFAULT_TIMEOUT_S: Final = 30.0
MAX_TIMEOUT_S: Final = 100.0  # a worker's invocation has 120

SCHEMES: Final = {"http": 80, "https": 443}
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_KEYS: Final = ("url", "method", "headers", "body", "timeout", "expect")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_URL: Final = re.compile(r"[!-\[\]-~]+\Z")  # printable ASCII, no space, no backslash: nothing that parsers disagree on
_FIELD_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*\Z")
# What the connection itself says, and what could smuggle a second request into it.
_RESERVED: Final = ("host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect", "keep-alive")


@dataclass(frozen=True, slots=True)
class Target:
    scheme: str
    host: str  # lower case, ASCII, without brackets
    port: int
    path: str

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == SCHEMES[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Request:
    url: str
    target: Target
    method: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes | None
    expect: tuple[int, ...]  # empty: any 2xx
    timeout_s: float

    def expects(self, status: int) -> bool:
        return status in self.expect if self.expect else 200 <= status < 300


def read_request(given: Json) -> Request:
    """Raises TaskError: InputInvalid, PayloadTooLarge."""
    if not isinstance(given, dict) or not given.keys() <= set(_KEYS):
        raise _invalid(f"takes an object of {', '.join(_KEYS)}")
    method = given.get("method", "GET")
    if not isinstance(method, str) or method.upper() not in _METHODS:
        raise _invalid(f"method must be one of {', '.join(_METHODS)}")
    expect = given.get("expect", [])
    if not isinstance(expect, list) or not all(type(status) is int and 100 <= status <= 599 for status in expect):
        raise _invalid("expect must be a list of statuses, such as [200, 404]")
    headers, body = read_headers(given.get("headers", {})), None
    if given.get("body") is not None:
        body, kind = _encoded(given["body"])
        headers.setdefault("content-type", kind)
    url = given.get("url")
    return Request(str(url), read_url(url), method.upper(), headers, body, tuple(expect), _timeout(given.get("timeout")))


def read_url(url: Any) -> Target:
    """Raises TaskError InputInvalid."""
    if not isinstance(url, str) or len(url) > MAX_URL or not _URL.match(url):
        raise _invalid(f"url must be at most {MAX_URL} printable ASCII characters, without spaces and backslashes")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _invalid("url is not a URL") from None
    host = (parts.hostname or "").removesuffix(".")
    if parts.scheme not in SCHEMES or not host:
        raise _invalid("url must begin with http:// or https:// and a host")
    if "@" in parts.netloc:
        raise _invalid("url must not hold a user name or password: send a header")
    if port == 0 or "%" in host:
        raise _invalid("url has a port or a zone that it cannot have")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or SCHEMES[parts.scheme], path)


def read_headers(given: Any) -> dict[str, str]:
    """Names in lower case. Raises TaskError InputInvalid."""
    if not isinstance(given, dict):
        raise _invalid("headers must be an object of strings")
    headers: dict[str, str] = {}
    for name, value in given.items():
        lower = name.lower()
        if not _TOKEN.match(name) or lower in _RESERVED or lower.startswith("proxy-") or lower in headers:
            raise _invalid(f"the header {name[:40]!r} cannot be set")
        text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        if not isinstance(text, str) or not _FIELD_VALUE.match(text):
            raise _invalid(f"the header {name[:40]!r} has a value that no header can have")
        headers[lower] = text.strip()
    return headers


def _encoded(body: Json) -> tuple[bytes, str]:
    """(bytes, media type): a string as it is, anything else as JSON."""
    is_text = isinstance(body, str)
    content = (body if is_text else json.dumps(body, ensure_ascii=False, separators=(",", ":"))).encode()
    if len(content) > MAX_BYTES:
        raise TaskError("PayloadTooLarge", f"a request's body has at most {MAX_BYTES} bytes", permanent=True)
    return content, "text/plain; charset=utf-8" if is_text else "application/json"


def _timeout(given: Any) -> float:
    """Seconds, from a duration such as `10s` or a number of seconds."""
    if given is None:
        return DEFAULT_TIMEOUT_S
    try:
        seconds = parse_duration(given) / 1000 if isinstance(given, str) else float(given)
    except (TypeError, ValueError):
        seconds = 0.0
    if isinstance(given, bool) or not 0 < seconds <= MAX_TIMEOUT_S:
        raise _invalid(f"timeout must be a duration of at most {MAX_TIMEOUT_S:g} s")
    return seconds


def _invalid(what: str) -> TaskError:
    return TaskError("InputInvalid", f"http: {what}", permanent=True)
