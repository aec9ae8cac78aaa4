"""The end of scopes: of a group, of a loop, of the run itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core import paths
from ..core.advance import Fact
from ..core.errors import ExpressionFault
from ..core.expressions import render
from ..core.model import Json, Outcome, RunStatus, State, StepError
from ..core.plan import Scope
from ..core.retry import gives_up, next_attempt
from ..ports import Absent, Change, Condition, Equals, Item, OneOf, all_of
from . import rendered
from .actions import expression_error, reshape
from .addresses import input_address, input_of_cause
from .admission import leave
from .claims import Claim, after_amendment, claim_of, stands, write_fact, write_failed_attempt
from .items import encode, error_of, is_fact, output_key, run_key, step_key, stop_key, told_error
from .names import about, loop_names, names, steps_seen
from .retention import when_over
from .run import Run
from .schedule import wake
from .stopping import stop_run

if TYPE_CHECKING:
    from .progress import Ready

OUTPUT_IN_RUN = 400  # bytes of a run's output that lie in the control item (at most 1 KB in all)
ALIVE = (RunStatus.RUNNING.value, RunStatus.WAITING.value, RunStatus.PAUSED.value)
EVENTS = {
    RunStatus.SUCCEEDED: "RunSucceeded",
    RunStatus.FAILED: "RunFailed",
    RunStatus.CANCELLED: "RunCancelled",
    RunStatus.TIMED_OUT: "RunTimedOut",
}


def scope_ended(run: Run, scope_key: str, last: Fact, ready: Ready) -> list[Fact]:
    """Everything in the scope has ended. Returns the group's fact; the root's end is the run's."""
    if not scope_key:
        run_ended(run, ready)
        return []
    key, attempt = paths.owner(scope_key)
    item = run.world.store.get(step_key(run.id, key))
    if item is not None and is_fact(item) and item.get("attempt") == attempt:
        return [run.note(item)]  # whoever wrote it may have died before what follows from it
    if item is None or item["state"] != State.OPEN or item["attempt"] != attempt:
        return []
    recorded = run.world.store.get(stop_key(run.id, run.generation, scope_key))
    if recorded is not None:
        if recorded["kind"] == "continue":
            fail_attempt(run, claim_of(item), error_in(recorded), stands(item))
        return []
    try:
        output = scope_output(run, scope_key, run.plan.scopes[paths.step_id(scope_key)])
        done = reshape(run, run.step(key), names(run, key, seen=claim_of(item).saw), output)
    except ExpressionFault as fault:
        fail_attempt(run, claim_of(item), expression_error(fault), stands(item))
        return []
    return complete(run, claim_of(item), run.kept(done.output), _last_of(run, scope_key, last), stands(item))


def _last_of(run: Run, scope_key: str, last: Fact) -> Fact:
    """What is undone goes by the order of completion: there the group comes after everything inside of it."""
    if not run.plan.compensates:
        return last
    found = run.find_facts(paths.join(scope_key, name) for name in run.plan.scopes[paths.step_id(scope_key)].steps)
    return max(found.values(), key=lambda fact: (fact.ended_at, fact.seq), default=last)


def complete(run: Run, claim: Claim, kept: Json, after: Fact | None, condition: Condition | None = None) -> list[Fact]:
    """The success of something open: a group, a loop. `kept`: its output as a fact may hold it. Empty if somebody else was faster."""
    fact = Fact(
        claim.key,
        Outcome.SUCCEEDED,
        kept,
        attempts=claim.number,
        started_at=claim.started_at,
        ended_at=max(run.now, after.ended_at if after else 0),
        seq=max(claim.seq, after.seq if after else 0) + 1,
    )
    if claim.amended and _is_behind(run):
        run.must_settle = True
        return []
    written = write_fact(run, fact, claim, condition)
    if not written.ok:
        run.must_settle = run.must_settle or after_amendment(run, written, claim) is not None
        return []
    run.has_ended(fact)
    return [fact]


def _is_behind(run: Run) -> bool:
    """The plan is being amended, or was so since control was read: whether that was all is decided anew."""
    plan = run.control["plan"]
    run.read_control()
    return run.control["plan"] != plan or "hold" in run.control


def scope_output(run: Run, scope_key: str, scope: Scope) -> Json:
    """The output template's value, or else each sink's output by its id. Raises ExpressionFault."""
    if not scope.has_output:
        found = run.find_facts(paths.join(scope_key, name) for name in scope.sinks)
        return {name: run.output_of(found[key]) if (key := paths.join(scope_key, name)) in found else None for name in scope.sinks}
    group = paths.owner(scope_key)[0] if scope_key else ""
    bound: dict[str, Any] = {"run": about(run), "steps": steps_seen(run, scope_key, scope.output_named.steps, group)}
    if "input" in scope.output_named.roots:
        bound["input"] = run.input  # read only for a template that names it
    if group:
        bound |= loop_names(run, group)
    return render(scope.output, run.world.expressions, bound)


def fail_attempt(run: Run, claim: Claim, error: StepError, condition: Condition | None = None) -> bool:
    """Write an attempt's failure on the step's item and tell of it; the errors handler goes on from there.

    False: somebody was faster.
    """
    error, step = rendered.shortened(error), run.step(claim.key)
    is_whole = step.is_loop and paths.index(claim.key) is None
    is_last = is_whole or gives_up(run.plan.escalation, claim.number)
    wait = None if is_last else next_attempt(step.retry, error, claim.number, run.world.random.random())
    until = None if wait is None else run.now + wait
    if not write_failed_attempt(run, claim, error, until, condition).ok:
        return False
    tell_failure(run, claim.key, claim.attempt, error, until)
    return True


def tell_failure(run: Run, key: str, attempt: int, error: StepError, until: int | None) -> None:
    told = {"path": paths.shown(key), "key": key, "attempt": attempt, "error": error.to_json(), "retryAt": until}
    run.event("StepFailed", key, attempt, **told, input=input_address(run, key))


def tell_again(run: Run, *items: Item) -> None:
    """Of what a lost worker left to be gone on with later: it may have died before it told of a failed attempt, or sent what comes by
    when its time is over."""
    for item in items:
        if item["state"] == State.RETRY:
            tell_failure(run, item["sk"][2:], item["attempt"], error_of(item["error"]) or StepError("TaskFailed"), item.get("until"))
    run.send([message for item in items if "until" in item for message in wake(run, item["sk"][2:], item["until"])])


def error_in(item: Item) -> StepError:
    """Of a STOP or RUN item."""
    told = item["error"]
    return StepError(told["name"], told.get("message", ""), told.get("details"), told.get("permanent", False))


# ------------------------------------------------------------------------------------------------ the run


def run_ended(run: Run, ready: Ready) -> None:
    """Every step has ended by itself: the run succeeds, or fails with the error that came first (`onFailure: continue`)."""
    try:
        output, error = scope_output(run, "", run.plan.root), None
    except ExpressionFault as fault:
        output, error = None, expression_error(fault)
    if error is not None and run.plan.on_failure == "compensate":
        stop_run(run, "stop", error.brief())
        return
    status = RunStatus.FAILED if error else RunStatus.SUCCEEDED
    plan = run.control["plan"]
    nothing_failed = all_of(Absent("error"), Equals("plan", plan), Absent("hold"))
    if _close(run, ready, status, output=output, error=error.to_json() if error else None, condition=nothing_failed):
        return
    if run.status not in (RunStatus.RUNNING, RunStatus.WAITING, RunStatus.PAUSED):
        return
    if run.control["plan"] != plan or "hold" in run.control:
        run.must_settle = True
    elif "error" in run.control:
        _close(run, ready, RunStatus.FAILED, condition=all_of(Equals("plan", plan), Absent("hold")))


def close(run: Run, ready: Ready, status: RunStatus, **more: Any) -> bool:
    """A stopping run's final status; nothing of it is under way any more."""
    return _close(run, ready, status, alive=(RunStatus.STOPPING.value, RunStatus.COMPENSATING.value), **more)


def _close(
    run: Run,
    ready: Ready,
    status: RunStatus,
    *,
    output: Json = None,
    error: Json = None,
    compensated: bool | None = None,
    condition: Condition | None = None,
    alive: tuple[str, ...] = ALIVE,
) -> bool:
    ended_at = run.now
    over = when_over(run, ended_at)
    told: dict[str, Any] = {"status": status.value, "ended_at": ended_at, **over}
    if status is RunStatus.SUCCEEDED:
        told |= _kept_output(run, output)
    if error is not None:
        told["error"] = error
    if compensated is not None:
        told["compensated"] = compensated
    still_open = all_of(OneOf("status", alive), Equals("gen", run.generation), *([condition] if condition else []))
    gone = ("people",) if over else ("due", "due_shard", "people")
    written = run.world.store.update(run_key(run.id), Change(set=told, add={"rev": 1}, remove=gone), still_open)
    run.control = written.item or run.control
    if written.ok or run.status.is_final:
        tell(run, ready)
        return True
    return False


def _kept_output(run: Run, output: Json) -> dict[str, str]:
    text = encode(output)
    if len(text.encode()) <= OUTPUT_IN_RUN:
        return {"output": text}
    pk, sk = output_key(run.id)
    item: Item = {"pk": pk, "sk": sk, "schema": 1, "output": encode(run.keep(text))}
    run.world.store.put(item | ({"expires": run.control["expires"]} if "expires" in run.control else {}))
    return {}


def tell(run: Run, ready: Ready) -> Ready:
    """Everybody who waits for the run's end. Done again when a delivery is repeated: the event has the same id."""
    tell_end(run)
    wake_parent(run, ready)
    ready.messages += leave(run)
    return ready


def tell_end(run: Run) -> None:
    control = run.control
    error = told_error(control)
    told = {"error": error, "input": input_of_cause(run, control["error"].get("step"))} if error else {}
    run.event(EVENTS[run.status], status=run.status.value, startedAt=control["started_at"], endedAt=control["ended_at"], **told)


def wake_parent(run: Run, ready: Ready) -> None:
    parent = run.control.get("parent")
    if parent:
        above = Run(run.world, parent["run"], {"tenant": run.tenant, "plan": parent["plan"], "gen": parent["gen"]})
        kind = "wake" if parent["path"] else "settle"  # a compensation by a child run has no step of its own
        ready.messages.append(above.message(kind, parent["path"], plan=parent["plan"], gen=parent["gen"]))
