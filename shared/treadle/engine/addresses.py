"""Where the HTTP API shows something of a run, from the API's own address on: what is told of a failure leads there."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from ..core import paths
from .run import Run

WITHOUT_INPUT: Final = ("group", "switch")  # actions


def input_address(run: Run, key: str) -> str | None:
    """Of what a step's attempt was given (`given`). None: a step that has no input of its own, or a loop, whose items have theirs."""
    step = run.plan.steps.get(paths.step_id(key))  # an amended plan may have it no more
    if step is None or step.action in WITHOUT_INPUT or (step.is_loop and paths.index(key) is None):
        return None
    return f"/v1/tasks/{run.id}/{quote(paths.shown(key), safe='')}/input"


def input_of_cause(run: Run, step: str | None) -> str | None:
    """Of the step that a run's error names by its path."""
    return None if step is None else input_address(run, step)
