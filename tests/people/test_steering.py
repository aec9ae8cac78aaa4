"""What people do to a run shows in it: patches, reruns, what a retry would be and is, amendments, and a history that tells it all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from treadle import TaskContext, TaskError, task
from treadle.core.errors import Conflict, NotFound, Rejected, WrongState
from treadle.engine.control import open_run
from treadle.simulation.driver import TENANT, MemoryEngine
from treadle.simulation.generate import case
from treadle.simulation.notebook import Notebook
from treadle.updating import apply, changes, merge

HEAD = "id: w\nname: W\nversion: 1.0.0\n"
APPROVED = f"{HEAD}steps: [{{id: a, set: 1}}, {{id: ok, after: [a], approval: {{}}}}, {{id: b, after: [ok], task: mends}}]\n"


class World:
    """An engine whose task `mends` fails for as long as `is_broken`."""

    def __init__(self) -> None:
        self.is_broken = True

        @task(name="mends")
        def mends(given: Any, context: TaskContext) -> Any:
            if self.is_broken:
                raise TaskError("Broken", "as it should", permanent=True)
            return "mended"

        self.engine = MemoryEngine([mends])
        self.operations = self.engine.operations

    def waiting(self, text: str = APPROVED) -> str:
        run_id = self.engine.start(text, {"x": 1})
        self.engine.wait(run_id, "waiting")
        return run_id

    def failed(self) -> str:
        run_id = self.waiting()
        self.operations.approve(TENANT, run_id, "ok", by="ann")
        assert self.engine.wait(run_id).status == "failed"
        return run_id


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("name", ["", "x" * 201])
def test_a_signal_that_no_step_can_wait_for_is_refused(world: World, name: str) -> None:
    run_id = world.waiting()
    with pytest.raises(Rejected) as refused:
        world.operations.signal(TENANT, run_id, name)
    assert refused.value.code == "bad-value"
    world.operations.signal(TENANT, run_id, "é" * 200)


def test_a_run_that_is_not_there_is_told_before_the_faults_of_a_definition(world: World) -> None:
    with pytest.raises(NotFound):
        world.operations.amendment(TENANT, "nowhere", "{}")
    with pytest.raises(NotFound):
        world.operations.amend(TENANT, "nowhere", "{}")


# ------------------------------------------------------------------------------------------------ patches


@pytest.mark.parametrize(
    ("value", "patch", "merged"),
    [  # RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_is_as_the_rfc_says(value: Any, patch: Any, merged: Any) -> None:
    assert merge(value, patch) == merged


def test_a_patch_is_shown_in_the_run_and_finds_it(world: World) -> None:
    run_id = world.waiting()
    changed, _ = world.operations.update(TENANT, run_id, {"attributes": {"region": "eu"}, "metadata": {"owner": {"name": "ann"}}})
    assert [change["path"] for change in changed] == ["/attributes/region", "/metadata/owner"]
    again, _ = world.operations.update(TENANT, run_id, {"attributes": {"region": "us"}, "metadata": {"owner": {"name": None}}})
    assert again[0] == {"path": "/attributes/region", "before": "eu", "after": "us"}
    run = world.engine.show(run_id)
    assert (run.attributes, run.metadata) == ({"region": "us"}, {"owner": {}})
    assert [found.id for found in world.operations.runs(TENANT, attributes={"region": "us"})[0]] == [run_id]


def test_a_patch_of_the_status_is_a_pause(world: World) -> None:
    run_id = world.waiting()
    changed, run = world.operations.update(TENANT, run_id, {"status": "paused"})
    assert (changed, run.status) == ([{"path": "/status", "before": "waiting", "after": "paused"}], "paused")
    world.operations.update(TENANT, run_id, {"status": "cancelled"})
    assert world.engine.wait(run_id).status == "cancelled"
    with pytest.raises(WrongState):
        world.operations.update(TENANT, run_id, {"status": "running"})


def test_what_is_so_already_is_no_change(world: World) -> None:
    run_id = world.waiting()
    before = world.engine.show(run_id).etag
    assert world.operations.update(TENANT, run_id, {"metadata": {"a": None}, "attributes": {}})[0] == []
    assert world.engine.show(run_id).etag == before


def test_a_patch_of_an_older_version_is_refused(world: World) -> None:
    run_id = world.waiting()
    seen = world.engine.show(run_id).etag
    world.operations.update(TENANT, run_id, {"metadata": {"a": 1}}, expected=seen)
    with pytest.raises(Rejected) as refused:
        world.operations.update(TENANT, run_id, {"metadata": {"a": 2}}, expected=seen)
    assert (refused.value.code, refused.value.status) == ("precondition-failed", 412)


def test_of_two_patches_at_once_one_wins(world: World) -> None:
    run_id = world.waiting()
    one, two = (open_run(world.engine.world, run_id, TENANT) for _ in range(2))
    planned = [changes(run, {"metadata": {"by": name}}) for run, name in ((one, "one"), (two, "two"))]
    apply(one, {"metadata": {"by": "one"}}, planned[0])
    with pytest.raises(Conflict):
        apply(two, {"metadata": {"by": "two"}}, planned[1])
    assert world.engine.show(run_id).metadata == {"by": "one"}


@pytest.mark.parametrize("part", ["attributes", "metadata"])
def test_what_is_too_large_is_refused_whole(world: World, part: str) -> None:
    run_id = world.waiting()
    with pytest.raises(Rejected) as refused:
        world.operations.update(TENANT, run_id, {part: {"a": "x" * 5000}, "status": "paused"})
    assert (refused.value.code, world.engine.show(run_id).status) == ("bad-value", "waiting")


# ------------------------------------------------------------------------------------------------ once more


def test_a_rerun_has_the_same_input_plan_and_attributes(world: World) -> None:
    run_id = world.failed()
    world.operations.update(TENANT, run_id, {"attributes": {"region": "eu"}})
    again = world.operations.rerun(TENANT, run_id, key="k", by="ann")
    assert world.operations.rerun(TENANT, run_id, key="k").id == again.id != run_id
    run = world.engine.wait(again.id, "waiting")
    assert (run.input, run.version, run.attributes) == ({"x": 1}, "1.0.0", {"region": "eu"})
    assert world.engine.show(run_id).status == "failed"


@pytest.mark.parametrize("from_step", [None, "ok"])
def test_a_retry_does_what_was_said_before(world: World, from_step: str | None) -> None:
    run_id = world.failed()
    before = world.engine.show(run_id)
    said = world.operations.prospects.retry(TENANT, run_id, from_step=from_step)
    assert said == ({"reopened": ["b"], "kept": ["a", "ok"]} if from_step is None else {"reopened": ["b", "ok"], "kept": ["a"]})
    assert world.engine.show(run_id) == before
    world.is_broken = False
    world.operations.retry(TENANT, run_id, from_step=from_step)
    world.engine.wait(run_id, "succeeded" if from_step is None else "waiting")
    archived = {entry["path"] for entry in world.engine.history(run_id) if "generation" in entry}
    assert archived == set(said["reopened"])


def test_a_rerun_from_a_step_runs_what_was_said_before(world: World) -> None:
    run_id = world.failed()
    prospects = world.operations.prospects
    assert prospects.rerun(TENANT, run_id) == {"reopened": ["a", "b", "ok"], "kept": []}
    said = prospects.rerun(TENANT, run_id, from_step="b")
    assert said == {"reopened": ["b"], "kept": ["a", "ok"]}
    taken = world.operations.checkpoint(TENANT, run_id)["id"]
    assert prospects.restore(TENANT, taken) == said
    assert prospects.restore(TENANT, taken, from_step="ok") == {"reopened": ["b", "ok"], "kept": ["a"]}
    assert len(world.engine.runs("w")) == 1
    new = world.operations.rerun(TENANT, run_id, from_step="b").id
    began = {entry["path"] for entry in world.engine.history(new) if entry["what"] == "AttemptFailed"}
    world.engine.wait(new)
    assert began | {"b"} == set(said["reopened"])
    with pytest.raises(NotFound):
        prospects.rerun(TENANT, run_id, from_step="nothing")
    with pytest.raises(NotFound):
        prospects.restore("rival", taken)


def failed_somewhere(seed: int) -> tuple[MemoryEngine, str] | None:
    """A generated workflow that failed, after whatever it waited for did not come."""
    made = case(seed)
    engine = MemoryEngine(Notebook().tasks(), seed=seed)
    if engine.validate(made.definition):
        return None
    for workflow in made.workflows:
        engine.register(workflow)
    run_id = engine.start(made.definition, made.input)
    while engine.step():
        pass
    return (engine, run_id) if engine.show(run_id).status == "failed" else None


def test_a_retry_of_whatever_failed_reopens_what_was_said() -> None:
    found = 0
    for engine, run_id in filter(None, map(failed_somewhere, range(120))):
        found += 1
        said = engine.operations.prospects.retry(TENANT, run_id)
        engine.operations.retry(TENANT, run_id)
        while engine.step():
            pass
        archived = {entry["path"] for entry in engine.history(run_id) if entry.get("generation") == 1}
        assert archived <= set(said["reopened"])
        assert engine.show(run_id).status == "failed" or set(said["kept"]) <= set(engine.show(run_id).steps)
    assert found > 10


def test_what_cannot_be_retried_has_no_prospect(world: World) -> None:
    run_id = world.waiting()
    with pytest.raises(WrongState):
        world.operations.prospects.retry(TENANT, run_id)
    with pytest.raises(NotFound):
        world.operations.prospects.retry(TENANT, world.failed(), from_step="nothing")


# ------------------------------------------------------------------------------------------------ the story


def test_the_history_tells_who_did_what_in_order(world: World) -> None:
    run_id = world.waiting()
    operations, engine = world.operations, world.engine
    acts: list[Callable[[], Any]] = [
        lambda: operations.pause(TENANT, run_id, by="ann", reason="lunch"),
        lambda: operations.resume(TENANT, run_id, by="ann"),
        lambda: operations.amend(TENANT, run_id, APPROVED.replace("task: mends", "task: mends, with: 1"), by="eve"),
        lambda: operations.signal(TENANT, run_id, "note", {"secret": "s"}, by="robot"),
        lambda: operations.approve(TENANT, run_id, "ok", by="bob", comment="fine"),
    ]
    for act in acts:
        engine.advance(engine.now() + 1000)
        act()
    engine.wait(run_id)
    world.is_broken = False
    engine.advance(engine.now() + 1000)
    operations.retry(TENANT, run_id, by="ann", reason="mended")
    engine.wait(run_id)
    told = [(entry.get("act") or entry["what"], entry["path"], entry.get("by")) for entry in engine.history(run_id)]
    assert told == [
        ("RunStarted", None, None),
        ("StepStarted", "a", None),
        ("StepEnded", "a", None),
        ("StepStarted", "ok", None),
        ("pause", None, "ann"),
        ("resume", None, "ann"),
        ("amend", None, "eve"),
        ("signal", None, "robot"),
        ("approve", "ok", "bob"),
        ("StepEnded", "ok", None),
        ("StepStarted", "b", None),
        ("StepEnded", "b", None),
        ("retry", None, "ann"),
        ("StepStarted", "b", None),
        ("StepEnded", "b", None),
        ("RunEnded", None, None),
    ]
    assert "secret" not in str(engine.history(run_id))


def test_the_history_keeps_why_and_what_was_changed(world: World) -> None:
    run_id = world.waiting()
    world.operations.amend(TENANT, run_id, APPROVED.replace("id: b,", "id: c,"), by="eve", reason="b is wrong")
    (act,) = [entry for entry in world.engine.history(run_id) if entry["what"] == "Acted"]
    assert {name: act[name] for name in ("by", "reason", "added", "removed")} == {
        "by": "eve",
        "reason": "b is wrong",
        "added": ["c"],
        "removed": ["b"],
    }


def test_what_is_inside_of_a_step_is_told_between_its_start_and_its_end() -> None:
    engine = MemoryEngine()
    steps = "[{id: g, group: {steps: [{id: a, set: 1}, {id: b, after: [a], set: 2}]}}, {id: z, after: [g], set: 3}]"
    run_id = engine.start(f"{HEAD}steps: {steps}\n")
    engine.wait(run_id)
    told = [(entry["what"], entry["path"]) for entry in engine.history(run_id)]
    assert told[:3] == [("RunStarted", None), ("StepStarted", "g"), ("StepStarted", "g.a")]
    order = [path for what, path in told if what == "StepEnded"]
    assert order == ["g.a", "g.b", "g", "z"]


# ------------------------------------------------------------------------------------------------ what is refused, and why


@pytest.mark.parametrize(
    ("choice", "given", "told"),
    [
        ("skip", {"input": {}}, "another attempt"),
        ("fail", {"input": {}}, "another attempt"),
        ("retry", {"output": 1}, "skipped step"),
        ("fail", {"output": 1}, "skipped step"),
    ],
)
def test_what_a_decision_has_no_use_for_is_refused(world: World, choice: Any, given: dict[str, Any], told: str) -> None:
    run_id = world.engine.start(f"{HEAD}steps: [{{id: b, task: mends}}]\nerrorHandling: {{onFailure: wait}}\n")
    world.engine.wait(run_id, "waiting")
    with pytest.raises(Rejected, match=told) as refused:
        world.operations.decide(TENANT, run_id, "b", choice, **given)
    assert refused.value.code == "bad-value"
    assert world.engine.show(run_id).status == "waiting"


def test_whoever_answers_what_is_not_asked_is_told_what_is(world: World) -> None:
    run_id = world.waiting()
    with pytest.raises(WrongState, match=r"step a of run .* does not wait for an approval: it has ended: succeeded"):
        world.operations.approve(TENANT, run_id, "a", by="ann")
    with pytest.raises(WrongState, match=r"step ok of run .* does not wait for a decision: it waits for an approval"):
        world.operations.decide(TENANT, run_id, "ok", "skip")


def test_undoing_is_not_broken_off(world: World) -> None:
    steps = "[{id: a, set: 1, compensate: {wait: 1h}}, {id: b, after: [a], task: mends}]"
    run_id = world.engine.start(f"{HEAD}steps: {steps}\nerrorHandling: {{onFailure: compensate}}\n")
    world.engine.wait(run_id, "compensating")
    with pytest.raises(WrongState, match="is compensating, and undoing what it did is not broken off"):
        world.operations.cancel(TENANT, run_id)
    ended = world.engine.wait(run_id)
    assert (ended.status, ended.compensated) == ("failed", True)


def test_another_input_for_a_retry_has_to_fit_the_schema(world: World) -> None:
    schema = "input: {type: object, required: [n], properties: {n: {type: integer}}}\n"
    run_id = world.engine.start(f"{HEAD}{schema}steps: [{{id: a, set: '${{10 / input.n}}'}}]\n", {"n": 0})
    world.engine.wait(run_id, "failed")
    with pytest.raises(Rejected, match="'n' is a required property") as refused:
        world.operations.retry(TENANT, run_id, input={"m": 2})
    assert (refused.value.code, world.engine.show(run_id).status, world.engine.show(run_id).input) == ("invalid-input", "failed", {"n": 0})
    world.operations.retry(TENANT, run_id, input={"n": 2})
    assert world.engine.wait(run_id).output == {"a": 5}
