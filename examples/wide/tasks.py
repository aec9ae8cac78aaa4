"""How many steps the Collatz sequence takes from n down to 1, for many n at once."""

from __future__ import annotations

from treadle import task


@task
def count_up(given: dict[str, int]) -> list[int]:
    return list(range(1, given["upTo"] + 1))


@task
def collatz(given: dict[str, int]) -> int:
    n, steps = given["n"], 0
    while n != 1:
        n = 3 * n + 1 if n % 2 else n // 2
        steps += 1
    return steps


@task
def longest(steps: list[int]) -> dict[str, int]:
    most = max(steps, default=0)
    return {"n": steps.index(most) + 1 if steps else 0, "steps": most}
