"""What people are asked: the inbox has what waits for somebody, for as long as it waits, and for those who may answer."""

from __future__ import annotations

from typing import Any

import pytest
from treadle import TaskContext, TaskError, task
from treadle.core.errors import NotFound, Rejected
from treadle.simulation.driver import TENANT, MemoryEngine

APPROVAL = "id: w\nname: W\nversion: 1.0.0\nsteps: [{id: ok, approval: {by: [ann], message: 'pay ${input.sum}?', timeout: 1h}}]\n"
WAITS = "id: f\nname: F\nversion: 1.0.0\nerrorHandling: {onFailure: wait}\nsteps: [{id: a, task: fail}]\n"
FAN = "id: fan\nname: Fan\nversion: 1.0.0\nsteps: [{id: f, forEach: '[1, 2, 3]', approval: {}}]\n"
INSIDE = (
    "id: i\nname: I\nversion: 1.0.0\n"
    "steps: [{id: each, forEach: '[1, 2]', group: {steps: [{id: ok, approval: {}}, {id: late, after: [ok], approval: {}}]}}]\n"
)
LADDER = WAITS.replace("wait}", "wait, escalation: [{afterFailure: 5m, notify: ops}, {afterFailure: 10m, notify: ops}]}")


@task
def fail(given: Any, context: TaskContext) -> Any:
    raise TaskError("Broken", "as it should", permanent=True)


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine([fail])


def asked(engine: MemoryEngine, **given: Any) -> list[dict[str, Any]]:
    return engine.operations.approvals(TENANT, **given)[0]


def started(engine: MemoryEngine, text: str, input: Any = None) -> str:
    run_id = engine.start(text, input)
    engine.wait(run_id, "waiting")
    return run_id


def test_an_approval_says_what_it_is_about(engine: MemoryEngine) -> None:
    run_id = started(engine, APPROVAL, {"sum": 3})
    (found,) = asked(engine)
    assert {name: found[name] for name in ("run", "workflow", "step", "kind", "message", "approvers")} == {
        "run": run_id,
        "workflow": "w",
        "step": "ok",
        "kind": "approval",
        "message": "pay 3?",
        "approvers": ["ann"],
    }
    assert found["until"] > found["since"]


@pytest.mark.parametrize("answer", ["approve", "reject"])
def test_what_was_answered_is_no_longer_asked(engine: MemoryEngine, answer: str) -> None:
    run_id = started(engine, APPROVAL, {"sum": 3})
    getattr(engine, answer)(run_id, "ok", by="ann")
    assert asked(engine) == []


@pytest.mark.parametrize("end", ["time", "cancel"])
def test_nor_is_what_nobody_waits_for(engine: MemoryEngine, end: str) -> None:
    run_id = started(engine, APPROVAL, {"sum": 3})
    if end == "cancel":
        engine.cancel(run_id)
    else:
        engine.pass_time("2h")
    engine.wait(run_id)
    assert asked(engine) == []


def test_only_those_who_are_named_are_asked(engine: MemoryEngine) -> None:
    started(engine, APPROVAL, {"sum": 3})
    assert [len(asked(engine, by=who)) for who in ("ann", "bob")] == [1, 0]


def test_a_decision_tells_the_error(engine: MemoryEngine) -> None:
    run_id = started(engine, WAITS)
    (found,) = asked(engine, kinds=("decision",), by="bob")
    assert (found["kind"], found["error"]["name"]) == ("decision", "Broken")
    assert asked(engine, kinds=("approval",)) == []
    engine.decide(run_id, "a", "skip")
    assert asked(engine) == []


def test_a_decision_that_is_asked_for_again_is_a_question_again(engine: MemoryEngine) -> None:
    run_id = started(engine, WAITS)
    engine.decide(run_id, "a", "retry")
    engine.wait(run_id, "waiting")
    assert len(asked(engine)) == 1


def test_a_rung_of_the_ladder_leaves_the_question_standing(engine: MemoryEngine) -> None:
    started(engine, LADDER)
    (before,) = asked(engine)
    engine.pass_time("7m")
    assert [found["since"] for found in asked(engine)] == [before["since"]]


def test_each_item_asks_for_itself_and_they_come_in_pages(engine: MemoryEngine) -> None:
    started(engine, FAN)
    found: list[str] = []
    cursor = None
    while True:
        items, cursor = engine.operations.approvals(TENANT, limit=2, cursor=cursor)
        found += [item["step"] for item in items]
        if cursor is None:
            break
    assert sorted(found) == ["f[0]", "f[1]", "f[2]"]


def test_another_tenant_is_asked_nothing(engine: MemoryEngine) -> None:
    started(engine, FAN)
    assert engine.operations.approvals("rival") == ([], None)


MANY = "id: many\nname: Many\nversion: 1.0.0\nsteps: [{id: f, forEach: input, approval: {by: ['${item.one}', '${item.two}']}}]\n"


@pytest.mark.parametrize(
    ("who", "steps"),
    [
        pytest.param(None, range(250), id="all"),
        pytest.param("ann", range(0, 250, 2), id="every other one is somebody's"),
        pytest.param("eve", [0, 249], id="the first and the last"),
        pytest.param("mallory", [], id="none"),
    ],
)
@pytest.mark.parametrize("limit", [1, 60, 125, 250, 1000])
def test_pages_of_what_is_asked_have_each_question_once(engine: MemoryEngine, who: str | None, steps: Any, limit: int) -> None:
    started(engine, MANY, [{"one": "bob" if n % 2 else "ann", "two": "eve" if n in (0, 249) else "bob"} for n in range(250)])
    found: list[str] = []
    pages, cursor = 0, None
    while pages == 0 or cursor is not None:
        items, cursor = engine.operations.approvals(TENANT, by=who, limit=limit, cursor=cursor)
        found += [item["step"] for item in items]
        pages += 1
    assert sorted(found) == sorted(f"f[{n}]" for n in steps)
    assert pages <= len(found) // limit + 1


def test_a_cursor_of_no_list_is_refused(engine: MemoryEngine) -> None:
    with pytest.raises(Rejected, match="no cursor of this list: %%%") as refused:
        engine.operations.approvals(TENANT, cursor="%%%")
    assert refused.value.code == "bad-value"


@pytest.mark.parametrize("path", ["ok[x]", "ok[", "ok[1]]", "each..ok", "", "."])
def test_what_is_no_path_is_no_step(engine: MemoryEngine, path: str) -> None:
    run_id = started(engine, APPROVAL, {"sum": 3})
    operations = engine.operations
    for act in (
        lambda: operations.approve(TENANT, run_id, path, by="ann"),
        lambda: operations.reject(TENANT, run_id, path, by="ann"),
        lambda: operations.decide(TENANT, run_id, path, "retry"),
        lambda: operations.cancel_step(TENANT, run_id, path),
    ):
        with pytest.raises(NotFound):
            act()


def test_whoever_names_a_step_in_a_group_by_its_id_alone_is_told_its_path(engine: MemoryEngine) -> None:
    run_id = started(engine, INSIDE)
    with pytest.raises(Rejected, match=r"it is in a group, so its path is such as each\[0\]\.ok$"):
        engine.approve(run_id, "ok", by="ann")
    with pytest.raises(Rejected, match="has not reached it yet"):
        engine.approve(run_id, "each[1].late", by="ann")
    engine.approve(run_id, "each[1].ok", by="ann")
