"""Where the engine tells hooks what happens. Without hooks nothing of this costs anything; whatever they do, a run goes on."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..core import paths
from ..core.model import Json, StepError
from ..ports import Event
from ..topology import EVENT_SOURCE
from .results import Done, Failed, Result, Waits

if TYPE_CHECKING:
    from ..tasks.registry import TaskContext
    from .claims import Claim
    from .run import Run

_MOMENTS = {
    "RunStarted": "before_run",
    "RunSucceeded": "after_run",
    "RunFailed": "after_run",
    "RunCancelled": "after_run",
    "RunTimedOut": "after_run",
}


def published(run: Run, rows: Sequence[Sequence[Any]], events: Sequence[Event]) -> None:
    """What is about to be told on the bus: ends of steps, beginning and end of the run. Told again where a delivery is repeated."""
    began = {paths.shown(key): fact.started_at for key, fact in run.facts.items()} if rows else {}
    for path, outcome, attempts, ended_at in rows:
        told = {"step": path, "outcome": outcome, "attempts": attempts, "startedAt": began.get(path), "endedAt": ended_at}
        _tell(run, "after_step", told)
    for event in events:
        if event.kind in _MOMENTS and event.source == EVENT_SOURCE:
            told = {name: value for name, value in event.data.items() if name not in ("run", "workflow", "tenant", "version")}
            _tell(run, _MOMENTS[event.kind], told)


def delivered(run: Run) -> None:
    """A delivery is about to end: how the worker's caches have done since the last one did."""
    if counted := run.world.caches.untold():
        _tell(run, "after_delivery", {"caches": dict(counted)})


def step_begins(run: Run, claim: Claim) -> None:
    """The first attempt of a step, an item or an iteration."""
    if run.world.hooks is not None and claim.attempt == 1 and not claim.losses:
        _tell(run, "before_step", {"step": paths.shown(claim.key)})


def attempt(run: Run, context: TaskContext, task: str, shown: Json, work: Callable[[], Result]) -> Result:
    """`work`, one attempt of a task. `shown`: its input without secrets, for hooks that replace."""
    hooks = run.world.hooks
    if hooks is None:
        return work()
    about: dict[str, Json] = {"step": context.step_id, "attempt": context.attempt, "task": task}
    instead = _tell(run, "before_attempt", about, lambda: {"input": shown})
    began = time.perf_counter()
    result = work() if instead is None else _result_of(instead)
    took_ms = round((time.perf_counter() - began) * 1000, 3)
    told = about | {"durationMs": took_ms, "workerPeakMb": _peak_mb(), **_how(result)}
    if not isinstance(result, Done):
        _tell(run, "after_attempt", told)
        return result
    output = result.output
    instead = _tell(run, "after_attempt", told, lambda: {"output": output})
    return result if instead is None else _result_of(instead)


def _peak_mb() -> int:
    """The most memory that this process, or one that it forked for a task, has had so far."""
    most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return int(most // (1024 if sys.platform == "linux" else 1024 * 1024))


def _how(result: Result) -> dict[str, Json]:
    match result:
        case Failed(error):
            return {"outcome": "failed", "error": error.to_json()}
        case Waits():
            return {"outcome": "later"}
        case _:
            return {"outcome": "succeeded"}


def _result_of(instead: Any) -> Result:
    error = instead.error
    return Done(instead.output) if error is None else Failed(StepError(error.name, error.message, error.details, error.permanent))


def _tell(run: Run, moment: str, told: dict[str, Json], payload: Callable[[], dict[str, Json]] | None = None) -> Any:
    """What is to stand in the place of a result, or None. A hook that broke is told on the bus, once in this process."""
    hooks = run.world.hooks
    if hooks is None:
        return None
    control = run.control
    about = {"moment": moment, "at": run.now, "run": run.id, "workflow": control["workflow"], "version": control["version"]}
    instead = hooks.tell(moment, {**about, "tenant": run.tenant, **told}, payload)
    for name, why in hooks.newly_broken():
        run.event("HookFailed", name, hook=name, moment=moment, error=why)
    return instead
