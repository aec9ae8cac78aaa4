"""A failure that is told twice: what a threshold did about it once, it does not do again, whatever a person has decided since."""

from __future__ import annotations

from typing import Any

import pytest
from treadle import TaskContext, task
from treadle.simulation.driver import MemoryEngine

HEAD = "id: w\nname: W\nversion: 1.0.0\n"


@task
def odd(given: Any) -> Any:
    raise ValueError("as it was told to")


def workflow(steps: str, action: str, most: int = 1) -> str:
    return f"{HEAD}errorHandling: {{onFailure: continue, thresholds: {{maxFailedSteps: {most}, action: {action}}}}}\nsteps: {steps}\n"


def tell_all_again(engine: MemoryEngine) -> None:
    """EventBridge and SQS may bring each event more than once."""
    for event in list(engine.cloud.bus.events):
        if event["detail-type"] == "StepFailed":
            engine.cloud.bus.put_event(event["source"], event["detail-type"], event["detail"])
    engine.pass_time("1m")


def exceeded(engine: MemoryEngine, run: str) -> list[str]:
    return [entry["path"] for entry in engine.history(run) if entry["what"] == "ThresholdExceeded"]


TWO = "[{id: a, task: odd}, {id: b, after: [{step: a, on: failed}], task: odd}, {id: t, wait: 1h}%s]"


def test_a_run_that_was_resumed_stays_so() -> None:
    engine = MemoryEngine([odd])
    run = engine.start(workflow(TWO % "", "pause"))
    engine.pass_time("10m")
    assert (engine.show(run).status, exceeded(engine, run)) == ("paused", ["b"])
    engine.resume(run)
    tell_all_again(engine)
    assert engine.show(run).status in ("running", "waiting")
    assert exceeded(engine, run) == ["b"]


def test_one_more_failure_pauses_it_again() -> None:
    engine = MemoryEngine([odd])
    run = engine.start(workflow(TWO % ", {id: w, wait: 30m}, {id: c, after: [w], task: odd}", "pause"))
    engine.pass_time("10m")
    engine.resume(run)
    engine.pass_time("40m")
    assert (engine.show(run).status, exceeded(engine, run)) == ("paused", ["b", "c"])


def test_what_failed_while_it_was_paused_does_not_pause_it_again() -> None:
    runs: list[str] = []

    @task(name="odd")
    def pauses_first(given: Any, context: TaskContext) -> Any:
        if context.step == "b":
            engine.pause(runs[0])
        raise ValueError("as it was told to")

    engine = MemoryEngine([pauses_first])
    runs.append(run := engine.start(workflow(TWO % "", "pause")))
    engine.pass_time("10m")
    assert engine.show(run).steps["b"].status == "failed"
    engine.resume(run)
    tell_all_again(engine)
    assert engine.show(run).status in ("running", "waiting")


@pytest.mark.parametrize(("action", "ended"), [("fail", "failed"), ("cancel", "cancelled")])
def test_a_run_that_was_retried_is_not_stopped_again(action: str, ended: str) -> None:
    engine = MemoryEngine([odd])
    run = engine.start(workflow(TWO % ", {id: c, after: [{step: b, on: failed}], wait: 1h}", action))
    assert engine.wait(run).status == ended
    engine.operations.retry("local", run, by="ann")
    tell_all_again(engine)
    assert engine.show(run).status in ("running", "waiting")


def test_what_fails_again_after_a_retry_counts() -> None:
    engine = MemoryEngine([odd])
    run = engine.start(workflow(TWO % "", "cancel"))
    assert engine.wait(run).status == "cancelled"
    engine.operations.retry("local", run, by="ann", from_step="a")
    engine.pass_time("1m")
    assert engine.show(run).status == "cancelled"
    assert exceeded(engine, run) == ["b", "b"]


def test_items_that_fail_again_after_a_person_had_their_loop_tried_anew_count() -> None:
    handling = "errorHandling: {onFailure: wait, thresholds: {maxFailedSteps: 2, action: pause}}\n"
    steps = "[{id: f, forEach: [1, 2, 3], tolerate: {failures: 2}, task: odd}, {id: t, wait: 9h}]"
    engine = MemoryEngine([odd])
    run = engine.start(f"{HEAD}{handling}steps: {steps}\n")
    engine.pass_time("10m")
    assert engine.show(run).status == "paused"
    engine.resume(run)
    engine.pass_time("10m")
    engine.decide(run, "f", "retry")
    engine.pass_time("10m")
    assert engine.show(run).status == "paused"
