"""One verb for many runs, over the real API and an engine in memory: all pages, each refusal by itself, how far it has come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from treadle import TaskError, task
from treadle.api.app import answer
from treadle.local.http import HttpServer
from treadle.simulation.driver import TENANT, MemoryEngine

from tests.cli.conftest import KEY, Call

MANY = 1100  # a page has at most a thousand
TEXT = "id: invoice\nname: I\nversion: 1.0.0\nsteps: [{id: a, set: 1}, {id: pay, after: [a], task: pay, with: '${input}'}]\n"
away = {"is": True}


@task
def pay(given: Any) -> Any:
    if given % 100 and away["is"]:
        raise TaskError("Away", "no route", permanent=True)
    return given


@pytest.fixture
def bank(call: Call, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryEngine]:
    """Of the runs of `invoice` one in a hundred has succeeded, the others have failed."""
    away["is"] = True
    engine = MemoryEngine([pay])
    engine.register(TEXT)
    for n in range(MANY):
        engine.operations.start(TENANT, "invoice", n)
    engine.rest()
    with HttpServer(lambda event: answer(event, engine.operations), KEY.verifier) as server:
        monkeypatch.setenv("TREADLE_URL", server.url)
        monkeypatch.setenv("TREADLE_TOKEN", KEY.token(tenant=TENANT))
        yield engine


def test_all_are_looked_at_then_retried_whatever_page_they_are_on(bank: MemoryEngine, call: Call) -> None:
    failed = ("--workflow", "invoice", "--status", "failed")
    seen = json.loads(call("retry", *failed, "--dry-run", "-o", "json").out)
    assert len(seen["runs"]) == MANY - 11
    assert all((run["reopened"], run["kept"]) == (["pay"], ["a"]) for run in seen["runs"])
    away["is"] = False
    result = call("retry", *failed, "--yes", "--reason", "the bank is back")
    assert result.status == 0
    assert result.err.splitlines()[:2] == ["50 of 1089", "100 of 1089"]
    assert result.err.splitlines()[-1] == "retry: 1089 of 1089 runs"
    bank.rest()
    assert {run.status for run in bank.runs("invoice")} == {"succeeded"}


def test_each_that_is_refused_is_told_and_keeps_no_other_from_it(bank: MemoryEngine, call: Call) -> None:
    away["is"] = False
    seen = json.loads(call("retry", "--workflow", "invoice", "--dry-run", "-o", "json").out)
    result = call("retry", "--workflow", "invoice", "--yes", "-o", "json")
    done = json.loads(result.out)
    assert (result.status, len(done["done"]), len(done["refused"])) == (4, MANY - 11, 11)
    assert {refusal["code"] for refusal in done["refused"]} == {"wrong-state"}
    assert [run["run"] for run in seen["runs"]] == done["done"]
    assert [refusal["run"] for refusal in seen["refused"]] == [refusal["run"] for refusal in done["refused"]]
