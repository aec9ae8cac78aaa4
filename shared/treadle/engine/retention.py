"""How long a run is kept: until some time after its end, and for as long as somebody holds it.

Law: nothing of a run that is under way is ever given a time to go at. DynamoDB's own expiry would take the facts of a run that lives
for longer than anybody thought. When to go is written with the run's end, in the very same write (`due`, in shards of their own, which
only the sweeper of an engine with `data_retention` looks at); `removal.py` does the rest.
"""

from __future__ import annotations

from typing import Any, Final

from ..core.model import RunStatus
from ..ports import Absent, Change, Condition, Equals, Present, all_of
from ..topology import DUE_SHARDS
from .items import run_key, shard_of
from .run import Run

FINAL: Final = tuple(status.value for status in RunStatus if status.is_final)
HOLD: Final = "legal_hold"
MARK: Final = "removing"  # since when: nobody finds the run any more


def when_over(run: Run, ended_at: int) -> dict[str, int]:
    """What the control item of a run that ends is given beside its end: nothing, where runs are kept for ever."""
    kept_ms = run.world.settings.kept_ms(run.control["workflow"])
    if kept_ms is None or HOLD in run.control:
        return {}
    return {"due": ended_at + kept_ms, "due_shard": DUE_SHARDS + shard_of(run.id)}


def hold(run: Run, by: str | None, reason: str) -> bool:
    """Nothing of the run is removed until it is released. False: it is being removed, or is gone."""
    held = {"reason": reason, "at": run.now} | ({"by": by} if by is not None else {})
    of_one_that_ended = ("due", "due_shard") if run.status.is_final else ()
    change = Change(set={HOLD: held}, add={"rev": 1}, remove=of_one_that_ended)
    return _changed(run, change, all_of(Absent(MARK), Equals("status", run.control["status"])))


def release(run: Run) -> bool:
    """A run that has ended goes when its time is over, or at once if it is over already. False: nobody holds it, or it ended meanwhile."""
    was_held = HOLD in run.control
    kept_ms = run.world.settings.kept_ms(run.control["workflow"])
    goes: dict[str, Any] = {}
    if run.status.is_final and kept_ms is not None:
        goes = {"due": run.control["ended_at"] + kept_ms, "due_shard": DUE_SHARDS + shard_of(run.id)}
    change = Change(set=goes, add={"rev": 1}, remove=(HOLD,))
    is_mine = _changed(run, change, all_of(Present(HOLD), Equals("status", run.control["status"])))
    return is_mine or (was_held and HOLD not in run.control)  # by this very write, whose answer was lost, or by somebody else


def _changed(run: Run, change: Change, condition: Condition) -> bool:
    written = run.world.store.update(run_key(run.id), change, condition)
    run.control = written.item or run.control
    return written.ok
