"""The places in the source from which AWS is called: all there are, read from the source, and the one that a call comes from.

A place is a function and what it calls: `engine/claims.py:take store.put`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import CodeType

PACKAGE = Path(__file__).resolve().parent.parent
_CHECKED = "engine/reading.py"  # hands on the calls of others
_PASSED = (str(Path(__file__).parent), str(PACKAGE / _CHECKED))
_METHODS = {
    "store": ("get", "get_many", "put", "update", "delete", "query", "query_due", "query_list"),
    "lanes": ("send", "defer"),
    "bus": ("put",),
    "blobs": ("get", "put", "under", "remove"),
    "inbox": ("get", "put"),
    "secrets": ("get",),
}
_PORT_IN_CALLS = {"inbox": "blobs"}  # a bucket as well
_INNER = re.compile(r"\.<locals>\.<\w+>")  # a comprehension or a lambda is part of its function


def calling() -> str:
    """The place that the call under way comes from, without what it calls: the first frame that does not just hand it on."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PASSED):
        frame = frame.f_back
    return _place_of(frame.f_code)


@cache
def _place_of(code: CodeType) -> str:
    path = Path(code.co_filename)
    name = path.relative_to(PACKAGE) if path.is_relative_to(PACKAGE) else Path(path.name)
    return f"{name.as_posix()}:{_INNER.sub('', code.co_qualname)}"


def all_places(*names: str) -> set[str]:
    """Of these files and folders of the package."""
    sources = [path for name in names for path in _sources(PACKAGE / name)]
    return {place for path in sources if path != PACKAGE / _CHECKED for place in _in(path)}


def _sources(path: Path) -> list[Path]:
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def _in(path: Path) -> Iterator[str]:
    name = path.relative_to(PACKAGE).as_posix()
    for function, call in _calls(ast.parse(path.read_text(encoding="utf-8")), ""):
        yield f"{name}:{function} {call}"


def _calls(node: ast.AST, within: str) -> Iterator[tuple[str, str]]:
    for child in ast.iter_child_nodes(node):
        inner = within
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            between = ".<locals>." if isinstance(node, ast.FunctionDef) else "."
            inner = f"{within}{between}{child.name}" if within else child.name
        elif isinstance(child, ast.Call) and (call := _port_call(child.func)) is not None:
            yield within, call
        yield from _calls(child, inner)


def _port_call(called: ast.expr) -> str | None:
    """`store.put` of `self.run.world.store.put(...)`."""
    if not isinstance(called, ast.Attribute):
        return None
    port = called.value.attr if isinstance(called.value, ast.Attribute) else called.value.id if isinstance(called.value, ast.Name) else ""
    if called.attr not in _METHODS.get(port, ()):
        return None
    return f"{_PORT_IN_CALLS.get(port, port)}.{called.attr}"
