"""Checkpoints that nobody asked for: of long runs at an interval, and of any run before it is amended.

Whoever comes by a run that has work under way takes the one that is due; RUN.kept_at says when the last one was. Nothing is
written on a step's way, a run that only waits is not woken for it, and what a run has kept by itself is bounded.
"""

from __future__ import annotations

from ..core.model import RunStatus
from ..ports import Absent, Change, Equals, all_of
from .checkpoints import Why, drop, kept_by_itself, take
from .items import is_fact, run_key
from .pulse import Pulse
from .run import Run
from .snapshot import snapshot

KEPT = 10  # of a run, of those that were taken by themselves; the oldest go
MOST_RESULTS = 20_000  # a run with more of them is not copied again and again


def keep_if_due(run: Run, pulse: Pulse) -> int | None:
    """Take the one that is due. When somebody should come by for the next one (ms); None: not for that."""
    every = run.world.checkpoint_every(run.plan)
    if every is None or run.status not in (RunStatus.RUNNING, RunStatus.WAITING):
        return None
    last: int = run.control.get("kept_at") or run.control["started_at"]
    if run.now < last + every:
        return last + every
    items = snapshot(run)
    is_short, is_new = len(items) <= MOST_RESULTS, any(is_fact(item) and item["ended_at"] >= last for item in items.values())
    if is_short and is_new:
        keep(run, Why.INTERVAL, last + every)
    return run.now + every if pulse.undated and is_short else None


def keep(run: Run, why: Why, due: int) -> None:
    """`due`: names it, so that two who come by at once take one."""
    take(run, why, due)
    for old in kept_by_itself(run)[:-KEPT]:
        drop(run, old)
    since = Equals("kept_at", run.control["kept_at"]) if "kept_at" in run.control else Absent("kept_at")
    written = run.world.store.update(run_key(run.id), Change(set={"kept_at": run.now}), all_of(Equals("gen", run.generation), since))
    run.control = written.item or run.control
