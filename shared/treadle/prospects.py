"""What a retry, a rerun or a restored checkpoint would run again, and which results it would keep: told, not done.

Each is `{"reopened": [paths], "kept": [paths]}`. Of a new run these are steps of the outermost scope; in a group or loop that is
among `reopened` some results may hold all the same.
"""

from __future__ import annotations

from .core.plan import Plan
from .engine import checkpoints, retrying
from .engine.control import open_run
from .engine.world import World

Prospect = dict[str, list[str]]


class Prospects:
    def __init__(self, world: World) -> None:
        self._world = world

    def retry(self, tenant: str, run_id: str, *, from_step: str | None = None) -> Prospect:
        """Raises NotFound, WrongState."""
        return retrying.prospect(open_run(self._world, run_id, tenant), from_step)

    def rerun(self, tenant: str, run_id: str, *, from_step: str | None = None) -> Prospect:
        """Without `from_step` a new run keeps nothing. Raises NotFound."""
        run = open_run(self._world, run_id, tenant)
        return _of(run.plan, [] if from_step is None else checkpoints.standing(run), from_step)

    def restore(self, tenant: str, checkpoint_id: str, *, from_step: str | None = None) -> Prospect:
        """Raises NotFound."""
        kept = checkpoints.find(self._world, tenant, checkpoint_id)
        return _of(self._world.plan(kept.plan), list(kept.paths), from_step)


def _of(plan: Plan, standing: list[str], from_step: str | None) -> Prospect:
    left_out = frozenset() if from_step is None else checkpoints.from_on(plan, from_step)
    kept = [step for step in standing if step not in left_out]
    return {"reopened": sorted(set(plan.root.steps) - set(kept)), "kept": sorted(kept)}
