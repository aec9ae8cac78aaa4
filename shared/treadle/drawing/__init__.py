"""Pictures of a workflow, and of a run where its view is given. Pure: the same definition gives the same picture, to the byte.

`definition` is the plain document (docs: the definition language), valid; `view` a RunView as JSON.
"""

from __future__ import annotations

from collections.abc import Callable

from .graph import Definition
from .html import html
from .svg import svg
from .text import dot, mermaid
from .view import View

__all__ = ["FORMATS", "dot", "draw", "html", "mermaid", "svg"]

_DRAW: dict[str, Callable[[Definition, View | None], str]] = {
    "mermaid": lambda definition, view: mermaid(definition),
    "dot": lambda definition, view: dot(definition),
    "svg": svg,
    "html": html,
}

#: What `draw` can make.
FORMATS = tuple(_DRAW)


def draw(format: str, definition: Definition, view: View | None = None) -> str:
    """The picture in one of FORMATS, as text. `mermaid` and `dot` show the definition only. Raises KeyError for another format."""
    return _DRAW[format](definition, view)
