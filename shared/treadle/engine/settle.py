"""Putting a run in order: read what is there, compute the frontier, send what is missing.

The one way in which everything that went wrong is mended (lost messages, dead workers, a resumed or stopped run), and how
a scope that stops is brought to its end: what waits in it is cancelled, what runs may end, clean-up steps run, and when
nothing of it is under way its end is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.model import RunStatus
from ..ports import Change, Equals, OneOf, all_of, is_set
from . import amending, compensation, ending, retrying
from .admission import admit
from .items import run_key, shard_of
from .keeping import keep_if_due
from .progress import Ready
from .pulse import LOOK_AGAIN_MS, Pulse
from .run import Run
from .stopping import may_be_stopped, stop_run
from .walk import Walk

if TYPE_CHECKING:
    from .segment import Segment


def settle(run: Run, segment: Segment, *, repair: bool) -> None:
    """Until nothing changes any more: each pass may write facts and ends that call for another.

    `repair`: also send again what should be under way and shows no sign of it. Not done on every look, because a message that
    is still in its lane shows no sign either.
    """
    for _ in range(100):
        run.must_settle = False
        run.read_control()
        if run.status.is_final:
            segment.send(ending.tell(run, Ready()))  # whoever wrote the end may have died before it told of it
            return
        if run.status is RunStatus.RETRYING:
            retrying.go_on(run)
            return
        _check_timeout(run)
        if run.is_over:
            continue
        amending.remove_stale_hold(run)
        if run.status is RunStatus.PENDING:
            if not admit(run):
                _look_again(run, Pulse(due=[run.now + LOOK_AGAIN_MS]))
                if run.must_settle:
                    continue
                return
            run.event("RunStarted", startedAt=run.control["started_at"], version=run.control["version"])
        if "hold" in run.control and run.status in (RunStatus.RUNNING, RunStatus.WAITING):
            return  # whoever amends the plan sends for it to be put in order; what he leaves behind is found by its time
        is_paused = run.status is RunStatus.PAUSED
        walk = Walk(run, segment, repair and not is_paused)
        pulse = walk.scope("", run.plan.root, _closing(run))
        segment.send(walk.ready)
        if walk.changed or run.must_settle:
            continue
        if is_paused:
            _look_again(run, Pulse(due=pulse.due))  # nothing new is sent until it is resumed; timeouts go on
            if run.must_settle:
                continue
            return
        next_look = run.now + LOOK_AGAIN_MS
        if run.status in (RunStatus.STOPPING, RunStatus.COMPENSATING):
            if pulse.is_still and not walk.ready.starts:
                next_look = _finish(run, segment)
        else:
            _show_rest(run, pulse)
        if run.status is RunStatus.COMPENSATING:
            pulse.moves(next_look)
        if not run.status.is_final:
            if (next_kept := keep_if_due(run, pulse)) is not None:
                pulse.due.append(next_kept)
            _look_again(run, pulse)
        if not run.must_settle:
            return


def _closing(run: Run) -> str | None:
    if run.status is RunStatus.COMPENSATING:
        return "cancel"
    if run.status is not RunStatus.STOPPING:
        return None
    return "stop" if run.control["stop"] == "stop" else "cancel"


def _check_timeout(run: Run) -> None:
    limit = run.control.get("timeout_at")
    if limit is not None and run.now >= limit and may_be_stopped(run):
        stop_run(run, "timeout", {"name": "Timeout", "message": "the run took longer than its timeout"}, while_cleaning_up=True)


def _finish(run: Run, segment: Segment) -> int:
    """A stopping run in which nothing is under way. When (ms) the sweeper is to come by, should it not end here."""
    ready, next_look = Ready(), run.now + LOOK_AGAIN_MS
    reason = run.control["stop"]
    nothing_else_stopped_it = Equals("stop", reason)
    if reason == "cancel":
        ending.close(run, ready, RunStatus.CANCELLED)
    elif reason == "timeout":
        ending.close(run, ready, RunStatus.TIMED_OUT)
    elif run.plan.on_failure != "compensate":
        run.must_settle = not ending.close(run, ready, RunStatus.FAILED, condition=nothing_else_stopped_it)
    else:
        next_look = compensation.go_on(run, segment, ready)
    segment.send(ready)
    return next_look


def _show_rest(run: Run, pulse: Pulse) -> None:
    """`waiting` while only people can act, else `running`."""
    wanted = RunStatus.WAITING if pulse.people and not pulse.moving else RunStatus.RUNNING
    other = RunStatus.RUNNING if wanted is RunStatus.WAITING else RunStatus.WAITING
    if run.status is not other or wanted is run.status:
        return
    unchanged = all_of(Equals("rev", run.control["rev"]), Equals("status", other.value))
    change = Change(set={"status": wanted.value}, add={"rev": 1})
    written = run.world.store.update(run_key(run.id), change, unchanged)
    run.control = written.item or run.control
    if not written.ok and not is_set(change, written.item):
        run.must_settle = True  # something moved meanwhile
    elif wanted is RunStatus.WAITING:
        run.event("RunWaiting", "", int(run.control["rev"]))


def _look_again(run: Run, pulse: Pulse) -> None:
    """When the sweeper is to come by: at the earliest time something is due, or not at all while only people are awaited. Whoever has
    decided something meanwhile has the sweeper come by for that, should he die before he acts on it: then all is looked at anew."""
    times = [*pulse.due, *([run.control["timeout_at"]] if "timeout_at" in run.control and may_be_stopped(run) else [])]
    if pulse.undated:
        times.append(run.now + LOOK_AGAIN_MS)
    at = max(min(times), run.now + 1000) if times else None
    if at == run.control.get("due"):
        return
    change = Change(remove=("due", "due_shard")) if at is None else Change(set={"due": at, "due_shard": shard_of(run.id)})
    alive = OneOf("status", tuple(status.value for status in RunStatus if not status.is_final))
    written = run.world.store.update(run_key(run.id), change, all_of(alive, Equals("rev", run.control["rev"])))
    run.control = written.item or run.control
    run.must_settle = run.must_settle or (not written.ok and not run.status.is_final)
