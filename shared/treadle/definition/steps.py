"""What each step must be by itself: exactly one action, modifiers that go together, tasks and pools that exist."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

from ..core.resources import Needs, Pool, smallest_pool
from .diagnostics import Code, Fault, Path, shown
from .graph import Graph, Node, as_list, as_map, entries
from .model_steps import ACTIONS, COMPENSATIONS
from .spelling import Speller


class StepCheck:
    def __init__(self, tasks: Container[str] | None, pools: Sequence[Pool]) -> None:
        self._tasks = tasks
        self._pools = pools
        known: object = tasks  # a container need not be iterable; without that there are no hints
        self._speller = Speller(known if isinstance(known, Iterable) else ())

    def faults(self, graph: Graph) -> Iterator[Fault]:
        for node in graph.nodes:
            yield from _action_faults(node.path, node.raw, ACTIONS, "a step")
            yield from self._task_faults(node.path, node.raw)
            if "compensate" in node.raw and isinstance(node.raw["compensate"], dict):
                yield from _action_faults((*node.path, "compensate"), node.compensate, COMPENSATIONS, "a compensation")
                yield from self._task_faults((*node.path, "compensate"), node.compensate)
                yield from self._resource_faults((*node.path, "compensate"), node.compensate)
            yield from _modifier_faults(node)
            yield from _join_faults(node)
            yield from self._resource_faults(node.path, node.raw)

    def _task_faults(self, path: Path, raw: dict[str, Any]) -> Iterator[Fault]:
        task = raw.get("task")
        if self._tasks is not None and isinstance(task, str) and task and task not in self._tasks:
            yield Fault(Code.UNKNOWN_TASK, f"there is no task {shown(task)}", (*path, "task"), self._speller.hint(task))

    def _resource_faults(self, path: Path, raw: dict[str, Any]) -> Iterator[Fault]:
        wanted = raw.get("resources")
        if not isinstance(wanted, dict) or not all(isinstance(amount, str) for amount in wanted.values()):
            return
        try:
            pool = smallest_pool(Needs.of(wanted), self._pools)
        except ValueError:  # structure.py tells what cannot be read
            return
        if pool is None:
            yield Fault(Code.NO_SUCH_RESOURCES, "no worker pool has that much", (*path, "resources"), _largest(self._pools))


def _largest(pools: Sequence[Pool]) -> str | None:
    return f"the largest is {max(pools, key=lambda pool: pool.size)}" if pools else None


def _action_faults(path: Path, raw: dict[str, Any], actions: tuple[str, ...], what: str) -> Iterator[Fault]:
    given = [action for action in actions if action in raw]
    if not given:
        other = next((action for action in ACTIONS if action in raw), None)
        told = f"{what} needs an action" if other is None else f"`{other}` is no action of {what}, and it needs one"
        yield Fault(Code.NO_ACTION, told, path, f"one of {', '.join(actions)}")
    elif len(given) > 1:
        named = " and ".join(f"`{action}`" for action in given)
        yield Fault(Code.SEVERAL_ACTIONS, f"{what} has one action, not {len(given)}: {named}", path, "several steps can stand in a `group`")
    if given and "with" in raw and "task" not in raw:
        yield Fault(Code.UNKNOWN_FIELD, "`with` belongs to `task`", (*path, "with"), at_key=True)


def _modifier_faults(node: Node) -> Iterator[Fault]:
    raw, path = node.raw, node.path
    if "forEach" in raw and "repeat" in raw:
        yield Fault(Code.BAD_VALUE, "`forEach` and `repeat` exclude each other", (*path, "repeat"), "put one of them around a `group`")
    for key in ("maxConcurrency", "tolerate"):
        if key in raw and "forEach" not in raw:
            yield Fault(Code.BAD_VALUE, f"`{key}` belongs to `forEach`", (*path, key))
    if "switch" in raw:
        for key in ("forEach", "repeat"):
            if key in raw:
                yield Fault(Code.BAD_VALUE, f"`switch` chooses paths once: it cannot stand under `{key}`", (*path, key))
    cases = as_list(raw.get("switch"))
    for inner, case in entries((*path, "switch"), cases[:-1]):
        if "else" in as_map(case):
            yield Fault(Code.BAD_VALUE, "`else` is the last case", inner)


def _join_faults(node: Node) -> Iterator[Fault]:
    join = node.raw.get("join")
    if isinstance(join, int) and not isinstance(join, bool) and join > len(node.edges) and node.is_whole:
        edges = "no edge leads" if not node.edges else "one edge leads" if len(node.edges) == 1 else f"{len(node.edges)} edges lead"
        yield Fault(Code.BAD_JOIN, f"the join waits for {join} edges, but {edges} to this step", (*node.path, "join"))
