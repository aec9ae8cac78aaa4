"""One step is cancelled and its run goes on: skipped before it began, failed while it waits, left alone in a worker's hands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from treadle import TaskContext, TaskError, task
from treadle.core.errors import NotFound, WrongState
from treadle.simulation.driver import TENANT, MemoryEngine

HEAD = "id: w\nname: W\nversion: 1.0.0\n"


@task
def fails(given: Any, context: TaskContext) -> Any:
    raise TaskError("Away", "as it should")


def begun(steps: str) -> tuple[MemoryEngine, str]:
    engine = MemoryEngine([fails])
    run_id = engine.start(f"{HEAD}steps: [{steps}]\n", {})
    engine.advance(engine.now() + 1000)
    return engine, run_id


@pytest.mark.parametrize(
    ("steps", "path"),
    [
        pytest.param("{id: s, signal: {name: go}}, {id: a, after: [s], set: 1}, {id: z, after: [a], set: done}", "a", id="in the run"),
        pytest.param(
            "{id: g, group: {steps: [{id: s, signal: {name: go}}, {id: a, after: [s], set: 1}]}}, {id: z, after: [g], set: done}",
            "g.a",
            id="in a group",
        ),
    ],
)
def test_a_step_that_has_not_begun_is_bypassed(steps: str, path: str) -> None:
    engine, run_id = begun(steps)
    engine.operations.cancel_step(TENANT, run_id, path, by="ann")
    engine.signal(run_id, "go")
    run = engine.wait(run_id)
    assert (run.status, run.steps[path].status, run.steps["z"].output) == ("succeeded", "skipped", "done")


@pytest.mark.parametrize(
    "waits",
    ["wait: 1h", "signal: {name: go}", "approval: {}", "task: fails, retry: {maxAttempts: 3, delay: 1h, jitter: none}"],
    ids=["a timer", "a signal", "an approval", "its next attempt"],
)
def test_a_step_that_waits_fails_and_may_be_caught(waits: str) -> None:
    engine, run_id = begun(f"{{id: a, {waits}, catch: [{{errors: [Cancelled], output: instead}}]}}, {{id: b, {waits}}}")
    engine.operations.cancel_step(TENANT, run_id, "a", by="ann")
    engine.operations.cancel_step(TENANT, run_id, "b", by="ann")
    run = engine.wait(run_id)
    assert (run.steps["a"].status, run.steps["a"].output) == ("succeeded", "instead")
    error = {"name": "Cancelled", "message": "the step was cancelled by ann", "step": "b"}
    assert (run.status, run.error) == ("failed", {**error, "input": f"/v1/tasks/{run_id}/b/input"})
    assert engine.show(run_id).ended_at is not None
    told = [(entry["path"], entry["by"]) for entry in engine.history(run_id) if entry.get("act") == "cancel"]
    assert sorted(told) == [("a", "ann"), ("b", "ann")]


@pytest.mark.parametrize(
    ("path", "refusal", "told"),
    [
        ("done", WrongState, "has ended: succeeded"),
        ("nope", NotFound, "nope in w"),
        ("f[9]", WrongState, "cancel the loop"),
        ("f", WrongState, "is under way"),
    ],
)
def test_what_cannot_be_cancelled(path: str, refusal: type[Exception], told: str) -> None:
    engine, run_id = begun("{id: done, set: 1}, {id: f, forEach: '[1, 2]', wait: 1h}")
    with pytest.raises(refusal, match=told):
        engine.operations.cancel_step(TENANT, run_id, path)
    assert engine.show(run_id).status in ("running", "waiting")


def test_another_tenants_run_is_not_found() -> None:
    engine, run_id = begun("{id: a, wait: 1h}")
    cancel: Callable[..., Any] = engine.operations.cancel_step
    with pytest.raises(NotFound):
        cancel("rival", run_id, "a")
