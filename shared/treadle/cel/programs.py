"""Compiles and evaluates expressions with Google's C++ runtime (cel-expr-python).

Law: whatever text and whatever JSON come in, out comes JSON or ExpressionFault, after a bounded amount of work: at most
32 levels of nesting, 10,000 iterations of macros (both are the runtime's own), values of at most MAX_COPIES of what went
in, MAX_CHARACTERS made by string functions, results of at most MAX_NODES and MAX_TEXT, copies of at most `bounds.MAX_MADE`. Regular
expressions are RE2, of a bounded size (`regexes`). Known limits of the
runtime (0.1.3): `map` and `filter` take quadratic time (1,000 items 15 ms, 10,000 items 2.5 s), and a string it is given ends at
a NUL character (plain paths keep it).
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..core.errors import ExpressionFault
from ..core.expressions import Names, References, at_hand
from . import bounds, faults, strings, tree
from .runtime import may_be_later

if TYPE_CHECKING:
    from cel_expr_python import cel

#: Values in one result, counting lists, maps and what they hold. A step's largest honest output stays far below it.
MAX_NODES = 4_000_000

#: Characters in one result.
MAX_TEXT = 64 * 1024 * 1024

#: The names of the language: one environment serves every expression that uses no others.
LANGUAGE_NAMES = frozenset(
    {"input", "steps", "item", "index", "iteration", "previous", "result", "output", "error", "run", "secrets", "event"}
)


def evaluated(text: str, names: Names) -> Any:
    """As JSON. Raises ExpressionFault."""
    expression, seen = compiled(text), _seen(text)
    picked = _pick(names, seen.paths)
    if seen.is_to_be_measured:
        bounds.check(picked, seen.copies, seen.paths, seen.repeated, seen.patterns)
    strings.begin()
    try:
        return _Reader().json_of(expression.eval(data=picked))
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:
        raise faults.when_evaluated(str(error)) from None


# ------------------------------------------------------------------------------------------------ compiling


def references(text: str) -> References:
    """Parse, and type-check what has no other names than those of the language: whoever asks refuses the others, and an environment
    with names of its own takes as long as ten expressions. Raises ExpressionFault."""
    found = _seen(text).references
    if found.roots <= LANGUAGE_NAMES and tree.plain(text) is None:  # of a plain path there is nothing that could clash
        compiled(text)
    return found


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the tree of an expression says."""

    paths: frozenset[tree.Access]  # no path is the beginning of another
    references: References
    copies: int
    repeated: tuple[tree.Repeated, ...]
    patterns: tuple[tree.Pattern, ...]

    @property
    def is_to_be_measured(self) -> bool:
        return bool(self.repeated or self.patterns or self.copies > bounds.FEW_COPIES)


@lru_cache(maxsize=4096)
def _seen(text: str) -> _Seen:
    node = parsed(text)
    try:
        copies = tree.check_growth(node)
        patterns = tuple(tree.patterns(node)) if "matches" in text else ()
        in_regexes = sum(map(bounds.literal_size, patterns))
        paths = frozenset(tree.accesses(node))
        repeated = tuple(tree.repeated(node)) if "(" in text else ()  # only macros repeat
        return _Seen(_shortest(paths), tree.references(paths, in_regexes), copies, repeated, patterns)
    except (RuntimeError, ValueError, TypeError) as error:
        raise faults.when_compiled(text, str(error)) from None


def compiled(text: str) -> cel.Expression:
    """Type-checked with exactly the names that it has, each of any type. Raises ExpressionFault."""
    found = _compiled(text)
    if not isinstance(found, str):
        return found
    roots = _seen(text).references.roots
    if roots <= LANGUAGE_NAMES:
        raise faults.when_compiled(text, found)
    try:
        return _environment(roots).compile(text)
    except (RuntimeError, ValueError, TypeError) as error:
        raise faults.when_compiled(text, str(error)) from None


@lru_cache(maxsize=4096)
def _compiled(text: str) -> cel.Expression | str:
    """Type-checked with the names of the language; or what the runtime says against it."""
    try:
        return _environment(LANGUAGE_NAMES).compile(text)
    except (RuntimeError, ValueError, TypeError) as error:
        return str(error)


@lru_cache(maxsize=64)  # whoever checks an expression asks twice
def parsed(text: str) -> tree.Node:
    """Raises ExpressionFault."""
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise ExpressionFault("it holds half a surrogate pair, which is no character", 1)
    plain = tree.plain(text)
    if plain is not None:
        return plain
    found = _compiled(text)  # nearly each one is sound, and so compiled but once
    if isinstance(found, str) and faults.is_of_syntax(found):
        raise faults.when_compiled(text, found)
    try:
        expression = _environment(LANGUAGE_NAMES).compile(text, disable_check=True) if isinstance(found, str) else found
        return tree.read(expression.serialize())
    except (RuntimeError, ValueError, TypeError) as error:
        raise faults.when_compiled(text, str(error)) from None


@lru_cache(maxsize=64)
def _environment(names: frozenset[str]) -> cel.Env:
    from cel_expr_python import cel
    from cel_expr_python.ext import ext_math

    kinds = {"STRING": cel.Type.STRING, "INT": cel.Type.INT, "LIST": cel.Type.LIST}
    functions = [
        cel.FunctionDecl(
            name,
            [
                cel.Overload(
                    f"treadle_{name}_{len(signature)}",
                    return_type=kinds[result],
                    parameters=[kinds[kind] for kind in signature],
                    is_member=True,
                    impl=implementation,
                )
                for signature in signatures
            ],
        )
        for name, implementation, signatures, result in strings.FUNCTIONS
    ]
    variables = dict.fromkeys(sorted(names), cel.Type.DYN)
    return cel.NewEnv(variables=variables, extensions=[ext_math.ExtMath()], functions=functions)


def _shortest(paths: frozenset[tree.Access]) -> frozenset[tree.Access]:
    if len(paths) < 2:
        return paths
    kept: set[tree.Access] = set()
    for path in sorted(paths, key=len):
        if not any(path[:length] in kept for length in range(1, len(path))):
            kept.add(path)
    return frozenset(kept)


# ------------------------------------------------------------------------------------------------ values in


def _pick(names: Names, paths: frozenset[tree.Access]) -> dict[str, Any]:
    """Only what the expression reads: the runtime copies all that it is given, and a run's `steps` may be large."""
    picked: dict[str, Any] = {}
    for path in paths:
        _pick_path(names, path, picked)
    return picked


def _pick_path(source: Mapping[str, Any], path: tree.Access, into: dict[str, Any]) -> None:
    for key in path[:-1]:
        if key not in source:
            return
        below = source[key]
        if not isinstance(below, Mapping):
            into[key] = below  # the runtime says what is wrong with it
            return
        into = into.setdefault(key, {})
        source = below
    if path[-1] in source:
        into[path[-1]] = at_hand(source[path[-1]]) if may_be_later(path) else source[path[-1]]


# ------------------------------------------------------------------------------------------------ values out


class _Reader:
    """Turns one result into JSON, counting what it has read."""

    def __init__(self) -> None:
        self.left = MAX_NODES
        self.characters_left = MAX_TEXT

    def json_of(self, value: cel.Value) -> Any:
        self.left -= 1
        if self.left < 0:
            raise ExpressionFault(f"the result has more than {MAX_NODES} values")
        # The kind first: the runtime (0.1.3) drops a reference to None each time it hands out a null, and a fault is a value too.
        kind = value.type().name()
        if kind == "STRING":
            return self._text(value)
        if kind in _AS_IT_IS:
            return value.value()
        if kind in _CONVERSIONS:
            return _CONVERSIONS[kind](value)
        if kind.startswith("LIST"):
            return [self.json_of(inner) for inner in value.value()]
        if kind.startswith("MAP"):
            return dict(sorted((_key(key), self.json_of(inner)) for key, inner in value.value().items()))
        raise ExpressionFault(f"the result is a {kind.lower()}, which JSON cannot hold")

    def _text(self, value: cel.Value) -> str:
        text: str = value.value()
        self.characters_left -= len(text)
        if self.characters_left < 0:
            raise ExpressionFault(f"the result has more than {MAX_TEXT} characters")
        return text


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    raise ExpressionFault(f"the map key {key!r} is not a string; use string() on it")


def _finite(value: cel.Value) -> float:
    number: float = value.value()
    if math.isfinite(number):
        return number
    raise ExpressionFault(f"the result is {number}, which JSON cannot hold")


def _seconds(value: cel.Value) -> str:
    duration: timedelta = value.value()
    microseconds = duration // timedelta(microseconds=1)
    whole, rest = divmod(abs(microseconds), 1_000_000)
    return f"{'-' if microseconds < 0 else ''}{whole}{f'.{rest:06}'.rstrip('0') if rest else ''}s"


def _raise(value: cel.Value) -> Any:
    raise faults.when_evaluated(str(value.value()))


_AS_IT_IS = frozenset({"INT", "UINT", "BOOL"})
_CONVERSIONS: dict[str, Callable[[cel.Value], Any]] = {
    "NULL": lambda value: None,
    "DOUBLE": _finite,
    "TIMESTAMP": str,  # to the nanosecond; value() would cut it to microseconds
    "DURATION": _seconds,
    "BYTES": lambda value: base64.b64encode(value.value()).decode(),
    "ERROR": _raise,
}
