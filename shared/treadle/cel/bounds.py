"""How much an expression may make of what it is given, and how long it may look: measured before it is evaluated.

The runtime bounds iterations and nesting, but neither the memory that copies take nor the size of regular expressions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from ..core.errors import ExpressionFault
from ..regexes import RegexFault, regex_size
from .tree import Access, Items, Pattern, Repeated

MAX_MADE = 64 * 1024 * 1024  # bytes, roughly, of all copies together
FEW_COPIES = 16  # of all that is given: not worth measuring
ITERATIONS = 10_000  # the runtime's own bound


def check(
    names: Mapping[str, Any], copies: int, paths: Iterable[Access], repeated: Iterable[Repeated], patterns: Iterable[Pattern]
) -> None:
    """Raises ExpressionFault. `paths`: all that the expression reads; `copies`: how many of it the value may hold."""
    for pattern in patterns:
        _regex_size("".join(piece if isinstance(piece, str) else _text_at(names, piece) for piece in pattern))
    made = sum(_size(_at(names, one.path)) * _times(names, one.over) for one in repeated)
    if copies > FEW_COPIES:
        made += sum(_size(_at(names, path)) for path in paths)
    if made * copies > MAX_MADE:
        raise ExpressionFault(f"it could make more than {MAX_MADE >> 20} MiB of copies of what it is given")


def literal_size(pattern: Pattern) -> int:
    """In instructions, of a pattern that is all text, when the expression is read; 0 for others. Raises ExpressionFault with a column."""
    literal = "".join(piece for piece in pattern if isinstance(piece, str))
    return _regex_size(literal, 1) if all(isinstance(piece, str) for piece in pattern) else 0


def _times(names: Mapping[str, Any], over: tuple[Items, ...]) -> int:
    times = 1
    for items in over:
        times *= items if isinstance(items, int) else ITERATIONS if items is None else _count(_at(names, items))
    return min(times, ITERATIONS)


def _count(value: Any) -> int:
    return len(value) if isinstance(value, list | dict) else 0


def _at(names: Mapping[str, Any], path: Access) -> Any:
    value: Any = names
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _text_at(names: Mapping[str, Any], path: Access) -> str:
    value = _at(names, path)
    return value if isinstance(value, str) else ""  # the runtime says what is wrong with any other


def _size(value: Any) -> int:
    """Bytes, roughly: characters of strings and keys, 8 for anything else."""
    size = 0
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, str):
            size += len(one)
        elif isinstance(one, Mapping):
            size += sum(map(len, one))
            todo += one.values()
        elif isinstance(one, list):
            todo += one
        size += 8
    return size


@lru_cache(maxsize=1024)
def _regex_size(pattern: str, column: int | None = None) -> int:
    try:
        return regex_size(pattern)
    except RegexFault as fault:
        raise ExpressionFault(str(fault), column) from fault  # whoever checks many counts them
