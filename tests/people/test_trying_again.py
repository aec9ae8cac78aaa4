"""A person has a step tried again that failed and waits: of a loop only what did not succeed, of a child run with another input."""

from __future__ import annotations

from typing import Any

import pytest
from treadle import TaskContext, TaskError, task
from treadle.core.errors import Rejected
from treadle.engine import Settings, anew, retrying
from treadle.engine.control import open_run, waiting_item
from treadle.simulation.driver import TENANT, MemoryEngine

HEAD = "id: w\nname: W\nversion: 1.0.0\nerrorHandling: {onFailure: wait}\nsteps: [%s]\n"


class Bank:
    """Away, or not. `seen`: the steps that asked it."""

    def __init__(self) -> None:
        self.is_away = True
        self.seen: list[str] = []

    def task(self) -> Any:
        @task(name="pay")
        def pay(given: Any, context: TaskContext) -> Any:
            self.seen.append(context.step_id)
            if given in ("bad", 2) and self.is_away:
                raise TaskError("Away", str(given), permanent=True)
            return given

        return pay


@pytest.fixture
def bank() -> Bank:
    return Bank()


@pytest.fixture
def engine(bank: Bank) -> MemoryEngine:
    return MemoryEngine([bank.task()])


def waiting(engine: MemoryEngine, steps: str, input: Any = None) -> str:
    run_id = engine.start(HEAD % steps, input)
    engine.wait(run_id, "waiting")
    return run_id


EACH = "{id: f, forEach: input, %s task: pay, with: '${item}'}, {id: z, after: [f], set: '${steps.f.output}'}"
GIVEN = ["a", "bad", "c", "bad", "e"]


@pytest.mark.parametrize("width", ["", "maxConcurrency: 2,", "tolerate: {failures: 1},"], ids=["all at once", "lanes", "tolerant"])
def test_of_a_loop_what_did_not_succeed_is_tried_again(engine: MemoryEngine, bank: Bank, width: str) -> None:
    run_id = waiting(engine, EACH % width, GIVEN)
    succeeded = {path for path, step in engine.show(run_id).steps.items() if step.status == "succeeded"}
    assert succeeded
    bank.is_away, bank.seen[:] = False, []
    engine.decide(run_id, "f", "retry")
    run = engine.wait(run_id)
    assert (run.status, run.output) == ("succeeded", {"z": GIVEN})
    assert sorted(bank.seen) == sorted({f"f[{n}]" for n in range(5)} - succeeded)


def test_it_may_fail_once_more_and_waits_once_more(engine: MemoryEngine, bank: Bank) -> None:
    run_id = waiting(engine, EACH % "", GIVEN)
    for _ in range(3):
        bank.seen.clear()
        engine.decide(run_id, "f", "retry")
        engine.wait(run_id, "waiting")
        assert "f[1]" in bank.seen
    bank.is_away = False
    engine.decide(run_id, "f", "retry")
    assert engine.wait(run_id).output == {"z": GIVEN}
    told = [entry for entry in engine.history(run_id) if entry["path"] == "f[1]" and entry["what"] == "StepEnded"]
    assert [entry["status"] for entry in told] == ["failed"] * 4 + ["succeeded"]


@pytest.mark.parametrize("choice", ["explode", "", "Retry"])
def test_a_choice_that_is_none_is_refused(engine: MemoryEngine, choice: Any) -> None:
    run_id = waiting(engine, EACH % "", GIVEN)
    with pytest.raises(Rejected, match="is one of retry, skip, fail") as refused:
        engine.decide(run_id, "f", choice)
    assert (refused.value.code, engine.show(run_id).status) == ("bad-value", "waiting")


def test_of_a_repeat_the_iteration_that_failed_is(engine: MemoryEngine, bank: Bank) -> None:
    run_id = waiting(engine, "{id: f, repeat: {until: 'iteration == 3', max: 9}, task: pay, with: '${iteration}'}")
    bank.is_away, bank.seen[:] = False, []
    engine.decide(run_id, "f", "retry")
    assert engine.wait(run_id).output == {"f": 3}
    assert bank.seen == ["f[2]", "f[3]"]


def test_of_groups_in_a_loop_each_step_asks_for_itself(engine: MemoryEngine, bank: Bank) -> None:
    run_id = waiting(engine, "{id: f, forEach: input, group: {steps: [{id: x, task: pay, with: '${item}'}]}}", GIVEN)
    asked = [question["step"] for question in engine.operations.approvals(TENANT)[0]]
    assert sorted(asked) == ["f[1].x", "f[3].x"]
    engine.decide(run_id, "f[1].x", "skip", output="by hand")
    engine.decide(run_id, "f[3].x", "retry", input="other")
    assert engine.wait(run_id).output == {"f": [{"x": "a"}, {"x": "by hand"}, {"x": "c"}, {"x": "other"}, {"x": "e"}]}


def test_who_dies_before_the_loop_is_let_go_leaves_it_waiting(engine: MemoryEngine, bank: Bank) -> None:
    run_id = waiting(engine, EACH % "", GIVEN)
    run = open_run(engine.world, run_id, TENANT)
    anew.begin(run, waiting_item(run, "f", "person"))
    engine.rest()
    assert engine.show(run_id).steps["f"].why == "waits for a person's decision"
    bank.is_away = False
    engine.decide(run_id, "f", "retry")
    assert engine.wait(run_id).output == {"z": GIVEN}


def test_who_comes_late_takes_nothing_back_that_has_gone_on(engine: MemoryEngine, bank: Bank) -> None:
    run_id = waiting(engine, EACH % "", GIVEN)
    run = open_run(engine.world, run_id, TENANT)
    late = retrying.LoopAnew(run, waiting_item(run, "f", "person"))
    engine.decide(run_id, "f", "retry")
    engine.wait(run_id, "waiting")
    before = {path: step.ended_at for path, step in engine.show(run_id).steps.items()}
    late.work()
    assert {path: step.ended_at for path, step in engine.show(run_id).steps.items()} == before
    bank.is_away = False
    engine.decide(run_id, "f", "retry")
    assert engine.wait(run_id).output == {"z": GIVEN}


def test_a_run_that_was_tried_again_can_be_retried_as_well(engine: MemoryEngine, bank: Bank) -> None:
    run_id = waiting(engine, EACH % "", GIVEN)
    engine.decide(run_id, "f", "retry")
    engine.wait(run_id, "waiting")
    engine.decide(run_id, "f", "fail")
    engine.wait(run_id, "failed")
    bank.is_away = False
    engine.operations.retry(TENANT, run_id)
    assert engine.wait(run_id).output == {"z": GIVEN}


def test_a_child_run_takes_another_input(engine: MemoryEngine) -> None:
    engine.register("id: kid\nname: K\nversion: 1.0.0\nsteps: [{id: p, task: pay, with: '${input.sum}'}]\n")
    run_id = waiting(engine, "{id: k, workflow: {id: kid, input: {sum: bad}}}")
    given = engine.operations.inputs.of(TENANT, run_id, "k")["input"]
    assert given == {"sum": "bad"}
    engine.decide(run_id, "k", "retry", input=given | {"sum": "good"})
    assert engine.wait(run_id).output == {"k": {"p": "good"}}


@pytest.mark.parametrize(
    ("steps", "input", "kind"),
    [
        pytest.param(EACH % "", GIVEN, "loop", id="a loop"),
        pytest.param("{id: f, set: '${input.nothing}'}", {}, "set", id="what is no task"),
    ],
)
def test_another_input_is_refused_where_nothing_would_become_of_it(engine: MemoryEngine, steps: str, input: Any, kind: str) -> None:
    run_id = waiting(engine, steps, input)
    with pytest.raises(Rejected, match=f"another input is for a task or a child run: step f is a {kind}") as refused:
        engine.decide(run_id, "f", "retry", input={"card": 1})
    assert (refused.value.code, engine.show(run_id).status) == ("bad-value", "waiting")


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("ask", "there is no step ask: it is inside of each, from which one can go on"),
        ("each[1].ask", "there is no step each[1].ask: it is inside of each, from which one can go on"),
        ("each[1]", "there is no step each[1]: it is inside of each, from which one can go on"),
        ("eahc", "there is no step eahc"),
    ],
)
def test_one_goes_on_from_whole_steps_and_is_told_which(engine: MemoryEngine, step: str, told: str) -> None:
    group = "{id: each, forEach: [1, 2], group: {steps: [{id: inner, group: {steps: [{id: ask, fail: {error: Bad}}]}}]}}"
    run = engine.run((HEAD % group).replace("onFailure: wait", "onFailure: stop"))
    assert run.status == "failed"
    for go_on in (engine.operations.retry, engine.operations.rerun):
        with pytest.raises(Rejected) as refused:
            go_on(TENANT, run.id, from_step=step)
        assert refused.value.message == told


class Gone(BaseException):
    """The worker is, in the midst of its work."""


@pytest.mark.parametrize("loop", ["forEach: '[1]'", "repeat: {until: 'true', max: 1}"])
@pytest.mark.parametrize("given", [None, "other"])
def test_an_item_that_was_lost_with_its_worker_is_tried_again_by_itself(loop: str, given: Any) -> None:
    """`recovery_strategy: manual`: somebody looks first whether it had an effect."""

    @task
    def dies(given: Any, context: TaskContext) -> Any:
        seen.append(given)
        if len(seen) == 1:
            raise TaskError("Away")
        if len(seen) == 2:
            raise Gone
        return given

    seen: list[Any] = []
    engine = MemoryEngine([dies], settings=Settings(recovery="manual"))
    retry = "retry: {maxAttempts: 3, delay: 0s}"
    run_id = engine.start(HEAD % f"{{id: f, {loop}, {retry}, task: dies, with: own}}")
    with pytest.raises(Gone):
        engine.wait(run_id)
    engine.wait(run_id, "waiting")
    engine.decide(run_id, "f[0]", "retry", input=given)
    assert engine.wait(run_id).status == "succeeded"
    assert seen == ["own", "own", given or "own"]
