"""Parsing workflows, and the state of runs: `parse_workflow`, `start_workflow`, and what tells or changes a run's state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.errors import Corrupted, Rejected
from ..core.model import Json
from ..core.plan import Scope
from ..definition import Diagnostic
from ..definition.diagnostics import Severity
from ..stepping import MOST_STEPS, UNREADABLE
from ..views import RunView
from .engines import Attached, current
from .models import ParsedWorkflow, StateChange, StateManagementResult, StateMetadata, ValidationError, WorkflowParsingResult, WorkflowState

_UNDER_WAY = ("running", "waiting", "queued")
_SETTABLE = ("status", "data", "metadata")


def parse_workflow(definition: Mapping[str, Any] | str, *, engine_id: str | None = None) -> WorkflowParsingResult:
    """Check and compile a definition and keep it under its id and version. What is wrong with it is told, not raised."""
    attached = current(engine_id)
    source = definition if isinstance(definition, str) else dict(definition)
    told = attached.operations.validate(source)
    faults = [_fault(fault) for fault in told if fault.severity is Severity.ERROR]
    warnings = [str(fault) for fault in told if fault.severity is not Severity.ERROR] or None
    if faults:
        return WorkflowParsingResult(success=False, validation_errors=faults, warnings=warnings)
    try:
        with attached.request():
            kept = attached.operations.register(attached.tenant, source)
    except Rejected as refused:
        refusal = ValidationError(code=refused.code, message=refused.message, path="/version")
        return WorkflowParsingResult(success=False, validation_errors=[refusal], warnings=warnings)
    plan = attached.operations.world.plan(kept.plan)
    parsed = ParsedWorkflow(
        id=kept.id,
        name=plan.name,
        version=kept.version,
        steps=list(plan.steps),
        stages=stages(plan.root),
        plan=kept.plan,
        created=kept.created,
    )
    return WorkflowParsingResult(success=True, workflow=parsed, warnings=warnings)


def _fault(fault: Diagnostic) -> ValidationError:
    return ValidationError.model_validate(fault.model_dump(mode="json", exclude={"severity"}))


def stages(scope: Scope) -> list[list[str]]:
    """The steps of a scope by how many come before them on the longest way."""
    depth: dict[str, int] = {}
    while len(depth) < len(scope.steps):
        for name, step in scope.steps.items():
            if name not in depth and all(edge.source in depth for edge in step.edges):
                depth[name] = max((depth[edge.source] + 1 for edge in step.edges), default=0)
    return [[name for name in scope.steps if depth[name] == level] for level in range(max(depth.values()) + 1)]


def start_workflow(workflow: str, data: Json = None, *, version: str | None = None, engine_id: str | None = None) -> WorkflowState:
    """A run of a workflow that was parsed. Raises NotFound, Rejected("invalid-input")."""
    attached = current(engine_id)
    with attached.request():
        run = attached.operations.start(attached.tenant, workflow, {} if data is None else data, version=version)
    return get_workflow_state(run.id, engine_id=engine_id)


def get_workflow_state(workflow_id: str, *, engine_id: str | None = None) -> WorkflowState:
    """Raises NotFound; Corrupted where what is stored is nothing that the engine can have written."""
    return state_of(seen(current(engine_id), workflow_id))


def seen(attached: Attached, workflow_id: str) -> RunView:
    view = attached.operations.show(attached.tenant, workflow_id, limit=MOST_STEPS)
    broken = [f"{path}: {step.why}" for path, step in view.steps.items() if (step.why or "").startswith(UNREADABLE)]
    if view.error is not None and view.error.get("name") == "Corrupted":  # the run was set aside
        broken.insert(0, str(view.error.get("message", "")))
    if broken:
        raise Corrupted(f"the state of run {workflow_id} cannot be read: {'; '.join(broken)}")
    return view


def state_of(run: RunView) -> WorkflowState:
    by_status: dict[str, list[str]] = {}
    for path, step in run.steps.items():
        by_status.setdefault(step.status, []).append(path)
    under_way = [path for path, step in run.steps.items() if step.status in _UNDER_WAY]
    return WorkflowState(
        workflow_id=run.id,
        status=run.status,
        current_step=next(iter(under_way), ""),
        completed_steps=by_status.get("succeeded", []),
        pending_steps=[*under_way, *by_status.get("pending", [])],
        failed_steps=by_status.get("failed", []),
        data={"input": run.input, "output": run.output, "steps": {path: run.steps[path].output for path in by_status.get("succeeded", [])}},
        metadata=StateMetadata(
            workflow=run.workflow,
            version=run.version,
            etag=run.etag,
            started_at=run.started_at,
            ended_at=run.ended_at,
            attributes=run.attributes,
            error=run.error,
        ),
    )


def update_workflow_state(
    workflow_id: str, updates: Mapping[str, Any], *, expected_etag: str | None = None, engine_id: str | None = None
) -> StateManagementResult:
    """`updates`: `status` (paused, running, cancelled), `metadata` (search attributes), `data` (notes kept with the run); a null
    removes a member. What steps gave is a fact and cannot be set. `expected_etag`: the state that the caller has seen.

    Raises NotFound, Conflict, WrongState for a transition that is none, Rejected: bad-value, precondition-failed.
    """
    attached = current(engine_id)
    unknown = sorted(set(updates) - set(_SETTABLE))
    if unknown:
        raise Rejected(
            "bad-value", f"{', '.join(unknown)}: only {', '.join(_SETTABLE)} of a state can be set; the rest follows from the steps"
        )
    names = {"status": "status", "metadata": "attributes", "data": "metadata"}
    if updates.get("status", "paused") not in ("paused", "running", "cancelled"):
        raise Rejected("bad-value", f"a run cannot be made {updates['status']}: set paused, running or cancelled")
    patch = {names[name]: value for name, value in updates.items()}
    seen(attached, workflow_id)
    with attached.request():
        changes, _ = attached.operations.update(attached.tenant, workflow_id, patch, expected=expected_etag)
    shown = {f"/{there}": f"/{here}" for here, there in names.items()}
    told = [StateChange(**{**change, "path": _renamed(change["path"], shown)}) for change in changes]
    return StateManagementResult(success=True, state=get_workflow_state(workflow_id, engine_id=engine_id), changes=told)


def _renamed(path: str, shown: Mapping[str, str]) -> str:
    head, slash, rest = path[1:].partition("/")
    return shown[f"/{head}"] + slash + rest


def persist_workflow_state(workflow_id: str, *, engine_id: str | None = None) -> bool:
    """Keep a consistent copy of the state that can be restored into a new run. Every result is durable without: this is a copy.

    Raises NotFound, Corrupted, Unavailable when the table cannot be written.
    """
    attached = current(engine_id)
    seen(attached, workflow_id)
    with attached.request():
        kept = attached.operations.checkpoint(attached.tenant, workflow_id)
    return any(known["id"] == kept["id"] for known in attached.operations.checkpoints(attached.tenant, workflow_id))
