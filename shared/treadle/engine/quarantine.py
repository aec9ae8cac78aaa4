"""Setting a run aside of which something cannot be read: it is paused, and says why. Nothing else is touched, and nothing is guessed.

Whoever has mended the item resumes the run; whoever gives it up cancels it.
"""

from __future__ import annotations

from typing import Any

from ..core.errors import NotFound
from ..core.model import FINAL, RunStatus
from ..ports import Change, Event, Item, Key, OneOf, Present
from .items import digest, run_key
from .reading import Unreadable
from .world import World

ALIVE = tuple(status.value for status in RunStatus if not status.is_final)
# These are stopping already: they end as they were to end, without what cannot be read.
_GIVEN_UP = {"cancel": RunStatus.CANCELLED, "timeout": RunStatus.TIMED_OUT}
EVENT = "RunQuarantined"
REOPENING = "reopening"  # of a run that was being retried as it was set aside: that is gone on with once it is resumed
_GONE = ("object", "plan", "body of run")


def fault_in(error: Exception, run_id: str) -> tuple[str, str] | None:
    """(the run, what is wrong with what) where an item or an object of a run cannot be read; None: something else is wrong."""
    if isinstance(error, Unreadable):
        owner = error.key[0].partition("#")[0]
        return (run_id if owner == "plan" else owner), str(error)
    if isinstance(error, NotFound) and error.what in _GONE:
        return run_id, f"{error.message}, although the run refers to it"
    return None


def set_aside(world: World, run_id: str, fault: str, *due: Key) -> None:
    """`due`: items that are not to call the sweeper any more; once the run is resumed it finds them by itself. Of a run that is over
    nothing else changes."""
    store = world.raw
    control: Item = store.get(run_key(run_id)) or {}
    now = world.clock.now()
    for key in due:
        store.update(key, Change(remove=_UNDUE), Present())
    status = control.get("status") if isinstance(control.get("status"), str) else None
    if status in {each.value for each in FINAL}:
        return
    told = {"name": "Corrupted", "message": fault[:400]}
    wanted: dict[str, Any] = {"quarantine": told} | ({} if status == RunStatus.STOPPING else {"status": RunStatus.PAUSED.value})
    wanted |= {REOPENING: True} if status == RunStatus.RETRYING else {}
    ended = _GIVEN_UP.get(str(control.get("stop"))) if status == RunStatus.STOPPING else None
    if ended is not None:
        wanted |= {"status": ended.value, "ended_at": now}
    condition = OneOf("status", ALIVE) if status in ALIVE else Present()
    gone = (*_UNDUE, *(_OF_ITS_END if status == RunStatus.RETRYING else ()))
    store.update(run_key(run_id), Change(set=wanted, add={"rev": 1} if type(control.get("rev")) is int else {}, remove=gone), condition)
    data = {"run": run_id, "workflow": control.get("workflow"), "tenant": control.get("tenant"), "error": told}
    world.tell([Event(EVENT, digest("quarantine", run_id, fault), run_id, now, data)])
    if ended is not None:
        kind = "RunCancelled" if ended is RunStatus.CANCELLED else "RunTimedOut"
        world.tell(
            [
                Event(
                    kind,
                    digest(run_id, "", str(control.get("gen", 1)), "0", kind),
                    run_id,
                    now,
                    {**data, "status": ended.value, "endedAt": now},
                )
            ]
        )


_UNDUE = ("due", "due_shard")
_OF_ITS_END = ("ended_at", "timeout_at")  # before it was retried
