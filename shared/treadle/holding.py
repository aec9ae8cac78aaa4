"""Legal holds: a run that somebody holds is kept, whatever the engine's `data_retention` says. Who and why is in the audit trail."""

from __future__ import annotations

from . import acts, audit
from .core.errors import NotFound, WrongState
from .engine import retention
from .engine.control import open_run
from .engine.retention import HOLD
from .engine.run import Run
from .engine.world import World
from .viewing import view
from .views import RunView

MAX_TRIES = 5


class Holds:
    """All methods are for one tenant: another tenant's runs are not found."""

    def __init__(self, world: World) -> None:
        self._world = world

    def hold(self, tenant: str, run_id: str, *, reason: str, by: str | None = None) -> RunView:
        """Again: the newest reason stands. Raises NotFound, also for a run that is being removed."""
        run = open_run(self._world, run_id, tenant)
        with audit.asked(self._world, tenant, "hold", by, run=run_id, reason=reason), acts.noted(run, "hold", by, reason=reason):
            for _ in range(MAX_TRIES):
                if retention.hold(run, by, reason):
                    return view(self._world, run.control)
                run = open_run(self._world, run_id, tenant)  # it ended meanwhile, or is gone
            raise NotFound("run", run_id)

    def release(self, tenant: str, run_id: str, *, reason: str | None = None, by: str | None = None) -> RunView:
        """Raises NotFound, WrongState: nobody holds it."""
        run = open_run(self._world, run_id, tenant)
        with audit.asked(self._world, tenant, "release", by, run=run_id, reason=reason), acts.noted(run, "release", by, reason=reason):
            for _ in range(MAX_TRIES):
                if retention.release(run):
                    return view(self._world, run.control)
                run = self._held(run_id, tenant)
            raise WrongState(f"run {run_id} changes too fast")

    def _held(self, run_id: str, tenant: str) -> Run:
        run = open_run(self._world, run_id, tenant)
        if HOLD not in run.control:
            raise WrongState(f"run {run_id} is held by nobody")
        return run
