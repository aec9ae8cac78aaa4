"""The graph as SVG: one self-contained picture, light or dark as the reader's system is.

Everything that comes from the definition or the run goes through `escaped`. Colour never speaks alone: a status also has a
sign and a word in the step's title.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import pairwise
from typing import Any

from .graph import Definition, Kind, read
from .layout import ID_SIZE, LABEL_SIZE, Box, Layout, Point, Wire, arrange, label_width, text_width
from .style import GRAPH_STYLE
from .view import State, View, states

MARGIN = 24.0

# 16 x 16 line drawings
_ICONS = {
    "task": "M5 3l8 5-8 5z",
    "set": "M3 6h10M3 10h10",
    "wait": "M8 2a6 6 0 1 0 .01 0zM8 5v3.500l2.500 1.500",
    "signal": "M4 14V2h8l-2 3 2 3H4",
    "approval": "M8 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM3 14c0-3 2-4.500 5-4.500s5 1.500 5 4.500",
    "workflow": "M2 2h8v8H2zM6 10v4h8V6h-4",
    "emit": "M3 13L13 3M6 3h7v7",
    "switch": "M8 2l6 6-6 6-6-6z",
    "group": "M2 3h12v10H2zM2 6.500h12",
    "fail": "M8 2a6 6 0 1 0 .01 0zM5.500 5.500l5 5M10.500 5.500l-5 5",
}
_SIGNS = {
    "succeeded": "M3 8.500l3.500 3.500L13 5",
    "failed": "M4 4l8 8M12 4l-8 8",
    "running": "M5 3l8 5-8 5z",
    "waiting": "M5.500 3v10M10.500 3v10",
    "queued": "M3 8h.01M8 8h.01M13 8h.01",
    "skipped": "M3 4l5 4-5 4M9 4l5 4-5 4",
    "cancelled": "M8 2a6 6 0 1 0 .01 0zM4 12l8-8",
    "pending": "M8 3a5 5 0 1 0 .01 0z",
}


def svg(definition: Definition, view: View | None = None) -> str:
    """A picture with its own style; with a view, coloured by what happened."""
    return graph_svg(definition, view, style=GRAPH_STYLE)


def graph_svg(definition: Definition, view: View | None, style: str = "") -> str:
    layout = arrange(read(definition))
    known = states(view)
    width, height = layout.width + 2 * MARGIN, layout.height + 2 * MARGIN
    name = escaped(definition.get("name") or definition.get("id") or "workflow")
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="treadle" role="img" viewBox="0 0 {_n(width)} {_n(height)}"'
        f' width="{_n(width)}" height="{_n(height)}" aria-label="{name}">',
        f"<title>{name}</title>",
        f"<style>{style}</style>" if style else "",
        *_arrow_heads(),
        f'<g transform="translate({_n(MARGIN)} {_n(MARGIN)})">',
        *(line for box in layout.boxes for line in _box(box, known.get(box.node.path), view is not None)),
        *(line for wire in layout.wires for line in _wire(wire, layout)),
        *(line for wire in layout.wires if wire.edge.label for line in _label(wire)),
        "</g>",
        "</svg>",
    ]
    return "\n".join(line for line in lines if line) + "\n"


def escaped(text: Any) -> str:
    """Safe in markup and in attributes. Control characters, which XML cannot hold, become a sign."""
    clean = "".join(char if char >= " " and not "\ud800" <= char <= "\udfff" and char not in "\ufffe\uffff" else " " for char in str(text))
    return escape(clean, quote=True)


def _arrow_heads() -> Iterator[str]:
    yield "<defs>"
    for name in ("plain", "choice", "catch"):
        yield (
            f'<marker id="arrow-{name}" class="arrow {name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"'
            ' orient="auto"><path d="M0 0L8 4L0 8z"/></marker>'
        )
    yield "</defs>"


# ------------------------------------------------------------------------------------------------ steps


def _box(box: Box, state: State | None, has_run: bool) -> Iterator[str]:
    node = box.node
    status = state.status if state else "pending" if has_run else ""
    kind = "group" if node.inner else "leaf"
    yield f'<g class="step {kind} {escaped(status)}" data-step="{escaped(node.path)}" transform="translate({_n(box.x)} {_n(box.y)})">'
    yield f"<title>{escaped(_title(box, state, status))}</title>"
    if node.is_loop:
        yield f'<rect class="card behind" x="5" y="-5" width="{_n(box.width)}" height="{_n(box.height)}" rx="9"/>'
    yield f'<rect class="card" width="{_n(box.width)}" height="{_n(box.height)}" rx="9"/>'
    yield f'<path class="icon" transform="translate(12 11)" d="{_ICONS[node.action]}"/>'
    yield _text("id", 36, 25, node.id, ID_SIZE, box.width - 36 - (30 if status else 10))
    yield _text("about", 12, 43, f"{node.action} {node.subject}".strip(), 11.5, box.width - 20 - _count_width(state))
    for number, mark in enumerate(node.marks):
        yield _text("mark", 12, 60 + 16 * number, mark, 11, box.width - 20)
    if status in _SIGNS:
        yield f'<path class="sign" transform="translate({_n(box.width - 26)} 11)" d="{_SIGNS[status]}"/>'
    if state and state.counts:
        yield f'<text class="count" x="{_n(box.width - 10)}" y="43" text-anchor="end">{_count(state)}</text>'
    yield "</g>"


def _text(kind: str, x: float, y: float, text: str, size: float, room: float) -> str:
    return f'<text class="{kind}" x="{_n(x)}" y="{_n(y)}">{escaped(shortened(text, size, room))}</text>'


def shortened(text: str, size: float, room: float) -> str:
    """As much of the text as there is room for."""
    if text_width(text, size) <= room:
        return text
    kept = text
    while kept and text_width(kept, size) + size > room:
        kept = kept[:-1]
    return f"{kept.rstrip()}…"


def _count(state: State) -> str:
    return f"{state.counts.get('succeeded', 0)}/{sum(state.counts.values())}"


def _count_width(state: State | None) -> float:
    return text_width(_count(state), 11) + 8 if state and state.counts else 0.0


def _title(box: Box, state: State | None, status: str) -> str:
    node = box.node
    parts = [f"{node.path}: {node.action} {node.subject}".strip(), *node.marks]
    if status:
        parts.append(f"status: {status}")
    if state:
        parts += [f"{count} {one}" for one, count in state.counts.items()]
        parts += [state.why] if state.why else []
        parts += [f"{state.attempts} attempts"] if state.attempts > 1 else []
    return " | ".join(parts)


# ------------------------------------------------------------------------------------------------ edges


def _wire(wire: Wire, layout: Layout) -> Iterator[str]:
    kind = {Kind.PLAIN: "plain", Kind.OUTCOME: "choice", Kind.CHOICE: "choice", Kind.CATCH: "catch"}[wire.edge.kind]
    what = f"{wire.edge.source} to {wire.edge.target}" + (f", {wire.edge.label}" if wire.edge.label else "")
    yield f'<path class="wire {kind}" marker-end="url(#arrow-{kind})" d="{_curve(wire.points, layout.is_horizontal)}">'
    yield f"<title>{escaped(what)}</title></path>"


def _curve(points: tuple[Point, ...], is_horizontal: bool) -> str:
    """Cubic curves that leave and enter along the flow; straight through the layers."""
    parts = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for (ax, ay), (bx, by) in pairwise(points):
        if ax == bx or ay == by:
            parts.append(f"L{_n(bx)} {_n(by)}")
        elif is_horizontal:
            parts.append(f"C{_n((ax + bx) / 2)} {_n(ay)} {_n((ax + bx) / 2)} {_n(by)} {_n(bx)} {_n(by)}")
        else:
            parts.append(f"C{_n(ax)} {_n((ay + by) / 2)} {_n(bx)} {_n((ay + by) / 2)} {_n(bx)} {_n(by)}")
    return "".join(parts)


def _label(wire: Wire) -> Iterator[str]:
    x, y = wire.label_at
    width = label_width(wire.edge)
    yield f'<rect class="label" x="{_n(x - width / 2)}" y="{_n(y - 8)}" width="{_n(width)}" height="16" rx="8"/>'
    text = shortened(wire.edge.label, LABEL_SIZE, width - 10)
    yield f'<text class="label" x="{_n(x)}" y="{_n(y + 3.5)}" text-anchor="middle">{escaped(text)}</text>'


def _n(number: float) -> str:
    """A coordinate, to a tenth."""
    return f"{number:.1f}".removesuffix(".0")
