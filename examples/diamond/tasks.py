"""Two tasks that run side by side."""

from __future__ import annotations

from treadle import task


@task
def double(given: dict[str, int]) -> int:
    return given["n"] * 2


@task
def square(given: dict[str, int]) -> int:
    return given["n"] ** 2
