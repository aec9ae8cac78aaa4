"""`Cel`: plain paths (`input.order.id`), which most templates are, are looked up here. Whatever else is an expression goes to
Google's C++ runtime (`programs`), which is loaded with the first of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..core.errors import ExpressionFault
from ..core.expressions import Mismatch, Names, Patience, References, at_hand

_PLAIN_PATH = re.compile(r"\s*[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*\s*", re.ASCII)
_WORDS = frozenset({"true", "false", "null", "in"})  # the only ones that are neither names nor fields
_QUOTED = 100  # characters of an expression in the message of its fault


class Cel:
    """Implements `core.expressions.Expressions`. Stateless; programs are cached by their text for the whole process."""

    def references(self, text: str) -> References:
        """Parse and type-check. Raises ExpressionFault with a column."""
        from .programs import references

        return references(text)

    def mismatches(self, text: str, schemas: Mapping[str, Any], patience: Patience) -> list[Mismatch]:
        """Why it can have no value where its names fit the JSON Schemas. Raises ExpressionFault for one that cannot be parsed."""
        from .fits import Fits  # the dispatcher needs none of it
        from .programs import parsed

        fits = Fits(schemas, patience)
        fits.of(parsed(text))
        return fits.found

    def evaluate(self, text: str, names: Names) -> Any:
        """JSON in, JSON out; the answer may share structure with `names`.

        Timestamps become RFC 3339 strings, durations seconds (`"90s"`, `"0.5s"`), bytes base64. Raises ExpressionFault.
        """
        found, value = _looked_up(text, names)
        if found:
            return value
        from .programs import evaluated

        try:
            return evaluated(text, names)
        except ExpressionFault as fault:  # a step has many expressions: say which
            raise ExpressionFault(f"{fault.message}, in `{_quoted(text)}`", fault.column) from None


def _quoted(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _QUOTED else f"{line[:_QUOTED]}..."


# ------------------------------------------------------------------------------------------------ plain paths


def _looked_up(text: str, names: Names) -> tuple[bool, Any]:
    """Whether `text` is a plain path that leads to a value, and the value. Anything unusual is left to the runtime."""
    if not _PLAIN_PATH.fullmatch(text):
        return False, None
    value: Any = names
    path = text.strip().split(".")
    for key in path:
        if key in _WORDS or not isinstance(value, Mapping) or key not in value:
            return False, None
        value = value[key]
    return True, at_hand(value) if may_be_later(path) else value


def may_be_later(path: Sequence[str]) -> bool:
    """It ends at `steps` or at one of them, whose output may not have been read yet."""
    return len(path) < 3 and path[0] == "steps"
