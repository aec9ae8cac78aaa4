"""Deciding that nothing new starts: in a run, or in one of its groups and loops. Written once; which reason came first is recorded."""

from __future__ import annotations

from ..core.model import Json, RunStatus
from ..ports import Absent, Change, Equals, Item, OneOf, any_of
from .items import run_key, shard_of, stop_key
from .run import Run

LOOK_SOON_MS = 60_000


def stop_run(run: Run, reason: str, error: Json) -> bool:
    """Nothing new starts in the run. `reason`: stop (a step failed), cancel, timeout. Which came first is recorded here."""
    alive = OneOf("status", tuple(s.value for s in (RunStatus.PENDING, RunStatus.RUNNING, RunStatus.WAITING, RunStatus.PAUSED)))
    change: dict[str, Json] = {"status": RunStatus.STOPPING.value, "stop": reason, **soon(run)}
    # a run that fails does so with the error that came first, which may be recorded already (`onFailure: continue`)
    first = {"error": error} if reason == "stop" else {}
    last = {"error": error} if reason != "stop" else {}
    written = run.world.store.update(run_key(run.id), Change(set={**change, **last}, keep=first, add={"rev": 1}), alive)
    run.control = written.item or run.control
    run.must_settle = True
    return written.ok


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
