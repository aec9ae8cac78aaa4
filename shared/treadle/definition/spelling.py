"""Hints for names that were mistyped, within a budget: ten thousand unknown names among ten thousand known ones would take hours."""

from __future__ import annotations

from collections.abc import Iterable

from .diagnostics import nearest

_BUDGET = 50_000  # comparisons for each set of known names: well under a second


class Speller:
    def __init__(self, known: Iterable[str]) -> None:
        self._known = tuple(known)
        self._budget = _BUDGET

    def hint(self, name: str) -> str | None:
        """A sentence with the nearest known name, or None."""
        if self._budget <= 0:
            return None
        self._budget -= len(self._known)
        return nearest(name, self._known)
