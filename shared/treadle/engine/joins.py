"""Wide joins: a tree of nodes of at most 256 members, each a set of members per way an edge can come out.

`ADD` of a member is idempotent and answers the whole node, so whoever adds the last one sees it full: no count is ever read
and then acted on, a repeated delivery changes nothing, and each branch costs one write of at most 1 KB at any width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..core.advance import Edging, Tally
from ..core.paths import PAGE
from ..ports import Change, Item
from .items import join_key
from .run import Run

SETS = {Edging.LIVE: "live", Edging.DEAD: "dead", Edging.FAILED: "failed"}


def add(run: Run, container: str, name: str, width: int, members: Mapping[int, Edging], *, early: bool = False) -> Tally | None:
    """Add edges (by number) of the join `name` in `container`; the tally once it is complete, else None.

    Wide trees tally their topmost node: whether any edge lives or failed is the same there. `early`: joins that may be decided
    before they are complete (`any`, N) keep all members in one node and tally each time.
    """
    level = 0
    while True:
        size = width if early else PAGE
        complete: dict[int, Edging] = {}
        top: Tally | None = None
        for node in sorted({number // size for number in members}):
            of_node = {number % size: how for number, how in members.items() if number // size == node}
            item = _add(run, container, name, level, node, of_node)
            tally = _tally(item)
            if early:
                return tally
            if tally.resolved == min(size, width - node * size):
                complete[node] = Edging.FAILED if tally.failed else Edging.LIVE if tally.live else Edging.DEAD
                top = tally
        if not complete or width <= size:
            return top if complete else None
        level, members, width = level + 1, complete, -(-width // size)


def nodes_of(width: int) -> Iterator[tuple[int, int]]:
    """(level, node) of all nodes that a join of so many edges may have."""
    level = 0
    while True:
        count = -(-width // PAGE)
        yield from ((level, node) for node in range(count))
        if count <= 1:
            return
        level, width = level + 1, count


def _add(run: Run, container: str, name: str, level: int, node: int, members: Mapping[int, Edging]) -> Item:
    added: dict[str, set[int]] = {}
    for number, how in members.items():
        added.setdefault(SETS[how], set()).add(number)
    expires = {"expires": run.control["expires"]} if "expires" in run.control else {}
    written = run.world.store.update(join_key(run.id, run.generation, container, name, level, node), Change(add=added, set=expires))
    return written.item or {}


def _tally(item: Item) -> Tally:
    return Tally(*(len(item.get(SETS[how], ())) for how in (Edging.LIVE, Edging.DEAD, Edging.FAILED)))
