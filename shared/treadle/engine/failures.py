"""What becomes of a failed attempt: another one later, a `catch`, the failure as the step's fact, and what that means for its scope."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import paths
from ..core.advance import Fact
from ..core.errors import ExpressionFault
from ..core.expressions import render
from ..core.model import Json, Outcome, RunStatus, State, StepError
from ..core.retry import matches
from ..ports import Absent, Change, Item, OneOf, all_of
from . import ending
from .actions import expression_error
from .addresses import input_address
from .asking import asks
from .claims import claim_of, stands, write_fact, write_state
from .escalation import after_attempt, climb, next_rung
from .items import error_of, fact_of, is_fact, run_key, step_key
from .names import names
from .progress import after
from .run import Run
from .schedule import wake
from .snapshot import snapshot
from .stopping import stop_container, stop_run
from .thresholds import check_thresholds
from .tries import remembered
from .waits import mark_people

if TYPE_CHECKING:
    from .segment import Segment


def on_failure(segment: Segment, key: str, attempt: int) -> None:
    """A `StepFailed` event. Whatever it says, the step's item is the truth."""
    run = segment.run
    run.read_control(key)
    item = run.world.store.get(step_key(run.id, key))
    if item is None:
        return
    if is_fact(item):
        if item["outcome"] in (Outcome.FAILED, Outcome.CAUGHT):  # whoever wrote it may have died before he counted
            check_thresholds(run, fact_of(item))
        segment.follow(item)
        _tell_of_what_is_around(run, key)
    elif item["state"] == State.RETRY and item["attempt"] == attempt:
        if "until" in item:
            after_attempt(run, item, error_of(item["error"]) or StepError("TaskFailed"))
            run.send(wake(run, key, item["until"]))
            segment.loose[key] = None
        else:
            last_attempt_failed(segment, item)


def _tell_of_what_is_around(run: Run, key: str) -> None:
    """A group that failed with its step may be waiting for its next attempt, and the worker that wrote so have died."""
    around = paths.containers(key)[-1:]
    item = run.world.store.get(step_key(run.id, paths.owner(around[0])[0])) if around and not run.is_over else None
    if item is not None:
        ending.tell_again(run, item)


def last_attempt_failed(segment: Segment, item: Item) -> None:
    """Told by its event; or found, by whoever goes over the run before that came."""
    after_attempt(segment.run, item, error_of(item["error"]) or StepError("TaskFailed"))
    resolve_failure(segment, item)


def resolve_failure(segment: Segment, item: Item) -> None:
    """There is no further attempt."""
    run, key = segment.run, item["sk"][2:]
    error = error_of(item["error"]) or StepError("TaskFailed")
    if paths.index(key) is not None:
        write_end(segment, item, Outcome.FAILED, error=error)
        return
    step, scope = run.step(key), run.scope(key)
    for entry in step.catch:
        if matches(entry["errors"], error.name):
            if "then" in entry:
                write_end(segment, item, Outcome.CAUGHT, error=error, chosen=(entry["then"],))
                return
            try:
                bound = names(run, key, seen=claim_of(item).saw) | {"error": {**error.to_json(), "step": paths.shown(key)}}
                output = render(entry["output"], run.world.expressions, bound)
            except ExpressionFault as fault:
                error = expression_error(fault)
                break
            write_end(segment, item, Outcome.SUCCEEDED, output=run.kept(output))
            return
    if step.id not in scope.handled and run.plan.on_failure == "wait":
        ask_a_person(segment, item, error)
        return
    write_end(segment, item, Outcome.FAILED, error=error)


def ask_a_person(segment: Segment, item: Item, error: StepError) -> None:
    """`onFailure: wait`: only a person's decision writes the fact."""
    run, key = segment.run, item["sk"][2:]
    due = next_rung(run, run.now, 0)
    failed_at = item.get("failed_at", run.now)
    wait = {"for": "person", "failed_at": run.now, "rungs": 0}
    until = due[1] if due else None
    listed = asks(run, key, run.now)
    written = write_state(
        run, claim_of(item), State.WAITING, stands(item), until=until, wait=wait, error=item["error"], failed_at=failed_at, **listed
    )
    if written.ok:
        segment.loose[key] = None
        if until is not None:
            run.send(wake(run, key, until))
        mark_people(run)
        run.event("RunWaiting", key, item["attempt"], path=paths.shown(key), error=error.to_json(), input=input_address(run, key))


def climb_ladder(segment: Segment, item: Item) -> None:
    """A step that waits for a person, when a rung is due."""
    run = segment.run
    error = error_of(item.get("error")) or StepError("TaskFailed")
    standing, action = climb(run, item, error)
    match action:
        case "fail":
            write_end(segment, standing, Outcome.FAILED, error=error)
        case "cancel":
            stop_run(run, "cancel", error.brief())
        case _:
            if "until" in standing:
                run.send(wake(run, item["sk"][2:], standing["until"]))


def last_inside(run: Run, key: str) -> int:
    """What is undone goes by the order of completion: a group ended after everything inside of it."""
    if not run.plan.compensates or run.step(key).inner is None:
        return 0
    inside = (f"{key}.", f"{key}[", f"{key}~")
    return 1 + max((item.get("seq", 0) for name, item in snapshot(run).items() if name.startswith(inside)), default=-1)


def write_end(
    segment: Segment, item: Item, outcome: Outcome, *, output: Json = None, error: StepError | None = None, chosen: tuple[str, ...] = ()
) -> bool:
    """False: somebody was faster."""
    run, claim = segment.run, claim_of(item)
    if outcome is Outcome.SUCCEEDED:
        claim = remembered(claim, item)  # its fact has no error of its own
    fact = Fact(
        claim.key,
        outcome,
        output,
        error,
        attempts=claim.number,
        started_at=claim.started_at,
        ended_at=max(run.now, claim.started_at),
        chosen=chosen,
        seq=max(segment.seq, claim.seq, last_inside(run, claim.key)),
    )
    if outcome is Outcome.FAILED and item["state"] == State.RETRY and paths.index(fact.key) is None:
        # said before the fact stands: with every step ended and nothing said, the scope would end as a success
        say_failure(run, fact)
    written = write_fact(run, fact, claim, stands(item))
    if not written.ok:
        return False
    run.has_ended(fact)
    if outcome in (Outcome.FAILED, Outcome.CAUGHT):
        check_thresholds(run, fact)
    if outcome is Outcome.FAILED and paths.index(fact.key) is None:
        failed_for_good(run, fact, segment)
    else:
        segment.go_on_from([fact])
    return True


def failed_for_good(run: Run, fact: Fact, segment: Segment) -> None:
    """What a step's failure means for the scope it stands in. Idempotent: the first failure of a scope stands."""
    if run.step(fact.key).id in run.scope(fact.key).handled:
        segment.go_on_from([fact])
        return
    say_failure(run, fact)
    if run.plan.on_failure in ("continue", "wait"):
        segment.send(after(run, fact))
    if run.plan.on_failure not in ("continue", "wait") or run.status is RunStatus.STOPPING:
        run.must_settle = True


def say_failure(run: Run, fact: Fact) -> None:
    """Record it with the scope, unless it is handled: the first one stands."""
    if run.step(fact.key).id in run.scope(fact.key).handled:
        return
    told = {**(fact.error or StepError("TaskFailed")).brief(), "step": paths.shown(fact.key)}
    container = paths.scope(fact.key)
    if run.plan.on_failure in ("continue", "wait"):
        _remember(run, container, told)
    elif container:
        stop_container(run, container, "stop", told)
    else:
        stop_run(run, "stop", told)


def _remember(run: Run, container: str, told: Json) -> None:
    """The error that came first; everything else in the scope goes on."""
    if container:
        settled = run.must_settle
        stop_container(run, container, "continue", told)
        run.must_settle = settled
        return
    alive = OneOf("status", (RunStatus.RUNNING.value, RunStatus.WAITING.value, RunStatus.PAUSED.value))
    written = run.world.store.update(run_key(run.id), Change(set={"error": told}, add={"rev": 1}), all_of(Absent("error"), alive))
    run.control = written.item or run.control
