"""What a step was given: found again by whoever looks into a failure, edited, and tried with. No secret is shown on the way."""

from __future__ import annotations

from typing import Any

import pytest
from treadle import TaskContext, TaskError, task
from treadle.core.errors import NotFound, Rejected
from treadle.given import Inputs
from treadle.simulation.driver import TENANT, MemoryEngine

HEAD = "id: w\nname: W\nversion: 1.0.0\n"


class FakeVault:
    def get(self, tenant: str, name: str, *, anew: bool = False) -> str:
        return {"key": "hush-hush", "db": '{"user": "root", "password": "swordfish"}'}[name]


@task
def pay(given: Any, context: TaskContext) -> Any:
    seen.append(given)
    if given["card"] != "good":
        raise TaskError("CardDeclined", f"no card {given['card']}", permanent=True)
    return "paid"


seen: list[Any] = []


@pytest.fixture
def engine() -> MemoryEngine:
    seen.clear()
    made = MemoryEngine([pay])
    made.world.secrets = FakeVault()
    return made


def ended(engine: MemoryEngine, body: str, input: Any = None, status: str | None = None) -> str:
    run_id = engine.start(HEAD + body, input)
    engine.wait(run_id, status)
    return run_id


def given(engine: MemoryEngine, run_id: str, step: str) -> Any:
    return engine.operations.inputs.of(TENANT, run_id, step)


PLAIN = "steps: [{id: a, set: 7}, {id: p, after: [a], task: pay, with: {sum: '${steps.a.output}', card: '${input.card}'}}]\n"


@pytest.mark.parametrize(("card", "error"), [("good", None), ("bad", "CardDeclined")])
def test_what_a_step_was_given_is_found_however_it_ended(engine: MemoryEngine, card: str, error: str | None) -> None:
    run_id = ended(engine, PLAIN, {"card": card})
    assert given(engine, run_id, "p") == {
        "run": run_id,
        "step": "p",
        "attempt": 1,
        "input": {"sum": 7, "card": card},
        "from": "definition",
        "template": {"sum": "${steps.a.output}", "card": "${input.card}"},
        "secrets": [],
    }
    assert seen == [{"sum": 7, "card": card}]


LOOPS = """steps:
  - {id: a, set: 7}
  - id: f
    after: [a]
    forEach: input.cards
    tolerate: {failures: 9}
    task: pay
    with: {card: '${item}', n: '${index}', a: '${steps.a.output}'}
  - {id: m, forEach: input.by, set: '${item.key}${item.value}'}
  - {id: r, repeat: {until: 'iteration == 2', max: 9}, set: '${iteration}-${previous}'}
  - id: g
    after: [a]
    forEach: 'input.cards.map(c, {"card": c})'
    tolerate: {failures: 9}
    group: {steps: [{id: x, set: '${item.card}'}, {id: y, after: [x], task: pay, with: {card: '${steps.x.output}', n: '${index}'}}]}
  - {id: k, after: [a], workflow: {id: nowhere, input: {a: '${steps.a.output}'}}, catch: [{errors: ["*"], output: 1}]}
"""


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        pytest.param("f[0]", {"card": "good", "n": 0, "a": 7}, id="an item of a loop that has ended"),
        pytest.param("f[1]", {"card": "bad", "n": 1, "a": 7}, id="one that failed"),
        pytest.param("m[1]", "b2", id="of a map, by key"),
        pytest.param("r[0]", "0-null", id="an iteration"),
        pytest.param("r[2]", "2-1-0-null", id="one that builds on those before"),
        pytest.param("g[1].y", {"card": "bad", "n": 1}, id="a step of a group in a loop"),
        pytest.param("a", 7, id="what takes no time"),
        pytest.param("k", {"a": 7}, id="a child run"),
    ],
)
def test_of_loops_groups_and_children_too(engine: MemoryEngine, step: str, expected: Any) -> None:
    run_id = ended(engine, LOOPS, {"cards": ["good", "bad"], "by": {"b": 2, "a": 1}})
    assert given(engine, run_id, step)["input"] == expected


@pytest.mark.parametrize("many", [3, 600])
def test_an_item_of_a_short_list_and_of_a_long_one(engine: MemoryEngine, many: int) -> None:
    body = "steps: [{id: f, forEach: input, task: pay, with: {card: good, of: '${item}'}}]\n"
    run_id = ended(engine, body, [f"item {n}, which says something about itself" for n in range(many)])
    assert given(engine, run_id, f"f[{many - 1}]")["input"]["of"].startswith(f"item {many - 1},")


def test_a_join_saw_what_it_saw(engine: MemoryEngine) -> None:
    body = ("steps: [{id: a, set: 1}, {id: b, wait: 1h}, {id: j, after: [a, b], join: any, task: pay, "
            "with: {card: good, of: '${steps.b}'}}]\n")  # fmt: skip
    run_id = ended(engine, body)
    assert given(engine, run_id, "j")["input"] == {"card": "good", "of": None}


@pytest.mark.parametrize(
    ("step", "why"),
    [
        pytest.param("f", r"of step f: it is a loop, and each of its items has its own \(f\[0\]\)", id="a loop"),
        pytest.param("g[0]", r"of step g\[0\]: it is a group, and each step in it has its own", id="a group"),
        pytest.param("f[9]", r"of step f\[9\]: no attempt of it was begun", id="an item that there is not"),
        pytest.param("never", "of step never: no attempt of it was begun", id="a step that was not reached"),
        pytest.param("nope", "there is no step nope in w", id="no step"),
    ],
)
def test_what_has_no_input_says_so(engine: MemoryEngine, step: str, why: str) -> None:
    body = LOOPS + "  - {id: never, after: [a], when: 'false', set: 1}\n"
    run_id = ended(engine, body, {"cards": ["good"], "by": {}})
    with pytest.raises(NotFound, match=why):
        given(engine, run_id, step)


def test_nobody_sees_another_tenants(engine: MemoryEngine) -> None:
    run_id = ended(engine, PLAIN, {"card": "good"})
    with pytest.raises(NotFound, match=f"there is no run {run_id}"):
        engine.operations.inputs.of("rival", run_id, "p")


def test_what_cannot_be_rendered_says_why_and_shows_the_template(engine: MemoryEngine) -> None:
    run_id = ended(engine, PLAIN, {"no": "card"})
    found = given(engine, run_id, "p")
    assert (found["input"], found["error"]["name"]) == (None, "ExpressionError")
    assert found["template"] == {"sum": "${steps.a.output}", "card": "${input.card}"}


def test_one_that_no_answer_could_hold_is_refused(engine: MemoryEngine) -> None:
    run_id = ended(engine, PLAIN, {"card": "x" * 100})
    with pytest.raises(Rejected) as refused:
        Inputs(engine.world, most_bytes=100).of(TENANT, run_id, "p")
    assert (refused.value.code, refused.value.status) == ("payload-too-large", 413)


# ------------------------------------------------------------------------------------------------ errors lead there


def test_an_error_says_where_its_input_is_shown(engine: MemoryEngine) -> None:
    run = engine.show(ended(engine, LOOPS.replace("tolerate: {failures: 9}", "retry: {maxAttempts: 1}"), {"cards": ["bad"], "by": {}}))
    assert run.steps["f[0]"].error == {
        "name": "CardDeclined",
        "message": "no card bad",
        "input": f"/v1/tasks/{run.id}/f%5B0%5D/input",
    }
    assert "input" not in (run.steps["f"].error or {})
    single = engine.show(ended(engine, PLAIN, {"card": "bad"}))
    assert single.error == {"name": "CardDeclined", "message": "no card bad", "step": "p", "input": f"/v1/tasks/{single.id}/p/input"}


@pytest.mark.parametrize("handling", ["stop", "continue", "compensate"])
@pytest.mark.parametrize("message", ["no", "no" * 500], ids=["short", "long"])
def test_a_runs_error_is_the_whole_of_its_steps(handling: str, message: str) -> None:
    """The run's own item has it in brief."""

    @task
    def refuse(given: Any) -> None:
        raise TaskError("Refused", message, {"code": 7})

    engine = MemoryEngine([refuse])
    run = engine.show(ended(engine, f"steps: [{{id: r, task: refuse}}]\nerrorHandling: {{onFailure: {handling}}}\n"))
    assert run.error == {**(run.steps["r"].error or {}), "step": "r"}
    assert (run.error["message"], run.error["details"]) == (message, {"code": 7})


def test_the_failure_of_a_child_leads_to_its_run(engine: MemoryEngine) -> None:
    engine.register("id: kid\nname: K\nversion: 1.0.0\nsteps: [{id: p, task: pay, with: {card: bad}}]\n")
    run = engine.show(ended(engine, "steps: [{id: k, workflow: {id: kid}}]\n"))
    (child,) = engine.runs("kid")
    assert (run.steps["k"].error or {})["run"] == child.id


@pytest.mark.parametrize("kind", ["StepFailed", "EscalationRaised", "RunWaiting", "RunFailed"])
def test_what_is_told_of_a_failure_leads_there_too(engine: MemoryEngine, kind: str) -> None:
    handling = "errorHandling: {onFailure: wait, escalation: [{afterAttempts: 1, notify: ops}]}\n"
    run_id = ended(engine, PLAIN + handling, {"card": "bad"}, "waiting")
    engine.decide(run_id, "p", "fail")
    engine.wait(run_id)
    told = [event["detail"]["data"] for event in engine.cloud.bus.events if event["detail-type"] == kind]
    assert {data["input"] for data in told if kind != "RunWaiting" or "path" in data} == {f"/v1/tasks/{run_id}/p/input"}


# ------------------------------------------------------------------------------------------------ and back


def test_an_input_is_looked_at_edited_and_tried_with(engine: MemoryEngine) -> None:
    run_id = ended(engine, PLAIN + "errorHandling: {onFailure: wait}\n", {"card": "bad"}, "waiting")
    engine.decide(run_id, "p", "retry", input=given(engine, run_id, "p")["input"] | {"card": "good"})
    assert engine.wait(run_id).status == "succeeded"
    found = given(engine, run_id, "p")
    assert (found["input"], found["from"]) == ({"sum": 7, "card": "good"}, "person")


SECRET = """steps:
  - id: p
    task: pay
    with: {card: '${input.card}', key: '${secrets.key}', head: 'Bearer ${secrets.key}', user: '${secrets.db.user}', all: '${secrets.db}',
           list: ['${secrets.key}', 1], size: '${size(secrets.key)}'}
errorHandling: {onFailure: wait}
"""
SHOWN = {"card": "bad", "key": "***", "head": "Bearer ***", "user": "***", "all": "***", "list": ["***", 1], "size": 3}
FILLED = {"card": "good", "key": "hush-hush", "head": "Bearer hush-hush", "user": "root", "all": {"user": "root", "password": "swordfish"},
          "list": ["hush-hush", 1], "size": 9}  # fmt: skip


def test_secrets_are_stars_and_stars_that_are_left_alone_are_secrets_again(engine: MemoryEngine) -> None:
    run_id = ended(engine, SECRET, {"card": "bad"}, "waiting")
    found = given(engine, run_id, "p")
    assert (found["input"], found["secrets"]) == (SHOWN, ["db", "key"])
    engine.decide(run_id, "p", "retry", input=found["input"] | {"card": "good"})
    assert engine.wait(run_id).status == "succeeded"
    assert seen[-1] == FILLED
    assert "hush" not in str(given(engine, run_id, "p"))


def test_stars_in_another_place_are_only_stars(engine: MemoryEngine) -> None:
    run_id = ended(engine, SECRET, {"card": "bad"}, "waiting")
    engine.decide(run_id, "p", "retry", input={"card": "good", "stolen": "***", "list": ["***"]})
    assert engine.wait(run_id).status == "succeeded"
    assert seen[-1] == {"card": "good", "stolen": "***", "list": ["***"]}


# ------------------------------------------------------------------------------------------------ beside a cache

KEPT = "cache: {key: \"'k'\", ttl: 1h}"


def test_another_input_is_not_answered_from_the_cache(engine: MemoryEngine) -> None:
    """The task is called with it, though its own input's result is kept: `output` could make nothing of that."""
    steps = f"steps: [{{id: p, task: pay, with: {{card: good}}, {KEPT}, output: '${{result + input.more}}'}}]\n"
    run_id = ended(engine, f"errorHandling: {{onFailure: wait}}\n{steps}", status="waiting")
    engine.decide(run_id, "p", "retry", input={"card": "good", "mine": True})
    engine.wait(run_id, "waiting")
    assert seen == [{"card": "good"}, {"card": "good", "mine": True}]


def test_what_came_of_another_input_is_kept_for_nobody(engine: MemoryEngine) -> None:
    steps = f"steps: [{{id: p, task: pay, with: {{card: '${{input.card}}'}}, {KEPT}}}]\n"
    run_id = ended(engine, f"errorHandling: {{onFailure: wait}}\n{steps}", {"card": "bad"}, "waiting")
    engine.decide(run_id, "p", "retry", input={"card": "good", "mine": True})
    assert engine.wait(run_id).status == "succeeded"
    ended(engine, steps, {"card": "good"})
    assert seen[-1] == {"card": "good"}
