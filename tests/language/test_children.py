"""Runs that runs start, beside what else the language has: versions, schemas, cancels, and errors that are not to be tried again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from treadle.simulation.driver import TENANT, MemoryEngine
from treadle.views import RunView

from tests.language.cases import Case, Way, Work, definition, each_way, play

DECLINED = "id: child\nsteps: [{id: x, task: decline}]"
UNDONE_BY = "id: undo\ninput: {type: object, required: [order]}\nsteps: [{id: n, task: note, with: {label: undone}}]"

ERRORS = [
    Case(
        "what failed for good in a child is not tried again",
        "steps: [{id: c, workflow: {id: child}, retry: {maxAttempts: 3, delay: 0s}}]",
        others=[DECLINED],
        status="failed",
        error="CardDeclined",
        attempts={"c": 1},
    ),
    Case(
        "what failed for good in a child is tried again where it is named",
        "steps: [{id: c, workflow: {id: child}, retry: {maxAttempts: 3, delay: 0s, on: [CardDeclined]}}]",
        others=[DECLINED],
        status="failed",
        error="CardDeclined",
        attempts={"c": 3},
    ),
    Case(
        "a child that undoes has its input checked",
        """
        errorHandling: {onFailure: compensate}
        steps:
        - {id: a, set: 1, compensate: {workflow: {id: undo, input: {wrong: 1}}}}
        - {id: b, set: 2, compensate: {workflow: {id: undo, input: {order: 1}}}}
        - {id: z, after: [a, b], fail: {error: Boom}}
        """,
        others=[UNDONE_BY],
        status="failed",
        error="Boom",
        compensated=False,
        log=["undone"],
    ),
]


@each_way(ERRORS)
def test_errors_of_children(case: Case, way: Way) -> None:
    play(case, way)


# ------------------------------------------------------------------------------------------------ a newer version, meanwhile

OLD = "id: child\nversion: 1.0.0\nsteps: [{id: w, wait: 20s}, {id: v, after: [w], set: old}]\noutput: ${steps.v.output}"
NEWER = {
    "another plan": "id: child\nversion: 2.0.0\nsteps: [{id: v, set: new}]",
    "another schema": "id: child\nversion: 2.0.0\ninput: {type: object, required: [n]}\nsteps: [{id: v, set: new}]",
}


def begun(text: str, *others: str) -> tuple[MemoryEngine, str]:
    """Two seconds after its start."""
    engine = MemoryEngine(Work().tasks())
    for other in others:
        engine.register(definition(other))
    run_id = engine.start(definition(text))
    engine.pass_time("2s")
    return engine, run_id


def children(engine: MemoryEngine) -> list[RunView]:
    return [engine.show(run.id) for run in engine.runs("child")]


def look(engine: MemoryEngine, run_id: str) -> None:
    engine.pause(run_id)
    engine.resume(run_id)


@pytest.mark.parametrize("newer", NEWER.values(), ids=NEWER)
@pytest.mark.parametrize(
    ("child", "output"),
    [("workflow: {id: child}", "old"), ("workflow: {id: child}, timeout: 10s, catch: [{errors: [Timeout], output: late}]", "late")],
)
def test_a_child_goes_on_when_a_newer_version_is_registered(newer: str, child: str, output: str) -> None:
    engine, run_id = begun(f"steps: [{{id: c, {child}}}]", OLD)
    engine.register(definition(newer))
    look(engine, run_id)
    assert engine.wait(run_id).output == {"c": output}
    engine.pass_time("1m")
    assert [run.status for run in children(engine)] == ["succeeded" if output == "old" else "cancelled"]


# ------------------------------------------------------------------------------------------------ a step that is cancelled


def _by_its_step(engine: MemoryEngine, run_id: str) -> None:
    engine.operations.cancel_step(TENANT, run_id, "c")


def _by_its_run(engine: MemoryEngine, run_id: str) -> None:
    engine.cancel(run_id)


@pytest.mark.parametrize("cancel", [_by_its_step, _by_its_run])
def test_a_child_is_cancelled_with_whoever_waits_for_it(cancel: Callable[[MemoryEngine, str], Any]) -> None:
    engine, run_id = begun("steps: [{id: c, workflow: {id: child}, catch: [{errors: [Cancelled], output: none}]}]", OLD)
    cancel(engine, run_id)
    engine.wait(run_id)
    engine.pass_time("5s")
    assert [run.status for run in children(engine)] == ["cancelled"]
