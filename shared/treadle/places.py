"""Where a step's task runs, and what it was seen to need: for whoever asks why."""

from __future__ import annotations

from typing import Any

from .core import paths
from .engine.control import key_of, open_run
from .engine.world import World


class Places:
    def __init__(self, world: World) -> None:
        self._world = world

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
