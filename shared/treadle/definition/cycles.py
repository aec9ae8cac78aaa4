"""Order within a scope: a topological order where there is one, and the cycles where there is none."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from .diagnostics import Code, Fault
from .graph import Node, Scope

_SHOWN = 12  # ids of a cycle that are written out


def in_order(scope: Scope) -> list[Node]:
    """Sources before targets. Steps of a cycle, and those behind one, are left out."""
    missing = {node: len(node.edges) for node in scope.nodes}
    targets = _targets(scope)
    ready = deque(node for node, count in missing.items() if count == 0)
    order: list[Node] = []
    while ready:
        node = ready.popleft()
        order.append(node)
        for target in targets.get(node, ()):
            missing[target] -= 1
            if missing[target] == 0:
                ready.append(target)
    return order


def cycle_faults(scope: Scope, order: list[Node]) -> Iterator[Fault]:
    """One cycle, a shortest one, of each knot of steps that wait for each other."""
    left = set(scope.nodes) - set(order)
    if not left:
        return
    targets = _targets(scope)
    for knot in _knots([node for node in scope.nodes if node in left], targets, left):
        cycle = _shortest(knot[0], targets, set(knot))
        names = [node.id for node in (*cycle, cycle[0])]
        written = " -> ".join(names if len(names) <= _SHOWN else [*names[: _SHOWN - 1], "...", names[-1]])
        edge = next(edge for edge in cycle[0].edges if edge.source == cycle[-1].id)
        yield Fault(Code.CYCLE, f"cycle: {written}", edge.path, "a step is tried again by its `retry`, and loops are written with `repeat`")


def _targets(scope: Scope) -> dict[Node, list[Node]]:
    """One entry for each edge."""
    targets: dict[Node, list[Node]] = {}
    for node in scope.nodes:
        for source in node.sources:
            targets.setdefault(source, []).append(node)
    return targets


def _knots(nodes: list[Node], targets: dict[Node, list[Node]], left: set[Node]) -> Iterator[list[Node]]:
    """Strongly connected steps, each knot in document order: those that a step reaches and that reach it (Kosaraju)."""
    finished: list[Node] = []
    seen: set[Node] = set()
    for node in nodes:
        if node not in seen:
            finished += _finishing(node, targets, seen, left)
    backwards = {node: list(node.sources) for node in nodes}
    seen = set()
    for node in reversed(finished):
        if node in seen:
            continue
        knot = _finishing(node, backwards, seen, left)
        if len(knot) > 1 or node in backwards[node]:
            yield sorted(knot, key=lambda member: member.index)


def _finishing(root: Node, following: dict[Node, list[Node]], seen: set[Node], left: set[Node]) -> list[Node]:
    """Steps that are reached from `root`, in the order in which a depth-first search leaves them."""
    finished: list[Node] = []
    seen.add(root)
    stack = [(root, iter(following.get(root, ())))]
    while stack:
        node, rest = stack[-1]
        step = next((other for other in rest if other in left and other not in seen), None)
        if step is None:
            finished.append(node)
            stack.pop()
        else:
            seen.add(step)
            stack.append((step, iter(following.get(step, ()))))
    return finished


def _shortest(start: Node, targets: dict[Node, list[Node]], knot: set[Node]) -> list[Node]:
    """The steps of a shortest cycle through `start`, which comes first."""
    came_from: dict[Node, Node] = {}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        for target in targets.get(node, ()):
            if target is start:
                return _walk_back(node, start, came_from)
            if target in knot and target not in came_from:
                came_from[target] = node
                queue.append(target)
    return [start]


def _walk_back(node: Node, start: Node, came_from: dict[Node, Node]) -> list[Node]:
    cycle = [node]
    while cycle[-1] is not start:
        cycle.append(came_from[cycle[-1]])
    return cycle[::-1]
