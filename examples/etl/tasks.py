"""Readings that are made up from their part's name, so that every run gives the same."""

from __future__ import annotations

from typing import Any

from treadle import TaskContext, TaskError, task

READINGS_PER_PART = 50
BROKEN = 0  # what the sensor reports when it is broken


@task
def list_parts(day: dict[str, Any]) -> list[str]:
    return [f"{day['day']}/{part:02d}" for part in range(day["parts"])]


@task
def extract(given: dict[str, str], context: TaskContext) -> dict[str, Any]:
    """Every third part is not there at the first attempt."""
    number = int(given["part"].rpartition("/")[2])
    if number % 3 == 0 and context.attempt == 1:
        raise TaskError("PartNotReady", given["part"])
    return {"part": given["part"], "readings": [(number * 7 + i) % 11 for i in range(READINGS_PER_PART)]}


@task
def clean(given: dict[str, Any]) -> dict[str, Any]:
    kept = [reading for reading in given["readings"] if reading != BROKEN]
    return {"part": given["part"], "count": len(kept), "sum": sum(kept)}


@task
def load(given: dict[str, Any]) -> dict[str, Any]:
    parts = given["parts"]
    return {
        "day": given["day"],
        "parts": len(parts),
        "rows": sum(part["count"] for part in parts),
        "sum": sum(part["sum"] for part in parts),
    }
