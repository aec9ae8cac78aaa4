"""From whatever holds a definition (text, bytes, a file, data) to a Document.

A text whose first character is `{` is JSON, any other is YAML. Size, encoding and nesting are looked at before anything is built.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from .diagnostics import Code, Fault, Path, kind
from .document import MAX_BYTES, MAX_DEPTH, Document, is_int64
from .json_reader import read_json

Source = Mapping[str, Any] | str | bytes | os.PathLike[str]

_TOO_LARGE = "the document is larger than 1 MiB"
_BOM = "\ufeff"


def read(source: Source) -> Document:
    """Never raises for what the source holds; a file that cannot be opened raises OSError."""
    if isinstance(source, str):
        return read_text(source)
    if isinstance(source, bytes | bytearray):
        return read_bytes(bytes(source))
    if isinstance(source, os.PathLike):
        with FilePath(source).open("rb") as file:
            return read_bytes(file.read(MAX_BYTES + 1))
    return read_data(source)


def read_bytes(content: bytes) -> Document:
    if len(content) > MAX_BYTES:
        return _refused(Code.LIMIT_EXCEEDED, _TOO_LARGE)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        return _refused(Code.SYNTAX, "the document is not UTF-8", before, index=len(before))
    return read_text(text)


def read_text(text: str) -> Document:
    try:
        size_bytes = len(text) if text.isascii() else len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        return _refused(Code.SYNTAX, "half of a surrogate pair is no character", text, index=error.start)
    if size_bytes > MAX_BYTES:
        return _refused(Code.LIMIT_EXCEEDED, _TOO_LARGE)
    if text.startswith(_BOM):
        return _refused(Code.SYNTAX, "the document begins with a byte order mark: save it as plain UTF-8", text, index=0)
    if text.startswith("{"):
        return read_json(text)
    from .yaml_reader import read_yaml  # on demand: most of what functions do reads no YAML

    return read_yaml(text)


def read_data(value: Any) -> Document:
    """A definition that is data already: copied to plain JSON, so that nobody can change it afterwards."""
    copier = _Copier()
    copied = copier.copy(value, ())
    return Document(copied, None, None, tuple(copier.faults))


def _refused(code: Code, message: str, text: str = "", index: int = 0) -> Document:
    return Document(None, text, None, (Fault(code, message, index=index),))


class _Copier:
    """Stops where the copy would be larger than a document may be, so that data that refers to itself costs no more."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._room = MAX_BYTES

    def copy(self, value: Any, path: Path) -> Any:
        if self._room < 0:
            return None
        self._take(2, path)
        match value:
            case None | bool():
                return value
            case str():
                return self._text(value, path)
            case int() | float():
                return self._number(value, path)
            case Mapping():
                return self._map(value, path)
            case list() | tuple():
                return [self.copy(inner, (*path, index)) for index, inner in enumerate(value)] if self._may_nest(path) else None
            case _:
                self.faults.append(Fault(Code.SYNTAX, f"{type(value).__name__} is no JSON value", path))
                return None

    def _map(self, value: Mapping[Any, Any], path: Path) -> dict[str, Any] | None:
        if not self._may_nest(path):
            return None
        copied: dict[str, Any] = {}
        for key, inner in value.items():
            if not isinstance(key, str):
                self.faults.append(Fault(Code.UNSAFE_YAML, f"a key is a string, not {kind(key)}", (*path, str(key)), at_key=True))
                continue
            copied[self._text(key, path)] = self.copy(inner, (*path, key))
        return copied

    def _text(self, value: str, path: Path) -> str:
        try:
            self._take(len(value.encode("utf-8")), path)
        except UnicodeEncodeError:
            self.faults.append(Fault(Code.SYNTAX, "half of a surrogate pair is no character", path))
        return str(value)

    def _number(self, value: int | float, path: Path) -> int | float | None:
        if isinstance(value, float) and not math.isfinite(value):
            self.faults.append(Fault(Code.SYNTAX, f"{value} is no JSON number", path))
            return None
        if isinstance(value, int) and not is_int64(value):
            self.faults.append(Fault(Code.BAD_VALUE, "the whole number does not fit into 64 bits", path))
            return None
        return value

    def _may_nest(self, path: Path) -> bool:
        if len(path) >= MAX_DEPTH:
            self.faults.append(Fault(Code.LIMIT_EXCEEDED, f"nested deeper than {MAX_DEPTH}", path))
            self._room = -1
            return False
        return True

    def _take(self, size_bytes: int, path: Path) -> None:
        self._room -= size_bytes
        if self._room < 0:
            self.faults.append(Fault(Code.LIMIT_EXCEEDED, _TOO_LARGE, ()))
