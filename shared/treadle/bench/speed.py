"""How fast this machine runs a workload on the local stack: the pump, real threads, the real clock.

These figures say nothing about AWS, and differ from machine to machine: they are for seeing what the engine computes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

from ..engine.items import run_key
from ..local.stack import TENANT, Stack
from ..ports import Item
from .rig import Stuck
from .workloads import Workload

ALONE = 10  # runs, one after another, for the latency of a run that has the machine for itself
TIMEOUT_S = 600
_FINAL = ("succeeded", "failed", "cancelled", "timedOut")


@dataclass(frozen=True, slots=True)
class Speed:
    """`steps_per_second`: of `runs` at once. Latencies in ms, from a run's start to its end, one run at a time."""

    runs: int
    steps_per_second: float
    p50_ms: float
    p99_ms: float


def measure(workload: Workload) -> Speed:
    """Raises Stuck if a run does not succeed."""
    with Stack() as stack:
        workflow = stack.operations.register(TENANT, dict(workload.define())).id
        alone = [_latency_ms(_run(stack, workflow, workload, 1)) for _ in range(min(ALONE, workload.timed_runs))]
        began = time.perf_counter()
        _run(stack, workflow, workload, workload.timed_runs)
        took_s = time.perf_counter() - began
    return Speed(workload.timed_runs, round(workload.steps * workload.timed_runs / took_s, 1), _quantile(alone, 50), _quantile(alone, 99))


def _run(stack: Stack, workflow: str, workload: Workload, runs: int) -> Item:
    """Start so many and wait for all of them; the last one's control item."""
    started: list[str] = []
    for _ in range(runs):
        with stack.pump.request():
            started.append(stack.operations.start(TENANT, workflow, workload.given).id)
    ended: list[Item] = []

    def look() -> Item | None:
        while started:
            control = stack.operations.world.store.get(run_key(started[-1])) or {}
            if control.get("status") not in _FINAL:
                return None
            ended.append(control)
            started.pop()
        return ended[0]

    last = stack.pump.wait(look, TIMEOUT_S)
    if last is None or any(control["status"] != "succeeded" for control in ended):
        raise Stuck(f"of {runs} runs of {workload.name} {len(started)} did not end, or some failed")
    return last


def _latency_ms(control: Item) -> float:
    return float(control["ended_at"] - control["started_at"])


def _quantile(values: Sequence[float], percent: int) -> float:
    return round(quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0], 1)
