"""What people do to runs: write the decision first, then see to what it means. Each is one conditional write."""

from __future__ import annotations

from dataclasses import replace

from ..core import paths
from ..core.errors import NotFound, Rejected, WrongState
from ..core.model import Json, Outcome, RunStatus, State, StepError
from ..ports import Absent, Change, Item, OneOf, Present, all_of, is_set
from . import retrying
from .branches import step_message
from .claims import claim_of, stands, write_state
from .failures import write_end
from .items import encode, error_of, is_fact, run_key, step_key
from .quarantine import REOPENING, fault_in, set_aside
from .reading import Unreadable
from .retention import MARK
from .run import Run
from .segment import Segment
from .stopping import soon, stop_run
from .tries import remembered
from .waits import post, resolve, tell
from .world import World

HINT_S = 2
INVOCATION_MS = 20_000  # what a request may still do itself; the rest goes to the lanes
_TOO_LATE = {
    RunStatus.COMPENSATING: "is compensating, and undoing what it did is not broken off: it ends by itself, "
    "as failed, and can be retried then",
    RunStatus.STOPPING: "is ending already: a moment, and it has ended",
}
CHOICES = ("retry", "skip", "fail")
ALIVE = (RunStatus.RUNNING, RunStatus.WAITING, RunStatus.PAUSED)


def open_run(world: World, run_id: str, tenant: str) -> Run:
    """Raises NotFound, for another tenant's run as well."""
    run = Run(world, run_id)
    run.read_control()
    if run.tenant != tenant or MARK in run.control:
        raise NotFound("run", run_id)
    return run


def pause(run: Run) -> None:
    if run.status is RunStatus.PAUSED:
        return
    _change(run, RunStatus.PAUSED, (RunStatus.RUNNING, RunStatus.WAITING), "paused")


def resume(run: Run) -> None:
    _change(run, RunStatus.RETRYING if REOPENING in run.control else RunStatus.RUNNING, (RunStatus.PAUSED,), "resumed")
    put_in_order(run)


def cancel(run: Run) -> None:
    if run.control.get("stop") == "cancel":
        return
    _hint(run, "")
    is_mine = stop_run(run, "cancel", {"name": "Cancelled", "message": "the run was cancelled"}, while_cleaning_up=True)
    if not is_mine and run.control.get("stop") != "cancel":
        why = _TOO_LATE.get(run.status, f"is {run.status.value}: only a run that is under way can be cancelled")
        raise WrongState(f"run {run.id} {why}")
    segment = Segment(run, run.now + INVOCATION_MS)
    try:
        segment.finish()
    except (Unreadable, NotFound) as error:
        found = fault_in(error, run.id)
        if found is None:
            raise
        set_aside(run.world, *found)
        run.read_control()


def put_in_order(run: Run) -> None:
    """A worker reads what is there and sends what is missing."""
    run.send([run.message("settle", "", plan=run.control["plan"], gen=run.generation)])


def retry(run: Run, from_step: str | None, given: Json) -> None:
    retrying.retry(run, from_step, given)


def _change(run: Run, wanted: RunStatus, allowed: tuple[RunStatus, ...], done: str) -> None:
    as_it_was = Present(REOPENING) if wanted is RunStatus.RETRYING else Absent(REOPENING)
    condition = all_of(OneOf("status", tuple(status.value for status in allowed)), as_it_was)
    change = Change(set={"status": wanted.value, **soon(run)}, add={"rev": 1}, remove=("quarantine", REOPENING))
    written = run.world.store.update(run_key(run.id), change, condition)
    run.control = written.item or run.control
    if not written.ok and not is_set(change, written.item):
        raise WrongState(f"run {run.id} is {run.status.value}: it cannot be {done}")


# ------------------------------------------------------------------------------------------------ what steps wait for


def signal(run: Run, name: str, payload: Json) -> None:
    """Kept until a step takes it."""
    if run.status.is_final:
        raise WrongState(f"run {run.id} is {run.status.value}: it takes no more signals")
    waiters = post(run, name, payload)
    _moves_again(run)
    tell(run, waiters)


def _hint(run: Run, key: str) -> None:
    """Sent before the write: should this request die behind it, a worker finds the fact and does what follows from it."""
    kind = "wake" if key else "settle"
    run.send([run.message(kind, key, delay_s=HINT_S, plan=run.control["plan"], gen=run.generation)])


def _moves_again(run: Run) -> None:
    """A waiting run is shown as running as soon as somebody acts."""
    waiting = OneOf("status", (RunStatus.WAITING.value,))
    change = Change(set={"status": RunStatus.RUNNING.value, **soon(run)}, add={"rev": 1})
    written = run.world.store.update(run_key(run.id), change, waiting)
    if written.ok and written.item:
        run.control = written.item


def waiting_item(run: Run, path: str, kind: str) -> Item:
    """The item of a step that waits for such a thing. Raises NotFound, WrongState."""
    item = run.world.store.get(step_key(run.id, key_of(run, path)))
    if item is None:
        if paths.step_id(path) in run.plan.steps:
            raise NotFound("begun step", f"{path}: {_not_there(run, path)}")
        raise NotFound("step", f"{path} in {run.plan.workflow}")
    if item["state"] != State.WAITING or item["wait"]["for"] != kind:
        raise WrongState(f"step {path} of run {run.id} does not wait for {_ASKED[kind]}: it {_instead(item)}")
    return item


def _not_there(run: Run, path: str) -> str:
    """Not reached, or asked for by its id where it stands in groups."""
    plan, parts = run.plan, [paths.step_id(path)]
    while owner := plan.scope_of[parts[0]].id:
        parts.insert(0, owner)
    if parts == [paths.step_id(part) for part in path.split(".")]:
        return f"run {run.id} has not reached it yet"
    example = ".".join(f"{part}[0]" if plan.steps[part].is_loop else part for part in parts)
    return f"it is in a group, so its path is such as {example}"


_ASKED = {"approval": "an approval", "person": "a decision"}


def _instead(item: Item) -> str:
    if is_fact(item):
        return f"has ended: {Outcome(item['outcome']).status.value}"
    if item["state"] == State.WAITING:
        kind = item["wait"]["for"]
        return f"waits for {_ASKED.get(kind, f'a {kind}')}"
    return "has not come to that"


def key_of(run: Run, path: str) -> str:
    """The key of a path users see: that of the last attempt of each group around it. Raises NotFound for what is no path."""
    if not paths.is_path(path):
        raise NotFound("step", f"{path[:100]} in {run.plan.workflow}")
    key = ""
    for part in path.split("."):
        if key:
            item = run.world.store.get(step_key(run.id, key))
            suffix = "" if item is None or item.get("attempt", 1) <= 1 else f"~{item['attempt']}"
            key = f"{key}{suffix}.{part}"
        else:
            key = part
    return key


def approve(run: Run, path: str, by: str, comment: str | None) -> None:
    item = _may_decide(run, path, by)
    _hint(run, item["sk"][2:])
    _moves_again(run)
    segment = Segment(run, run.now + INVOCATION_MS)
    segment.only_sends = True
    if not resolve(segment, item, {"decision": "approved", "by": by, "comment": comment}):
        raise decided_by_another(run, path)
    segment.finish()


def reject(run: Run, path: str, by: str, comment: str | None) -> None:
    item = _may_decide(run, path, by)
    _hint(run, item["sk"][2:])
    _moves_again(run)
    segment = Segment(run, run.now + INVOCATION_MS)
    message = f"rejected by {by}" + (f": {comment}" if comment else "")
    if not segment.failed(claim_of(item), StepError("Rejected", message, permanent=True), stands(item)):
        raise decided_by_another(run, path)
    segment.finish()


def decided_by_another(run: Run, path: str) -> WrongState:
    return WrongState(f"step {path} of run {run.id} was decided by somebody else")


def _may_decide(run: Run, path: str, by: str) -> Item:
    item = waiting_item(run, path, "approval")
    allowed = item["wait"].get("by")
    if allowed and by not in allowed:
        raise Rejected("forbidden", f"{by} may not decide step {path}: it asks for {', '.join(allowed)}", status=403)
    return item


def decide(run: Run, path: str, choice: str, given: Json, output: Json) -> None:
    """`onFailure: wait`: what becomes of a failed step. retry (another attempt), skip (it succeeded with `output`), fail."""
    if choice not in CHOICES:
        raise Rejected("bad-value", f"what becomes of a failed step is one of {', '.join(CHOICES)}, not {choice}")
    if given is not None and choice != "retry":
        raise Rejected("bad-value", f"an input is for another attempt (retry): with {choice} nothing would become of it")
    if output is not None and choice != "skip":
        raise Rejected("bad-value", f"an output is what a skipped step gives (skip): with {choice} nothing would become of it")
    item = waiting_item(run, path, "person")
    step = run.step(item["sk"][2:])
    is_loop = step.is_loop and paths.index(item["sk"][2:]) is None  # an item that was lost may wait by itself
    if given is not None and (step.action not in ("task", "workflow") or is_loop):
        kind = "loop" if is_loop else step.action
        raise Rejected("bad-value", f"another input is for a task or a child run: step {path} is a {kind}, and can only be tried as it is")
    if choice == "retry" and is_loop:
        from .anew import begin  # on demand: nobody else needs it

        begin(run, item)
    _hint(run, item["sk"][2:])
    _moves_again(run)
    segment = Segment(run, run.now + INVOCATION_MS)
    segment.only_sends = True
    if choice == "skip":
        is_mine = write_end(segment, item, Outcome.SUCCEEDED, output=run.kept(output))
    elif choice == "fail":
        is_mine = write_end(segment, item, Outcome.FAILED, error=error_of(item.get("error")))
    else:
        claim = replace(remembered(claim_of(item), item), base=item["attempt"], attempt=item["attempt"] + 1, losses=0)
        if given is not None:
            claim = replace(claim, given=encode(run.kept(given)))
        is_mine = write_state(run, claim, State.RELEASED, stands(item)).ok
        run.send([step_message(run, claim.key)] if is_mine else [])
    if not is_mine:
        raise decided_by_another(run, path)
    segment.finish()
