"""Deciding that nothing new starts: in a run, or in one of its groups and loops. Written once; which reason came first is recorded."""

from __future__ import annotations

from ..core.model import Json, RunStatus
from ..ports import Absent, AtMost, Change, Condition, Equals, Item, OneOf, all_of, any_of
from .items import run_key, shard_of, stop_key
from .run import Run

LOOK_SOON_MS = 60_000
WHY = {"cancel": "the run was cancelled", "timeout": "the run timed out", "stop": "the run stopped"}  # of a step, in words
WHY_INSIDE = "its group or loop stopped"
EXCEEDED = "exceeded"  # an attribute of the run: how many steps had failed when a threshold acted last
ALIVE = (RunStatus.PENDING, RunStatus.RUNNING, RunStatus.WAITING, RunStatus.PAUSED)


def stop_run(run: Run, reason: str, error: Json, *, while_cleaning_up: bool = False, exceeded: int = 0) -> bool:
    """Nothing new starts in the run. `reason`: stop (a step failed), cancel, timeout. Which came first is recorded here.

    `while_cleaning_up`: also where a step's failure came first, as long as nothing is compensated yet: it ends the clean-up.
    `exceeded`: a threshold is why, at so many failures.
    """
    alive: Condition = OneOf("status", tuple(s.value for s in ALIVE))
    if while_cleaning_up:
        alive = any_of(alive, all_of(Equals("status", RunStatus.STOPPING.value), Equals("stop", "stop")))
    change: dict[str, Json] = {"status": RunStatus.STOPPING.value, "stop": reason, **soon(run)}
    if exceeded:
        alive = all_of(alive, is_beyond(exceeded))
        change[EXCEEDED] = exceeded
    # a run that fails does so with the error that came first, which may be recorded already (`onFailure: continue`)
    first = {"error": error} if reason == "stop" else {}
    last = {"error": error} if reason != "stop" else {}
    written = run.world.store.update(run_key(run.id), Change(set={**change, **last}, keep=first, add={"rev": 1}), alive)
    run.control = written.item or run.control
    run.must_settle = True
    return written.ok


def is_beyond(failed: int) -> Condition:
    """No threshold has acted at so many failures yet."""
    return any_of(Absent(EXCEEDED), AtMost(EXCEEDED, failed - 1))


def may_be_stopped(run: Run) -> bool:
    """As last read: by a cancel or a timeout."""
    return run.status in ALIVE or (run.status is RunStatus.STOPPING and run.control["stop"] == "stop")


def soon(run: Run) -> dict[str, int]:
    """For a decision about the run: the sweeper comes by, should whoever wrote it die before acting on it."""
    due = min(run.now + LOOK_SOON_MS, run.control.get("timeout_at", run.now + LOOK_SOON_MS))
    return {"due": due, "due_shard": shard_of(run.id)}


def stop_container(run: Run, container: str, kind: str, error: Json) -> None:
    """Nothing more starts in the loop or group; the first reason stands. Whoever is at it settles it next."""
    pk, sk = stop_key(run.id, run.generation, container)
    item: Item = {"pk": pk, "sk": sk, "schema": 1, "kind": kind, "error": error, "at": run.now}
    weaker = {"continue": (), "stop": ("continue",), "cancel": ("continue", "stop")}[kind]  # a timeout ends its clean-up as well
    nothing_stopped_it = any_of(Absent(), *(Equals("kind", before) for before in weaker))
    written = run.world.store.put(item | ({"expires": run.control["expires"]} if "expires" in run.control else {}), nothing_stopped_it)
    run.stops[container] = item if written.ok else written.item or item
    run.must_settle = True
