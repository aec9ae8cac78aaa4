"""The two hard parts of a layered drawing: the order within each layer, and the places across the flow.

Both work on items that know their neighbours in the next layers, and leave their answer in `Item.at`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

GAP = 28.0  # between two items of a layer
ORDER_SWEEPS = 8
PLACE_SWEEPS = 8


@dataclass(slots=True, eq=False)
class Item:
    """A step, or the bend of a long edge in a layer that it crosses."""

    main: float  # its size along the flow
    cross: float  # and across
    layer: int
    room: float = 0.0  # at least what it takes across, with what belongs to it
    at: float = 0.0  # while ordering its number in its layer, then the place of its centre
    before: list[Item] = field(default_factory=list)  # neighbours in earlier layers
    behind: list[Item] = field(default_factory=list)  # and in later ones

    def __post_init__(self) -> None:
        self.room = max(self.room, self.cross)


Layers = list[list[Item]]


def order(layers: Layers) -> None:
    """Sort each layer by the mean number of the neighbours, to and fro, and keep the order with the fewest crossings."""
    best = _numbered(layers)
    fewest = _crossings(layers)
    for sweep in range(ORDER_SWEEPS):
        if fewest == 0:
            break
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            layer.sort(key=_mean_before if sweep % 2 == 0 else _mean_behind)
            _number(layer)
        crossings = _crossings(layers)
        if crossings < fewest:
            best, fewest = _numbered(layers), crossings
    layers[:] = best
    _numbered(layers)


def _numbered(layers: Layers) -> Layers:
    for layer in layers:
        _number(layer)
    return [list(layer) for layer in layers]


def _number(layer: Sequence[Item]) -> None:
    for number, item in enumerate(layer):
        item.at = float(number)


def _mean_before(item: Item) -> float:
    return _mean(item.before, item.at)


def _mean_behind(item: Item) -> float:
    return _mean(item.behind, item.at)


def _mean_around(item: Item) -> float:
    return _mean(item.before + item.behind, item.at)


def _mean(items: Sequence[Item], otherwise: float) -> float:
    return sum(item.at for item in items) / len(items) if items else otherwise


def _crossings(layers: Layers) -> int:
    """Pairs of edges that cross: inversions, counted with a Fenwick tree."""
    total = 0
    for layer in layers:
        ends = [int(end) for item in layer for end in sorted(other.at for other in item.behind)]
        tree = [0] * (max(ends, default=0) + 2)
        for seen, end in enumerate(ends):
            total += seen - _count_up_to(tree, end + 1)
            _add(tree, end + 1)
    return total


def _count_up_to(tree: Sequence[int], at: int) -> int:
    count = 0
    while at > 0:
        count += tree[at]
        at -= at & -at
    return count


def _add(tree: list[int], at: int) -> None:
    while at < len(tree):
        tree[at] += 1
        at += at & -at


def place(layers: Layers) -> None:
    """Move every item as near to its neighbours as the order of its layer and the gaps allow."""
    for layer in layers:
        _settle(layer, lambda item: 0.0)
    wishes = (_mean_before, _mean_behind)
    for sweep in range(PLACE_SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            _settle(layer, wishes[sweep % 2])
    for layer in layers:
        _settle(layer, _mean_around)


def _settle(layer: Sequence[Item], wish: Callable[[Item], float]) -> None:
    """The places nearest to the wishes (least squares) that keep order and gaps: isotonic regression.

    Less the room that what stands before it needs, an item's place may not be less than its predecessor's. So blocks of
    items that would overlap are merged and share the mean of their wishes (pool adjacent violators).
    """
    room = 0.0
    offsets: list[float] = []
    blocks: list[tuple[float, int]] = []  # (sum of wishes, number of items)
    for number, item in enumerate(layer):
        if number:
            room += (layer[number - 1].room + item.room) / 2 + GAP
        offsets.append(room)
        blocks.append((wish(item) - room, 1))
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1] = (blocks[-1][0] + total, blocks[-1][1] + count)
    places = [total / count for total, count in blocks for _ in range(count)]
    for item, place_, offset in zip(layer, places, offsets, strict=True):
        item.at = place_ + offset
