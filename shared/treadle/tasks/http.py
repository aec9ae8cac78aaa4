"""The task `http`: one request to a host that the deployment allows.

The laws, so that a workflow cannot be made to knock on doors behind the engine's own:
- The name is resolved once, every address of it is checked, and the connection is made to a checked address. Nobody resolves
  again in between; the host's name stays in the Host header and in TLS.
- A redirect is a new request: checked again, at most three, never from https to http, and what may be a credential goes to no
  other origin.
- Time and size are bounded in all of it. Nothing is read from the environment, so there are no proxies.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import ip_network
from typing import Final
from urllib.parse import urljoin

from ..core.errors import TaskError
from ..core.model import Json
from .addresses import refusal_of
from .allowed import Allowed
from .web_request import MAX_BYTES, SCHEMES, Request, Target, read_request, read_url

MAX_REDIRECTS: Final = 3
EXCERPT: Final = 1000  # characters of an unexpected answer that its error shows

_HARMLESS: Final = ("accept", "accept-language", "content-type", "user-agent")  # headers that another origin may see
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_WORTH_ANOTHER_TRY: Final = (408, 421, 425, 429)

Resolve = Callable[[str, int], list[str]]


def resolve(host: str, port: int) -> list[str]:
    """IP addresses of a host. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Http:
    """`resolve` and `tls` may be given, so that a test needs neither a name server nor an authority."""

    def __init__(self, allowed: Allowed, *, resolve: Resolve = resolve, tls: ssl.SSLContext | None = None) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._tls = tls
        self._exceptions = [ip_network(network) for network in allowed.networks]

    def __call__(self, given: Json) -> Json:
        """`{url, method?, headers?, body?, timeout?, expect?}` -> `{status, headers, body}`.

        Raises TaskError: InputInvalid, NotAllowed, AddressRefused, PayloadTooLarge (permanent), Throttled, HttpError, Timeout.
        """
        request = read_request(given)
        ends_at = time.monotonic() + request.timeout_s
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._exchange(request, ends_at)
            moved = None if request.expects(answer.status) else redirected(request, answer)
            if moved is None:
                return outcome(request, answer)
            request = moved
        raise TaskError("HttpError", f"{request.target.host}: more than {MAX_REDIRECTS} redirects", permanent=True)

    def once(self, request: Request, ends_at: float) -> Answer:
        """What the host answers to this one request, a redirect too. `ends_at`: by `time.monotonic`. Raises TaskError."""
        return self._exchange(request, ends_at)

    def _exchange(self, request: Request, ends_at: float) -> Answer:
        target = request.target
        try:
            addresses = self._addresses(target, ends_at)
            with _connected(addresses, target.port, ends_at) as wire:
                if target.scheme == "https":
                    wire.secure(self._context, target.host)
                return wire.ask(request)
        except (OSError, http.client.HTTPException) as fault:
            if time.monotonic() >= ends_at or isinstance(fault, TimeoutError):
                raise TaskError("Timeout", f"{target.host} did not answer within {request.timeout_s:g} s") from None
            untrusted = isinstance(fault, ssl.SSLCertVerificationError)
            raise TaskError("HttpError", f"{target.host}: {type(fault).__name__}: {fault}", permanent=untrusted) from None

    def _addresses(self, target: Target, ends_at: float) -> list[str]:
        """All checked: one that is refused refuses the name, since nobody mixes the two by accident."""
        if not self._allowed.has_host(target.host, target.port):
            where = target.host if target.port == SCHEMES[target.scheme] else f"{target.host}:{target.port}"
            raise TaskError("NotAllowed", f"{where} is not on this deployment's list of hosts (integration.allow.hosts)", permanent=True)
        addresses = _in_time(lambda: self._resolve(target.host, target.port), ends_at)
        for address in addresses:
            why = refusal_of(address, self._exceptions)
            if why is not None:
                raise TaskError("AddressRefused", f"{target.host} has the address {address}: {why}", permanent=True)
        if not addresses:
            raise OSError("the name has no address")
        return addresses

    @cached_property
    def _context(self) -> ssl.SSLContext:
        context = self._tls or ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


# ------------------------------------------------------------------------------------------------ the connection


@dataclass(slots=True)
class Wire:
    """A socket whose time is bounded: by a timeout on each call, and by a timer for whoever sends one byte at a time."""

    socket: socket.socket
    ends_at: float

    def remaining_s(self) -> float:
        """Raises TimeoutError."""
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def secure(self, context: ssl.SSLContext, host: str) -> None:
        secured = context.wrap_socket(self.socket, server_hostname=host, do_handshake_on_connect=False)
        self.socket = secured
        secured.settimeout(self.remaining_s())
        secured.do_handshake()

    def ask(self, request: Request) -> Answer:
        self.socket.settimeout(self.remaining_s())
        connection = http.client.HTTPConnection(request.target.host, request.target.port)
        connection.sock = self.socket
        own = {"host": request.target.host_header, "connection": "close"}
        default = {"user-agent": "treadle", "accept": "*/*"}
        connection.request(request.method, request.target.path, request.body, {**default, **request.headers, **own})
        response = connection.getresponse()
        body = response.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise TaskError("PayloadTooLarge", f"the answer of {request.target.host} has more than {MAX_BYTES} bytes", permanent=True)
        if response.length:
            raise http.client.IncompleteRead(body[:0], response.length)
        self.remaining_s()  # an answer that ends because time was up is none
        headers: dict[str, str] = {}
        for name, value in response.getheaders():
            headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
        return Answer(response.status, headers, body)

    def cut(self) -> None:
        with suppress(OSError):
            # Not SSLSocket's own shutdown, which another thread's read does not survive.
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)


@contextmanager
def _connected(addresses: list[str], port: int, ends_at: float) -> Iterator[Wire]:
    """To the first address that answers."""
    wire = _first(addresses, port, ends_at)
    watch = threading.Timer(max(0.0, ends_at - time.monotonic()), wire.cut)
    watch.daemon = True
    watch.start()
    try:
        yield wire
    finally:
        watch.cancel()
        wire.socket.close()


def _first(addresses: list[str], port: int, ends_at: float) -> Wire:
    for number, address in enumerate(addresses, 1):
        left = ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        try:
            return Wire(socket.create_connection((address, port), timeout=left / (len(addresses) - number + 1)), ends_at)
        except OSError:
            if number == len(addresses):
                raise
    raise OSError("the name has no address")


def _in_time(look_up: Callable[[], list[str]], ends_at: float) -> list[str]:
    """Name servers have times of their own; a thread that waits for one too long is left behind."""
    found: Future[list[str]] = Future()

    def run() -> None:
        try:
            found.set_result(look_up())
        except (OSError, UnicodeError) as fault:
            found.set_exception(OSError(f"the name cannot be resolved ({fault})"))

    threading.Thread(target=run, daemon=True, name="treadle-resolve").start()
    try:
        return found.result(max(0.0, ends_at - time.monotonic()))
    except FutureTimeout:
        raise TimeoutError from None


# ------------------------------------------------------------------------------------------------ what came back


def redirected(request: Request, answer: Answer) -> Request | None:
    """The request that a redirect asks for; None: it is none. Raises TaskError for one that is not followed."""
    place = answer.headers.get("location")
    if answer.status not in _REDIRECTS or not place:
        return None
    url = urljoin(request.url, place)
    try:
        target = read_url(url)
    except TaskError:
        raise TaskError("HttpError", f"{request.target.host} redirects to what is no address", permanent=True) from None
    if request.target.scheme == "https" and target.scheme == "http":
        raise TaskError("HttpError", f"{request.target.host} redirects from https to http", permanent=True)
    becomes_get = request.method != "HEAD" and (answer.status == 303 or (answer.status in (301, 302) and request.method == "POST"))
    moved = replace(request, url=url, target=target)
    if becomes_get:
        kept = {name: value for name, value in request.headers.items() if name != "content-type"}
        moved = replace(moved, method="GET", body=None, headers=kept)
    if target.origin == request.target.origin:
        return moved
    if moved.body is not None:
        raise TaskError("HttpError", f"{request.target.host} redirects a request with a body to another origin", permanent=True)
    return replace(moved, headers={name: value for name, value in moved.headers.items() if name in _HARMLESS})


def outcome(request: Request, answer: Answer) -> Json:
    """The task's output. Raises TaskError: Throttled, HttpError."""
    if request.expects(answer.status):
        return {"status": answer.status, "headers": dict(answer.headers), "body": _decoded(answer)}
    told: dict[str, Json] = {"status": answer.status, "body": _excerpt(request, answer)}
    if "retry-after" in answer.headers:
        told["retryAfter"] = answer.headers["retry-after"]
    message = f"{request.method} {request.target.host} answered {answer.status}"
    if answer.status == 429:
        raise TaskError("Throttled", message, told)
    raise TaskError("HttpError", message, told, permanent=answer.status < 500 and answer.status not in _WORTH_ANOTHER_TRY)


def _decoded(answer: Answer) -> Json:
    """JSON as JSON, text as text, anything else as `{"base64": ...}`; null where there is nothing."""
    if not answer.body:
        return None
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        with suppress(ValueError, RecursionError):
            return json.loads(answer.body)
    try:
        return answer.body.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(answer.body).decode()}


def _excerpt(request: Request, answer: Answer) -> str:
    """The beginning of a body for people, without what was sent as a header: servers like to repeat that, and it may be a secret."""
    text = answer.body.decode(errors="replace")
    for name, value in request.headers.items():
        if name not in _HARMLESS and value:
            for part in {value, value.rpartition(" ")[2]}:
                text = text.replace(part, "***")
    return text[:EXCERPT]
