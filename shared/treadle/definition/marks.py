"""Where things stand in the text of a document.

Marks are kept as light as they can be, for a document of a megabyte has a hundred thousand of them: an index for a scalar,
`(index, {key: (index of the key, marks of the value)})` for a map, `(index, [marks])` for a list. Lines and columns are
computed when somebody asks.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

from .diagnostics import Path

Marks = Any  # int | tuple[int, dict[str, tuple[int, Marks]]] | tuple[int, list[Marks]]

_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_FOLD = r"(?<![ \t])[ \t]*(?:\r\n|\r|\n)[ \t\r\n]*"  # within a flow scalar: one blank, or a break for each empty line
_CODES = r"u[dD][89abAB][0-9a-fA-F]{2}\\u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}"
_ESCAPE = rf"\\(?:(?:\r\n|\r|\n)[ \t\r\n]*|{_CODES}|[^\r\n])"
_SPECIAL = {"": re.compile(_FOLD), "'": re.compile(rf"''|'|{_FOLD}"), '"': re.compile(rf'{_ESCAPE}|"|{_FOLD}')}
_BLOCK_HEADER = re.compile(r"[|>][-+]?([1-9])?[^\r\n]*(?:\r\n|\r|\n)")
_MARKERS = re.compile(r" *(?:[-?:] +)*")  # before the first key of a line, or before an item that has none
_INDENTATION = re.compile(r"(?:[ \t]*(?:\r\n|\r|\n))*( *)")  # of the first line that is not blank


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


class Characters:
    """Offset in a string -> index in the text of the scalar that begins at `index`: quotes, escapes, folded lines and block
    indentation considered.

    What stands for itself is not looked at, and what is looked at is kept: a string may have thousands of faults.
    """

    def __init__(self, text: str, index: int) -> None:
        self._text = text
        self._offsets = [0]  # from this offset on ...
        self._indexes = [index]  # ... the string goes on from this index, one character for one
        first = text[index : index + 1]
        self._more = _block_pieces(text, index) if first in ("|", ">") else _flow_pieces(text, index, first if first in ("'", '"') else "")

    def index(self, offset: int) -> int:
        while self._offsets[-1] <= offset and (piece := next(self._more, None)):
            self._offsets.append(piece[0])
            self._indexes.append(piece[1])
        number = bisect_right(self._offsets, offset) - 1
        return min(self._indexes[number] + offset - self._offsets[number], len(self._text))


def _flow_pieces(text: str, index: int, quote: str) -> Iterator[tuple[int, int]]:
    """(offset, index) behind each thing that takes another number of characters in the text than in the string."""
    at = index + len(quote)
    offset = 0
    yield 0, at
    for special in _SPECIAL[quote].finditer(text, at):
        if special[0] == quote:
            return
        offset += special.start() - at + _length(special[0])
        at = special.end()
        yield offset, at


def _length(special: str) -> int:
    """What it is in the string. Of several line breaks the first stands for nothing."""
    breaks = len(_LINE_BREAK.findall(special))
    return 1 if breaks == 0 else breaks - 1 if special[0] == "\\" else max(1, breaks - 1)


def _block_pieces(text: str, index: int) -> Iterator[tuple[int, int]]:
    """(offset, index) of each line of a block scalar; of one that is folded, of those that are not blank."""
    header = _BLOCK_HEADER.match(text, index)
    if header is None:
        return
    is_folded, width = text[index] == ">", _width(text, index, header)
    at, offset, breaks = header.end(), 0, 0
    follows_text = False  # a line that is folded with this one
    for line_break in _LINE_BREAK.finditer(text, at):
        content = min(at + width, line_break.start())
        is_text = is_folded and text[content] not in " \t\r\n"
        if not is_folded or content < line_break.start():
            offset += max(1, breaks - 1) if is_text and follows_text else breaks
            yield offset, content
            offset += line_break.start() - content
            breaks, follows_text = 0, is_text
        breaks += 1
        at = line_break.end()
    yield offset + breaks, min(at + width, len(text))


def _width(text: str, index: int, header: re.Match[str]) -> int:
    """Of the indentation: as the header says, counted from what is around the scalar, or that of the first line that is not blank."""
    if header[1] is None:
        indentation = _INDENTATION.match(text, header.end())
        return len(indentation[1]) if indentation else 0
    before = text[_line_start(text, index) : index]
    markers = _MARKERS.match(before)
    around = markers.end() if markers else 0
    return int(header[1]) + (len(before.rstrip()) - 1 if around == len(before) else around)


def _line_start(text: str, index: int) -> int:
    after = text.rfind("\n", 0, index) + 1
    return max(after, text.rfind("\r", after, index) + 1)
