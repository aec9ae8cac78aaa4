"""Where a step's task runs, and what it was seen to need: for whoever asks why."""

from __future__ import annotations

from typing import Any

from .core import paths
from .core.errors import NotFound
from .engine.control import key_of, open_run
from .engine.world import World
from .stepping import Steps
from .viewing import Payloads
from .views import StepView


class Places:
    def __init__(self, world: World) -> None:
        self._world = world

    def step(self, tenant: str, run_id: str, path: str, *, full: bool = True) -> StepView:
        """Raises NotFound: no such run, or it has no such path, or that has not begun (an item of a loop)."""
        run = open_run(self._world.lenient(), run_id, tenant)
        shown = Steps(run).one(path, Payloads(run.world, full=full).shown)
        if shown is None:
            raise NotFound("task", f"{run_id}/{path}")
        return shown

    def of(self, tenant: str, run_id: str, path: str) -> dict[str, Any]:
        """Of a task: `{pool, seen?: {attempts, meanMs, measured, peakMemoryMb}}`; of any other step: nothing. `attempts` are those that
        succeeded, `meanMs` what one of them took; `measured` are those whose memory could be told, `peakMemoryMb` the most of them.

        Raises NotFound.
        """
        run = open_run(self._world, run_id, tenant)
        step = run.plan.steps.get(paths.step_id(path))
        if step is None or step.action != "task":
            return {}
        told: dict[str, Any] = {"pool": run.pool_of(key_of(run, path))}
        seen = None if self._world.observed is None else self._world.observed.of(step.spec)
        if seen is not None:
            told["seen"] = {"attempts": seen.count, "meanMs": seen.mean_ms, "measured": seen.measured, "peakMemoryMb": seen.peak_mb}
        return told
