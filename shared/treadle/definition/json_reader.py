"""Strict JSON with the place of every key and value.

Refused: duplicate keys, NaN and Infinity, whole numbers outside 64 bits, unpaired surrogates, nesting beyond `MAX_DEPTH`.
"""

from __future__ import annotations

import re
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]  # the C scanner, which the stubs leave out
from typing import Any

from .diagnostics import Code, Fault, Path, shown
from .document import MAX_DEPTH, Document, Unreadable, to_number
from .marks import Marks

_BLANKS = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORD = re.compile(r"-?[A-Za-z_][A-Za-z0-9_]*")
_WORDS = {"true": True, "false": False, "null": None}
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_json(text: str) -> Document:
    """The document, or as much of a fault list as could be found (a syntax fault ends the reading)."""
    reader = _Reader(text)
    try:
        value, marks = reader.document()
    except Unreadable as unreadable:
        return Document(None, text, None, (*reader.faults, unreadable.fault))
    return Document(value, text, marks, tuple(reader.faults))


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.path: list[str | int] = []
        self.faults: list[Fault] = []
        self._may_hold_surrogates = "\\ud" in text or "\\uD" in text

    def document(self) -> tuple[Any, Marks]:
        self._skip()
        found = self._value()
        self._skip()
        if self.at < len(self.text):
            raise self._syntax("there is something behind the end of the document", self.at)
        return found

    def _value(self) -> tuple[Any, Marks]:
        start = self.at
        match self.text[start : start + 1]:
            case "{":
                return self._map(start)
            case "[":
                return self._list(start)
            case '"':
                return self._string(), start
            case _:
                return self._scalar(start), start

    def _map(self, start: int) -> tuple[Any, Marks]:
        self._check_depth(start)
        value: dict[str, Any] = {}
        marks: dict[str, tuple[int, Marks]] = {}
        self._step()
        if self._takes("}"):
            return value, (start, marks)
        while True:
            key_at = self.at
            if not self.text.startswith('"', key_at):
                raise self._syntax("expected a key in double quotes", key_at)
            key = self._string()
            self._skip()
            self._expect(":", "expected `:` behind the key")
            self.path.append(key)
            inner, inner_marks = self._value()
            if key in value:
                self._fault(Code.DUPLICATE_KEY, f"the key {shown(key)} is there already", key_at)
            else:
                value[key], marks[key] = inner, (key_at, inner_marks)
            self.path.pop()
            self._skip()
            if self._takes("}"):
                return value, (start, marks)
            self._expect(",", "expected `,` or `}`")

    def _list(self, start: int) -> tuple[Any, Marks]:
        self._check_depth(start)
        value: list[Any] = []
        marks: list[Marks] = []
        self._step()
        if self._takes("]"):
            return value, (start, marks)
        while True:
            self.path.append(len(value))
            inner, inner_marks = self._value()
            self.path.pop()
            value.append(inner)
            marks.append(inner_marks)
            self._skip()
            if self._takes("]"):
                return value, (start, marks)
            self._expect(",", "expected `,` or `]`")

    def _string(self) -> str:
        start = self.at
        try:
            value, self.at = scanstring(self.text, start + 1, True)
        except JSONDecodeError as error:
            raise self._syntax(f"in a string: {error.msg.lower().removesuffix(' at')}", error.pos) from None
        if self._may_hold_surrogates and _SURROGATE.search(value):
            raise self._syntax("half of a surrogate pair is no character", start)
        return str(value)

    def _scalar(self, start: int) -> Any:
        if number := _NUMBER.match(self.text, start):
            self.at = number.end()
            return self._number(number)
        word = _WORD.match(self.text, start)
        if word and word[0] in _WORDS:
            self.at = word.end()
            return _WORDS[word[0]]
        if word:
            raise self._syntax(f"{word[0][:40]} is no JSON value", start)
        raise self._syntax("expected a value" if start < len(self.text) else "the document ends too early", start)

    def _number(self, match: re.Match[str]) -> int | float | None:
        whole, fraction, exponent = match.groups()
        try:
            return to_number(whole) if fraction is None and exponent is None else to_number(match[0], is_whole=False)
        except ValueError as error:
            self._fault(Code.BAD_VALUE, str(error), match.start())
            return None

    def _skip(self) -> None:
        self.at = _BLANKS.match(self.text, self.at).end()  # type: ignore[union-attr]  # it always matches, if only nothing

    def _step(self) -> None:
        self.at += 1
        self._skip()

    def _takes(self, char: str) -> bool:
        if self.text.startswith(char, self.at):
            self.at += 1
            return True
        return False

    def _expect(self, char: str, message: str) -> None:
        if not self.text.startswith(char, self.at):
            raise self._syntax(message if self.at < len(self.text) else "the document ends too early", self.at)
        self._step()

    def _check_depth(self, start: int) -> None:
        if len(self.path) >= MAX_DEPTH:
            raise Unreadable(Fault(Code.LIMIT_EXCEEDED, f"nested deeper than {MAX_DEPTH}", self._here(), index=start))

    def _fault(self, code: Code, message: str, index: int) -> None:
        self.faults.append(Fault(code, message, self._here(), index=index))

    def _here(self) -> Path:
        return tuple(self.path)

    def _syntax(self, message: str, index: int) -> Unreadable:
        from .slips import of_json  # on demand: most texts have no slip

        return Unreadable(Fault(Code.SYNTAX, message, self._here(), of_json(self.text, index), index=index))
