"""Thresholds by rate: how many of the steps that ended lately have failed, and what is done when it is too many. And the ladder."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from treadle import TaskContext, TaskError, task
from treadle.engine import Settings, tolerance
from treadle.engine.control import open_run
from treadle.engine.reading import Checked
from treadle.engine.snapshot import one_by_one
from treadle.ports import Page
from treadle.simulation.driver import TENANT, MemoryEngine
from treadle.simulation.items import size_bytes


def steps(*outcomes: tuple[str, bool]) -> str:
    """Steps that end at these times, well or not; then one an hour later, which only runs where nothing was stopped."""
    lines = [f"- {{id: w{n}, wait: {at}}}\n- {{id: s{n}, after: [w{n}], {'set: 1' if well else 'fail: {error: Broken}'}}}"
             for n, (at, well) in enumerate(outcomes)]  # fmt: skip
    return "\n".join([*lines, "- {id: later, wait: 1h}", "- {id: last, after: [later], set: done}"])


def document(body: str, thresholds: str) -> str:
    handling = f"errorHandling: {{onFailure: continue, thresholds: {thresholds}}}"
    return f"id: w\nname: W\nversion: 1.0.0\n{handling}\nsteps:\n{body}\n"


OLD_SUCCESSES = [("1s", True), ("2s", True), ("3s", True), ("4s", True)]  # eight with the waits before them
RATE = "{failureRate: 0.4, window: 5m%s}"


@pytest.mark.parametrize(
    ("outcomes", "is_exceeded"),
    [
        pytest.param([*OLD_SUCCESSES, ("5s", False)], False, id="one of ten"),
        pytest.param([*OLD_SUCCESSES, ("20m", False)], True, id="one of the two that ended lately"),
        pytest.param([("1s", False)], True, id="one of two"),
        pytest.param([("1s", True), ("2s", True), ("3s", False), ("4s", False)], False, id="two of eight"),
        pytest.param([*OLD_SUCCESSES, ("6m", True), ("6m", True), ("7m", False)], False, id="one of six within the window"),
    ],
)
def test_only_what_ended_within_the_window_counts(outcomes: list[tuple[str, bool]], is_exceeded: bool) -> None:
    engine = MemoryEngine()
    run_id = engine.start(document(steps(*outcomes), RATE % ""))
    engine.pass_time("2h")
    assert engine.show(run_id).status == ("paused" if is_exceeded else "failed")
    assert (engine.show(run_id).steps["last"].status == "succeeded") is not is_exceeded


@pytest.mark.parametrize(("action", "status"), [("pause", "paused"), ("fail", "failed"), ("cancel", "cancelled")])
def test_what_is_done_when_the_rate_is_exceeded(action: str, status: str) -> None:
    engine = MemoryEngine()
    run_id = engine.start(document(steps(("1s", False)), RATE % f", action: {action}"))
    engine.pass_time("2h")
    run = engine.show(run_id)
    assert run.status == status
    assert run.steps["last"].status == ("pending" if action == "pause" else "skipped")


def test_a_paused_run_goes_on_when_a_person_says_so() -> None:
    engine = MemoryEngine()
    run_id = engine.start(document(steps(("1s", False)), RATE % ""))
    engine.pass_time("10m")
    assert engine.show(run_id).status == "paused"
    engine.operations.resume(TENANT, run_id, by="ann")
    run = engine.wait(run_id)
    assert (run.status, run.steps["last"].output) == ("failed", "done")


def test_items_of_a_loop_are_counted() -> None:
    body = """
    - {id: f, forEach: "[1, 2, 3, 4]", maxConcurrency: 1, tolerate: {failures: 4}, task: boom}
    - {id: last, after: [f], set: done}
    """

    def boom(given: Any) -> Any:
        raise ValueError("boom")

    engine = MemoryEngine([boom])
    run_id = engine.start(document(body, "{maxFailedSteps: 2, action: fail}"))
    run = engine.wait(run_id)
    assert (run.status, run.steps["last"].status) == ("failed", "skipped")


# ------------------------------------------------------------------------------------------------ failed items of a loop


@task
def odd(given: Any) -> Any:
    if given:
        raise TaskError("Odd", str(given), permanent=True)
    return "even"


LOOP = "id: w\nname: W\nversion: 1.0.0\nsteps: [{id: f, forEach: input, tolerate: {failures: %d}, task: odd, with: '${item}'%s}]\n"


@pytest.mark.parametrize("width", ["", ", maxConcurrency: 3"], ids=["all at once", "three at a time"])
@pytest.mark.parametrize(("items", "tally"), [(9, 2), (17, 2), (300, 128), (300, 7), (40, 128)])
@pytest.mark.parametrize(("beyond", "status"), [(0, "succeeded"), (1, "failed")])
def test_many_failures_are_tolerated_to_the_last_one(width: str, items: int, tally: int, beyond: int, status: str) -> None:
    engine = MemoryEngine([odd], settings=Settings(tally=tally))
    failing = items // 2
    run = engine.run(LOOP % (failing - beyond, width), [n % 2 for n in range(items)])
    assert (run.status, run.steps["f"].status) == (status, status)
    if status == "succeeded":
        assert run.output == {"f": [None if n % 2 else "even" for n in range(items)]}
    else:
        assert (run.error or {})["name"] == "Odd"


def test_no_item_grows_with_the_failures() -> None:
    engine = MemoryEngine([odd])
    engine.run(LOOP % (3000, ""), [1] * 3000)
    of_failures = [item for item in engine.cloud.store.items() if "#failed#" in item["pk"] or "failures" in item]
    assert len(of_failures) == -(-3000 // 128) + 1
    assert max(map(size_bytes, of_failures)) <= 1024


def test_the_millionth_failure_is_found_in_three_small_items() -> None:
    engine = MemoryEngine()
    run_id = engine.start("id: w\nname: W\nversion: 1.0.0\nsteps: [{id: f, wait: 1h}]\n")
    run, header, step = open_run(engine.world, run_id, TENANT), {"n": 1_000_000, "attempt": 1}, with_tolerance(130)
    scattered = range(0, 1_000_000, 7633)
    answers = [tolerance.is_tolerated(run, "f", step, header, number, None) for number in scattered]
    assert answers == [True] * 130 + [False] * (len(scattered) - 130)
    again = [tolerance.is_tolerated(run, "f", with_tolerance(len(scattered)), header, number, None) for number in scattered]
    assert all(again)  # those that were counted before count once
    of_failures = [item for item in engine.cloud.store.items() if "#failed#" in item["pk"]]
    assert max(map(size_bytes, of_failures)) <= 1024


def with_tolerance(failures: int) -> Any:
    return SimpleNamespace(tolerate={"failures": failures})


def test_what_a_run_has_come_to_is_read_a_page_at_a_time() -> None:
    engine = MemoryEngine([odd])
    run_id = engine.run(LOOP % (3000, ""), [0] * 3000).id
    world = engine.world
    reads: list[str] = []

    class Counted(Checked):
        def query(self, *args: Any, **more: Any) -> Page:
            reads.append(args[0])
            return super().query(*args, **more)

    world.store = Counted(engine.cloud.store)
    items = one_by_one(open_run(world, run_id, TENANT))
    next(items)
    assert len(reads) == 1
    assert sum(1 for _ in items) == 3000
    assert len(reads) == 1 + -(-3000 // 256)


# ------------------------------------------------------------------------------------------------ the ladder


@pytest.mark.parametrize("resumed_first", [True, False], ids=["after the resume", "before the resume"])
def test_a_rung_pauses_once_however_often_its_failure_is_told(resumed_first: bool) -> None:
    """The bus may deliver an event again, and much later."""

    @task
    def flaky(given: Any, context: TaskContext) -> Any:
        if context.attempt == 1:
            raise TaskError("Busy")
        return "done"

    engine = MemoryEngine([flaky])
    handling = "errorHandling: {escalation: [{afterAttempts: 1, action: pause}]}"
    step = "{id: a, task: flaky, retry: {maxAttempts: 2, delay: 1h, jitter: none}}"
    run_id = engine.start(f"id: w\nname: W\nversion: 1.0.0\n{handling}\nsteps:\n- {step}\n")
    assert engine.wait(run_id, "paused").steps["a"].status == "waiting"
    told = next(event["detail"] for event in engine.cloud.bus.events if event["detail-type"] == "StepFailed")
    if resumed_first:
        engine.resume(run_id)
    engine.engine.failed(told, engine.now() + 60_000)
    if not resumed_first:
        engine.resume(run_id)
    assert engine.show(run_id).status == "running"
    assert engine.wait(run_id).output == {"a": "done"}


@pytest.mark.parametrize("seed", range(10))
def test_an_attempt_that_took_long_reaches_its_rung_as_well(seed: int) -> None:
    """Whoever went over the run next took the failure for one whose event was lost, and forgot the ladder."""
    handling = "errorHandling: {onFailure: continue, escalation: [{afterAttempts: 1, action: pause}]}"
    group = "{steps: [{id: b, wait: 2h}, {id: c, after: [b], set: 1}]}"
    step = f"{{id: a, forEach: '[1, 2]', maxConcurrency: 1, tolerate: {{failures: 1}}, timeout: 1h, group: {group}}}"
    engine = MemoryEngine(seed=seed)
    run_id = engine.start(f"id: w\nname: W\nversion: 1.0.0\n{handling}\nsteps:\n- {step}\n")
    engine.pass_time("90m")
    assert engine.show(run_id).status == "paused"


@pytest.mark.parametrize("rung", ["afterAttempts: 1", "afterFailure: 10m"])
def test_a_rung_that_is_reached_again_after_a_persons_retry_is_another_event(rung: str) -> None:
    """Under the same id whoever sends notifications would take it for one that came twice."""
    engine = MemoryEngine([odd])
    handling = f"errorHandling: {{onFailure: wait, escalation: [{{{rung}, notify: boss}}]}}"
    run_id = engine.start(f"id: w\nname: W\nversion: 1.0.0\n{handling}\nsteps:\n- {{id: a, task: odd, with: 1}}\n")
    engine.pass_time("1h")
    engine.decide(run_id, "a", "retry")
    engine.pass_time("1h")
    raised = [event["detail"]["id"] for event in engine.cloud.bus.events if event["detail-type"] == "EscalationRaised"]
    assert len(raised) == len(set(raised)) == 2
    assert [entry["what"] for entry in engine.history(run_id)].count("Escalated") == 2
