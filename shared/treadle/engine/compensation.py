"""Undoing what succeeded, one step after another, in the reverse order of completion.

The order is frozen in one write-once item when the run has come to rest, so that every worker and every repetition goes
through the same list. Each compensation is a step of its own (`~undo.3`), claimed, retried and recorded like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..core import paths
from ..core.advance import Fact
from ..core.durations import parse_duration
from ..core.errors import ExpressionFault
from ..core.expressions import render
from ..core.model import SCHEMA, Json, Outcome, RunStatus, State, StepError
from ..core.plan import Step
from ..core.retry import Retry, next_attempt
from ..ports import Absent, Change, Equals, Event, Item, all_of
from . import ending
from .actions import Done, Result, call, context_of, expression_error
from .claims import Claim
from .items import decode, digest, encode, error_text, is_fact, run_key
from .names import about, loop_names, steps_seen
from .progress import Ready
from .run import Run
from .snapshot import snapshot

if TYPE_CHECKING:
    from .segment import Segment


def order_key(run: Run) -> tuple[str, str]:
    return run.id, f"comp#{run.generation}"


def undo_key(run: Run, number: int) -> tuple[str, str]:
    return f"{run.id}#undo#{number // paths.PAGE}", f"undo#{run.generation}#{number:06d}"


def go_on(run: Run, segment: Segment, ready: Ready) -> None:
    """The run has come to rest: freeze the order, or go on where it stands."""
    order = run.world.store.get(order_key(run))
    if order is None:
        keys = [fact.key for fact in to_undo(run)]
        pk, sk = order_key(run)
        order = {"pk": pk, "sk": sk, "schema": SCHEMA, "order": encode(run.kept(keys))}
        written = run.world.store.put(order, Absent())
        order = order if written.ok else written.item or order
    keys = run.world.load(decode(order["order"]))
    if run.status is not RunStatus.COMPENSATING:
        stopping = all_of(Equals("status", RunStatus.STOPPING.value), Equals("gen", run.generation))
        change = Change(set={"status": RunStatus.COMPENSATING.value}, add={"rev": 1})
        written = run.world.store.update(run_key(run.id), change, stopping)
        run.control = written.item or run.control
        if run.control["status"] != RunStatus.COMPENSATING:
            return
    _run_all(run, segment, ready, keys)


def to_undo(run: Run) -> list[Fact]:
    """Every step that succeeded and has a compensation: inner ones too, unless a group around them has its own; last ended first."""
    found = [fact for fact in all_facts(run) if fact.outcome is Outcome.SUCCEEDED and _counts(run, fact.key)]
    return sorted(found, key=lambda fact: (fact.ended_at, fact.seq, fact.key), reverse=True)


def _counts(run: Run, key: str) -> bool:
    step = run.step(key)
    if step.compensate is None:
        return False
    if step.is_loop and paths.index(key) is not None:
        return False  # compensate applies to the step as a whole
    at = paths.scope(key)
    while at:
        above = paths.owner(at)[0]
        whole = paths.whole(above) if paths.index(above) is not None else above
        if run.step(above).compensate is not None and _succeeded(run, whole):
            return False
        at = paths.scope(above)
    return True


def _succeeded(run: Run, key: str) -> bool:
    fact = run.find_facts([key]).get(key)
    return fact is not None and fact.outcome is Outcome.SUCCEEDED


def all_facts(run: Run) -> list[Fact]:
    return [run.note(item) for item in snapshot(run).values() if is_fact(item)]


def _run_all(run: Run, segment: Segment, ready: Ready, keys: list[str]) -> None:
    """One by one; a compensation that fails does not stop the others."""
    failed = False
    for number, key in enumerate(keys):
        item = run.world.store.get(undo_key(run, number))
        if item is not None and item["state"] == State.ENDED:
            failed = failed or item["outcome"] != Outcome.SUCCEEDED
            continue
        outcome = _undo(run, segment, ready, number, key, item)
        if outcome is None:
            segment.has_sent = True
            return
        failed = failed or outcome is not Outcome.SUCCEEDED
    ending.close(run, ready, RunStatus.FAILED, compensated=not failed)


def _undo(run: Run, segment: Segment, ready: Ready, number: int, key: str, standing: Item | None) -> Outcome | None:
    """Run one compensation. None: not now; a message will come."""
    now, pk, sk = run.now, *undo_key(run, number)
    attempt = 1
    if standing is not None:
        until: int = standing.get("until") or standing.get("lease") or 0
        if until > now:
            ready.messages.append(
                run.message("settle", "", delay_s=-(-(until - now) // 1000), plan=run.control["plan"], gen=run.generation)
            )
            return None
        attempt = standing["attempt"] + (1 if standing["state"] == State.RETRY else 0)
    if run.now + run.world.settings.begin_margin_s * 1000 > segment.deadline:
        ready.messages.append(run.message("settle", "", plan=run.control["plan"], gen=run.generation))
        return None
    fence = run.world.new_fence()
    base: Item = {"pk": pk, "sk": sk, "schema": SCHEMA, "of": key, "attempt": attempt, "fence": fence, "started_at": now}
    free = Absent() if standing is None else all_of(Equals("fence", standing["fence"]), Equals("state", standing["state"]))
    claimed = {**base, "state": State.CLAIMED.value, "lease": now + run.world.settings.lease_s * 1000}
    if not run.world.store.put(claimed, free).ok:
        return None
    result = _act(run, key, attempt, segment.deadline)
    if isinstance(result, StepError):
        wait = next_attempt(_retry_of(run.step(key)), result, attempt, run.world.random.random())
        if wait is not None:
            later = {**base, "state": State.RETRY.value, "until": run.now + wait, "error": error_text(result)}
            run.world.store.put(later, Equals("fence", fence))
            ready.messages.append(run.message("settle", "", delay_s=-(-wait // 1000), plan=run.control["plan"], gen=run.generation))
            return None
    outcome = Outcome.FAILED if isinstance(result, StepError) else Outcome.SUCCEEDED
    ended = {**base, "state": State.ENDED.value, "outcome": outcome.value, "ended_at": run.now}
    if isinstance(result, StepError):
        ended["error"] = error_text(result)
    return outcome if run.world.store.put(ended, Equals("fence", fence)).ok else None


def _retry_of(step: Step) -> Retry | None:
    """Its own, or the step's."""
    written = (step.compensate or {}).get("retry")
    return Retry.from_json(written) if written else step.retry


def _act(run: Run, key: str, attempt: int, deadline: int) -> Json | StepError:
    """The compensating action: a task, or one that takes no time."""
    step = run.step(key)
    undo = step.compensate or {}
    fact = run.find_facts([key])[key]
    error = run.control.get("error")
    bound = {"input": run.input, "run": about(run), "output": run.output_of(fact), "error": error}
    bound["steps"] = steps_seen(run, paths.scope(key), "", [*step.compensate_reads])
    bound |= loop_names(run, key)
    try:
        if "task" not in undo:
            return _instant(run, undo, bound)
        given = render(undo.get("with", {}), run.world.expressions, bound)
    except ExpressionFault as fault:
        return expression_error(fault)
    task = run.world.tasks.find(undo["task"])
    if task is None:
        return StepError("TaskNotFound", f"no task is called {undo['task']}", permanent=True)
    claim = Claim(key, 0, 0, attempt, run.now, run.now)
    context = context_of(run, step, claim, deadline)
    timeout = parse_duration(undo["timeout"]) if "timeout" in undo else None
    result: Result = call(task, given, context, timeout)
    return result.output if isinstance(result, Done) else getattr(result, "error", StepError("TaskFailed"))


def _instant(run: Run, undo: Mapping[str, Any], bound: dict[str, Any]) -> Json | StepError:
    """`set`, `emit` and `fail`: what takes no time."""
    if "fail" in undo:
        told = render(undo["fail"], run.world.expressions, bound)
        return StepError(told["error"], str(told.get("message", "")))
    if "emit" in undo:
        told = render(undo["emit"], run.world.expressions, bound)
        identity = digest(run.id, encode(told), str(run.generation), "undo")
        run.events.append(Event(told["type"], identity, run.id, run.now, told.get("detail") or {}, told.get("source", "treadle.workflow")))
        return identity
    return render(undo["set"], run.world.expressions, bound)
