"""A person has a loop tried anew in the midst of its run: what is inside begins once more, and is not taken for what it was before."""

from __future__ import annotations

from typing import Any

import pytest
from treadle import LATER, TaskContext, TaskError, task
from treadle.core.errors import Rejected
from treadle.engine import Settings, anew
from treadle.engine.control import open_run, waiting_item
from treadle.simulation.driver import TENANT, MemoryEngine

HEAD = "id: w\nname: W\nversion: 1.0.0\nerrorHandling: {onFailure: wait}\nsteps: [%s]\n"
CHILD = "id: child\nname: C\nversion: 1.0.0\nsteps: [{id: x, task: nth, with: '${input}'}]\n"
SECOND = "task: nth, with: {key: '${string(item)}', fails: '${item in [1, 3] ? 1 : 0}'}"


class Desk:
    """`calls`: of the task `nth`, by key, over all runs. `tokens`: of the task `ask`, which ends later."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}
        self.tokens: list[str] = []
        self.engine = MemoryEngine([self._nth(), self._ask()])

    def _nth(self) -> Any:
        @task(name="nth")
        def nth(given: Any) -> int:
            self.calls[given["key"]] = count = self.calls.get(given["key"], 0) + 1
            if count <= given.get("fails", 0):
                raise TaskError("NotYet", f"call {count}")
            return count

        return nth

    def _ask(self) -> Any:
        @task(name="ask")
        def ask(given: Any, context: TaskContext) -> Any:
            self.tokens.append(context.callback().token)
            return LATER

        return ask

    def waiting(self, steps: str) -> str:
        run_id = self.engine.start(HEAD % steps)
        self.engine.wait(run_id, "waiting")
        return run_id

    def fails_and_is_tried_anew(self, run_id: str, *inside: str) -> None:
        """A person lets the steps inside of it fail, and with them the loop `f`; which is tried anew then."""
        for path in inside:
            self.engine.decide(run_id, path, "fail")
            self.engine.pass_time("1s")
        self.engine.wait(run_id, "waiting")
        self.engine.decide(run_id, "f", "retry")


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize(
    ("loop", "inside"),
    [
        pytest.param("forEach: '[1]', workflow: {id: child, input: {key: a, fails: 1}}", [], id="of items"),
        pytest.param("repeat: {until: 'true', max: 1}, workflow: {id: child, input: {key: a, fails: 1}}", [], id="of iterations"),
        pytest.param(
            "forEach: '[1]', group: {steps: [{id: c, workflow: {id: child, input: {key: a, fails: 1}}}]}", ["f[0].c"], id="in groups"
        ),
    ],
)
def test_children_are_other_runs(desk: Desk, loop: str, inside: list[str]) -> None:
    desk.engine.register(CHILD)
    run_id = desk.waiting(f"{{id: f, {loop}}}")
    desk.fails_and_is_tried_anew(run_id, *inside)
    assert desk.engine.wait(run_id).status == "succeeded"
    assert (desk.calls, len(desk.engine.runs("child"))) == ({"a": 2}, 2)


def test_a_failed_child_is_found_from_its_item(desk: Desk) -> None:
    desk.engine.register(CHILD)
    run_id = desk.waiting("{id: f, forEach: '[1]', workflow: {id: child, input: {key: a, fails: 9}}}")
    before = (desk.engine.show(run_id).steps["f[0]"].error or {})["run"]
    desk.fails_and_is_tried_anew(run_id)
    after = (desk.engine.wait(run_id, "waiting").steps["f[0]"].error or {})["run"]
    assert {before, after} == {run.id for run in desk.engine.runs("child")}
    assert before != after


def test_a_callback_is_asked_for_again(desk: Desk) -> None:
    run_id = desk.engine.start(HEAD % "{id: f, forEach: '[1]', task: ask, timeout: 1h}")
    desk.engine.pass_time("1s")
    desk.engine.operations.fail(desk.tokens[0], "Refused", "no")
    desk.fails_and_is_tried_anew(run_id)
    desk.engine.pass_time("1s")
    with pytest.raises(Rejected, match="answered before"):
        desk.engine.operations.succeed(desk.tokens[0], "late")
    desk.engine.operations.succeed(desk.tokens[1], "in time")
    assert desk.engine.wait(run_id).output == {"f": ["in time"]}


def test_each_try_tells_by_an_event_of_its_own(desk: Desk) -> None:
    run_id = desk.waiting("{id: f, forEach: '[1]', emit: {type: Told}, output: '${1 / (size(result) - size(result))}'}")
    desk.fails_and_is_tried_anew(run_id)
    desk.engine.wait(run_id, "waiting")
    told = [event["detail"]["id"] for event in desk.engine.cloud.bus.events if event["detail-type"] == "Told"]
    assert (len(told), len(set(told))) == (2, 2)


MANY = [f"a{number}" for number in range(8)]
WIDE = ", ".join(f"{{id: {name}, task: nth, with: {{key: {name}, fails: {1 if name < 'a2' else 0}}}}}" for name in MANY)


@pytest.mark.parametrize("advance", ["inline", "bus"])
def test_a_wide_join_inside_counts_nothing_of_before(advance: str) -> None:
    """Neither that of a step, nor that of the scope's end, which still waits for a timer."""

    desk = Desk()
    desk.engine.deploy(Settings(advance=advance))
    joined = f"{WIDE}, {{id: m, after: [{', '.join(MANY)}], set: 1}}, {{id: w, after: [a0], wait: 10s}}"
    run_id = desk.waiting(f"{{id: f, forEach: '[1]', group: {{steps: [{joined}], output: '${{steps.w.outcome}}'}}}}")
    desk.fails_and_is_tried_anew(run_id, "f[0].a0", "f[0].a1")
    run = desk.engine.wait(run_id)
    assert (run.output, run.steps["f[0].m"].status) == ({"f": ["succeeded"]}, "succeeded")


@pytest.mark.parametrize("width", ["", "maxConcurrency: 1,"], ids=["all at once", "lanes"])
def test_a_loop_inside_begins_anew_as_well(desk: Desk, width: str) -> None:
    """One failure was tolerated before the one too many: both items run again."""
    inner = f"{{id: g, forEach: '[1, 2, 3, 4]', {width} tolerate: {{failures: 1}}, {SECOND}}}"
    run_id = desk.waiting(f"{{id: f, forEach: '[1]', group: {{steps: [{inner}], output: '${{steps.g.output}}'}}}}")
    desk.fails_and_is_tried_anew(run_id, "f[0].g")
    assert desk.engine.wait(run_id).output == {"f": [[2, 1, 2, 1]]}


def test_who_comes_late_forgets_nothing_that_counts(desk: Desk) -> None:
    inner = f"{{id: g, forEach: '[1, 2, 3, 4]', maxConcurrency: 1, {SECOND}}}"
    run_id = desk.waiting(f"{{id: f, forEach: '[1]', group: {{steps: [{inner}], output: '${{steps.g.output}}'}}}}")
    desk.engine.decide(run_id, "f[0].g", "fail")
    desk.engine.pass_time("1s")
    run = open_run(desk.engine.world, run_id, TENANT)
    standing = waiting_item(run, "f", "person")
    desk.engine.decide(run_id, "f", "retry")
    desk.engine.wait(run_id, "waiting")  # item 3 has failed once
    anew.begin(run, standing)
    desk.engine.decide(run_id, "f[0].g", "retry")
    assert desk.engine.wait(run_id).output == {"f": [[2, 1, 2, 1]]}
