"""What a user waits for: times between what tasks saw, on the model's clock.

All of it is the model of AWS's latency (model.py) applied to the calls that are really made, one after another; nothing is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ..core.errors import TaskError
from ..local.invocation import FUNCTIONS
from ..tasks import TaskContext, task
from . import model
from .rig import Rig
from .workloads import workflow

CHAIN = 50


def milliseconds() -> dict[str, float]:
    """`start`: from a request to the first task. `step`: the engine's part of a step of a chain, in the same hands. `handover`: to a
    step that another worker takes. `recovery`: from a failure to the next attempt, at no delay. `state_update`: one conditional
    write. `efficiency_percent`: of a chain of tasks that take 100 ms each."""
    memory_mb = FUNCTIONS["dispatcher"].memory_mb
    chain = _moments([{"id": "s0", "task": "mark"}, *(_marks(f"s{number}", f"s{number - 1}") for number in range(1, CHAIN))])
    beside = _moments([{"id": "a", "task": "mark"}, _marks("b", "a"), _marks("c", "a")])
    again = _moments([{"id": "a", "task": "mark_second", "retry": {"maxAttempts": 2, "delay": "0s"}}])
    step = sorted(after - before for before, after in pairwise(chain[1:]))[CHAIN // 2]
    times = {
        "start": chain[1] - chain[0],
        "state_update": model.call_ms("dynamodb.PutItem", memory_mb),
        "step": step,
        "handover": beside[3] - beside[2],
        "recovery": again[2] - again[1],
        "efficiency_percent": 100 * 100 / (100 + step),
    }
    return {name: round(value, 1) for name, value in times.items()}


def _marks(name: str, after: str) -> dict[str, Any]:
    return {"id": name, "task": "mark", "after": [after]}


def _moments(steps: Sequence[dict[str, Any]]) -> list[float]:
    """When the run was asked for, and when each attempt began."""
    seen: list[float] = []

    @task
    def mark(given: Any) -> None:
        seen.append(rig.clock.ms)

    @task
    def mark_second(given: Any, context: TaskContext) -> None:
        seen.append(rig.clock.ms)
        if context.attempt == 1:
            raise TaskError("Flaky")

    with Rig([mark, mark_second]) as rig:
        name = rig.register(workflow("moments", list(steps)))
        seen.append(rig.clock.ms)
        run = rig.start(name, {})
        rig.drain()
        rig.must_have_succeeded(run)
    return seen
