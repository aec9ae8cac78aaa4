"""Where everything goes: a layered drawing (Sugiyama's), computed here so that a picture needs no other program.

1. Layers: a step stands one layer behind the last step before it (longest path); long edges get a bend in each layer they cross.
2. Order and places within the layers: layers.py.
3. Groups are arranged first and are then one large box for the scope around them.

Lengths run along the flow (`main`) and across it (`cross`); only the last step turns them into x and y. Ties go by document
order, so that the same definition always gives the same picture.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from .graph import Edge, Node, Scope
from .layers import Item, Layers, order, place

GAP_MAIN = 44.0
GAP_LABELLED = 76.0  # room for an edge's label, which stands upright
LABEL_WIDTH = 160.0  # at most
LABEL_SIZE = 10.5
LABEL_ROW = 19.0  # labels of edges into one step stand in rows
MAX_ROWS = 6
GROUP_PADDING = 20.0
BEND_SIZE = 12.0
PORT_GAP = 14.0
ENTRY_GAP = 18.0  # where the flow is from left to right: a label is as high
MAX_BENDS = 20_000  # past it long edges run straight, so that time stays linear in the size of the definition
ID_SIZE = 15.5  # wider than it is set: bold
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
    label_at: Point  # the middle of its label: in the gap before the target's layer, where the ways of a choice are apart


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


def label_width(edge: Edge) -> float:
    return min(text_width(edge.label, LABEL_SIZE) + 12, LABEL_WIDTH)


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
    if not is_horizontal:
        _make_room_for_labels(scope, items)
    layers: Layers = [[] for _ in range(max(layer_of.values(), default=0) + 1)]
    for item in items.values():
        layers[item.layer].append(item)
    chains = _chains(scope, items, layers)
    order(layers)
    place(layers)
    gaps = _gaps(scope, layer_of, is_horizontal)
    depths = [max((item.main for item in layer), default=0.0) for layer in layers]
    starts = list(accumulate((depth + gaps.get(number + 1, GAP_MAIN) for number, depth in enumerate(depths)), initial=0.0))
    return _Plane(is_horizontal, layers, starts, depths).layout(scope, items, chains, inner)


def _size(node: Node, inner: Layout | None) -> Point:
    about = text_width(f"{node.action} {node.subject}", 11.5) + 30
    texts = [text_width(node.id, ID_SIZE) + 68, about, *(text_width(mark, 11) + 28 for mark in node.marks)]
    width = max(132.0, min(max(texts), 264.0))
    if inner is None:
        return width, header(node)
    return max(width, inner.width + 2 * GROUP_PADDING), header(node) + inner.height + GROUP_PADDING


def _make_room_for_labels(scope: Scope, items: Mapping[str, Item]) -> None:
    for edge in scope.edges:
        if edge.label:
            items[edge.target].room = max(items[edge.target].room, label_width(edge))


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
        for left, right in pairwise(chain):
            left.behind.append(right)
            right.before.append(left)
    return chains


def _gaps(scope: Scope, layer_of: Mapping[str, int], is_horizontal: bool) -> dict[int, float]:
    """The gap before each layer that labelled edges lead into; elsewhere GAP_MAIN."""
    gaps: dict[int, float] = {}
    rows = Counter(edge.target for edge in scope.edges if edge.label)
    for edge in scope.edges:
        if edge.label:
            row = LABEL_ROW * (min(rows[edge.target], MAX_ROWS) - 1)
            layer, gap = layer_of[edge.target], label_width(edge) + 40 if is_horizontal else GAP_LABELLED + row
            gaps[layer] = max(gaps.get(layer, GAP_LABELLED), gap)
    return gaps


# ------------------------------------------------------------------------------------------------ from lengths to x and y


@dataclass(frozen=True, slots=True)
class _Plane:
    is_horizontal: bool
    layers: Layers
    starts: list[float]
    depths: list[float]  # the size of each layer along the flow

    def layout(self, scope: Scope, items: Mapping[str, Item], chains: Mapping[Edge, list[Item]], inner: Mapping[str, Layout]) -> Layout:
        left = min((item.at - item.room / 2 for layer in self.layers for item in layer), default=0.0)
        across = max((item.at + item.room / 2 for layer in self.layers for item in layer), default=0.0) - left
        along = self.starts[len(self.layers) - 1] + self.depths[-1]
        boxes: list[Box] = []
        ports, entries, rows = _ports(chains), _entries(chains, self.is_horizontal), _rows(chains)
        wires = [self._wire(edge, chain, left, (ports[edge], entries[edge]), rows.get(edge, 0)) for edge, chain in chains.items()]
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

    def _start(self, item: Item) -> float:
        """In the middle of its layer; with the flow from left to right too."""
        return self.starts[item.layer] + (self.depths[item.layer] - item.main) / 2

    def _wire(self, edge: Edge, chain: list[Item], left: float, ports: Point, row: int) -> Wire:
        """From border to border: it bends only in the gaps between layers, so that it never runs across a step."""
        source, *bends, target = chain
        port, entry = ports
        points = [(self._start(source) + source.main, port), (self._end_of_layer(source), port)]
        for bend in bends:
            points += [(self.starts[bend.layer], bend.at), (self._end_of_layer(bend), bend.at)]
        points += [(self.starts[target.layer], entry), (self._start(target), entry)]
        (main, cross), (next_main, next_cross) = points[-3], points[-2]
        # with the flow from left to right in the middle, where the widest one ends before the arrow's head
        t = 0.5 if self.is_horizontal else _part_of_curve(next_main - main, 21 + LABEL_ROW * row)
        label = main + (next_main - main) * (1.5 * t * (1 - t) + t**3), cross + (next_cross - cross) * (3 * t**2 - 2 * t**3)
        distinct = dict.fromkeys(self._point(along, across - left) for along, across in points)
        return Wire(edge, tuple(distinct), self._point(label[0], label[1] - left))

    def _end_of_layer(self, item: Item) -> float:
        return self.starts[item.layer] + self.depths[item.layer]


def _part_of_curve(length: float, before_end: float) -> float:
    """How far along a curve, as a part of it, one is so far from its end along the flow."""
    low, high = 0.2, 0.95
    for _ in range(20):
        t = (low + high) / 2
        is_short = length * (1 - 1.5 * t * (1 - t) - t**3) > before_end
        low, high = (t, high) if is_short else (low, t)
    return low


def _entries(chains: Mapping[Edge, list[Item]], is_horizontal: bool) -> dict[Edge, float]:
    """Where each edge enters its target, across: side by side, in the order of where they come from."""
    entering: dict[str, list[Edge]] = defaultdict(list)
    for edge in chains:
        entering[edge.target].append(edge)
    entries: dict[Edge, float] = {}
    for edges in entering.values():
        target = chains[edges[0]][-1]
        edges.sort(key=lambda edge: chains[edge][-2].at)
        usual = ENTRY_GAP if is_horizontal else PORT_GAP
        apart = min(usual, (target.cross - PORT_GAP) / max(1, len(edges) - 1))
        for number, edge in enumerate(edges):
            entries[edge] = target.at + apart * (number - (len(edges) - 1) / 2)
    return entries


def _rows(chains: Mapping[Edge, list[Item]]) -> dict[Edge, int]:
    """In which row the label of each edge stands, from the step that it leads to on."""
    taken: Counter[str] = Counter()
    rows: dict[Edge, int] = {}
    for edge in sorted((edge for edge in chains if edge.label), key=lambda edge: chains[edge][-2].at):
        rows[edge] = taken[edge.target] % MAX_ROWS
        taken[edge.target] += 1
    return rows


def _ports(chains: Mapping[Edge, list[Item]]) -> dict[Edge, float]:
    """Where each edge leaves its source, across: side by side, in the order of where they go."""
    leaving: dict[str, list[Edge]] = defaultdict(list)
    for edge in chains:
        leaving[edge.source].append(edge)
    ports: dict[Edge, float] = {}
    for edges in leaving.values():
        source = chains[edges[0]][0]
        edges.sort(key=lambda edge: chains[edge][1].at)
        apart = min(PORT_GAP, (source.cross - PORT_GAP) / max(1, len(edges) - 1))
        for number, edge in enumerate(edges):
            ports[edge] = source.at + apart * (number - (len(edges) - 1) / 2)
    return ports


def _moved(layout: Layout, x: float, y: float) -> Layout:
    return replace(
        layout,
        boxes=tuple(replace(box, x=box.x + x, y=box.y + y) for box in layout.boxes),
        wires=tuple(
            Wire(wire.edge, tuple((px + x, py + y) for px, py in wire.points), (wire.label_at[0] + x, wire.label_at[1] + y))
            for wire in layout.wires
        ),
    )
