"""How many of a loop's items may fail: each failure is counted at once, and the one too many stops the loop.

Few are a set in the loop's own item. Many would outgrow it (an item has at most 400 KB), and each would cost as much to write as
all before it together. So they are a tree: sets of failed items at the bottom, above them how many each node below has. A set
grows and a count is only ever replaced by a greater one, so a repeated delivery changes nothing; whoever writes the top last sees
all of them. Each failure costs one small write a level: two for some thousands of items, three for a million.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from ..core import paths
from ..core.model import State, StepError
from ..core.plan import Step
from ..ports import Absent, AtMost, Change, Equals, Item, Key, all_of, any_of
from .items import step_key
from .run import Run
from .stopping import stop_container


def most(step: Step, count: int) -> int:
    """How many items may fail."""
    tolerate = step.tolerate or {}
    if "failures" in tolerate:
        return int(tolerate["failures"])
    return int(count * tolerate.get("percent", 0) // 100)


def is_tolerated(run: Run, loop: str, step: Step, header: Item, number: int, error: StepError | None) -> bool:
    """Count a failed item at once. Past the tolerance the loop is stopped, with the error that exceeded it."""
    return are_tolerated(run, loop, step, header, [number], error)


def are_tolerated(run: Run, loop: str, step: Step, header: Item, numbers: Sequence[int], error: StepError | None) -> bool:
    """The same, of several. Whoever finds failed items that somebody else was to count counts them before anything else: that worker
    may have died half way up the tree."""
    allowed = most(step, header["n"])
    if allowed and all(_is_within(run, loop, header, some, allowed) for some in _together(run, numbers, allowed)):
        return True
    told = error or StepError("TaskFailed")
    stop_container(run, loop, "cancel", told.brief())
    return False


def _together(run: Run, numbers: Sequence[int], allowed: int) -> Iterator[list[int]]:
    """Those that one write counts."""
    arity = run.world.settings.tally
    if allowed <= arity:
        yield [*numbers]
        return
    for _, some in groupby(sorted(numbers), lambda number: number // arity):
        yield [*some]


def _is_within(run: Run, loop: str, header: Item, numbers: list[int], allowed: int) -> bool:
    if allowed > run.world.settings.tally:
        return _count_of_many(run, loop, header, numbers) <= allowed
    as_it_was = all_of(Equals("state", State.OPEN.value), Equals("fence", header["fence"]))
    written = run.world.store.update(step_key(run.id, loop), Change(add={"failures": {*numbers}}), as_it_was)
    return written.ok and len((written.item or {}).get("failures", ())) <= allowed


def _count_of_many(run: Run, loop: str, header: Item, numbers: list[int]) -> int:
    """How many have failed, these among them, which lie in one set."""
    arity = run.world.settings.tally
    expires = {"expires": run.control["expires"]} if "expires" in run.control else {}
    node = numbers[0] // arity
    places = {number % arity for number in numbers}
    added = run.world.store.update(_node_key(run, loop, header, 0, node), Change(add={"failed": places}, set=expires))
    found, nodes, level = len((added.item or {}).get("failed", ())), -(-header["n"] // arity), 0
    while nodes > 1:
        level, nodes = level + 1, -(-nodes // arity)
        node, place = divmod(node, arity)
        name = f"n_{place}"
        is_more = any_of(Absent(name), AtMost(name, found - 1))
        counted = run.world.store.update(_node_key(run, loop, header, level, node), Change(set={name: found, **expires}), is_more)
        found = sum(value for name, value in (counted.item or {}).items() if name.startswith("n_"))
    return found


def keys_of(run: Run, loop: str, count: int) -> Iterator[Key]:
    """All nodes that the loop may have had, in each generation and attempt of its."""
    step, arity = run.plan.steps.get(paths.step_id(loop)), run.world.settings.tally
    if step is None or most(step, count) <= arity:
        return
    attempts = step.retry.max_attempts if step.retry else 1
    for generation in range(1, run.generation + 1):
        for attempt in range(1, attempts * run.generation + 1):
            nodes, level = -(-count // arity), 0
            while True:
                header = {"attempt": attempt}
                yield from (_key_of(run, generation, loop, header, level, node) for node in range(nodes))
                if nodes <= 1:
                    break
                nodes, level = -(-nodes // arity), level + 1


def _node_key(run: Run, loop: str, header: Item, level: int, node: int) -> Key:
    """Of this generation of the run and this attempt of the loop: what failed before is tried again in them."""
    return _key_of(run, run.generation, loop, header, level, node)


def _key_of(run: Run, generation: int, loop: str, header: Item, level: int, node: int) -> Key:
    return f"{run.id}#failed#{generation}#{loop}#{header.get('attempt', 1)}#{level}.{node}", "failed"
