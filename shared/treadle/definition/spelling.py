"""Hints for names that were mistyped, within a budget: ten thousand unknown names among ten thousand known ones would take hours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .diagnostics import nearest

_BUDGET = 5_000  # comparisons, of some 10 µs each; who mistyped more than a few names needs no further hint


class Speller:
    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = tuple(known)
        self._budget = _BUDGET

    def hint(self, name: str, among: Sequence[str] | None = None) -> str | None:
        """A sentence with the nearest known name, or None. `among`: others than those that it was made with."""
        if self._budget <= 0:
            return None
        known = self._known if among is None else among
        self._budget -= len(known)
        return nearest(name, known)
