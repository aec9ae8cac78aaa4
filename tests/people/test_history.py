"""The history tells of each attempt that failed, however the step came to its end, without a write for it."""

from __future__ import annotations

from typing import Any

import pytest
from treadle import TaskContext, TaskError, task
from treadle.cli.telling import shortened, told
from treadle.engine.items import step_key
from treadle.engine.tries import MOST_BYTES
from treadle.simulation.driver import TENANT, MemoryEngine


def fails_until(last: int, message: str = "no route") -> Any:
    @task(name="pay")
    def pay(given: Any, context: TaskContext) -> Any:
        if context.attempt < last:
            raise TaskError(f"Away{context.attempt}", message)
        return "paid"

    return pay


def document(step: str, handling: str = "") -> str:
    return f"id: w\nname: W\nversion: 1.0.0\nsteps: [{step}]\n" + (f"errorHandling: {handling}\n" if handling else "")


def attempts(engine: MemoryEngine, run_id: str) -> list[tuple[str, int, str]]:
    failed = [entry for entry in engine.history(run_id) if entry["what"] == "AttemptFailed"]
    return [(entry["path"], entry["attempt"], entry["error"]["name"]) for entry in failed]


RETRY = "retry: {maxAttempts: 4, delay: 1s}"


@pytest.mark.parametrize(
    ("last", "earlier", "status"),
    [
        pytest.param(1, [], "succeeded", id="at once"),
        pytest.param(3, [1, 2], "succeeded", id="the third succeeds"),
        pytest.param(9, [1, 2, 3], "failed", id="none does: the last one is how the step ended"),
    ],
)
def test_each_failed_attempt_has_a_line(last: int, earlier: list[int], status: str) -> None:
    engine = MemoryEngine([fails_until(last)])
    run = engine.run(document(f"{{id: a, task: pay, {RETRY}}}"))
    assert run.status == status
    assert attempts(engine, run.id) == [("a", number, f"Away{number}") for number in earlier]
    what = [entry["what"] for entry in engine.history(run.id)]
    assert what == ["RunStarted", "StepStarted", *["AttemptFailed"] * len(earlier), "StepEnded", "RunEnded"]


def test_between_two_attempts_it_is_told_already() -> None:
    engine = MemoryEngine([fails_until(9)])
    run_id = engine.start(document("{id: a, task: pay, retry: {maxAttempts: 4, delay: 1h, backoff: fixed, jitter: none}}"))
    engine.pass_time("90m")
    assert attempts(engine, run_id) == [("a", 1, "Away1"), ("a", 2, "Away2")]


@pytest.mark.parametrize("choice", ["retry", "skip", "fail"])
def test_what_a_person_decided_about_is_told(choice: Any) -> None:
    engine = MemoryEngine([fails_until(3)])
    run_id = engine.start(document("{id: a, task: pay, retry: {maxAttempts: 2, delay: 1s}}", "{onFailure: wait}"))
    engine.wait(run_id, "waiting")
    assert attempts(engine, run_id) == [("a", 1, "Away1"), ("a", 2, "Away2")]
    engine.decide(run_id, "a", choice)
    engine.wait(run_id, "waiting" if choice == "retry" else None)
    expected = {"retry": [1, 2, 1, 2], "skip": [1, 2], "fail": [1]}[choice]
    assert [number for _, number, _ in attempts(engine, run_id)] == expected


def test_what_a_retry_took_back_keeps_its_attempts() -> None:
    engine = MemoryEngine([fails_until(9)])
    run_id = engine.run(document("{id: a, task: pay, retry: {maxAttempts: 2, delay: 1s}}")).id
    engine.operations.retry(TENANT, run_id)
    engine.wait(run_id)
    failed = [entry for entry in engine.history(run_id) if entry["what"] == "AttemptFailed"]
    assert [entry.get("generation") for entry in failed] == [1, None]


def test_many_long_errors_leave_an_item_within_its_write_unit() -> None:
    engine = MemoryEngine([fails_until(99, "x" * 4000)])
    run_id = engine.run(document("{id: a, task: pay, retry: {maxAttempts: 50, delay: 1s}}")).id
    item = engine.cloud.store.get(step_key(run_id, "a")) or {}
    assert len(item["failed"].encode()) <= MOST_BYTES
    assert [number for _, number, _ in attempts(engine, run_id)] == [47, 48, 49]


def test_a_step_that_never_failed_carries_nothing() -> None:
    engine = MemoryEngine([fails_until(1)])
    item = engine.cloud.store.get(step_key(engine.run(document("{id: a, task: pay}")).id, "a")) or {}
    assert "failed" not in item
    assert "failed_at" not in item


# ------------------------------------------------------------------------------------------------ what a stranger has to find in it


@task
def undo(given: Any) -> Any:
    if given == "stays":
        raise TaskError("Stuck", "it is gone", permanent=True)
    return "undone"


UNDONE = document(
    "{id: a, set: 1, compensate: {task: undo}}, {id: b, after: [a], set: stays, compensate: {task: undo, with: '${output}'}}, "
    "{id: z, after: [b], fail: {error: Boom, message: no more}}",
    "{onFailure: compensate}",
)


def sentences(engine: MemoryEngine, run_id: str) -> list[str]:
    return [f"{entry['path']} {told(entry)}" if entry["path"] else told(entry) for entry in engine.history(run_id)]


def test_what_was_undone_is_told_last_ended_first() -> None:
    engine = MemoryEngine([undo])
    assert sentences(engine, engine.run(UNDONE).id)[-6:] == [
        "z failed: Boom: no more",
        "b is being undone",
        "b could not be undone: Stuck: it is gone",
        "a is being undone",
        "a was undone",
        "the run ended: failed: Boom: no more (step z); not everything could be undone",
    ]


def test_what_an_earlier_end_undid_is_told_after_a_retry() -> None:
    engine = MemoryEngine([undo])
    run_id = engine.run(UNDONE).id
    engine.operations.retry(TENANT, run_id, by="ann")
    engine.wait(run_id)
    told_of = [entry["path"] for entry in engine.history(run_id) if entry["what"] == "UndoEnded"]
    assert told_of == ["b", "a", "b", "a"]


@pytest.mark.parametrize(
    ("step", "handling", "line"),
    [
        pytest.param("{id: a, approval: {}}", "", "a waits for an approval", id="an approval"),
        pytest.param("{id: a, signal: {name: go}}", "", "a waits for signal go", id="a signal"),
        pytest.param("{id: a, task: pay}", "{onFailure: wait}", "a waits for a person's decision", id="a decision"),
    ],
)
def test_the_last_line_says_what_is_waited_for(step: str, handling: str, line: str) -> None:
    engine = MemoryEngine([fails_until(9)])
    run_id = engine.start(document(step, handling))
    engine.wait(run_id, "waiting")
    assert sentences(engine, run_id)[-1] == line


def test_an_attempt_that_is_to_come_is_told_with_its_time() -> None:
    engine = MemoryEngine([fails_until(9)])
    run_id = engine.start(document("{id: a, task: pay, retry: {maxAttempts: 4, delay: 1h, backoff: fixed, jitter: none}}"))
    engine.pass_time("1m")
    assert sentences(engine, run_id)[-1].startswith("a tried again at ")


@pytest.mark.parametrize(
    ("choice", "more", "line"),
    [
        pytest.param("retry", {}, "decided: retry", id="as it was"),
        pytest.param("retry", {"input": {"card": 4}}, "decided: retry with another input", id="with another input"),
        pytest.param("skip", {"output": 1}, "decided: skip with an output", id="with an output"),
    ],
)
def test_whether_a_person_put_something_in_its_place_is_told(choice: Any, more: dict[str, Any], line: str) -> None:
    engine = MemoryEngine([fails_until(2)])
    run_id = engine.start(document("{id: a, task: pay}", "{onFailure: wait}"))
    engine.wait(run_id, "waiting")
    engine.operations.decide(TENANT, run_id, "a", choice, by="ann", reason="seen", **more)
    assert f'a ann {line} ("seen")' in sentences(engine, run_id)


def test_what_the_engine_did_by_itself_is_told() -> None:
    engine = MemoryEngine([fails_until(9)])
    ladder = "[{afterAttempts: 1, notify: ops, severity: warning}, {afterFailure: 5m, notify: oncall}, {afterFailure: 1h, action: fail}]"
    run_id = engine.start(document("{id: a, task: pay}", f"{{onFailure: wait, escalation: {ladder}}}"))
    engine.pass_time("2h")
    assert [line for line in sentences(engine, run_id) if "rung" in line] == [
        "a rung 1 of the escalation was reached (warning), for ops",
        "a rung 2 of the escalation was reached (error), for oncall",
        "a rung 3 of the escalation was reached (error): it fails",
    ]


@pytest.mark.parametrize(
    ("action", "then"), [("pause", ": the run is paused"), ("fail", ": it fails"), ("cancel", ": the run is cancelled")]
)
def test_why_the_engine_stopped_a_run_is_told(action: str, then: str) -> None:
    engine = MemoryEngine([fails_until(9)])
    steps = ", ".join(f"{{id: {name}, task: pay}}" for name in "abc")
    run_id = engine.start(document(steps, f"{{onFailure: continue, thresholds: {{maxFailedSteps: 1, action: {action}}}}}"))
    engine.pass_time("1m")
    told_of = [line.partition(" ")[2] for line in sentences(engine, run_id) if "too much" in line]
    assert told_of == [f"with this too much has failed{then}"]


def test_of_long_loops_what_failed_is_told_and_the_rest_on_demand() -> None:
    engine = MemoryEngine([fails_until(9)])
    group = "group: {steps: [{id: x, when: 'item == 7', task: pay}]}"
    steps = f"{{id: f, forEach: input.long, tolerate: {{failures: 1}}, {group}}}, {{id: s, forEach: input.short, set: 1}}"
    run_id = engine.start(document(steps), {"long": list(range(30)), "short": [1, 2]})
    engine.wait(run_id)
    whole = engine.history(run_id)
    paths = {entry["path"] for entry in shortened(whole)} - {None}
    assert paths == {"f", "f[7]", "f[7].x", "s", "s[0]", "s[1]"}
    assert {entry["path"] for entry in whole} > {"f[3]", "f[3].x"}


@pytest.mark.parametrize(
    ("handled", "ends", "late"),
    [
        pytest.param("catch: [{errors: ['*'], output: none}]", "succeeded", None, id="a group, and the run went on"),
        pytest.param("after: []", "failed", "the run stopped first", id="a group, and then the run"),
    ],
)
def test_what_never_began_says_what_stopped(handled: str, ends: str, late: str | None) -> None:
    group = "group: {steps: [{id: bad, fail: {error: Bad}}, {id: slow, wait: 1h}, {id: never, after: [slow], wait: 1h}]}"
    run = MemoryEngine([]).run(document(f"{{id: g, {group}, {handled}}}, {{id: b, wait: 2h}}, {{id: late, after: [b], wait: 1h}}"))
    never = run.steps["g.never"]
    assert (run.status, never.status, never.why) == (ends, "skipped", "its group or loop stopped first")
    assert run.steps["late"].why == late


@pytest.mark.parametrize("handling", ["stop", "continue", "compensate"])
def test_what_waited_for_a_failure_says_so_however_the_run_stopped(handling: str) -> None:
    failing, other = "{id: a, fail: {error: Bad}}, {id: b, set: 1, after: [a]}", "{id: c, set: 1, after: [{step: a, on: succeeded}]}"
    group = f"{{id: g, group: {{steps: [{failing}, {other}, {{id: w, wait: 1h}}]}}}}"
    run = MemoryEngine([]).run(document(f"{group}, {{id: z, set: 1, after: [g]}}", f"{{onFailure: {handling}}}"))
    assert (run.status, run.steps["g.b"].why, run.steps["z"].why) == ("failed", "dependency a failed", "dependency g failed")
    assert run.steps["g.c"].why == ("no live path: a was failed" if handling == "continue" else "its group or loop stopped first")


def test_inside_of_a_group_that_the_end_of_the_run_stopped_it_was_the_run() -> None:
    group = "group: {steps: [{id: slow, wait: 1h}, {id: never, after: [slow], wait: 1h}]}"
    run = MemoryEngine([]).run(document(f"{{id: g, {group}}}, {{id: w, wait: 1s}}, {{id: bad, after: [w], fail: {{error: Bad}}}}"))
    assert (run.steps["g.never"].status, run.steps["g.never"].why) == ("skipped", "the run stopped first")
