"""Where everything goes: a layered drawing (Sugiyama's), computed here so that a picture needs no other program.

1. Layers: a step stands one layer behind the last step before it (longest path); long edges get a bend in each layer they cross.
2. Order and places within the layers: layers.py.
3. Groups are arranged first and are then one large box for the scope around them.

Lengths run along the flow (`main`) and across it (`cross`); only the last step turns them into x and y. Ties go by document
order, so that the same definition always gives the same picture.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from .graph import Edge, Node, Scope
from .layers import Item, Layers, order, place

GAP_MAIN = 44.0
GAP_LABELLED = 76.0  # room for an edge's label
GROUP_PADDING = 20.0
BEND_SIZE = 12.0
MAX_BENDS = 20_000  # past it long edges run straight, so that time stays linear in the size of the definition
SCREEN = (1600.0, 1000.0)

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    node: Node
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Wire:
    edge: Edge
    points: tuple[Point, ...]  # the first at the source's border, the last at the target's


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything in one plane from (0, 0), outer boxes before inner ones."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]
    is_horizontal: bool


def arrange(scope: Scope) -> Layout:
    """Top to bottom; or left to right, where that makes a large picture nearer to the shape of a screen."""
    vertical = _arrange(scope, is_horizontal=False)
    if vertical.width <= SCREEN[0]:
        return vertical
    horizontal = _arrange(scope, is_horizontal=True)
    return min(vertical, horizontal, key=lambda layout: max(layout.width / SCREEN[0], layout.height / SCREEN[1]))


def text_width(text: str, size: float) -> float:
    """Roughly, in a sans-serif face of that size; wide East Asian characters count double."""
    return sum(1.05 if unicodedata.east_asian_width(char) in "WF" else 0.58 for char in text) * size


def header(node: Node) -> float:
    """The height of a step's own text: its id, its action, a line for each mark."""
    return 54.0 + 16.0 * len(node.marks)


# ------------------------------------------------------------------------------------------------ one scope


def _arrange(scope: Scope, is_horizontal: bool) -> Layout:
    inner = {node.id: _arrange(node.inner, is_horizontal) for node in scope.nodes if node.inner}
    layer_of = _layers(scope)
    items: dict[str, Item] = {}
    for node in scope.nodes:
        width, height = _size(node, inner.get(node.id))
        items[node.id] = Item(*((width, height) if is_horizontal else (height, width)), layer=layer_of[node.id])
    layers: Layers = [[] for _ in range(max(layer_of.values(), default=0) + 1)]
    for item in items.values():
        layers[item.layer].append(item)
    chains = _chains(scope, items, layers)
    order(layers)
    place(layers)
    return _Plane(is_horizontal, layers, _starts(scope, layers, layer_of)).layout(scope, items, chains, inner)


def _size(node: Node, inner: Layout | None) -> Point:
    texts = [text_width(node.id, 14) + 66, text_width(node.subject, 11.5) + 48, *(text_width(mark, 11) + 28 for mark in node.marks)]
    width = max(132.0, min(max(texts), 250.0))
    if inner is None:
        return width, header(node)
    return max(width, inner.width + 2 * GROUP_PADDING), header(node) + inner.height + GROUP_PADDING


def _layers(scope: Scope) -> dict[str, int]:
    """The layer of each step by longest path; one that nothing comes before stands just before the first that needs it."""
    behind: dict[str, list[str]] = defaultdict(list)
    awaited = dict.fromkeys((node.id for node in scope.nodes), 0)
    for edge in scope.edges:
        behind[edge.source].append(edge.target)
        awaited[edge.target] += 1
    roots = [key for key, count in awaited.items() if count == 0]
    layer_of = dict.fromkeys(awaited, 0)
    ready = list(roots)
    for key in ready:  # grows while it is read
        for target in behind[key]:
            layer_of[target] = max(layer_of[target], layer_of[key] + 1)
            awaited[target] -= 1
            if awaited[target] == 0:
                ready.append(target)
    for key in roots:
        layer_of[key] = max(0, min((layer_of[target] - 1 for target in behind[key]), default=0))
    return layer_of


def _chains(scope: Scope, items: Mapping[str, Item], layers: Layers) -> dict[Edge, list[Item]]:
    """Each edge as the items that it runs through; its bends join their layers."""
    chains: dict[Edge, list[Item]] = {}
    bends_left = MAX_BENDS
    for edge in scope.edges:
        source, target = items[edge.source], items[edge.target]
        between = range(source.layer + 1, target.layer)[:bends_left]
        bends_left -= len(between)
        bends = [Item(main=0.0, cross=BEND_SIZE, layer=layer) for layer in between]
        for bend in bends:
            layers[bend.layer].append(bend)
        chains[edge] = chain = [source, *bends, target]
        for left, right in zip(chain, chain[1:], strict=False):
            left.behind.append(right)
            right.before.append(left)
    return chains


def _starts(scope: Scope, layers: Layers, layer_of: Mapping[str, int]) -> list[float]:
    """Where each layer begins, along the flow."""
    labelled = {layer_of[edge.target] for edge in scope.edges if edge.label}
    starts: list[float] = []
    at = 0.0
    for number, layer in enumerate(layers):
        if number:
            at += GAP_LABELLED if number in labelled else GAP_MAIN
        starts.append(at)
        at += max((item.main for item in layer), default=0.0)
    return starts


# ------------------------------------------------------------------------------------------------ from lengths to x and y


@dataclass(frozen=True, slots=True)
class _Plane:
    is_horizontal: bool
    layers: Layers
    starts: list[float]

    def layout(self, scope: Scope, items: Mapping[str, Item], chains: Mapping[Edge, list[Item]], inner: Mapping[str, Layout]) -> Layout:
        left = min(item.at - item.cross / 2 for layer in self.layers for item in layer)
        across = max(item.at + item.cross / 2 for layer in self.layers for item in layer) - left
        along = self.starts[-1] + self._depth(len(self.layers) - 1)
        boxes: list[Box] = []
        wires = [Wire(edge, tuple(self._point(main, cross - left) for main, cross in self._run(chain))) for edge, chain in chains.items()]
        for node in scope.nodes:
            item = items[node.id]
            x, y = self._point(self._start(item), item.at - item.cross / 2 - left)
            width, height = self._point(item.main, item.cross)
            boxes.append(Box(node, x, y, width, height))
            if node.id in inner:
                within = inner[node.id]
                moved = _moved(within, x + (width - within.width) / 2, y + header(node))
                boxes += moved.boxes
                wires += moved.wires
        return Layout(*self._point(along, across), tuple(boxes), tuple(wires), self.is_horizontal)

    def _point(self, main: float, cross: float) -> Point:
        return (main, cross) if self.is_horizontal else (cross, main)

    def _depth(self, layer: int) -> float:
        return max((item.main for item in self.layers[layer]), default=0.0)

    def _start(self, item: Item) -> float:
        """In the middle of its layer; with the flow from left to right too."""
        return self.starts[item.layer] + (self._depth(item.layer) - item.main) / 2

    def _run(self, chain: list[Item]) -> list[Point]:
        """(main, cross) from the source's far border to the target's near one, straight through each layer that is crossed."""
        source, *bends, target = chain
        points = [(self._start(source) + source.main, source.at)]
        for bend in bends:
            start = self.starts[bend.layer]
            points += [(start, bend.at), (start + self._depth(bend.layer), bend.at)]
        return [*points, (self._start(target), target.at)]


def _moved(layout: Layout, x: float, y: float) -> Layout:
    return replace(
        layout,
        boxes=tuple(replace(box, x=box.x + x, y=box.y + y) for box in layout.boxes),
        wires=tuple(replace(wire, points=tuple((px + x, py + y) for px, py in wire.points)) for wire in layout.wires),
    )
