"""AWS's own APIs on a port of this machine: the very tables, queues and buckets that the local stack works on.

For `aws --endpoint-url ...` and boto3 with `endpoint_url=`: the service is read from the request's signature (which is
not checked), and moto answers in this process. Any credentials and any region will do: they are all the one account and
region that the engine works in, so that a profile set for another region does not find an empty AWS.
"""

from __future__ import annotations

import re
from http.server import BaseHTTPRequestHandler
from typing import Any

from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders
from moto.core.models import botocore_stubber

from . import patches
from .cloud import REGION
from .http import MOST_BYTES, start, stop

_SCOPE = re.compile(r"(?P<who>Credential=[^/]+/\d+)/[\w-]+/(?P<service>[\w-]+)/")
_QUERY_SCOPE = re.compile(r"X-Amz-Credential=[^&]+%2F\d+%2F[\w-]+%2F(?P<service>[\w-]+)%2F")
_OLD_LINK = "AWSAccessKeyId="  # presigned links of S3 in us-east-1 have the signature before the last one, which names no service


class AwsEndpoint:
    """Use it as a context manager. `account`: whose resources are served."""

    def __init__(self, account: str, port: int = 0) -> None:
        self._server = start(type("Handler", (_Handler,), {"account": account}), port)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> AwsEndpoint:
        return self

    def __exit__(self, *_: object) -> None:
        stop(self._server)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    account: str

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing."""

    def _serve(self) -> None:
        service = _service(self.headers["authorization"] or "", self.path)
        length = int(self.headers["content-length"] or 0)
        if service is None or length > MOST_BYTES:
            self.close_connection = True
            return self._write(400, {}, b"sign the request (any credentials will do), of at most 10 MiB")
        if self.headers["expect"] == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        body = self.rfile.read(length)
        return self._write(*self._ask_moto(service, body))

    def _ask_moto(self, service: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        host = f"{service}.{REGION}.amazonaws.com"
        headers = HTTPHeaders()
        for name, value in self.headers.items():
            if name.lower() != "host":
                headers[name] = value
        headers["Host"] = host
        if signed := headers["Authorization"]:  # moto reads the region from here, too
            headers.replace_header("Authorization", _SCOPE.sub(rf"\g<who>/{REGION}/\g<service>/", signed))
        headers[patches.ACCOUNT_HEADER] = self.account
        request = AWSPreparedRequest(self.command, f"https://{host}{self.path}", headers, body, stream_output=False)
        answer = botocore_stubber.process_request(request)
        if answer is None:
            return 404, {}, b"moto does not know this service"
        status, answer_headers, content = answer
        return (
            status,
            {name: str(value) for name, value in answer_headers.items()},
            content.encode() if isinstance(content, str) else content,
        )

    def _write(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "date", "server", "status"):
                self.send_header(name, value)
        self.send_header(
            "content-length", headers.get("content-length", str(len(content))) if self.command == "HEAD" else str(len(content))
        )
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _service(signed: str, path: str) -> str | None:
    """Whom a request is for, by its signature; None: it has none."""
    scope = _SCOPE.search(signed) or _QUERY_SCOPE.search(path)
    return scope["service"] if scope else "s3" if _OLD_LINK in path else None


for _method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
    setattr(_Handler, f"do_{_method}", _Handler._serve)
