"""Which steps have surely ended when another one starts.

Sets of steps are ints, one bit a step of the scope, so that ten thousand steps with fifty thousand edges take a moment.

- `join: all` and `done` are decided when every source has ended: all sources, and whatever had ended before any of them.
- `join: any` and N start at the Nth live edge of k: what lies before at least k - N + 1 of the edges, for no choice of N
  edges avoids it. (A direct source may be named all the same; it reads as null if it had not ended.) Ended without having
  started means k - N + 1 dead edges: then what lies before at least N of them has ended. Who comes later knows only both.
"""

from __future__ import annotations

from collections.abc import Iterable

from .graph import Node


class Ended:
    """`has(step, other)`: has `other` surely ended when `step` starts? Both in one scope; unknown (True) for steps in a cycle."""

    def __init__(self, order: Iterable[Node]) -> None:
        self._at_start: dict[Node, int] = {}
        self._at_end: dict[Node, int] = {}
        for node in order:
            self._add(node)

    def has(self, node: Node, other: Node) -> bool:
        if node not in self._at_start:
            return True
        return bool(self._at_start[node] >> other.index & 1) or any(edge.source == other.id for edge in node.edges)

    def _add(self, node: Node) -> None:
        before = [self._at_end[source] | 1 << source.index for source in node.sources]  # one set for each edge
        wanted = _live_edges_wanted(node)
        if wanted is None or not before:
            self._at_start[node] = self._at_end[node] = _union(before)
            return
        started, dead = max(1, len(before) - wanted + 1), min(wanted, len(before))
        self._at_start[node] = _in_at_least(started, before)
        self._at_end[node] = _in_at_least(max(started, dead), before)


def _live_edges_wanted(node: Node) -> int | None:
    """How many live edges start the step; None: it waits for all of them, live or not."""
    join = node.raw.get("join", "all")
    if join == "any":
        return 1
    return join if isinstance(join, int) and not isinstance(join, bool) and join >= 1 else None


def _union(sets: Iterable[int]) -> int:
    union = 0
    for members in sets:
        union |= members
    return union


def _in_at_least(least: int, sets: list[int]) -> int:
    """Members of at least `least` of the sets: a counter for each member, kept as planes of binary digits."""
    if least > len(sets):
        return 0
    planes = [0] * len(sets).bit_length()
    for members in sets:
        for number, plane in enumerate(planes):
            planes[number], members = plane ^ members, plane & members
    above, equal = 0, _union(sets)  # compared with `least` from the highest digit down
    for number in reversed(range(len(planes))):
        if least >> number & 1:
            equal &= planes[number]
        else:
            above |= equal & planes[number]
            equal &= ~planes[number]
    return above | equal


def around_in(node: Node, target: Node) -> Node | None:
    """The step around `node` (or itself) that stands in the scope of `target`; None if there is none."""
    around: Node | None = node
    while around is not None and around.scope is not target.scope:
        around = around.scope.owner
    return around
