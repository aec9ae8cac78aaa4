"""A render farm that needs five looks, and cannot be reached at one of them."""

from __future__ import annotations

from typing import Any

from treadle import TaskContext, TaskError, task

LOOKS = 5


@task
def submit(wanted: dict[str, str], context: TaskContext) -> dict[str, str]:
    """The job's name is the idempotency key's, so that submitting twice is submitting once."""
    return {"job": f"{wanted['film']}-{context.idempotency_key[:4]}"}


@task
def look(at: dict[str, Any], context: TaskContext) -> dict[str, Any]:
    if at["nth"] == 2 and context.attempt == 1:
        raise TaskError("Unreachable", "the farm does not answer")
    return {"state": "working" if at["nth"] < LOOKS - 1 else "done", "percent": 100 * (at["nth"] + 1) // LOOKS}


@task
def publish(film: dict[str, str]) -> str:
    return f"https://films.example/{film['job'].rpartition('-')[0]}"
