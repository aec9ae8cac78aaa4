"""Dispatching one step of a run. A task's id is `RUN/PATH`: the run, and the path of the step in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..core.errors import NotFound, Rejected, WrongState
from ..core.plan import Plan, Step
from ..core.resources import Needs, offered, pool_for, smallest_pool
from ..topology import FUNCTION_TIMEOUT_S, lane
from ..views import RunView, StepView
from .engines import Attached, current
from .models import ResourceAllocation, TaskDispatchConfig, TaskDispatchResult, TaskStatus
from .workflows import seen

RECENT = 20  # runs that an estimate looks at


def dispatch_task(config: TaskDispatchConfig | Mapping[str, Any], *, engine_id: str | None = None) -> TaskDispatchResult:
    """Give a step its priority, timeout, retries and resources; the engine runs it as soon as what comes before it has ended.

    Raises NotFound for a run or step that there is not; Rejected: no-such-resources, timeout-violation, invalid-definition (a
    retry policy that is none), step-locked; WrongState for a step that has begun; pydantic.ValidationError for a priority that
    is none.
    """
    attached = current(engine_id)
    wanted = config if isinstance(config, TaskDispatchConfig) else TaskDispatchConfig.model_validate(dict(config))
    changes = _changes(attached, wanted)
    run = _run_of(attached, wanted, changes)
    plan = attached.operations.definition_of(attached.tenant, run.id)
    step = plan.steps[wanted.step_id]
    return TaskDispatchResult(
        success=True,
        task_id=f"{run.id}/{wanted.step_id}",
        status=TaskStatus(run.steps[wanted.step_id].status),
        estimated_duration=_estimate(attached, run, step),
        assigned_resources=_allocation(attached, step, plan),
    )


def _changes(attached: Attached, wanted: TaskDispatchConfig) -> dict[str, Any]:
    """What the step gets, as a definition says it."""
    changes: dict[str, Any] = {}
    if wanted.priority is not None:
        changes["priority"] = wanted.priority.value
    if wanted.timeout is not None:
        longest = max(FUNCTION_TIMEOUT_S, *(pool.attempt_s for pool in attached.operations.world.pools))
        if not 0 < wanted.timeout <= longest:
            told = f"a task may take up to {longest} s, not {wanted.timeout:g}"
            raise Rejected("timeout-violation", told, status=422)
        changes["timeout"] = f"{max(1, round(wanted.timeout * 1000))}ms"
    if wanted.retry_policy is not None:
        changes["retry"] = wanted.retry_policy
    if wanted.resources is not None:
        changes["resources"] = wanted.resources.model_dump(exclude_none=True)
        _refuse_unfit(attached, changes["resources"])
    return changes


def _run_of(attached: Attached, wanted: TaskDispatchConfig, changes: Mapping[str, Any]) -> RunView:
    """The run, with the step as it is wanted; started where a workflow is named."""
    operations, tenant = attached.operations, attached.tenant
    try:
        run = seen(attached, wanted.workflow_id)
    except NotFound:
        document = _changed(operations.workflow(tenant, wanted.workflow_id)["definition"], wanted.step_id, changes)
        with attached.request():
            run = operations.run_definition(tenant, document, wanted.data)
        attached.documents[run.id] = document
        return seen(attached, run.id)
    standing = run.steps.get(wanted.step_id)
    if standing is None:
        raise NotFound("step", wanted.step_id)
    if standing.status not in ("pending", "queued"):
        raise WrongState(f"step {wanted.step_id} is {standing.status}: it was dispatched before")
    document = attached.documents.get(run.id) or operations.workflow(tenant, run.workflow, run.version)["definition"]
    changed = _changed(document, wanted.step_id, changes)
    if changes:
        with attached.request():
            operations.amend(tenant, run.id, changed)
    attached.documents[run.id] = changed
    return seen(attached, run.id)


def _changed(document: Mapping[str, Any], step_id: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The definition with one step changed, wherever it stands. Raises NotFound."""
    found = False

    def within(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        nonlocal found
        made = []
        for step in steps:
            if step["id"] == step_id:
                found = True
                made.append({**step, **changes})
            elif "group" in step:
                made.append({**step, "group": {**step["group"], "steps": within(step["group"]["steps"])}})
            else:
                made.append(step)
        return made

    changed = {**document, "steps": within(document["steps"])}
    if not found:
        raise NotFound("step", step_id)
    return changed


def _refuse_unfit(attached: Attached, resources: Mapping[str, Any]) -> None:
    """Raises Rejected where no pool has that much."""
    settings = attached.operations.world.settings
    try:
        pool = smallest_pool(Needs.of(resources), offered(settings.pools, settings.largest))
    except ValueError as fault:
        raise Rejected("bad-value", str(fault), status=422) from None
    if pool is None:
        raise Rejected("no-such-resources", f"no worker pool has {', '.join(map(str, resources.values()))}", status=422)


def _allocation(attached: Attached, step: Step, plan: Plan) -> ResourceAllocation:
    """Where nobody configured pools all run in one place: what is named then is the Lambda that would do."""
    world = attached.operations.world
    is_alone = world.settings.pools is None
    needs = world.needs(step, plan)
    if is_alone:
        pool = pool_for(needs or Needs(), offered(None, world.settings.largest))
    else:
        pool = world.pools[0] if needs is None else pool_for(needs, world.pools)
    where = lane(step.priority) if is_alone else lane(step.priority, pool.name)
    return ResourceAllocation(pool=pool.name, cpu=round(pool.cpu, 3), memory_mb=pool.memory_mb, storage_mb=pool.storage_mb, lane=where)


def _estimate(attached: Attached, run: RunView, step: Step) -> int:
    """ms: the mean of what the step took in recent runs of the workflow; before there is any, the mean of what its task was seen to
    take anywhere (with `resource_optimization`); else its timeout."""
    operations, tenant = attached.operations, attached.tenant
    recent, _ = operations.runs(tenant, workflow=run.workflow, limit=RECENT)
    ended = [_standing(attached, other.id, step.id) for other in recent if other.id != run.id]
    took = [_duration_ms(shown) for shown in ended if shown is not None and shown.started_at and shown.ended_at]
    if took:
        return round(sum(took) / len(took))
    observed = operations.world.observed
    seen = observed.of(step.spec) if observed is not None and step.action == "task" else None
    if seen is not None and seen.mean_ms is not None:
        return seen.mean_ms
    return step.timeout or operations.world.settings.attempt_timeout_s * 1000


def _standing(attached: Attached, run: str, path: str) -> StepView | None:
    try:
        return attached.operations.places.step(attached.tenant, run, path)
    except NotFound:
        return None


def _duration_ms(step: StepView) -> float:
    began, ended = (datetime.fromisoformat(str(at)) for at in (step.started_at, step.ended_at))
    return (ended - began).total_seconds() * 1000


# ------------------------------------------------------------------------------------------------ afterwards


def get_task_status(task_id: str, *, engine_id: str | None = None) -> TaskStatus:
    """Raises NotFound."""
    return TaskStatus(_task(current(engine_id), task_id)[2].status)


def cancel_task(task_id: str, *, engine_id: str | None = None) -> bool:
    """One that has not begun is skipped, one that waits for a person's decision fails; the run goes on accordingly. False: it has
    ended already. Raises NotFound, WrongState for one that is under way (only its run can be cancelled), Rejected("step-locked")
    where it has begun meanwhile."""
    attached = current(engine_id)
    run, path, step = _task(attached, task_id)
    if step.ended_at is not None or step.status in ("succeeded", "failed", "skipped", "cancelled"):
        return False
    operations, tenant = attached.operations, attached.tenant
    if step.status in ("pending", "queued"):
        document = attached.documents.get(run.id) or operations.workflow(tenant, run.workflow, run.version)["definition"]
        changed = _changed(document, path, {"when": "false"})
        with attached.request():
            operations.amend(tenant, run.id, changed)
        attached.documents[run.id] = changed
        return True
    if step.error is None:
        raise WrongState(f"task {task_id} is {step.status}: what is under way ends by itself or with its run")
    with attached.request():
        operations.decide(tenant, run.id, path, "fail")
    return True


def _task(attached: Attached, task_id: str) -> tuple[RunView, str, StepView]:
    run_id, _, path = task_id.partition("/")
    run = seen(attached, run_id)
    if path not in run.steps:
        raise NotFound("task", task_id)
    return run, path, run.steps[path]
