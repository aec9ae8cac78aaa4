"""What each route does that is about people: what they are asked, what they asked for, and runs that begin from other runs."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING

from ..auth import Permission
from . import shapes
from .calls import BASE, Reply, Request, accepted, as_shown, etag_of, expected_version, idempotency_key, text_of

if TYPE_CHECKING:
    from ..operations import Operations


def amend(request: Request, operations: Operations) -> Reply:
    """The run as it then is, and `amended`: the steps that were added, changed and removed."""
    run_id = request.path["run"]
    expected = expected_version(request)
    amended = operations.amend(request.tenant, run_id, text_of(request), expected=expected, by=request.by)
    run = operations.show(request.tenant, run_id, full=False)
    return Reply(as_shown(run) | {"amended": amended}, headers={"etag": etag_of(run)})


def difference(request: Request, operations: Operations) -> Reply:
    return Reply(operations.amendment(request.tenant, request.path["run"], text_of(request)))


def update(request: Request, operations: Operations) -> Reply:
    wanted: shapes.Update = request.body
    patch = wanted.model_dump(exclude_unset=True)
    if "data" in patch:
        patch["metadata"] = (patch.pop("data") or {}) | (patch.get("metadata") or {})
    expected = expected_version(request)
    changes, run = operations.update(request.tenant, request.path["run"], patch, expected=expected, by=request.by)
    return Reply({"changes": changes, "run": as_shown(run)})


def task(request: Request, operations: Operations) -> Reply:
    """A step of a run as something by itself: `RUN/PATH` is its id."""
    run_id, path = request.path["run"], request.path["step"]
    shown = as_shown(operations.places.step(request.tenant, run_id, path, full=request.query.full))
    workflow = operations.definition_of(request.tenant, run_id).workflow
    place = operations.places.of(request.tenant, run_id, path)
    return Reply({"id": f"{run_id}/{path}", "run": run_id, "workflow": workflow, "step": path, **shown, **place})


def task_input(request: Request, operations: Operations) -> Reply:
    return Reply(operations.inputs.of(request.tenant, request.path["run"], request.path["step"]))


def cancel_task(request: Request, operations: Operations) -> Reply:
    run, step = request.path["run"], request.path["step"]
    return accepted(operations.cancel_step(request.tenant, run, step, by=request.by, reason=request.body.reason))


def prospect(request: Request, operations: Operations) -> Reply:
    return Reply(operations.prospects.retry(request.tenant, request.path["run"], from_step=request.query.from_step))


def rerun_prospect(request: Request, operations: Operations) -> Reply:
    return Reply(operations.prospects.rerun(request.tenant, request.path["run"], from_step=request.query.from_step))


def restore_prospect(request: Request, operations: Operations) -> Reply:
    return Reply(operations.prospects.restore(request.tenant, request.path["checkpoint"], from_step=request.query.from_step))


def rerun(request: Request, operations: Operations) -> Reply:
    wanted: shapes.Again = request.body
    more = {"from_step": wanted.from_step, "input": wanted.input, "key": idempotency_key(request), "by": request.by}
    return accepted(operations.rerun(request.tenant, request.path["run"], **more))


# ------------------------------------------------------------------------------------------------ checkpoints


def take_checkpoint(request: Request, operations: Operations) -> Reply:
    made = operations.checkpoint(request.tenant, request.path["run"], by=request.by)
    return Reply(made, HTTPStatus.ACCEPTED, {"location": f"{BASE}/checkpoints/{made['id']}/restore"})


def list_checkpoints(request: Request, operations: Operations) -> Reply:
    return Reply({"items": operations.checkpoints(request.tenant, request.path["run"]), "next": None})


def restore(request: Request, operations: Operations) -> Reply:
    wanted: shapes.Again = request.body
    more = {"from_step": wanted.from_step, "input": wanted.input, "key": idempotency_key(request), "by": request.by}
    return accepted(operations.restore(request.tenant, request.path["checkpoint"], **more))


# ------------------------------------------------------------------------------------------------ who is asked, who asked


def approvals(request: Request, operations: Operations) -> Reply:
    """Only what the caller may answer: approvals for approvers, decisions for operators, and where a step names people, by them."""
    may = {"approval": Permission.APPROVE, "decision": Permission.CONTROL}
    kinds = tuple(kind for kind, needed in may.items() if request.principal.may(needed) and request.query.kind in (None, kind))
    limit, cursor = request.query.limit, request.query.cursor
    items, after = operations.approvals(request.tenant, kinds=kinds, by=request.by, limit=limit, cursor=cursor)
    return Reply({"items": items, "next": after})


def audit(request: Request, operations: Operations) -> Reply:
    trail, after = operations.audit(request.tenant, limit=request.query.limit, cursor=request.query.cursor)
    return Reply({"items": trail.records, "next": after, "head": asdict(trail.head)})
