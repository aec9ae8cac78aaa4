"""The command line's tests speak to a real HTTP server: the API's own door over an `Operations` that keeps everything in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from treadle.api.app import answer
from treadle.auth import DevelopmentKey
from treadle.cli import status_of
from treadle.local.http import HttpServer

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

    with HttpServer(lambda event: answer(event, operations), KEY.verifier) as server:  # type: ignore[arg-type]  # a fake with the same methods
        monkeypatch.setenv("TREADLE_URL", server.url)
        monkeypatch.setenv("TREADLE_TOKEN", KEY.token(tenant=OWNER))
        yield server.url
