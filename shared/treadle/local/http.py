"""The HTTP API on this machine: what API Gateway does between a connection and the function `api`.

It makes an event of a request (payload format 2.0), checks the token as the JWT authorizer would, and writes the answer.
Everything else about the API is the handler's.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
import time
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

from ..api import problems
from ..auth import Verifier, as_gateway_claims
from ..core.errors import Rejected

Handle = Callable[[dict[str, Any]], dict[str, Any]]  # an event in, the answer of the function out

MOST_BYTES = 10 * 1024 * 1024  # API Gateway's limit
_IDLE_S = 30
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class HttpServer:
    """Use it as a context manager: it serves on a port of this machine only (0: any free one)."""

    def __init__(self, handle: Handle, verifier: Verifier, port: int = 0) -> None:
        handler = type("Handler", (_Handler,), {"handle_event": staticmethod(handle), "verifier": verifier})
        self._server = start(handler, port)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> HttpServer:
        return self

    def __exit__(self, *_: object) -> None:
        stop(self._server)


def start(handler: type[BaseHTTPRequestHandler], port: int) -> ThreadingHTTPServer:
    """Raises OSError when the port is taken."""
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), name="treadle-http", daemon=True).start()
    return server


def stop(server: ThreadingHTTPServer) -> None:
    server.shutdown()
    server.server_close()


class _TooLarge(Exception):
    pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_S
    handle_event: Handle
    verifier: Verifier

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: what happens is in the runs' histories."""

    def _serve(self) -> None:
        try:
            body = read_body(self)
        except _TooLarge:
            self.close_connection = True  # the rest of the body is still on its way
            return self._write(_problem("payload-too-large", f"a request has at most {MOST_BYTES} bytes"))
        except ValueError as error:
            self.close_connection = True
            return self._write(_problem("bad-value", str(error)))
        return self._write(self._answer(body))

    def _answer(self, body: bytes) -> dict[str, Any]:
        event = _event(self, body)
        refused: Rejected | None = None
        if self.headers["authorization"]:
            try:
                claims = self.verifier.claims(self.headers["authorization"])
                event["requestContext"]["authorizer"] = {"jwt": {"claims": as_gateway_claims(claims), "scopes": None}}
            except Rejected as error:
                refused = error
        try:
            answer = self.handle_event(event)
        except Exception:  # noqa: BLE001  # what Lambda does with whatever its function raises
            traceback.print_exc(file=sys.stderr)
            return _problem("internal", "something went wrong here; its log has the details")
        if refused and answer["statusCode"] == refused.status:  # a public address takes any token
            return _refused(refused)
        return answer

    def _write(self, answer: dict[str, Any]) -> None:
        body = answer.get("body") or ""
        content = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
        self.send_response(answer["statusCode"])
        for name, value in answer.get("headers", {}).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


for _method in _METHODS:
    setattr(_Handler, f"do_{_method}", _Handler._serve)


def read_body(request: BaseHTTPRequestHandler) -> bytes:
    """Raises ValueError for a body whose length is not said."""
    if request.headers["transfer-encoding"]:
        raise ValueError("send a content-length, not a transfer-encoding")
    length = request.headers["content-length"] or "0"
    if not length.isdigit():
        raise ValueError("the content-length is not a number")
    if int(length) > MOST_BYTES:
        raise _TooLarge
    return request.rfile.read(int(length))


def _event(request: BaseHTTPRequestHandler, body: bytes) -> dict[str, Any]:
    address = urlsplit(request.path)
    query: dict[str, str] = {}
    for name, value in parse_qsl(address.query, keep_blank_values=True):
        query[name] = f"{query[name]},{value}" if name in query else value
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": address.path,
        "rawQueryString": address.query,
        "headers": {name.lower(): ",".join(request.headers.get_all(name, [])) for name in request.headers},
        "requestContext": {
            "accountId": "local",
            "apiId": "local",
            "domainName": request.headers["host"] or "localhost",
            "stage": "$default",
            "requestId": str(uuid4()),
            "timeEpoch": int(time.time() * 1000),
            "http": {
                "method": request.command,
                "path": address.path,
                "protocol": request.request_version,
                "sourceIp": request.client_address[0],
                "userAgent": request.headers["user-agent"] or "",
            },
        },
        "isBase64Encoded": False,
    }
    if query:
        event["queryStringParameters"] = query
    if body:
        try:
            event["body"] = body.decode()
        except UnicodeDecodeError:
            event |= {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    return event


def _problem(code: str, message: str) -> dict[str, Any]:
    return _refused(problems.refusal(code, message))


def _refused(refused: Rejected) -> dict[str, Any]:
    headers = {"content-type": problems.MEDIA_TYPE, **problems.headers(refused)}
    return {"statusCode": refused.status, "headers": headers, "body": json.dumps(problems.document(refused, str(uuid4())))}
