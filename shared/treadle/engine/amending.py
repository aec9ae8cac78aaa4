"""Changing the plan of a running run: steps that have not started may be added, changed or removed.

A *hold* on the control item keeps workers from beginning anything meanwhile: whoever claims a step reads control after it and
backs off, and the amender reads the claims after the hold, so one of the two always sees the other. The new plan and the end
of the hold are one conditional write. A hold whose amender died is removed by the next who settles the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..core import paths
from ..core.errors import Conflict, Rejected, WrongState
from ..core.model import Outcome, RunStatus, State
from ..core.plan import Plan
from ..ports import Absent, AtMost, Change, Condition, Equals, Item, OneOf, all_of, any_of, is_set
from .checkpoints import Why
from .items import is_fact, run_key
from .keeping import keep
from .run import Run
from .snapshot import snapshot
from .starting import save_plan
from .stopping import soon

HOLD_MS = 60_000  # an older hold is taken for a dead amender's
ALIVE = tuple(status.value for status in (RunStatus.PENDING, RunStatus.RUNNING, RunStatus.WAITING, RunStatus.PAUSED))


def amend(run: Run, plan: Plan) -> dict[str, list[str]]:
    """{"added", "changed", "removed"}: ids of steps. Raises Rejected("step-locked") when one of them has begun, WrongState, Conflict."""
    if plan.workflow != run.plan.workflow:
        raise Rejected("bad-value", f"an amended plan keeps the workflow's id: {run.plan.workflow}, not {plan.workflow}", status=422)
    before = run.plan
    still_mine = _hold(run)
    try:
        difference = diff(before, plan)
        _refuse_started(run, before, difference)
    except Rejected:
        _drop_hold(run)
        raise
    keep(run, Why.AMEND, run.now)
    _put(run, plan, still_mine)
    return difference


def diff(before: Plan, after: Plan) -> dict[str, list[str]]:
    old, new = _steps(before.source["root"]), _steps(after.source["root"])
    return {
        "added": [name for name in new if name not in old],
        "changed": [name for name in new if name in old and new[name] != old[name]],
        "removed": [name for name in old if name not in new],
    }


def _steps(scope: Mapping[str, Any], within: str = "") -> dict[str, Any]:
    """Each step's compiled form with the scope it stands in, without its number and without the steps inside of it."""
    found: dict[str, Any] = {}
    for step in scope["steps"]:
        found[step["id"]] = {**{key: value for key, value in step.items() if key not in ("n", "scope")}, "in": within}
        if "scope" in step:
            found[step["id"]]["output of group"] = step["scope"].get("output")
            found |= _steps(step["scope"], step["id"])
    return found


def _hold(run: Run) -> Condition:
    """That it is held by this amender, and of the plan that it looked at: what is read of the run from here on may be somebody else's."""
    nobody_amends = any_of(Absent("hold"), AtMost("hold", run.now - HOLD_MS))
    condition = all_of(Equals("plan", run.control["plan"]), OneOf("status", ALIVE), nobody_amends)
    held = Change(set={"hold": run.now, **soon(run)}, add={"rev": 1})
    written = run.world.store.update(run_key(run.id), held, condition)
    run.control = written.item or run.control
    if written.ok or is_set(held, written.item):
        return all_of(Equals("hold", run.control["hold"]), Equals("plan", run.control["plan"]))
    if run.control["status"] not in ALIVE:
        raise WrongState(f"run {run.id} is {run.status.value}: only a run that is under way can be amended")
    raise Conflict(f"run {run.id} is being amended by somebody else")


def _drop_hold(run: Run) -> None:
    written = run.world.store.update(run_key(run.id), Change(remove=("hold",), add={"rev": 1}), Equals("hold", run.control["hold"]))
    run.control = written.item or run.control
    run.send([run.message("settle", "", plan=run.control["plan"], gen=run.generation)])


def _refuse_started(run: Run, before: Plan, difference: Mapping[str, list[str]]) -> None:
    """Started steps are frozen. A step that was only skipped has not started: its skip is taken back."""
    touched = {*difference["changed"], *difference["removed"]}
    joined = touched | set(difference["added"])
    items = snapshot(run)
    begun = set(_begun(run, items, touched))
    if begun:
        names = ", ".join(sorted(begun))
        raise Rejected("step-locked", f"these steps have started and cannot be changed any more: {names}", status=409)
    closed = [name for name in joined if _scope_has_ended(items, before, name)]
    if closed:
        raise Rejected("step-locked", f"the group around {', '.join(sorted(closed))} has ended", status=409)
    for key, item in items.items():
        if is_fact(item) and Outcome(item["outcome"]).is_skip and paths.step_id(key) in touched:
            run.world.store.delete((item["pk"], item["sk"]), Equals("fence", item["fence"]))


def _begun(run: Run, items: Mapping[str, Item], touched: set[str]) -> Iterator[str]:
    for key, item in items.items():
        name = paths.step_id(key)
        following = item.get("next")
        if following and following not in items and paths.step_id(following) in touched:
            yield paths.step_id(following)
        if name not in touched or item["state"] == State.RELEASED:
            continue
        if not is_fact(item) or not Outcome(item["outcome"]).is_skip or item["outcome"] == Outcome.BYPASSED:
            yield name


def _scope_has_ended(items: Mapping[str, Item], before: Plan, name: str) -> bool:
    home = before.scope_of.get(name)
    return home is not None and bool(home.id) and any(paths.step_id(key) == home.id and is_fact(item) for key, item in items.items())


def _put(run: Run, plan: Plan, still_mine: Condition) -> None:
    name = save_plan(run.world, plan)
    change = Change(set={"plan": name, "version": plan.version, **soon(run)}, remove=("hold",), add={"rev": 1, "amended": 1})
    written = run.world.store.update(run_key(run.id), change, still_mine)
    if not written.ok and not is_set(change, written.item):
        run.send([run.message("settle", "", plan=run.control["plan"], gen=run.generation)])  # skips that were taken back are decided again
        raise Conflict(f"run {run.id} was changed while it was being amended")
    run.read_control()
    run.send([run.message("settle", "", plan=name, gen=run.generation)])


def remove_stale_hold(run: Run) -> None:
    """By a conditional write, never by ignoring it."""
    hold = run.control.get("hold")
    if hold is not None and hold <= run.now - HOLD_MS:
        written = run.world.store.update(run_key(run.id), Change(remove=("hold",), add={"rev": 1}), Equals("hold", hold))
        run.control = written.item or run.control
