"""Errors of steps: what the engine does with one, and recovering from one that was left to a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.errors import NotFound, WrongState
from ..core.model import StepError
from ..core.plan import Plan, Step
from ..core.retry import matches, next_attempt
from ..views import RunView
from .engines import current
from .models import ErrorAction, ErrorContext, ErrorHandlingResult, WorkflowError
from .workflows import seen

_OF_RUN = {"stop": ErrorAction.STOP, "continue": ErrorAction.CONTINUE, "compensate": ErrorAction.COMPENSATE, "wait": ErrorAction.WAIT}


def handle_workflow_error(
    error: WorkflowError | Mapping[str, Any], context: ErrorContext | Mapping[str, Any], *, engine_id: str | None = None
) -> ErrorHandlingResult:
    """What the engine does with such an error of this step, by the plan of its run: retry, catch, escalate, or what the workflow
    says of failures. The engine does it by itself; this asks its rules and changes nothing.

    Raises NotFound; pydantic.ValidationError for an error without a name, which no rule could tell from others.
    """
    attached = current(engine_id)
    raised = error if isinstance(error, WorkflowError) else WorkflowError.model_validate(dict(error))
    where = context if isinstance(context, ErrorContext) else ErrorContext.model_validate(dict(context))
    run = seen(attached, where.workflow_id)
    plan = attached.operations.definition_of(attached.tenant, run.id)
    if where.step_id not in plan.steps:
        raise NotFound("step", where.step_id)
    step, standing = plan.steps[where.step_id], run.steps.get(where.step_id)
    attempt = where.attempt or max(1, standing.attempts if standing else 1)
    known = StepError(raised.name, raised.message, raised.details, raised.permanent)
    wait_ms = next_attempt(step.retry, known, attempt, 1.0)
    action = ErrorAction.RETRY if wait_ms is not None else _without_retry(plan, step, known)
    return ErrorHandlingResult(
        handled=action is not ErrorAction.STOP,
        action=action,
        retry_count=attempt - 1,
        escalation_level=sum(rung.get("afterAttempts", attempt + 1) <= attempt for rung in plan.escalation),
        recovery_time=wait_ms or 0,
    )


def _without_retry(plan: Plan, step: Step, error: StepError) -> ErrorAction:
    if any(matches(entry["errors"], error.name) for entry in step.catch):
        return ErrorAction.CATCH
    if step.id in plan.scope_of[step.id].handled:  # by an edge `on: failed` or `on: done`
        return ErrorAction.CONTINUE
    return _OF_RUN[plan.on_failure]


def recover_from_error(workflow_id: str, error_id: str, *, engine_id: str | None = None) -> bool:
    """Try a failed step again: where it waits for a person, as that person's decision; where the run has failed, with all that
    came after it. `error_id`: the step's path, as `error.step` of the run and `failed_steps` of its state have it.

    Raises NotFound, WrongState where nothing has failed there.
    """
    attached = current(engine_id)
    operations, tenant = attached.operations, attached.tenant
    run = seen(attached, workflow_id)
    step = run.steps.get(error_id)
    if step is None:
        raise NotFound("step", error_id)
    if (asked := _asked_for(run, error_id)) is not None:
        with attached.request():
            operations.decide(tenant, workflow_id, asked, "retry")
        return True
    if step.status != "failed":
        raise WrongState(f"step {error_id} is {step.status}: there is no error to recover from")
    with attached.request():
        operations.retry(tenant, workflow_id, from_step=error_id.partition(".")[0].partition("[")[0])
    return True


def _asked_for(run: RunView, path: str) -> str | None:
    """The step that waits for a person's decision about this failure: itself, or the loop or group that it failed."""
    while path:
        step = run.steps.get(path)
        if step is not None and step.status == "waiting" and step.error is not None:
            return path
        path = path[: path.rindex("[")] if path.endswith("]") else path.rpartition(".")[0]
    return None
