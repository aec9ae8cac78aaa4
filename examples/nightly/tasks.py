"""Tills that tell what they took; the one in the south is being repaired."""

from __future__ import annotations

from typing import Any

from treadle import TaskError, task

TAKEN = {"north": 120_00, "web": 300_50}


@task
def sales_of(asked: dict[str, str]) -> int:
    if asked["shop"] not in TAKEN:
        raise TaskError("Unreachable", asked["shop"])
    return TAKEN[asked["shop"]]


@task
def sheet(given: dict[str, Any]) -> str:
    told = [cents for cents in given["sales"] if cents is not None]
    missing = len(given["sales"]) - len(told)
    return f"{given['day'][:10]}: {sum(told) / 100:.2f} from {len(told)} shops, {missing} missing"
