"""Undoing what succeeded, one step after another, in the reverse order of completion.

The order is frozen in one write-once item when the run has come to rest, so that every worker and every repetition goes
through the same list. Each compensation is a step of its own (`~undo.3`), claimed, retried and recorded like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..core import paths
from ..core.advance import Fact
from ..core.durations import parse_duration
from ..core.errors import ExpressionFault, Newer, Unavailable
from ..core.expressions import render
from ..core.model import SCHEMA, Json, Outcome, RunStatus, State, StepError
from ..core.plan import Step
from ..core.resources import DEFAULT, Needs, Pool, larger_pool, pool_for
from ..core.retry import MAX_LOSSES, Retry, matches, next_attempt
from ..ports import Absent, Change, Condition, Equals, Item, Present, all_of
from . import ending, rendered
from .actions import call, context_of, expression_error
from .claims import Claim
from .completion import places
from .gauge import ran_out
from .items import decode, digest, encode, error_text, is_fact, run_key, told_error
from .names import about, loop_names, steps_seen
from .pending import Pending, later, look_now, look_then, looked_at
from .progress import Ready
from .pulse import LOOK_AGAIN_MS
from .results import LOST, Done, Result
from .run import Run
from .secrecy import Given, fill, names_secrets
from .snapshot import snapshot
from .suspects import GIVEN_BACK
from .waits import begin_child, cancel_child, error_of_child

if TYPE_CHECKING:
    from .segment import Segment


def order_key(run: Run) -> tuple[str, str]:
    return run.id, f"comp#{run.generation}"


def undo_page(run_id: str, page: int) -> str:
    return f"{run_id}#undo#{page}"


def undo_key(run: Run, number: int) -> tuple[str, str]:
    return undo_page(run.id, number // paths.PAGE), f"undo#{run.generation}#{number:06d}"


def go_on(run: Run, segment: Segment, ready: Ready) -> int:
    """The run has come to rest: freeze the order, or go on where it stands. When (ms) the sweeper is to come by, should nothing else."""
    order = run.world.store.get(order_key(run))
    if order is None:
        keys = [fact.key for fact in to_undo(run)]
        pk, sk = order_key(run)
        order = {"pk": pk, "sk": sk, "schema": SCHEMA, "order": encode(run.kept(keys))}
        written = run.world.store.put(order, Absent())
        order = order if written.ok else written.item or order
    keys = run.world.load(decode(order["order"]))
    if run.status is not RunStatus.COMPENSATING:
        stopping = all_of(Equals("status", RunStatus.STOPPING.value), Equals("stop", "stop"), Equals("gen", run.generation))
        change = Change(set={"status": RunStatus.COMPENSATING.value}, add={"rev": 1})
        written = run.world.store.update(run_key(run.id), change, stopping)
        run.control = written.item or run.control
        if run.control["status"] != RunStatus.COMPENSATING:
            return run.now + LOOK_AGAIN_MS
    return _run_all(run, segment, ready, keys)


def to_undo(run: Run) -> list[Fact]:
    """Every step that succeeded and has a compensation: inner ones too, unless a group around them has its own; last ended first."""
    items = snapshot(run)
    facts = [run.note(item) for item in items.values() if is_fact(item)]
    found = [fact for fact in facts if fact.outcome is Outcome.SUCCEEDED and _counts(run, fact.key)]
    order = places(run.plan, items)
    return sorted(found, key=lambda fact: (order[fact.key], fact.key), reverse=True)


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


def _run_all(run: Run, segment: Segment, ready: Ready, keys: list[str]) -> int:
    """One by one; a compensation that fails does not stop the others."""
    failed = False
    for number, key in enumerate(keys):
        item = run.world.store.get(undo_key(run, number))
        if item is not None and item["state"] == State.ENDED:
            failed = failed or item["outcome"] != Outcome.SUCCEEDED
            continue
        outcome = _undo(run, segment, ready, number, key, item)
        if isinstance(outcome, Pending):
            return looked_at(run, outcome)
        failed = failed or outcome is not Outcome.SUCCEEDED
    ending.close(run, ready, RunStatus.FAILED, compensated=not failed)
    return run.now + LOOK_AGAIN_MS


def _undo(run: Run, segment: Segment, ready: Ready, number: int, key: str, standing: Item | None) -> Outcome | Pending:
    """Run one compensation. One that waits had its message when it began to: to look at it sends none."""
    if standing is not None and "child" in standing:
        return _undone_by_child(run, key, standing, ready)
    until = 0 if standing is None else standing.get("until") or standing.get("lease") or 0
    if until > run.now:
        if standing is not None and standing["state"] == State.CLAIMED:
            segment.come_back(until)  # should its worker die
        return Pending(until, look=0 if standing is None else standing.get("look", 0))
    undo = run.step(key).compensate or {}
    if standing is not None and _is_given_up(run, key, standing):
        return _retries(run, key, standing, LOST, ready) or _write(run, standing, LOST)
    has_time = run.now + run.world.settings.begin_margin_s * 1000 <= segment.deadline
    pool = _elsewhere(run, key, standing)
    if not has_time or pool is not None or ("task" in undo and not segment.runs_tasks):
        ready.messages.append(look_now(run, pool))
        return Pending(0)
    claimed = _claim(run, number, key, standing)
    if claimed is None:
        return Pending(0)
    with _held(run, claimed):
        result = _act(run, number, key, claimed, segment.deadline)
    if isinstance(result, StepError) and ran_out(result) and (above := _above(run, key, run.world.own_pool)) is not None:
        if run.world.store.put({**claimed, "lease": run.now}, _stands(claimed)).ok:  # it is as if it had been lost
            ready.messages.append(look_now(run, above.name))
        return Pending(0)
    if isinstance(result, Pending):
        kept = {name: value for name, value in claimed.items() if name not in ("lease", "look")}
        waiting = {**kept, "state": State.WAITING.value, **later(run, result.until)} | ({"child": result.child} if result.child else {})
        if run.world.store.put(waiting, _stands(claimed)).ok:
            ready.messages += look_then(run, result.until)
            if result.child:  # it may be over by now, and nobody was found who waited for it
                return _undone_by_child(run, key, waiting, ready)
        return replace(result, look=waiting.get("look", 0))
    if isinstance(result, StepError) and (retry := _retries(run, key, claimed, result, ready)) is not None:
        return retry
    return _write(run, claimed, result if isinstance(result, StepError) else None)


def _undone_by_child(run: Run, key: str, standing: Item, ready: Ready) -> Outcome | Pending:
    ended = _child_ended(run, standing)
    if isinstance(ended, Pending):
        return ended
    retry = None if ended is None else _retries(run, key, standing, ended, ready)
    return _write(run, standing, ended) if retry is None else retry


@contextmanager
def _held(run: Run, claimed: Item) -> Iterator[None]:
    """The lease is renewed where tasks outlast it. Where an AWS service is missing, or something is of a newer
    version, it is given back, and was not lost."""
    at, still_mine = (claimed["pk"], claimed["sk"]), all_of(Present("lease"), Equals("fence", claimed["fence"]))
    try:
        with run.world.holding(lambda until: run.world.store.update(at, Change(set={"lease": until}), still_mine).ok):
            yield
    except (Unavailable, Newer):
        with suppress(Unavailable):
            run.world.store.put({**claimed, "lease": run.now, GIVEN_BACK: 1}, _stands(claimed))
        raise


def _declared(undo: Mapping[str, Any]) -> Needs | None:
    timeout = parse_duration(undo["timeout"]) if "timeout" in undo else None
    return Needs.of(undo["resources"], timeout) if "resources" in undo else None


def _lost_in(run: Run, standing: Item | None) -> Pool | None:
    """Whose worker had it, if that worker is gone without a word (or said that it had too little memory)."""
    if standing is None or standing["state"] != State.CLAIMED or GIVEN_BACK in standing:
        return None
    return next((pool for pool in run.world.pools if pool.name == standing.get("pool", DEFAULT)), None)


def _above(run: Run, key: str, lost_in: Pool) -> Pool | None:
    """Where it goes when it was too much for a worker of that pool, by the rules of steps (`outgrown`)."""
    world, undo = run.world, run.step(key).compensate or {}
    if world.observed is None or "task" not in undo or not _runs_again(run, key):
        return None
    return larger_pool(lost_in, _declared(undo), world.pools, world.most_mb)


def _runs_again(run: Run, key: str) -> bool:
    """What is lost is begun again. Nobody is asked about a compensation: where a person should be it has failed, and that is told."""
    retry = _retry_of(run, run.step(key))
    is_at_most_once = retry is not None and matches(retry.but_not, "Interrupted")
    return run.world.settings.recovery == "automatic" and not is_at_most_once


def _is_given_up(run: Run, key: str, standing: Item) -> bool:
    """It was lost with its worker once too often. All but tasks can be begun again as often as it takes."""
    lost_in = _lost_in(run, standing)
    is_last = not _runs_again(run, key) or standing.get("losses", 0) >= MAX_LOSSES
    return lost_in is not None and is_last and "task" in (run.step(key).compensate or {}) and _above(run, key, lost_in) is None


def _elsewhere(run: Run, key: str, standing: Item | None) -> str | None:
    """The pool that the compensating task needs; None: it may run here, where there may be more than it needs."""
    world, undo = run.world, run.step(key).compensate or {}
    if len(world.pools) == 1 or "task" not in undo:
        return None
    lost_in = _lost_in(run, standing)
    above = None if lost_in is None else _above(run, key, lost_in)
    if lost_in is not None and above is not None:
        return None if world.own_pool.memory_mb > lost_in.memory_mb else above.name
    needs = world.needs_of_task(undo["task"], _declared(undo))
    if needs is None or (needs.fit(world.own_pool) and needs.time_ms <= world.own_pool.attempt_s * 1000):
        return None
    pool = pool_for(needs, world.pools).name
    return None if pool == world.pool else pool


def _retries(run: Run, key: str, claimed: Item, error: StepError, ready: Ready) -> Pending | None:
    """Retried like steps, by its own policy or the step's."""
    wait = next_attempt(_retry_of(run, run.step(key)), error, claimed["attempt"], run.world.random.random())
    if wait is None:
        return None
    kept = {name: value for name, value in claimed.items() if name not in ("lease", "look", "child", "pool", "losses", GIVEN_BACK)}
    until = run.now + wait
    retry = {**kept, "state": State.RETRY.value, **later(run, until), "error": error_text(error)}
    if run.world.store.put(retry, _stands(claimed)).ok:
        ready.messages += look_then(run, until)
    return Pending(until, look=retry.get("look", 0))


def _claim(run: Run, number: int, key: str, standing: Item | None) -> Item | None:
    pk, sk = undo_key(run, number)
    attempt = 1
    if standing is not None:
        if standing["state"] == State.WAITING:
            return standing
        attempt = standing["attempt"] + (1 if standing["state"] == State.RETRY else 0)
    claimed: Item = {"pk": pk, "sk": sk, "schema": SCHEMA, "of": key, "attempt": attempt, "started_at": run.now}
    lease = run.now + run.world.settings.lease_s * 1000
    claimed |= {"state": State.CLAIMED.value, "fence": run.world.new_fence(), "lease": lease}
    if run.world.pool != DEFAULT:
        claimed["pool"] = run.world.pool
    lost_in = _lost_in(run, standing)
    if lost_in is not None and standing is not None:
        claimed["losses"] = standing.get("losses", 0) + (1 if lost_in.memory_mb >= run.world.own_pool.memory_mb else 0)
    free = Absent() if standing is None else _stands(standing)
    return claimed if run.world.store.put(claimed, free).ok else None


def _stands(item: Item) -> Condition:
    """It is as it was read. One that waits keeps its fence to its end: who comes with another end is too late."""
    return all_of(Equals("fence", item["fence"]), Equals("state", item["state"]))


def _write(run: Run, claimed: Item, error: StepError | None) -> Outcome | Pending:
    outcome = Outcome.FAILED if error else Outcome.SUCCEEDED
    kept = {name: claimed[name] for name in ("pk", "sk", "schema", "of", "attempt", "fence", "started_at")}
    ended = {**kept, "state": State.ENDED.value, "outcome": outcome.value, "ended_at": run.now}
    if error is not None:
        ended["error"] = error_text(error)
    return outcome if run.world.store.put(ended, _stands(claimed)).ok else Pending(0)  # it is somebody else's by now


def _child_ended(run: Run, standing: Item) -> StepError | Pending | None:
    """None: it succeeded. One that takes too long is cancelled."""
    control = run.world.store.get(run_key(standing["child"]))
    status = RunStatus(control["status"]) if control is not None else None
    if control is not None and status is not None and status.is_final:
        return None if status is RunStatus.SUCCEEDED else error_of_child(control, standing["child"])
    if 0 < standing["until"] <= run.now:
        cancel_child(run, standing["child"])
        return StepError("Timeout", "the undoing took too long")
    return Pending(standing["until"], standing["child"], standing.get("look", 0))


def _retry_of(run: Run, step: Step) -> Retry | None:
    """Its own, the step's, or the workflow's (a group takes none for itself, but what undoes it is no group)."""
    written = (step.compensate or {}).get("retry")
    return Retry.from_json(written) if written else step.retry or run.plan.retry


def _act(run: Run, number: int, key: str, claimed: Item, deadline: int) -> Json | StepError | Pending:
    """The compensating action."""
    step = run.step(key)
    undo = step.compensate or {}
    fact = run.find_facts([key])[key]
    bound = {"input": run.input, "run": about(run), "output": run.output_of(fact), "error": told_error(run.control)}
    bound["steps"] = steps_seen(run, paths.scope(key), step.compensate_reads, key)
    bound |= loop_names(run, key)
    try:
        if "task" in undo:
            return _task(run, key, step, _given(run, undo.get("with", {}), bound, claimed["attempt"]), claimed["attempt"], deadline)
        if "workflow" in undo:
            return _child(run, number, claimed, render(undo["workflow"], run.world.expressions, bound), _ends(undo, claimed))
        if "wait" in undo:
            return _wait(run, undo, claimed, bound)
        return _instant(run, number, undo, bound)
    except ExpressionFault as fault:
        return expression_error(fault)


def _given(run: Run, template: Json, bound: dict[str, Any], attempt: int) -> Given:
    if names_secrets(template, run.world.expressions):
        return fill(run, template, bound, anew=attempt > 1)
    value = render(template, run.world.expressions, bound)
    return Given(value, value)


def _task(run: Run, key: str, step: Step, given: Given, attempt: int, deadline: int) -> Json | StepError:
    undo = step.compensate or {}
    task = run.world.tasks.find(undo["task"])
    if task is None:
        return StepError("TaskNotFound", f"no task is called {undo['task']}", permanent=True)
    context = context_of(run, step, Claim(key, 0, 0, attempt, run.now, run.now), deadline)
    context.idempotency_key = digest(run.id, paths.shown(key), "undo")
    timeout = parse_duration(undo["timeout"]) if "timeout" in undo else None
    result: Result = call(run, task, given, context, timeout, None, deadline)
    return result.output if isinstance(result, Done) else getattr(result, "error", StepError("TaskFailed"))


def _ends(undo: Mapping[str, Any], claimed: Item) -> int:
    """When the attempt times out; 0: never."""
    return int(claimed["started_at"]) + parse_duration(undo["timeout"]) if "timeout" in undo else 0


def _child(run: Run, number: int, claimed: Item, told: dict[str, Any], ends: int) -> Json | StepError | Pending:
    """Undoing by a child run, whose end wakes this one."""
    child = digest("undo", run.id, str(run.generation), str(number), str(claimed["attempt"]))
    wait = {"child": child, "workflow": told["id"], "version": told.get("version"), "input": told.get("input", {})}
    is_detached = told.get("wait") is False
    error = begin_child(run, wait | {"detached": is_detached}, "")
    if error is not None:
        return error
    return child if is_detached else Pending(ends, child)


def _wait(run: Run, undo: Mapping[str, Any], claimed: Item, bound: dict[str, Any]) -> Json | StepError | Pending:
    spec, ends = undo["wait"], _ends(undo, claimed)
    if isinstance(spec, str):
        until = int(claimed["started_at"]) + parse_duration(spec)
    else:
        until = rendered.moment(run.world.expressions.evaluate(spec["until"], bound))
    is_late = 0 < ends < until
    if run.now < (ends if is_late else until):
        return Pending(ends if is_late else until)
    return StepError("Timeout", "the undoing took too long") if is_late else None


def _instant(run: Run, number: int, undo: Mapping[str, Any], bound: dict[str, Any]) -> Json | StepError:
    """`set`, `emit` and `fail`: what takes no time."""
    if "fail" in undo:
        return rendered.failure(render(undo["fail"], run.world.expressions, bound))
    if "emit" in undo:
        given = render(undo["emit"], run.world.expressions, bound)
        identity = digest("undo", run.id, str(run.generation), str(number), "emit")
        run.events.append(rendered.event(run, given, identity))
        return identity
    return render(undo["set"], run.world.expressions, bound)
