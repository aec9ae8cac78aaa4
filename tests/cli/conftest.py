"""The command line's tests speak to a real HTTP server: the API's own door over an `Operations` that keeps everything in memory."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from treadle.api.app import answer
from treadle.auth import DevelopmentKey, as_gateway_claims
from treadle.cli import status_of
from treadle.core.errors import Rejected

from tests.api.fakes import OWNER, FakeOperations

KEY = DevelopmentKey()


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str


Call = Callable[..., Result]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Runs a verb in this process; what it printed and its exit status. No engine of the developer's own is found."""
    for name in ("TREADLE_URL", "TREADLE_TOKEN", "TREADLE_STACK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def called(*arguments: str | Path) -> Result:
        status = status_of([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Result(status, printed.out, printed.err)

    return called


@pytest.fixture
def operations() -> FakeOperations:
    return FakeOperations()


@pytest.fixture
def engine(operations: FakeOperations, call: Call, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an engine that verbs find through the environment."""

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            response = answer(self._event(), operations)  # type: ignore[arg-type]  # a fake with the same methods
            content = response["body"].encode()
            self.send_response(response["statusCode"])
            for name, value in response["headers"].items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def _event(self) -> dict[str, Any]:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            context: dict[str, Any] = {"requestId": "req-1", "stage": "$default", "http": {"method": self.command}}
            try:
                claims = KEY.verifier.claims(self.headers.get("authorization"))
                context["authorizer"] = {"jwt": {"claims": as_gateway_claims(claims)}}
            except Rejected:
                context["authorizer"] = None
            headers = {name.lower(): value for name, value in self.headers.items()}
            content = {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
            return {"rawPath": path, "rawQueryString": query, "headers": headers, "requestContext": context, **content}

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: what the verbs print is looked at."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("TREADLE_URL", url)
        monkeypatch.setenv("TREADLE_TOKEN", KEY.token(tenant=OWNER))
        yield url
        server.shutdown()
