"""The founding spec's functions: what each returns, and each error case that the spec lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pydantic
import pytest
from treadle import TaskContext, spec, task
from treadle.core.errors import Conflict, Corrupted, NotFound, Rejected, Unavailable, WrongState
from treadle.engine.items import step_key
from treadle.engine.observed import WEEK_MS, seen_key
from treadle.local.stack import Stack
from treadle.simulation.memory import MemoryStore
from treadle.spec.engines import current

CONFIG = {"maxConcurrentWorkflows": 10, "errorHandling": {"retryAttempts": 0}}


@task
def fails(given: Any) -> Any:
    raise ValueError("always")


@task
def fails_once(given: Any, context: TaskContext) -> Any:
    """In each run."""
    if context.run_id not in _met:
        _met.add(context.run_id)
        raise ValueError("at first")
    return "mended"


_met: set[str] = set()


@pytest.fixture
def engine() -> Iterator[str]:
    result = spec.initialize_engine(CONFIG, tasks=[fails, fails_once])
    assert result.success, result.errors
    yield result.engine_id
    spec.close_engine(result.engine_id)


def workflow(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "made", "name": "made", "version": "1.0.0", "steps": list(steps), **more}


def started(*steps: dict[str, Any], **more: Any) -> str:
    parsed = spec.parse_workflow(workflow(*steps, **more)).workflow
    assert parsed is not None
    return spec.start_workflow(parsed.id).workflow_id


def reached(run: str, *statuses: str) -> spec.WorkflowState:
    attached = current()
    stack = attached.request.__self__  # type: ignore[attr-defined]
    found: spec.WorkflowState | None = stack.wait(lambda: state if (state := spec.get_workflow_state(run)).status in statuses else None, 20)
    assert found is not None, spec.get_workflow_state(run).status
    return found


class DownStore(MemoryStore):
    def get(self, *args: Any, **more: Any) -> Any:
        raise Unavailable("the table does not answer")

    query = get


SIGNAL = {"id": "paid", "signal": {"name": "paid"}}
AFTER = {"id": "ship", "task": "echo", "after": ["paid"]}
FAILS = {"id": "try", "task": "fails"}


# ------------------------------------------------------------------------------------------------ 01 engine


def test_an_engine_says_what_it_can_do() -> None:
    result = spec.initialize_engine(spec.EngineInitializationConfig(max_concurrent_workflows=5), tasks=[fails])
    try:
        assert (result.success, result.status, result.errors) == (True, spec.EngineStatus.READY, None)
        assert result.capabilities.max_concurrent_workflows == 5
        assert {"echo", "fails"} <= set(result.capabilities.tasks)
        assert result.capabilities.priorities == ["critical", "high", "normal", "low"]
        assert result.model_dump(mode="json", by_alias=True)["engineId"] == result.engine_id
    finally:
        spec.close_engine(result.engine_id)


@pytest.mark.parametrize(
    ("config", "tasks", "error"),
    [
        pytest.param({"maxConcurrentWorkflows": 0}, (), "bad-value", id="configuration validation"),
        pytest.param({"errorHandling": {"backoffStrategy": "sometimes"}}, (), "fixed, linear, exponential", id="a strategy that is none"),
        pytest.param({"maxWorkflows": 1}, (), "maxWorkflows", id="a key that is none"),
        pytest.param({"maxConcurrentWorkflows": 5000}, (), "1000", id="resource allocation"),
        pytest.param({"extensions": [{"name": "custom_loger"}]}, (), "did you mean `custom_logger`", id="extension loading: not installed"),
        pytest.param({"extensions": [{"name": "custom_logger", "config": {"log_level": "loud"}}]}, (), "log_level", id="extension loading"),
        pytest.param({}, "no_such_module", "no_such_module", id="tasks that cannot be loaded"),
    ],
)
def test_an_engine_that_cannot_be_says_why(config: dict[str, Any], tasks: Any, error: str) -> None:
    result = spec.initialize_engine(config, tasks=tasks)
    assert (result.success, result.status) == (False, spec.EngineStatus.FAILED)
    assert error in " ".join(result.errors or [])
    with pytest.raises(Rejected, match="no engine"):
        spec.get_workflow_state("x", engine_id=result.engine_id)


def test_an_engine_whose_table_does_not_answer_says_so() -> None:
    class Unreachable(Stack):
        def __enter__(self) -> Stack:
            stack = super().__enter__()
            stack.operations.world.store = DownStore()
            return stack

    result = spec.initialize_engine(CONFIG, stack_of=Unreachable)
    assert (result.success, result.status, result.errors) == (False, spec.EngineStatus.FAILED, ["the table does not answer"])


def test_an_engine_that_somebody_else_made_can_be_spoken_to(engine: str) -> None:
    run = started(SIGNAL)
    attached = current()
    other = spec.attach_engine(attached.operations, "stranger")
    with pytest.raises(NotFound):
        spec.get_workflow_state(run, engine_id=other)
    spec.close_engine(other)


def test_persistence_that_fails_is_told_wherever_it_is_met(engine: str) -> None:
    attached = current()
    world = attached.operations.world
    run, standing = started(SIGNAL), world.store
    world.store = DownStore()
    try:
        for call in (spec.get_workflow_state, spec.persist_workflow_state):
            with pytest.raises(Unavailable, match="does not answer"):
                call(run)
    finally:
        world.store = standing


# ------------------------------------------------------------------------------------------------ 02 workflows


def test_a_parsed_workflow_says_what_may_run_when(engine: str) -> None:
    steps = ({"id": "a", "set": 1}, {"id": "b", "set": 2, "after": ["a"]}, {"id": "c", "set": 3, "after": ["a"]})
    result = spec.parse_workflow(workflow(*steps, {"id": "d", "set": 4}, dependencies={"d": ["b", "c"]}))
    assert result.success
    assert result.workflow is not None
    assert result.workflow.stages == [["a"], ["b", "c"], ["d"]]
    assert (result.workflow.id, result.workflow.version, result.workflow.created) == ("made", "1.0.0", True)


@pytest.mark.parametrize(
    ("definition", "code"),
    [
        pytest.param("steps: [", "syntax", id="invalid structure"),
        pytest.param(
            workflow({"id": "a", "set": 1, "after": ["b"]}, {"id": "b", "set": 1, "after": ["a"]}), "cycle", id="circular dependency"
        ),
        pytest.param({"id": "made", "name": "made", "version": "1.0.0"}, "missing-field", id="missing required field"),
        pytest.param(workflow({"id": "a", "choose": []}), "unknown-field", id="unsupported pattern"),
        pytest.param(workflow({"id": "a", "task": "nobody"}), "unknown-task", id="a task that there is not"),
    ],
)
def test_a_workflow_that_is_wrong_is_told(engine: str, definition: Any, code: str) -> None:
    result = spec.parse_workflow(definition)
    assert not result.success
    assert result.workflow is None
    assert code in [fault.code for fault in result.validation_errors or []]


def test_a_version_never_changes_its_content(engine: str) -> None:
    assert spec.parse_workflow(workflow({"id": "a", "set": 1})).success
    result = spec.parse_workflow(workflow({"id": "a", "set": 2}))
    assert [fault.code for fault in result.validation_errors or []] == ["version-conflict"]


def test_warnings_make_no_workflow_invalid(engine: str) -> None:
    result = spec.parse_workflow(workflow({"id": "a", "task": "echo", "compensate": {"task": "echo"}}))
    assert result.success
    assert result.warnings
    assert "unused-compensate" in result.warnings[0]


# ------------------------------------------------------------------------------------------------ 03 state


def test_the_state_of_a_run_follows_its_steps(engine: str) -> None:
    run = started({"id": "first", "set": 1}, {**SIGNAL, "after": ["first"]}, AFTER)
    state = reached(run, "waiting")
    assert (state.current_step, state.completed_steps, state.pending_steps, state.failed_steps) == ("paid", ["first"], ["paid", "ship"], [])
    assert state.data["steps"] == {"first": 1}
    assert (state.metadata.workflow, state.metadata.version) == ("made", "1.0.0")


def test_updates_are_told_as_changes(engine: str) -> None:
    run = started(SIGNAL)
    reached(run, "waiting")
    result = spec.update_workflow_state(run, {"status": "paused", "metadata": {"region": "eu"}, "data": {"note": "call them"}})
    assert result.success
    assert result.state.status == "paused"
    assert [(change.path, change.before, change.after) for change in result.changes] == [
        ("/metadata/region", None, "eu"),
        ("/data/note", None, "call them"),
        ("/status", "waiting", "paused"),
    ]
    assert result.state.metadata.attributes == {"region": "eu"}
    assert spec.update_workflow_state(run, {"status": "running"}).changes[0].after == "running"


def test_a_transition_that_is_none_is_refused(engine: str) -> None:
    run = started({"id": "a", "set": 1})
    reached(run, "succeeded")
    with pytest.raises(WrongState):
        spec.update_workflow_state(run, {"status": "paused"})
    with pytest.raises(Rejected, match="cannot be made succeeded"):
        spec.update_workflow_state(run, {"status": "succeeded"})
    with pytest.raises(Rejected, match="completed_steps"):
        spec.update_workflow_state(run, {"completed_steps": ["b"]})


def test_a_state_that_somebody_else_changed_is_not_overwritten(engine: str) -> None:
    run = started(SIGNAL)
    etag = reached(run, "waiting").metadata.etag
    spec.update_workflow_state(run, {"metadata": {"a": 1}}, expected_etag=etag)
    with pytest.raises((Rejected, Conflict), match="look at it again"):
        spec.update_workflow_state(run, {"metadata": {"a": 2}}, expected_etag=etag)


def test_a_state_that_no_engine_can_have_written_is_told_as_corrupt(engine: str) -> None:
    run = started({"id": "a", "set": 1})
    reached(run, "succeeded")
    store = current().operations.world.store
    item = store.get(step_key(run, "a"))
    assert item is not None
    store.put({**item, "outcome": "perhaps"})
    with pytest.raises(Corrupted, match="cannot be read"):
        spec.get_workflow_state(run)


def test_a_persisted_state_can_be_restored_into_a_new_run(engine: str) -> None:
    run = started({"id": "a", "set": 1}, SIGNAL)
    reached(run, "waiting")
    assert spec.persist_workflow_state(run) is True
    attached = current()
    (kept,) = attached.operations.checkpoints(attached.tenant, run)
    assert attached.operations.restore(attached.tenant, kept["id"]).id != run
    with pytest.raises(NotFound):
        spec.persist_workflow_state("nobody")


# ------------------------------------------------------------------------------------------------ 04 tasks


def test_a_dispatched_task_has_the_lane_the_pool_and_the_retries_it_was_given(engine: str) -> None:
    run = started(SIGNAL, AFTER)
    reached(run, "waiting")
    result = spec.dispatch_task(
        spec.TaskDispatchConfig(
            workflow_id=run,
            step_id="ship",
            priority=spec.TaskPriority.HIGH,
            timeout=30,
            retry_policy={"maxAttempts": 2},
            resources=spec.ResourceRequirements(cpu="1 vCPU", memory="1GB"),
        )
    )
    assert (result.success, result.task_id, result.status, result.estimated_duration) == (True, f"{run}/ship", "pending", 30_000)
    assert result.assigned_resources.model_dump() == {
        "pool": "memory-1769", "cpu": 1.0, "memory_mb": 1769, "storage_mb": 10_240, "lane": "lane-high",
    }  # fmt: skip
    attached = current()
    step = attached.operations.definition_of(attached.tenant, run).steps["ship"]
    assert (step.priority, step.timeout, step.retry and step.retry.max_attempts) == ("high", 30_000, 2)
    with attached.request():
        attached.operations.signal(attached.tenant, run, "paid", {})
    reached(run, "succeeded")
    assert spec.get_task_status(result.task_id) is spec.TaskStatus.SUCCEEDED
    with pytest.raises(WrongState, match="dispatched before"):
        spec.dispatch_task({"workflowId": run, "stepId": "ship"})


def test_a_registered_workflow_is_started_by_dispatching_a_task_of_it(engine: str) -> None:
    spec.parse_workflow(workflow({"id": "a", "task": "echo", "with": {"n": "${input.n}"}}))
    first = spec.dispatch_task({"workflowId": "made", "stepId": "a", "data": {"n": 3}, "priority": "critical"})
    state = reached(first.task_id.partition("/")[0], "succeeded")
    assert state.data["steps"]["a"] == {"n": 3}
    again = spec.dispatch_task({"workflowId": "made", "stepId": "a", "data": {"n": 4}})
    assert again.estimated_duration < 60_000, "what the step took before is what is expected"


def test_what_a_task_was_seen_to_take_elsewhere_is_expected_of_it_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREADLE_PERFORMANCE__RESOURCE_OPTIMIZATION", "true")
    engine = spec.initialize_engine(CONFIG).engine_id
    try:
        world = current(engine).operations.world
        pk, sk = seen_key(world.clock.now() // WEEK_MS, "echo")
        world.store.put({"pk": pk, "sk": sk, "count": 4, "ms": 10_000})
        spec.parse_workflow(workflow({"id": "a", "task": "echo"}))
        assert spec.dispatch_task({"workflowId": "made", "stepId": "a"}).estimated_duration == 2500
    finally:
        spec.close_engine(engine)


@pytest.mark.parametrize(
    ("config", "code"),
    [
        pytest.param({"resources": {"memory": "1TB"}}, "no-such-resources", id="resource allocation"),
        pytest.param({"timeout": 100_000}, "timeout-violation", id="timeout violation"),
        pytest.param({"retryPolicy": {"maxAttempts": -1}}, "invalid-definition", id="a retry policy that is none"),
    ],
)
def test_a_task_that_cannot_be_dispatched_is_refused(engine: str, config: dict[str, Any], code: str) -> None:
    run = started(SIGNAL, AFTER)
    with pytest.raises(Rejected) as refused:
        spec.dispatch_task({"workflowId": run, "stepId": "ship", **config})
    assert refused.value.code == code


def test_a_priority_that_is_none_is_refused(engine: str) -> None:
    with pytest.raises(pydantic.ValidationError, match="critical"):
        spec.dispatch_task({"workflowId": "made", "stepId": "a", "priority": "urgent"})


def test_a_task_that_has_not_begun_can_be_cancelled(engine: str) -> None:
    run = started(SIGNAL, AFTER)
    reached(run, "waiting")
    assert spec.cancel_task(f"{run}/ship") is True
    with pytest.raises(WrongState, match="ends by itself"):
        spec.cancel_task(f"{run}/paid")
    attached = current()
    with attached.request():
        attached.operations.signal(attached.tenant, run, "paid", {})
    assert reached(run, "succeeded").completed_steps == ["paid"]
    assert spec.get_task_status(f"{run}/ship") is spec.TaskStatus.SKIPPED
    assert spec.cancel_task(f"{run}/paid") is False
    with pytest.raises(NotFound):
        spec.get_task_status(f"{run}/nobody")


# ------------------------------------------------------------------------------------------------ 05 errors


def test_what_becomes_of_an_error_is_what_the_engine_would_do(engine: str) -> None:
    ladder = [{"afterAttempts": 2, "notify": "ops"}]
    step = {**AFTER, "retry": {"maxAttempts": 3, "delay": "2s", "backoff": "fixed", "except": ["CardDeclined"]}}
    run = started(SIGNAL, step, {"id": "other", "task": "echo", "after": ["paid"], "retry": {"maxAttempts": 1},
        "catch": [{"errors": ["Card*"], "output": 0}]}, errorHandling={"onFailure": "wait", "escalation": ladder})  # fmt: skip

    def handled(name: str, step_id: str, attempt: int) -> tuple[str, int, int, int]:
        result = spec.handle_workflow_error({"name": name}, {"workflowId": run, "stepId": step_id, "attempt": attempt})
        assert result.handled
        return result.action.value, result.retry_count, result.escalation_level, result.recovery_time

    assert handled("Throttled", "ship", 1) == ("retry", 0, 0, 2000)
    assert handled("Throttled", "ship", 2) == ("retry", 1, 1, 2000)
    assert handled("Throttled", "ship", 3) == ("wait", 2, 1, 0)
    assert handled("CardDeclined", "ship", 1) == ("wait", 0, 0, 0)
    assert handled("CardDeclined", "other", 1) == ("catch", 0, 0, 0)


def test_an_error_that_an_edge_handles_lets_the_rest_go_on(engine: str) -> None:
    run = started(FAILS, {"id": "mend", "task": "echo", "after": [{"step": "try", "on": "failed"}]})
    result = spec.handle_workflow_error({"name": "ValueError"}, {"workflowId": run, "stepId": "try"})
    assert (result.handled, result.action) == (True, spec.ErrorAction.CONTINUE)
    assert reached(run, "succeeded").failed_steps == ["try"]


def test_an_error_reaches_whoever_waits_for_it(engine: str) -> None:
    """A child's passes through its parent, which fails with it."""
    spec.parse_workflow({**workflow(FAILS), "id": "kid"})
    run = started({"id": "group", "group": {"steps": [{"id": "call", "workflow": {"id": "kid"}}]}})
    error = reached(run, "failed").metadata.error or {}
    assert (error["name"], error["message"], error["step"]) == ("ValueError", "always", "group")


@pytest.mark.parametrize(
    ("rung", "code"),
    [
        pytest.param({"afterAttempts": 0, "notify": "ops"}, "bad-value", id="after no attempt"),
        pytest.param({"afterFailure": "soon", "notify": "ops"}, "bad-duration", id="after no time"),
        pytest.param({"afterAttempts": 1, "action": "shout"}, "bad-value", id="an action that is none"),
        pytest.param({"afterAttempts": 1, "notify": "ops", "severity": "grave"}, "bad-value", id="a severity that is none"),
    ],
)
def test_an_escalation_policy_that_could_not_be_followed_is_refused(engine: str, rung: dict[str, Any], code: str) -> None:
    result = spec.parse_workflow(workflow(FAILS, errorHandling={"escalation": [rung]}))
    assert not result.success
    assert code in {fault.code for fault in result.validation_errors or []}


def test_an_error_that_nothing_handles_stops_the_run(engine: str) -> None:
    run = started(FAILS)
    result = spec.handle_workflow_error(spec.WorkflowError(name="ValueError"), spec.ErrorContext(workflow_id=run, step_id="try"))
    assert (result.handled, result.action) == (False, spec.ErrorAction.STOP)


def test_an_error_that_cannot_be_classified_is_refused(engine: str) -> None:
    run = started(SIGNAL)
    with pytest.raises(pydantic.ValidationError):
        spec.handle_workflow_error({"name": ""}, {"workflowId": run, "stepId": "paid"})
    with pytest.raises(NotFound):
        spec.handle_workflow_error({"name": "X"}, {"workflowId": run, "stepId": "nobody"})


def test_a_failed_run_recovers_from_its_error(engine: str) -> None:
    run = started({"id": "try", "task": "fails_once"})
    assert reached(run, "failed").failed_steps == ["try"]
    assert spec.recover_from_error(run, "try") is True
    assert reached(run, "succeeded").data["steps"] == {"try": "mended"}


def test_a_step_that_was_left_to_a_person_recovers(engine: str) -> None:
    run = started(FAILS, errorHandling={"onFailure": "wait"})
    reached(run, "waiting")
    assert spec.recover_from_error(run, "try") is True
    reached(run, "waiting")
    assert spec.cancel_task(f"{run}/try") is True
    reached(run, "failed")


def test_an_item_that_failed_recovers_with_its_loop(engine: str) -> None:
    run = started({"id": "each", "forEach": "[1, 2]", "task": "fails"}, errorHandling={"onFailure": "wait"})
    state = reached(run, "waiting")
    assert spec.recover_from_error(run, state.failed_steps[0]) is True
    reached(run, "waiting")
    failed = [entry for entry in current().operations.history("local", run) if entry["what"] == "StepEnded" and "generation" in entry]
    assert failed


def test_there_is_no_recovery_from_what_has_not_failed(engine: str) -> None:
    run = started(SIGNAL)
    reached(run, "waiting")
    with pytest.raises(WrongState, match="no error to recover from"):
        spec.recover_from_error(run, "paid")
    with pytest.raises(NotFound):
        spec.recover_from_error(run, "nobody")
