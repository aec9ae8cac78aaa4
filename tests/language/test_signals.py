"""Signals: each is one step's, also where nothing can be made of it, and is not taken once more when that step runs again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from treadle.simulation.driver import TENANT, MemoryEngine

from tests.language.cases import definition


def at_rest(text: str) -> tuple[MemoryEngine, str]:
    engine = MemoryEngine()
    run_id = engine.start(definition(text))
    engine.wait(run_id, "waiting")
    return engine, run_id


UNFIT = "{id: s, signal: {name: go}, output: '${result.n}'}"


@pytest.mark.parametrize("seed", range(12))
def test_a_signal_of_which_nothing_can_be_made_is_one_steps_failure_only(seed: int) -> None:
    each = "{id: s, forEach: [1, 2, 3], tolerate: {failures: 3}, signal: {name: go}, output: '${result.n}'}"
    engine = MemoryEngine(seed=seed)
    run_id = engine.start(definition(f"steps: [{each}]"))
    engine.wait(run_id, "waiting")
    for payload in ({}, {"n": 5}, {"n": 6}):
        engine.signal(run_id, "go", payload)
    assert sorted(engine.wait(run_id).output["s"], key=str) == [5, 6, None]


@pytest.mark.parametrize(
    ("again", "handling"),
    [
        pytest.param(lambda engine, run_id: engine.operations.retry(TENANT, run_id), "stop", id="the run"),
        pytest.param(lambda engine, run_id: engine.decide(run_id, "s", "retry"), "wait", id="the step"),
    ],
)
def test_a_step_that_could_make_nothing_of_a_signal_waits_for_another_when_it_is_tried_again(
    again: Callable[[MemoryEngine, str], object], handling: str
) -> None:
    engine, run_id = at_rest(f"errorHandling: {{onFailure: {handling}}}\nsteps: [{UNFIT}]")
    engine.signal(run_id, "go", {})
    engine.rest()
    assert engine.show(run_id).steps["s"].status == ("failed" if handling == "stop" else "waiting")
    again(engine, run_id)
    engine.rest()
    assert engine.show(run_id).status == "waiting"
    engine.signal(run_id, "go", {"n": 5})
    assert engine.wait(run_id).output == {"s": 5}


def test_an_attempt_that_could_make_nothing_of_a_signal_is_followed_by_one_that_waits_for_another() -> None:
    engine, run_id = at_rest("steps: [{id: s, signal: {name: go}, output: '${result.n}', retry: {maxAttempts: 2, on: [ExpressionError]}}]")
    engine.signal(run_id, "go", {})
    engine.rest()
    engine.signal(run_id, "go", {"n": 5})
    assert engine.wait(run_id).output == {"s": 5}


def test_a_step_from_which_a_run_is_retried_waits_for_its_signal_again() -> None:
    engine, run_id = at_rest("steps: [{id: s, signal: {name: go}}, {id: b, after: [s], set: '${1 / steps.s.output}'}]")
    engine.signal(run_id, "go", 0)
    assert engine.wait(run_id).status == "failed"
    engine.operations.retry(TENANT, run_id, from_step="s")
    engine.wait(run_id, "waiting")
    engine.signal(run_id, "go", 1)
    assert engine.wait(run_id).output == {"b": 1}


@pytest.mark.parametrize(
    ("name", "said"),
    [("go", []), ("inner", []), ("gone", ["did you mean `go`?"]), ("xyz", ["its signals are go, inner"])],
    ids=["one waits", "one in a group will wait", "mistyped", "another"],
)
def test_a_signal_that_no_step_waits_for_is_kept_and_told(name: str, said: list[str]) -> None:
    engine, run_id = at_rest("steps: [{id: s, signal: {name: go}}, {id: g, after: [s], group: {steps: [{id: t, signal: {name: inner}}]}}]")
    warnings = engine.operations.signal(TENANT, run_id, name, 1).warnings
    assert [part for part in said if part in "".join(warnings)] == said
    assert len(warnings) == len(said)
    assert engine.show(run_id).warnings == []


def test_an_amendment_finds_the_signal_that_nobody_waited_for() -> None:
    engine, run_id = at_rest("steps: [{id: s, approval: {}}]")
    assert "it waits for no signal" in engine.operations.signal(TENANT, run_id, "late", 7).warnings[0]
    engine.operations.amend(TENANT, run_id, definition("steps: [{id: s, approval: {}}, {id: t, signal: {name: late}}]"))
    engine.rest()
    assert engine.show(run_id).steps["t"].output == 7
