"""What an on-call rota has in its drawer."""

from __future__ import annotations

from typing import Any

from treadle import TaskContext, TaskError, task


@task
def gather(asked: dict[str, str]) -> str:
    return f"{asked['what']} of {asked['service']}"


@task
def restart(service: dict[str, str], context: TaskContext) -> str:
    if context.attempt == 1:
        raise TaskError("StillDraining", service["service"])
    return f"{service['service']} restarted"


@task
def write_note(given: dict[str, Any]) -> str:
    return f"{given['alarm']}: {', '.join(given['evidence']) or 'nothing is known'}"
