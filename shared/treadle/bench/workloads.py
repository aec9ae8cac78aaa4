"""What is run. Tasks do nothing, so that what is left is the engine.

A step is what a task or a `set` ran once: each step of a chain, each item of a forEach, each iteration of a loop.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..core.errors import Rejected

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "benchmarks"


@dataclass(frozen=True, slots=True)
class Workload:
    """`steps`: that one run executes. `runs`: how many are counted; `timed_runs`: how many at once when speed is measured."""

    name: str
    define: Callable[[], Mapping[str, Any]]
    steps: int
    runs: int = 10
    timed_runs: int = 20
    input: Any = None

    @property
    def given(self) -> Any:
        return {} if self.input is None else self.input


def workflow(name: str, steps: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"id": f"bench-{name}", "name": name, "version": "1.0.0", "steps": steps, "output": {}, **more}


def chain(count: int) -> dict[str, Any]:
    """One after another."""
    steps: list[dict[str, Any]] = [{"id": "s1", "task": "echo"}]
    steps += [{"id": f"s{number}", "task": "echo", "after": [f"s{number - 1}"]} for number in range(2, count + 1)]
    return workflow(f"chain{count}", steps)


def fan(count: int) -> dict[str, Any]:
    """A forEach over so many small items, and what waits for all of them."""
    return workflow(f"fan{count}", [{"id": "each", "forEach": "input.items", "task": "echo", "with": "${item}"}])


def branches(count: int) -> dict[str, Any]:
    """So many steps side by side, and their join."""
    names = [f"b{number}" for number in range(count)]
    inner: list[dict[str, Any]] = [{"id": name, "task": "echo", "after": ["first"]} for name in names]
    last: dict[str, Any] = {"id": "last", "task": "echo", "after": names}
    return workflow(f"branches{count}", [{"id": "first", "task": "echo"}, *inner, last])


def loop(count: int) -> dict[str, Any]:
    """A task again and again."""
    repeat = {"until": f"iteration >= {count - 1}", "max": count}
    return workflow(f"loop{count}", [{"id": "again", "task": "echo", "repeat": repeat}])


def diamond() -> dict[str, Any]:
    """One, two beside one another, one."""
    steps: list[dict[str, Any]] = [
        {"id": "a", "task": "echo"},
        {"id": "b", "task": "echo", "after": ["a"]},
        {"id": "c", "task": "echo", "after": ["a"]},
        {"id": "d", "task": "echo", "after": ["b", "c"]},
    ]
    return workflow("diamond", steps)


def mixed() -> dict[str, Any]:
    """Something of everything: a check, two branches, a choice, a forEach, a loop, a group, a step that is passed by."""
    parcel = [{"id": "wrap", "task": "echo"}, {"id": "label", "task": "echo", "after": ["wrap"]}]
    steps: list[dict[str, Any]] = [
        {"id": "check", "task": "echo", "with": {"total": "${input.total}"}},
        {"id": "price", "set": {"net": "${input.total / 2}"}, "after": ["check"]},
        {"id": "stock", "task": "echo", "after": ["check"]},
        {"id": "choose", "switch": [{"when": "input.total > 10", "then": "big"}, {"else": "small"}], "after": ["price", "stock"]},
        {"id": "big", "task": "echo"},
        {"id": "small", "task": "echo"},
        {"id": "each", "forEach": "input.items", "task": "echo", "with": "${item}", "after": ["choose"]},
        {"id": "again", "task": "echo", "repeat": {"until": "iteration >= 4", "max": 10}, "after": ["choose"]},
        {"id": "pack", "group": {"steps": parcel}, "after": ["each"]},
        {"id": "gift", "when": "input.total > 1000", "task": "echo", "after": ["pack"]},
        {"id": "done", "task": "echo", "after": ["gift", "again", {"step": "big", "on": "done"}]},
    ]
    return workflow("mixed", steps)


def montage() -> dict[str, Any]:
    """58 steps with 114 edges that really ran, from the WfInstances collection. Raises Rejected outside of a checkout."""
    path = FOLDER / "workflows" / "montage.json"
    if not path.exists():
        raise Rejected("not-found", f"the workload montage is in {path}, which a checkout has", status=404)
    read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return read


def _items(count: int) -> dict[str, Any]:
    return {"items": list(range(count))}


MIXED_ITEMS = 20

WORKLOADS: Mapping[str, Workload] = {
    workload.name: workload
    for workload in (
        Workload("chain10", lambda: chain(10), 10, runs=20, timed_runs=200),
        Workload("chain100", lambda: chain(100), 100, timed_runs=20),
        Workload("fan100", lambda: fan(100), 100, timed_runs=20, input=_items(100)),
        Workload("fan1000", lambda: fan(1000), 1000, runs=3, timed_runs=5, input=_items(1000)),
        Workload("fan10000", lambda: fan(10_000), 10_000, runs=1, timed_runs=1, input=_items(10_000)),
        Workload("diamond", diamond, 4, runs=20, timed_runs=200),
        Workload("montage", montage, 58, runs=5, timed_runs=20),
        Workload("loop100", lambda: loop(100), 100, timed_runs=20),
        Workload("branches100", lambda: branches(100), 102, runs=3, timed_runs=10),
        # check, price, stock, choose, big; 20 items; 5 iterations; wrap, label; done
        Workload("mixed", mixed, 5 + MIXED_ITEMS + 5 + 2 + 1, timed_runs=40, input={"total": 42, **_items(MIXED_ITEMS)}),
    )
}


@cache
def scaled(kind: str, count: int) -> Workload:
    """`fan` or `loop` with so many steps, for the question whether a step costs the same at any size."""
    make = {"fan": fan, "loop": loop}[kind]
    return Workload(f"{kind}{count}", lambda: make(count), count, runs=1, timed_runs=1, input=_items(count) if kind == "fan" else None)
