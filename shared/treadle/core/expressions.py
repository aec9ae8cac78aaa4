"""Templates, and the port to the expression language (CEL).

A *bare* expression is a whole string (`when: input.amount > 10`). A *template* is any JSON value whose strings may hold
`${EXPR}`: a string that is nothing but one `${EXPR}` keeps the value's type, in a longer string it is put in as text.
`$${` is a literal `${`. Map keys are not templates. Values put in are data: nothing in them is evaluated again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from .errors import ExpressionFault

Names = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class References:
    """What an expression names: root names that it does not bind itself, and the ids `x` of each `steps.x` (or `steps['x']`).
    `steps_dynamic`: it uses `steps` in another way (`steps[input.x]`, bare `steps`), so any step may be meant. The same of `secrets`.
    `in_regexes`: instructions of the regular expressions that are written in it."""

    roots: frozenset[str]
    steps: frozenset[str]
    steps_dynamic: bool = False
    secrets: frozenset[str] = frozenset()
    secrets_dynamic: bool = False
    in_regexes: int = 0


class Later(Mapping[str, Any]):
    """A map of which one value is read when it is asked for: it may be large, and far away."""

    def __init__(self, known: dict[str, Any], name: str, read: Callable[[], Any]) -> None:
        self._known = known
        self._name = name
        self._read = read

    def __getitem__(self, key: str) -> Any:
        if key == self._name and key not in self._known:
            self._known[key] = self._read()
        return self._known[key]

    def __iter__(self) -> Iterator[str]:
        yield from self._known
        if self._name not in self._known:
            yield self._name

    def __len__(self) -> int:
        return len(self._known) + (self._name not in self._known)


def at_hand(value: Any) -> Any:
    """`steps`, or one of them, as plain JSON."""
    if isinstance(value, Later):
        return dict(value.items())
    if isinstance(value, dict) and any(isinstance(inner, Later) for inner in value.values()):
        return {key: at_hand(inner) for key, inner in value.items()}
    return value


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why an expression can have no value. `name`: the field that is not there at `path` (`steps.a`), `known`: those that are."""

    message: str
    path: str = ""
    name: str = ""
    known: tuple[str, ...] = ()


@dataclass(slots=True)
class Patience:
    """How many alternatives of schemas (`anyOf` ...) are still looked at: references between them can make any number of a few.
    Whoever asks of many expressions hands the same one to each."""

    alternatives: int = 5_000


class Expressions(Protocol):
    def references(self, text: str) -> References:
        """Parse and type-check. Raises ExpressionFault with a column."""
        ...

    def mismatches(self, text: str, schemas: Names, patience: Patience) -> list[Mismatch]:
        """Why it can have no value where its names fit the JSON Schemas; nothing that is not certain, or that takes more patience."""
        ...

    def evaluate(self, text: str, names: Names) -> Any:
        """JSON in, JSON out (ints stay ints; timestamps and durations become strings). Bounded in cost. Raises ExpressionFault."""
        ...


@dataclass(frozen=True, slots=True)
class Hole:
    """`${EXPR}` in a string: `text` is EXPR, `offset` the index of its first character in the string."""

    text: str
    offset: int


@lru_cache(maxsize=4096)
def split(text: str) -> tuple[str | Hole, ...]:
    """Literal pieces and holes in order. Raises ExpressionFault (column in `text`) for a `${` that does not end.

    Quotes and nested braces within the expression are respected: `${'}'}` is one hole.
    """
    pieces: list[str | Hole] = []
    literal = ""
    at = 0
    while (dollar := text.find("$", at)) >= 0:
        literal += text[at:dollar]
        at = dollar
        if text.startswith("$${", at):
            literal += "${"
            at += 3
        elif text.startswith("${", at):
            end = _end_of_hole(text, at + 2)
            if literal:
                pieces.append(literal)
                literal = ""
            pieces.append(Hole(text[at + 2 : end], at + 2))
            at = end + 1
        else:
            literal += "$"
            at += 1
    literal += text[at:]
    if literal:
        pieces.append(literal)
    return tuple(pieces)


def _end_of_hole(text: str, start: int) -> int:
    depth = 0
    at = start
    while at < len(text):
        char = text[at]
        if char in "\"'":
            at = _end_of_string(text, at)
            continue
        if char == "{":
            depth += 1
        elif char == "}":
            if depth == 0:
                return at
            depth -= 1
        at += 1
    raise ExpressionFault("`${` is never closed by `}` (write `$${` for a literal `${`)", start - 1)


def _end_of_string(text: str, at: int) -> int:
    """Index behind the CEL string literal that begins at `at` (raw and triple-quoted ones included)."""
    is_raw = at > 0 and text[at - 1] in "rR" and (at < 2 or not (text[at - 2].isalnum() or text[at - 2] == "_") or text[at - 2] in "bB")
    quote = text[at] * 3 if text.startswith(text[at] * 3, at) else text[at]
    at += len(quote)
    while at < len(text):
        if text[at] == "\\" and not is_raw:
            at += 2
        elif text.startswith(quote, at):
            return at + len(quote)
        else:
            at += 1
    return at


def holes(value: Any) -> Iterator[Hole]:
    """Every hole in a template, in document order."""
    if isinstance(value, str):
        if "${" in value:
            yield from (piece for piece in split(value) if isinstance(piece, Hole))
    elif isinstance(value, dict):
        for inner in value.values():
            yield from holes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from holes(inner)


def render(template: Any, expressions: Expressions, names: Names) -> Any:
    """The template with its holes filled in. Raises ExpressionFault."""
    if isinstance(template, str):
        return _render_text(template, expressions, names) if "${" in template else template
    if isinstance(template, dict):
        return {key: render(inner, expressions, names) for key, inner in template.items()}
    if isinstance(template, list):
        return [render(inner, expressions, names) for inner in template]
    return template


def _render_text(text: str, expressions: Expressions, names: Names) -> Any:
    pieces = split(text)
    if len(pieces) == 1 and isinstance(pieces[0], Hole):
        return expressions.evaluate(pieces[0].text, names)
    return "".join(piece if isinstance(piece, str) else as_text(expressions.evaluate(piece.text, names)) for piece in pieces)


def as_text(value: Any) -> str:
    """Strings as they are, anything else as compact JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def evaluate(expression: Any, expressions: Expressions, names: Names) -> Any:
    """A bare expression; a JSON boolean or list (and any other JSON value) stands for itself."""
    return expressions.evaluate(expression, names) if isinstance(expression, str) else expression
