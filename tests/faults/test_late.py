"""Who comes late, after a retry, an amendment or an end: what he still writes is no result of the run that goes on."""

from __future__ import annotations

from typing import Any

import pytest
from treadle import LATER, TaskContext, TaskError, task
from treadle.core.errors import Rejected, Unavailable, WrongState
from treadle.engine import waits
from treadle.simulation.driver import TENANT, MemoryEngine
from treadle.simulation.faults import Crash

from tests.faults.test_slower import AN_HOUR_MS, HEAD, SET, Meeting, deliver, fails, put_of


def skip_of(name: str) -> Any:
    return lambda item, condition=None: item["sk"] == f"s#{name}" and item.get("outcome") in ("dead", "blocked")


CHOICE = (
    HEAD
    + """steps:
  - {id: a, switch: [{when: 'input.x == 1', then: [b]}, {else: [c]}]}
  - {id: b, set: 1}
  - {id: c, fail: {error: X}}
  - {id: d, after: [b], set: 2}
"""
)


@pytest.mark.parametrize("late", ["b", "d"])
def test_a_skip_of_before_a_retry_is_not_written_after_it(late: str) -> None:
    engine = MemoryEngine()
    run = engine.start(CHOICE, {"x": 2})

    def retried() -> None:
        deliver(engine, run, "settle", "")
        engine.wait(run)
        engine.operations.retry(TENANT, run, from_step="a", input={"x": 1})

    meeting = Meeting(engine, "put", skip_of(late), retried)
    engine.rest()
    assert meeting.happened
    assert engine.show(run).status == "succeeded"
    assert engine.show(run).steps["d"].output == 2


BEFORE = (
    HEAD
    + """steps:
  - {id: a, when: 'false', set: 1}
  - {id: b, after: [{step: a, on: succeeded}], set: 1}
  - {id: c, after: [b], set: 2}
  - {id: w, approval: {}}
"""
)


@pytest.mark.parametrize("late", ["b", "c"])
def test_a_skip_by_the_plan_of_before_is_not_written_once_it_is_amended(late: str) -> None:
    engine = MemoryEngine()
    run = engine.start(BEFORE)
    after = BEFORE.replace("on: succeeded", "on: skipped").replace("1.0.0", "1.0.1")
    meeting = Meeting(engine, "put", skip_of(late), lambda: engine.operations.amend(TENANT, run, after))
    engine.wait(run, "waiting")
    assert meeting.happened
    engine.approve(run, "w", by="ann")
    assert engine.wait(run).output == {"w": {"decision": "approved", "by": "ann", "comment": None}, "c": 2}


def test_what_stopped_a_group_before_a_retry_does_not_stop_it_afterwards() -> None:
    ran: list[int] = []

    @task
    def works(given: Any) -> int:
        ran.append(1)
        if len(ran) < 4:
            raise RuntimeError
        return 1

    again = "retry: {maxAttempts: 2, delay: 1s, jitter: none}"
    engine = MemoryEngine([works])
    run = engine.start(f"{HEAD}steps: [{{id: g, group: {{steps: [{{id: a, task: works, {again}}}, {{id: b, wait: 1h}}]}}}}]\n")
    assert engine.wait(run).status == "failed"
    engine.operations.retry(TENANT, run)
    assert engine.wait(run).status == "succeeded"


def cancelled(sk: str) -> Any:
    return lambda item, condition=None: item["sk"] == sk and item.get("outcome") == "cancelled"


@pytest.mark.parametrize("how", ["maxConcurrency: 1, ", ""], ids=["lane", "chunk"])
def test_an_item_that_is_cancelled_after_the_retry_of_its_run_runs_all_the_same(how: str) -> None:
    @task
    def works(given: Any) -> Any:
        return given

    engine = MemoryEngine([works])
    run = engine.start(f"{HEAD}steps: [{{id: f, forEach: [1, 2, 3], {how}task: works, with: '${{item}}'}}]\n")
    Meeting(engine, "put", put_of("s#f[1]", "ended"), fails(Crash()))
    with pytest.raises(Crash):
        engine.wait(run)
    engine.cancel(run)

    def retried() -> None:
        deliver(engine, run, "settle", "")
        engine.wait(run)
        assert engine.show(run).status == "cancelled"
        engine.operations.retry(TENANT, run)

    meeting = Meeting(engine, "put", cancelled("s#f[1]"), retried)
    engine.rest()
    assert meeting.happened
    assert engine.show(run).status == "succeeded"
    assert engine.show(run).output == {"f": [1, 2, 3]}


@pytest.mark.parametrize("how", ["maxConcurrency: 1, ", ""], ids=["lane", "chunk"])
def test_an_item_that_failed_before_a_retry_and_is_written_after_it_is_tried_again(how: str) -> None:
    ran: list[Any] = []

    @task
    def works(given: Any) -> Any:
        ran.append(given)
        if given == 2 and ran.count(2) <= 1:
            raise RuntimeError
        return given

    engine = MemoryEngine([works])
    run = engine.start(f"{HEAD}steps: [{{id: f, forEach: [1, 2, 3], {how}task: works, with: '${{item}}'}}]\n")

    def retried() -> None:
        engine.cloud.clock.advance_to(engine.now() + AN_HOUR_MS)
        engine.cancel(run)
        engine.wait(run)
        assert engine.show(run).status == "cancelled"
        engine.operations.retry(TENANT, run)

    meeting = Meeting(engine, "put", put_of("s#f[1]", "ended"), retried)
    engine.rest()
    assert meeting.happened
    assert engine.show(run).status == "succeeded"
    assert engine.show(run).output == {"f": [1, 2, 3]}


def test_an_iteration_that_is_cancelled_after_the_retry_of_its_run_runs_all_the_same() -> None:
    @task
    def works(given: Any) -> Any:
        return given

    engine = MemoryEngine([works])
    text = f"{HEAD}steps: [{{id: r, repeat: {{max: 9, until: iteration == 2}}, task: works, with: '${{[iteration, previous]}}'}}]\n"
    run = engine.start(text)
    Meeting(engine, "put", put_of("s#r[1]", "ended"), fails(Crash()))
    with pytest.raises(Crash):
        engine.wait(run)
    engine.cancel(run)

    def retried() -> None:
        deliver(engine, run, "settle", "")
        engine.wait(run)
        engine.operations.retry(TENANT, run)

    meeting = Meeting(engine, "put", cancelled("s#r[1]"), retried)
    engine.rest()
    assert meeting.happened
    assert engine.show(run).output == {"r": [2, [1, [0, None]]]}


def test_a_retry_bars_what_nobody_had_reached_and_was_about_to_be_skipped() -> None:
    engine = MemoryEngine()
    run = engine.start(CHOICE.replace("fail: {error: X}", "approval: {}"), {"x": 2})

    def retried() -> None:
        engine.cancel(run)
        engine.wait(run)
        engine.operations.retry(TENANT, run, from_step="a", input={"x": 1})

    meeting = Meeting(engine, "put", skip_of("b"), retried)
    engine.rest()
    assert meeting.happened
    assert engine.show(run).steps["d"].output == 2


def test_a_join_of_some_that_is_opened_again_sees_what_it_waited_for() -> None:
    text = (
        HEAD
        + """steps:
  - {id: a, set: 1}
  - {id: b, after: [a], wait: 1h, output: 2}
  - {id: j, after: [a, b], join: any, set: '${steps.b == null}'}
  - {id: z, after: [j], fail: {error: X}}
"""
    )
    engine = MemoryEngine()
    run = engine.start(text)
    engine.wait(run)
    engine.operations.retry(TENANT, run, from_step="a")
    engine.wait(run)
    assert engine.show(run).steps["j"].output is True


# ------------------------------------------------------------------------------------------------ answers that were lost


def test_a_release_whose_answer_was_lost_is_not_refused() -> None:
    engine = MemoryEngine()
    run = engine.start(HEAD + "steps: [{id: a, approval: {}}]\n")
    engine.operations.holds.hold(TENANT, run, reason="x")
    meeting = Meeting(engine, "update", lambda key, change, condition=None: "legal_hold" in change.remove, lambda: None)
    meeting.again = True
    engine.operations.holds.release(TENANT, run)
    assert meeting.happened
    assert engine.show(run).legal_hold is None
    with pytest.raises(WrongState, match="held by nobody"):
        engine.operations.holds.release(TENANT, run)


def heard_of() -> tuple[MemoryEngine, str, list[str]]:
    """A run whose step ends later, and is silent for as long as nobody has its token (the list, once it has begun)."""
    tokens: list[str] = []

    @task
    def begins(given: Any, context: TaskContext) -> Any:
        tokens.append(context.callback().token)
        return LATER

    engine = MemoryEngine([begins])
    return engine, engine.start(HEAD + "steps: [{id: p, task: begins, heartbeat: 1m}]\n"), tokens


def test_who_was_heard_of_in_time_is_not_taken_for_silent() -> None:
    engine, run, tokens = heard_of()
    meeting = Meeting(engine, "put", put_of("s#p", "retry"), lambda: engine.operations.heartbeat(tokens[0]))
    engine.pass_time("70s")
    assert meeting.happened
    assert engine.show(run).steps["p"].status == "waiting"
    engine.operations.succeed(tokens[0], 7)
    assert engine.wait(run).output == {"p": 7}


def test_who_was_heard_of_and_then_is_silent_fails_at_that_time() -> None:
    engine, run, tokens = heard_of()
    began = engine.now()
    Meeting(engine, "put", put_of("s#p", "retry"), lambda: engine.operations.heartbeat(tokens[0]))
    assert engine.wait(run).status == "failed"
    assert engine.now() - began < 121_000


# ------------------------------------------------------------------------------------------------ starts


def test_a_run_was_started_by_whoever_started_it_and_not_by_one_who_died_before() -> None:
    for first, second in (("ann", "bob"), ("ann", None), (None, "bob")):
        engine = MemoryEngine()
        plan = engine.operations.compiled(SET)[1]
        engine.register(SET)
        Meeting(engine, "put", put_of("!", "running"), fails(Unavailable("down")))
        with pytest.raises(Unavailable):
            engine.operations.start(TENANT, plan.workflow, {"x": 1}, key="k", by=first)
        run = engine.operations.start(TENANT, plan.workflow, {"x": 2}, key="k", by=second).id
        assert engine.wait(run).steps["a"].output == 2
        assert engine.history(run)[0].get("by") == second


THREE = HEAD + "steps: [{id: a, set: '${input.x}'}, {id: b, after: [a], set: '${steps.a.output}'}, {id: c, after: [b], wait: 1h}]\n"


@pytest.mark.parametrize("is_rerun", [False, True])
@pytest.mark.parametrize("dies", [False, True])
def test_a_key_is_for_one_step_to_go_on_from(is_rerun: bool, dies: bool) -> None:
    engine = MemoryEngine()
    old = engine.start(THREE, {"x": 1})
    engine.advance(engine.now())
    kept = engine.operations.checkpoint(TENANT, old)["id"]

    def goes_on(from_step: str, x: int) -> str:
        act, of = (engine.operations.rerun, old) if is_rerun else (engine.operations.restore, kept)
        return act(TENANT, of, from_step=from_step, input={"x": x}, key="k").id

    if dies:
        Meeting(engine, "put", put_of("!", "running"), fails(Unavailable("down")))
        with pytest.raises(Unavailable):
            goes_on("c", 1)
        run = ""
    else:
        run = goes_on("c", 1)
    for from_step, x in (("a", 1), ("c", 2)):
        with pytest.raises(Rejected, match="used with another request"):
            goes_on(from_step, x)
    assert goes_on("c", 1) == run or dies
    assert engine.wait(goes_on("c", 1)).status == "succeeded"


# ------------------------------------------------------------------------------------------------ what does not fit


@pytest.mark.parametrize("given", [1.5, "x" * 500_000, {"$ref": "blob:x"}, None], ids=["a fraction", "large", "like a reference", "null"])
def test_a_child_is_given_whatever_json_there_is(given: Any) -> None:
    engine = MemoryEngine()
    engine.register("id: c\nname: C\nversion: 1.0.0\nsteps: [{id: s, set: '${input.x}'}]\n")
    run = engine.start(HEAD + "steps: [{id: p, workflow: {id: c, input: '${input}'}}]\n", {"x": given})
    assert engine.wait(run).output == {"p": {"s": given}}


def test_an_error_whose_name_is_no_text_is_the_tasks() -> None:
    @task
    def breaks(given: Any) -> None:
        raise TaskError("half \ud800", "of a pair")

    engine = MemoryEngine([breaks])
    error = engine.run(HEAD + "steps: [{id: a, task: breaks}]\n").error
    assert error is not None
    assert error["name"] == "half \\ud800"


def test_a_time_that_is_in_no_year_is_refused() -> None:
    error = MemoryEngine().run(HEAD + "steps: [{id: a, wait: {until: input.t}}]\n", {"t": "9999-12-31T23:59:59-12:00"}).error
    assert error is not None
    assert error["name"] == "ExpressionError"


def test_more_people_than_an_item_can_hold_are_not_asked() -> None:
    names = ", ".join(f"n{number}{'x' * 200}" for number in range(2000))
    error = MemoryEngine().run(f"{HEAD}steps: [{{id: a, approval: {{by: [{names}]}}}}]\n").error
    assert error is not None
    assert error["message"].startswith("approval.by names people in")


def test_runs_count_under_a_key_of_any_length() -> None:
    engine = MemoryEngine()
    text = f"{HEAD}concurrency: {{key: input.k, limit: 1}}\nsteps: [{{id: a, approval: {{}}}}]\n"
    runs = [engine.start(text, {"k": "k" * 500_000 + last}) for last in ("a", "b", "a")]
    engine.advance(engine.now())
    assert [engine.show(run).status for run in runs] == ["waiting", "waiting", "pending"]


def test_a_loop_takes_any_number_of_large_signals() -> None:
    engine, many = MemoryEngine(), 80
    again = f"repeat: {{max: {many}, until: 'iteration == {many - 1}'}}, signal: {{name: go}}, output: '${{size(result)}}'"
    run = engine.start(f"{HEAD}steps: [{{id: a, {again}}}]\n")
    for _ in range(many):
        engine.advance(engine.now())
        engine.signal(run, "go", "x" * 8000)
    assert engine.wait(run).output == {"a": 8000}


def test_signals_that_nobody_takes_are_kept_until_there_is_no_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "CROWDED", 16_000)
    monkeypatch.setattr(waits, "MOST_BYTES", 20_000)
    engine = MemoryEngine()
    run = engine.start(HEAD + "steps: [{id: w, approval: {}}, {id: a, after: [w], signal: {name: go}}]\n")
    engine.wait(run, "waiting")
    for number in range(30):
        engine.signal(run, "go", [number, "x" * 8000])
    fill = (engine.signal(run, "go", "x" * 200) for _ in range(1000))
    with pytest.raises(WrongState, match="there is room for more once steps have taken some"):
        list(fill)
    engine.advance(engine.now())
    engine.approve(run, "w", by="ann")
    assert engine.wait(run).steps["a"].output == [0, "x" * 8000]


@pytest.mark.parametrize("seed", range(8))
def test_items_that_a_stopped_loop_cancels_stay_so_where_the_run_is_paused(seed: int) -> None:
    """A cancel that comes late is dropped where the loop goes on, which a run that is paused does not say."""
    engine = MemoryEngine(seed=seed)
    handling = "errorHandling: {onFailure: continue, thresholds: {maxFailedSteps: 0, action: pause}}\n"
    loop = "{id: f, forEach: [1, 2, 3, 4], wait: 13m, timeout: 5m}"
    run = engine.start(f"{HEAD}{handling}steps: [{loop}, {{id: z, wait: 9h}}]\n")
    engine.pass_time("1h")
    assert engine.show(run).status == "paused"
    engine.resume(run)
    engine.pass_time("1h")
    steps = engine.show(run).steps
    assert {steps[f"f[{n}]"].status for n in range(4)} <= {"failed", "cancelled"}
    assert steps["f"].status == "failed"
