"""What steps were given: for whoever looks into a failure, and wants to try it with something else."""

from __future__ import annotations

from typing import Any

from .core import paths
from .core.errors import NotFound, Rejected
from .engine.control import key_of, open_run
from .engine.inputs import as_told, input_of
from .engine.items import encode
from .engine.world import World

MOST_BYTES = 5 * 1024 * 1024  # that an answer of the API can hold


class Inputs:
    def __init__(self, world: World, most_bytes: int = MOST_BYTES) -> None:
        self._world = world
        self._most_bytes = most_bytes

    def of(self, tenant: str, run_id: str, path: str) -> dict[str, Any]:
        """Of a step's latest attempt: `{run, step, attempt, input, from, template, secrets, error?}`. `from` is `definition`, or
        `person` where one gave it in the place of `template`; `error`: why there is no input to be shown.

        Raises NotFound, Rejected("payload-too-large").
        """
        run = open_run(self._world, run_id, tenant)
        if paths.step_id(path) not in run.plan.steps:
            raise NotFound("step", f"{path} in {run.plan.workflow}")
        told = {"run": run_id, "step": path, **as_told(input_of(run, key_of(run, path)))}
        size = len(encode(told).encode())
        if size > self._most_bytes:
            told = f"the input of step {path} has {size} bytes: at most {self._most_bytes} are shown"
            raise Rejected("payload-too-large", told, status=413)
        return told
