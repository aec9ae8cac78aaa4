"""A register of policies, an assessor that gives up on what it has not seen before, and a bank."""

from __future__ import annotations

from typing import Any

from treadle import TaskError, task


@task
def look_up(asked: dict[str, str]) -> dict[str, str]:
    return {"cover": "meteorites" if asked["policy"].startswith("M") else "fire"}


@task
def assess(claim: dict[str, Any]) -> dict[str, Any]:
    if claim["cover"] != "fire":
        raise TaskError("Unheard", f"no rule for {claim['cover']}")
    return {"cents": claim["cents"], "by": "rule"}


@task
def pay(order: dict[str, int]) -> str:
    return f"{order['cents'] / 100:.2f}"
