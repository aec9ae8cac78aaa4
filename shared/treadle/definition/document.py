"""A document that has been read: its plain JSON value, where everything in it stands, and what was wrong with it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .diagnostics import MAX_PER_CODE, Code, Diagnostic, Fault, pointer
from .marks import Characters, Lines, Marks, find

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 128  # of maps and lists; sixteen groups take fifty
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
        told = _worth_telling(faults)
        if self.text is None or not told:
            return tuple(_diagnostic(fault, None, None) for fault in told)
        lines = Lines(self.text)
        strings: dict[int, Characters] = {}
        placed = sorted(((self._index(fault, self.text, strings), fault) for fault in told), key=lambda pair: pair[0])
        return tuple(_diagnostic(fault, *lines.place(index)) for index, fault in placed)

    def _index(self, fault: Fault, text: str, strings: dict[int, Characters]) -> int:
        if fault.index is not None:
            return fault.index
        if self.marks is None:
            return 0
        index = find(self.marks, fault.path, at_key=fault.at_key)
        return index if fault.offset is None else strings.setdefault(index, Characters(text, index)).index(fault.offset)


def _worth_telling(faults: Iterable[Fault]) -> list[Fault]:
    """Each fault once, and at most 200 of a code."""
    told: dict[Fault, None] = {}
    counts: Counter[Code] = Counter()
    for fault in faults:
        if counts[fault.code] < MAX_PER_CODE and fault not in told:
            told[fault] = None
            counts[fault.code] += 1
    return list(told)


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
