"""Cancelling one step of a run that goes on: what has not begun is skipped, what waits fails with `Cancelled`.

What a worker has in its hands is left alone: nobody could say what it did before it was told. It ends by itself, by its timeout,
or with its run.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ..core import paths
from ..core.errors import NotFound, WrongState
from ..core.model import Outcome, State, StepError
from ..core.plan import Plan
from . import amending
from .admission import waits_no_more
from .claims import claim_of, stands
from .control import INVOCATION_MS, key_of
from .items import is_fact, step_key
from .run import Run
from .segment import Segment
from .waits import give_up_child


def cancel_step(run: Run, path: str, by: str | None) -> None:
    """Raises NotFound, WrongState; as amending does for one that has not begun: Rejected("step-locked"), Conflict."""
    if paths.step_id(path) not in run.plan.steps:
        raise NotFound("step", f"{path} in {run.plan.workflow}")
    key = key_of(run, path)
    item = run.world.store.get(step_key(run.id, key))
    if item is None or item["state"] == State.RELEASED:
        _skip(run, path)
    elif is_fact(item):
        raise WrongState(f"step {path} of run {run.id} has ended: {Outcome(item['outcome']).status.value}")
    elif item["state"] == State.WAITING or (item["state"] == State.RETRY and "until" in item):
        segment = Segment(run, run.now + INVOCATION_MS)
        told = "the step was cancelled" + (f" by {by}" if by else "")
        give_up_child(run, item)
        if not segment.failed(claim_of(item), StepError("Cancelled", told, permanent=True), stands(item)):
            raise WrongState(f"step {path} of run {run.id} has gone on meanwhile: look at it again")
        if "wait" in item:
            waits_no_more(run, item)
        segment.finish()
    else:
        raise WrongState(f"step {path} of run {run.id} is under way: it ends by itself, by its timeout, or with its run")


def _skip(run: Run, path: str) -> None:
    """It is bypassed: what comes after it goes on."""
    if "[" in path:
        raise WrongState(f"step {path} of run {run.id} is one of a loop that has not come to it: cancel the loop")
    source = copy.deepcopy(dict(run.plan.source))
    _step_in(source["root"], paths.step_id(path))["when"] = False
    amending.amend(run, Plan.from_json(source))


def _step_in(scope: Mapping[str, Any], step_id: str) -> dict[str, Any]:
    """Its compiled form, wherever it stands; it is there."""
    steps: list[dict[str, Any]] = scope["steps"]
    for step in steps:
        if step["id"] == step_id:
            return step
    return next(_step_in(step["scope"], step_id) for step in steps if "scope" in step and _has(step["scope"], step_id))


def _has(scope: Mapping[str, Any], step_id: str) -> bool:
    return any(step["id"] == step_id or ("scope" in step and _has(step["scope"], step_id)) for step in scope["steps"])
