"""What a task gives when it is late: after its step failed the run, after its attempt was given up, after the run was retried."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from treadle import TaskContext, TaskError, task
from treadle.testing import LocalEngine

PATIENCE_S = 60


class Late:
    """A task that goes on until somebody lets it: `begun` counts its attempts, `ended` says that one came to its end."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.has_begun = threading.Event()
        self.may_end = threading.Event()
        self.ended = threading.Event()
        self.undone: list[Any] = []

    def tasks(self) -> list[Any]:
        @task
        def charge(given: Any, context: TaskContext) -> Any:
            self.begun.append(context.idempotency_key)
            number = len(self.begun)
            self.has_begun.set()
            if number == 1:
                self.may_end.wait(PATIENCE_S)
                self.ended.set()
            return f"charge {number}"

        @task
        def fails(given: Any) -> Any:
            self.has_begun.wait(PATIENCE_S)
            raise TaskError("Broken", "as it should", permanent=True)

        @task
        def refund(given: Any) -> Any:
            self.undone.append(given)
            return None

        return [charge, fails, refund]


@pytest.fixture
def late() -> Late:
    return Late()


def document(steps: str, handling: str = "") -> str:
    return f"id: w\nname: W\nversion: 1.0.0\nsteps: [{steps}]\n{handling}"


def test_a_success_that_comes_while_the_run_fails_is_recorded_and_undone(late: Late) -> None:
    steps = "{id: a, task: charge, compensate: {task: refund, with: '${output}'}}, {id: b, task: fails}"
    with LocalEngine(late.tasks()) as engine:
        run_id = engine.start(document(steps, "errorHandling: {onFailure: compensate}\n"))
        assert engine.stack.pump.wait(lambda: engine.show(run_id).steps["b"].status == "failed" or None, PATIENCE_S)
        assert engine.show(run_id).status not in ("failed", "compensating")  # as long as something may still succeed
        late.may_end.set()
        run = engine.wait(run_id, timeout=PATIENCE_S)
        told = [entry["what"] for entry in engine.history(run_id) if entry["path"] == "a"]
    assert (run.status, run.compensated, run.steps["a"].status, late.undone) == ("failed", True, "succeeded", ["charge 1"])
    assert told == ["StepStarted", "StepEnded", "UndoStarted", "UndoEnded"]


def test_a_result_of_an_attempt_that_was_given_up_is_ignored_even_after_a_retry_of_the_run(late: Late) -> None:
    with LocalEngine(late.tasks()) as engine:
        run_id = engine.start(document("{id: a, task: charge, timeout: 1s}"))
        assert (engine.wait(run_id, timeout=PATIENCE_S).error or {})["name"] == "Timeout"
        engine.retry(run_id)
        assert engine.wait(run_id, timeout=PATIENCE_S).output == {"a": "charge 2"}
        before = engine.show(run_id)
        late.may_end.set()
        assert late.ended.wait(PATIENCE_S)
        engine.stack.pump.quiet()
        assert engine.show(run_id) == before
    assert len(set(late.begun)) == 1  # of both attempts: by this key whoever is charged tells them from two


def test_a_success_that_comes_after_a_cancel_is_what_the_step_came_to(late: Late) -> None:
    with LocalEngine(late.tasks()) as engine:
        run_id = engine.start(document("{id: a, task: charge}, {id: z, after: [a], set: 1}"))
        assert late.has_begun.wait(PATIENCE_S)
        engine.cancel(run_id)
        late.may_end.set()
        run = engine.wait(run_id, timeout=PATIENCE_S)
    assert (run.status, run.steps["a"].output, run.steps["z"].status) == ("cancelled", "charge 1", "skipped")
