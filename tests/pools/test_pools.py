"""A step goes to the smallest pool that has what it needs, and arrives there whatever happens to the pools meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from treadle import TaskContext, task
from treadle.core.resources import DEFAULT_POOL, Needs, Pool, pool_for, pools_of, smallest_pool
from treadle.engine import Settings
from treadle.ports import Message
from treadle.simulation.driver import MemoryEngine
from treadle.testing import LocalEngine

LARGE = {"cpu": 1.7, "memory_mb": 3008, "storage_mb": 4096}
HUGE = {"cpu": 4.0, "memory_mb": 16_384, "storage_mb": 51_200, "kind": "fargate", "attempt_s": 86_400}
POOLS = pools_of({"huge": HUGE, "large": LARGE})


def workflow(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "made", "name": "made", "version": "1.0.0", "steps": list(steps), **more}


@task
def note(given: Any, context: TaskContext) -> Any:
    return context.step_id


# ------------------------------------------------------------------------------------------------ which pool


@pytest.mark.parametrize(
    ("needs", "pool"),
    [
        pytest.param(Needs(), "default", id="nothing in particular"),
        pytest.param(Needs(memory_mb=512, storage_mb=512), "default", id="just what the smallest has"),
        pytest.param(Needs(memory_mb=513), "large", id="a little more memory"),
        pytest.param(Needs(storage_mb=1024), "large", id="storage"),
        pytest.param(Needs(cpu=1.8), "huge", id="processors that no Lambda of these has"),
        pytest.param(Needs(memory_mb=600, time_ms=60_000), "large", id="time that a Lambda has"),
        pytest.param(Needs(memory_mb=600, time_ms=60_001), "huge", id="time that only a container has"),
    ],
)
def test_the_smallest_pool_that_fits_is_taken(needs: Needs, pool: str) -> None:
    assert pool_for(needs, POOLS).name == pool


def test_a_container_is_never_taken_where_a_lambda_fits() -> None:
    small = Pool("tiny", 0.25, 512, 20_480, "fargate", 86_400)
    assert pool_for(Needs(memory_mb=100), (small, DEFAULT_POOL)).name == "default"


def test_where_none_fits_the_largest_does_what_it_can() -> None:
    needs = Needs(memory_mb=100_000)
    assert smallest_pool(needs, POOLS) is None
    assert pool_for(needs, POOLS).name == "huge"


def test_time_alone_refuses_nothing() -> None:
    assert smallest_pool(Needs(memory_mb=100, time_ms=10**9), (DEFAULT_POOL,)) == DEFAULT_POOL


def test_what_no_pool_has_is_refused_and_told_what_the_largest_has() -> None:
    with LocalEngine(config={"pools": {"large": LARGE}}) as engine:
        (fault,) = engine.validate(workflow({"id": "a", "task": "echo", "resources": {"memory": "4GB"}}))
    assert fault.code == "no-such-resources"
    assert fault.hint == "the largest is large (1.7 vCPU, 3008MB of memory, 4096MB of storage)"


# ------------------------------------------------------------------------------------------------ on the way there

STEPS = (
    {"id": "before", "task": "note"},
    {"id": "big", "after": ["before"], "task": "note", "resources": {"memory": "2GB"}},
    {"id": "bigger", "after": ["big"], "task": "note", "resources": {"cpu": "1.5 vCPU"}},
    {"id": "each", "after": ["bigger"], "forEach": "[1, 2, 3]", "task": "note", "resources": {"storage": "1GB"}},
    {"id": "sum", "after": ["each"], "set": "${size(steps.each.output)}"},
    {"id": "after", "after": ["sum"], "task": "note"},
)


def test_each_step_runs_in_its_pool_and_goes_on_there_as_far_as_it_may() -> None:
    with LocalEngine([note], config={"pools": {"large": LARGE}}) as engine:
        run = engine.run(workflow(*STEPS))
        invoked = engine.stack.pump.counts.invocations
    assert run.status == "succeeded"
    assert run.output == {"after": "after"}
    # before | big, bigger, each with its items, sum | after
    assert (invoked["dispatcher"], invoked["dispatcher-large"]) == (2, 1)


def test_without_a_pool_for_it_a_step_costs_no_message_more() -> None:
    with LocalEngine([note]) as engine:
        run = engine.run(workflow(*STEPS))
        invoked = engine.stack.pump.counts.invocations
    assert run.status == "succeeded"
    assert set(invoked) <= {"dispatcher", "completions", "errors", "sweeper", "parser"}


def test_a_step_whose_message_is_the_sweepers_finds_its_pool() -> None:
    """After a back-off longer than SQS can delay, the step is woken by way of the default lane."""
    tried = []

    @task
    def twice(given: Any) -> Any:
        tried.append(1)
        if len(tried) == 1:
            raise ValueError("the first time")

    retry = {"maxAttempts": 2, "delay": "20m", "jitter": "none"}
    with LocalEngine([twice], skip_time=True, config={"pools": {"large": LARGE}}) as engine:
        run = engine.run(workflow({"id": "a", "task": "twice", "retry": retry, "resources": {"memory": "1GB"}}))
        invoked = engine.stack.pump.counts.invocations
    assert run.steps["a"].attempts == 2
    assert invoked["dispatcher-large"] == 2


def test_a_compensation_has_a_pool_of_its_own() -> None:
    """Not that of the step which it undoes."""
    undo = {"b": {"task": "note", "resources": {"memory": "2GB"}}, "c": {"task": "note"}}
    steps = [{"id": name, "after": [before], "task": "note", "compensate": undo[name]} for before, name in (("a", "b"), ("b", "c"))]
    fails = {"id": "d", "after": ["c"], "fail": {"error": "Broken"}}
    first = {"id": "a", "task": "note", "resources": {"memory": "1GB"}, "compensate": {"task": "note"}}
    with LocalEngine([note], config={"pools": {"large": LARGE}}) as engine:
        run = engine.run(workflow(first, *steps, fails, errorHandling={"onFailure": "compensate"}))
        invoked = engine.stack.pump.counts.invocations["dispatcher-large"]
        too_much = {"id": "a", "task": "note", "compensate": {"task": "note", "resources": {"memory": "4GB"}}}
        faults = engine.validate(workflow(too_much, errorHandling={"onFailure": "compensate"}))
    assert (run.status, run.compensated) == ("failed", True)
    assert invoked == 2, "a, and what undoes b"
    assert [(fault.code, fault.path) for fault in faults] == [("no-such-resources", "/steps/0/compensate/resources")]


def test_a_message_in_a_wrong_lane_is_moved_with_all_that_it_says() -> None:
    engine = MemoryEngine([note], settings=Settings(pools={"large": LARGE}))
    run = engine.start(workflow({"id": "a", "task": "note", "resources": {"memory": "1GB"}}))
    (body,) = [json_of(text) for text in engine.cloud.lanes.bodies("lane-normal-large")]
    engine.cloud.lanes.send([Message("lane-low", body)])
    while engine.cloud.lanes.bodies("lane-low"):
        engine.step()
    assert [moved for moved in map(json_of, engine.cloud.lanes.bodies("lane-normal-large")) if moved == {**body, "moved": 1}]
    assert engine.wait(run).status == "succeeded"


# ------------------------------------------------------------------------------------------------ pools that come and go

CHANGES = (
    pytest.param({"large": LARGE}, {}, id="the pool is no more"),
    pytest.param(None, {"large": LARGE}, id="pools come where nobody said anything of them"),
    pytest.param({"large": LARGE}, {"vast": {**LARGE, "memory_mb": 10_240}}, id="another name"),
    pytest.param({"large": LARGE}, {"large": {**LARGE, "memory_mb": 1024, "cpu": 0.6}}, id="it has become too small"),
    pytest.param({"large": LARGE}, {"large": LARGE, "huge": HUGE}, id="a larger one beside it"),
)


@pytest.mark.parametrize(("before", "after"), CHANGES)
@pytest.mark.parametrize("messages", range(9))
def test_pools_may_change_under_a_run_and_nothing_of_it_is_lost(before: Any, after: Any, messages: int) -> None:
    """The lanes of a pool that is no more are gone with all that lay in them: whatever was lost is found missing."""
    engine = MemoryEngine([note], seed=messages, settings=Settings(pools=before))
    many = [{"id": f"b{n}", "after": ["before"], "task": "note", "resources": {"memory": "2GB"}} for n in range(14)]
    run = engine.start(workflow(STEPS[0], *many, {"id": "last", "after": [step["id"] for step in many], "task": "note"}))
    for _ in range(messages):
        engine.step()
    engine.deploy(Settings(pools=after))
    view = engine.wait(run)
    assert view.status == "succeeded"
    assert {path for path, step in view.steps.items() if step.output == path} == {"before", "last", *(step["id"] for step in many)}


def json_of(text: str) -> Any:
    import json

    return json.loads(text)
