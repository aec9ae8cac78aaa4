"""A document that has been read: its plain JSON value, where everything in it stands, and what was wrong with it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .diagnostics import Code, Diagnostic, Fault, pointer
from .marks import Lines, Marks, find, within_string

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 128  # of maps and lists; sixteen groups take fifty
MAX_PER_CODE = 200
_INT_DIGITS = 19  # of the greatest number in 64 bits


class Unreadable(Exception):
    """The rest of the document cannot be read; `fault` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Document:
    """`text` and `marks` are None for a document that came as data, `marks` also for one that cannot be read."""

    value: Any
    text: str | None
    marks: Marks | None
    faults: tuple[Fault, ...] = ()

    @property
    def is_readable(self) -> bool:
        """It makes sense to look further: nothing but duplicate keys and single bad numbers was wrong."""
        return all(fault.code in (Code.DUPLICATE_KEY, Code.BAD_VALUE) for fault in self.faults)

    def diagnose(self, faults: Iterable[Fault]) -> tuple[Diagnostic, ...]:
        """The faults with lines and columns, in the order of the text: each once, and at most 200 of a code (more have one cause)."""
        placed = [(self._index(fault), fault) for fault in faults]
        lines = Lines(self.text) if self.text is not None and placed else None
        if lines is not None:
            placed.sort(key=lambda pair: pair[0] or 0)
        diagnostics: list[Diagnostic] = []
        seen: set[tuple[Any, ...]] = set()
        told: Counter[Code] = Counter()
        for index, fault in placed:
            if told[fault.code] == MAX_PER_CODE or (key := (fault.code, fault.path, index, fault.message)) in seen:
                continue
            seen.add(key)
            told[fault.code] += 1
            line, column = lines.place(index) if lines is not None and index is not None else (None, None)
            diagnostics.append(_diagnostic(fault, line, column))
        return tuple(diagnostics)

    def _index(self, fault: Fault) -> int | None:
        if self.text is None or fault.index is not None:
            return fault.index
        if self.marks is None:
            return 0
        index = find(self.marks, fault.path, at_key=fault.at_key)
        return index if fault.offset is None else within_string(self.text, index, fault.offset)


def _diagnostic(fault: Fault, line: int | None, column: int | None) -> Diagnostic:
    path = pointer(fault.path)
    return Diagnostic(code=fault.code, severity=fault.severity, message=fault.message, path=path, line=line, column=column, hint=fault.hint)


def to_number(text: str, *, is_whole: bool = True) -> int | float:
    """The number that `text` (digits, already matched) stands for. Raises ValueError outside 64 bits."""
    if not is_whole:
        number = float(text)
        if not math.isfinite(number):
            raise ValueError("the number is too large for 64 bits")
        return number
    digits = text.lstrip("+-").lstrip("0")
    if len(digits) > _INT_DIGITS or not is_int64(whole := int(text.lstrip("+"))):
        raise ValueError("the whole number does not fit into 64 bits")
    return whole


def is_int64(number: int) -> bool:
    return -(2**63) <= number < 2**63
