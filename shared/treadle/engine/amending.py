"""Changing the plan of a running run: steps that have not started may be added, changed or removed.

A *hold* on the control item keeps workers from beginning anything meanwhile: whoever claims a step reads control after it and
backs off, and the amender reads the claims after the hold, so one of the two always sees the other. The new plan and the end
of the hold are one conditional write. A hold whose amender died is removed by the next who settles the run.

What is under way is marked before that: its worker's next write is refused once, and he reads control. So whatever is recorded after
an amendment is followed by what the new plan says, and no worker asks for it on a run that nobody amends.
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
from .claims import AMENDED, Claim, as_unbegun, stands
from .items import is_fact, run_key
from .keeping import keep
from .run import Run
from .snapshot import snapshot
from .starting import save_plan
from .stopping import soon

HOLD_MS = 60_000  # an older hold is taken for a dead amender's
NEVER_REACHED = (Outcome.DEAD, Outcome.BLOCKED)
ALIVE = tuple(status.value for status in (RunStatus.PENDING, RunStatus.RUNNING, RunStatus.WAITING, RunStatus.PAUSED))


def amend(run: Run, plan: Plan) -> dict[str, list[str]]:
    """{"added", "changed", "removed"}: ids of steps. Raises Rejected("step-locked") when one of them has begun, WrongState, Conflict."""
    if plan.workflow != run.plan.workflow:
        raise Rejected("bad-value", f"an amended plan keeps the workflow's id: {run.plan.workflow}, not {plan.workflow}", status=422)
    before = run.plan
    still_mine = _hold(run)
    try:
        difference = diff(before, plan)
        items = _looked_at(run, before, plan, difference)
    except Rejected:
        _drop_hold(run)
        raise
    keep(run, Why.AMEND, run.now)
    _take_back(run, plan, items, difference)
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


def _looked_at(run: Run, before: Plan, after: Plan, difference: Mapping[str, list[str]]) -> dict[str, Item]:
    """The run's items. Each that is somebody's has a mark from now on, so that he reads control before he writes what it came to:
    what follows from that is decided by the new plan. So has each step whose skip somebody may have found out, and not written yet.
    Nothing begins meanwhile, so there is an end to it."""
    while True:
        items = snapshot(run)
        _refuse_started(items, before, after, difference)
        open_again = _open_again(before, after, items, difference)
        missed = [key for key, item in items.items() if not _marked(run, items, key, item, open_again)]
        missed = missed or [key for key in _unbegun(before, items, open_again) if not run.world.store.put(_barred(run, key), Absent()).ok]
        if not missed:
            return items


def _barred(run: Run, key: str) -> Item:
    return as_unbegun(run, key) | {AMENDED: run.world.new_fence()}


def _open_again(before: Plan, after: Plan, items: Mapping[str, Item], difference: Mapping[str, list[str]]) -> set[str]:
    """Steps that may be skipped by one plan and not by the other: what is changed, and what comes after a skip that is taken back."""
    skipped = {paths.step_id(key) for key, item in items.items() if _is_skipped(item)}
    taken_back = _with_what_follows(after, {name for names in difference.values() for name in names}, skipped) & skipped
    return {*difference["changed"], *(target for name in taken_back for target in before.scope_of[name].steps[name].targets)}


def _unbegun(plan: Plan, items: Mapping[str, Item], names: set[str]) -> Iterator[str]:
    """The keys of those steps, in each scope that is open, of which there is no item."""
    scopes = [("", plan.root)]
    for key, item in items.items():
        step = plan.steps[paths.step_id(key)]
        if item["state"] == State.OPEN and step.inner is not None and (paths.index(key) is not None or not step.is_loop):
            scopes.append((paths.inside(key, item["attempt"]), step.inner))
    for scope_key, scope in scopes:
        keys = [paths.join(scope_key, name) for name in sorted(names & scope.steps.keys())]
        yield from (key for key in keys if key not in items)


def _is_skipped(item: Item) -> bool:
    return is_fact(item) and item["outcome"] in NEVER_REACHED


def _marked(run: Run, items: Mapping[str, Item], key: str, item: Item, open_again: set[str]) -> bool:
    """False: it has gone on since it was read."""
    store, mark = run.world.store, {AMENDED: run.world.new_fence()}
    following = item.get("next") if is_fact(item) and item.get("gen", 1) == run.generation else None
    if following and following not in items:  # that claim has no item of its own
        claim = Claim(following, item["fence"], item["lease"], 1, run.now, run.now, seq=item.get("seq", 0) + 1)
        return store.put(claim.item(run) | mark, Absent()).ok
    is_unbegun = item["state"] == State.RELEASED and paths.step_id(key) in open_again
    if item["state"] not in (State.CLAIMED, State.OPEN) and not is_unbegun:
        return True
    return store.update((item["pk"], item["sk"]), Change(set=mark), stands(item)).ok


def _refuse_started(items: Mapping[str, Item], before: Plan, after: Plan, difference: Mapping[str, list[str]]) -> None:
    """Started steps are frozen."""
    touched = {*difference["changed"], *difference["removed"]}
    joined = touched | set(difference["added"])
    begun = set(_begun(items, touched))
    if begun:
        names = ", ".join(sorted(begun))
        raise Rejected("step-locked", f"these steps have started and cannot be changed any more: {names}", status=409)
    closed = [name for name in joined if _scope_has_ended(items, before if name in before.steps else after, name)]
    if closed:
        raise Rejected("step-locked", f"the group around {', '.join(sorted(closed))} has ended", status=409)


def _take_back(run: Run, after: Plan, items: Mapping[str, Item], difference: Mapping[str, list[str]]) -> None:
    """A step that was only skipped has not started: its skip is taken back, and with it those of what was skipped after it. They are
    decided again."""
    joined = {name for names in difference.values() for name in names}
    skipped = {key: item for key, item in items.items() if _is_skipped(item)}
    again = _with_what_follows(after, joined, {paths.step_id(key) for key in skipped})
    for key, item in skipped.items():
        if paths.step_id(key) in again & after.steps.keys():
            run.world.store.put(_barred(run, key), Equals("fence", item["fence"]))
        elif paths.step_id(key) in again:
            run.world.store.delete((item["pk"], item["sk"]), Equals("fence", item["fence"]))


def _with_what_follows(plan: Plan, names: set[str], skipped: set[str]) -> set[str]:
    """And what was skipped after them, as far as there is nothing in between that has run."""
    found, todo = set(names), [name for name in names if name in plan.steps]
    while todo:
        name = todo.pop()
        new = {target for target in plan.scope_of[name].steps[name].targets if target in skipped} - found
        found |= new
        todo += new
    return found


def _begun(items: Mapping[str, Item], touched: set[str]) -> Iterator[str]:
    for key, item in items.items():
        name = paths.step_id(key)
        following = item.get("next")
        if following and following not in items and paths.step_id(following) in touched:
            yield paths.step_id(following)
        if name not in touched or item["state"] == State.RELEASED:
            continue
        if not is_fact(item) or not Outcome(item["outcome"]).is_skip or item["outcome"] == Outcome.BYPASSED:
            yield name


def _scope_has_ended(items: Mapping[str, Item], plan: Plan, name: str) -> bool:
    home = plan.scope_of.get(name)
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
