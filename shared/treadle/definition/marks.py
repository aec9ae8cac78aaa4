"""Where things stand in the text of a document.

Marks are kept as light as they can be, for a document of a megabyte has a hundred thousand of them: an index for a scalar,
`(index, {key: (index of the key, marks of the value)})` for a map, `(index, [marks])` for a list. Lines and columns are
computed when somebody asks.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Any

from .diagnostics import Path

Marks = Any  # int | tuple[int, dict[str, tuple[int, Marks]]] | tuple[int, list[Marks]]

_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_FOLD = re.compile(r"[ \t]*(?:\r\n|\r|\n)[ \t\r\n]*")  # what a line break within a flow scalar stands for: one blank
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_BLOCK_HEADER = re.compile(r"[|>][-+0-9]*[^\r\n]*(?:\r\n|\r|\n)")
_BLANK_LINES = re.compile(r"(?:[ \t]*(?:\r\n|\r|\n))*")


class Lines:
    """Index in the text -> (line, column), both from 1, columns in characters."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in _LINE_BREAK.finditer(text))]

    def place(self, index: int) -> tuple[int, int]:
        line = bisect_right(self._starts, index)
        return line, index - self._starts[line - 1] + 1

    def text_of(self, line: int, text: str) -> str:
        """A line of the text without its end."""
        end = self._starts[line] if line < len(self._starts) else len(text)
        return text[self._starts[line - 1] : end].rstrip("\r\n")


def find(marks: Marks, path: Path, *, at_key: bool = False) -> int:
    """Index of the value at `path` (or of its key); of the nearest thing around it that has a mark if it is not there."""
    index = start(marks)
    for number, part in enumerate(path):
        inner = marks[1] if isinstance(marks, tuple) else None
        if isinstance(inner, dict) and isinstance(part, str) and part in inner:
            key_index, marks = inner[part]
            index = key_index if at_key and number == len(path) - 1 else start(marks)
        elif isinstance(inner, list) and isinstance(part, int) and part < len(inner):
            marks = inner[part]
            index = start(marks)
        else:
            break
    return index


def start(marks: Marks) -> int:
    return marks if isinstance(marks, int) else marks[0]


def within_string(text: str, index: int, offset: int) -> int:
    """Index in the text of character `offset` of the string whose scalar begins at `index`: quotes, escapes, folded lines
    and block indentation considered. Where blank lines are folded it may be a few characters off."""
    if text[index : index + 1] in ("|", ">"):
        return _within_block(text, index, offset)
    quote = text[index : index + 1] if text[index : index + 1] in ("'", '"') else ""
    at = index + len(quote)
    for _ in range(offset):
        if fold := _FOLD.match(text, at):
            at = fold.end()
        elif quote == '"' and (escape := _ESCAPE.match(text, at)):
            at = escape.end()
        else:
            at += 2 if quote == "'" and text.startswith("''", at) else 1
    return min(at, len(text))


def _within_block(text: str, index: int, offset: int) -> int:
    header = _BLOCK_HEADER.match(text, index)
    if header is None:
        return index
    blank = _BLANK_LINES.match(text, header.end())
    first = blank.end() if blank else header.end()
    indentation = len(text) - first - len(text[first:].lstrip(" "))
    at = header.end()
    while at < len(text):
        line_break = _LINE_BREAK.search(text, at)
        content = min(at + indentation, line_break.start() if line_break else len(text))
        length = (line_break.start() + 1 if line_break else len(text)) - content
        if offset < length or line_break is None:
            return min(content + offset, len(text))
        offset -= length
        at = line_break.end()
    return index
