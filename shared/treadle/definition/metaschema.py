"""What JSON Schema 2020-12 says of a schema, as a table: the kind of value that each keyword takes.

The meta-schema itself, run by jsonschema, takes a third of a millisecond for each schema within a schema, and importing jsonschema
takes longer than all other checks of a definition. Keywords that are not here may hold anything. `as_schema` is the table for editors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .diagnostics import Path, kind, pointer, shown

_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_ANCHOR = re.compile(r"[A-Za-z_][-A-Za-z0-9._]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class SchemaFault:
    """Why a schema is refused, and where in it."""

    message: str
    path: Path = ()

    def __str__(self) -> str:
        return self.message + (f" (at {pointer(self.path)})" if self.path else "")


def faults_of(schema: Any) -> Iterator[SchemaFault]:
    """Why `schema` is none: the faults of a schema before those of the schemas in it."""
    todo: list[tuple[Path, Any]] = [((), schema)]
    while todo:
        path, one = todo.pop()
        if isinstance(one, bool):
            continue
        if not isinstance(one, dict):
            yield SchemaFault(f"a schema is a map, `true` or `false`, not {kind(one)}", path)
            continue
        below: list[tuple[Path, Any]] = []
        for keyword, value in one.items():
            if keyword in _WITHIN:
                shape, expected = _WITHIN[keyword]
                inner = shape((*path, keyword), value)
                if inner is None:
                    yield SchemaFault(f"expected {expected}, not {shown(value)}", (*path, keyword))
                below += inner or []
            elif keyword in _VALUES:
                holds, expected = _VALUES[keyword]
                if not holds(value):
                    yield SchemaFault(f"expected {expected}, not {shown(value)}", (*path, keyword))
        below.reverse()
        todo += below


# ------------------------------------------------------------------------------------------------ keywords that hold schemas


_Inner = list[tuple[Path, Any]] | None  # the schemas within, with their places; None: the value has another shape


def _one(path: Path, value: Any) -> _Inner:
    return [(path, value)]


def _some(path: Path, value: Any) -> _Inner:
    return [((*path, number), inner) for number, inner in enumerate(value)] if isinstance(value, list) and value else None


def _named(path: Path, value: Any) -> _Inner:
    return [((*path, name), inner) for name, inner in value.items()] if isinstance(value, dict) else None


def _dependencies(path: Path, value: Any) -> _Inner:
    """Of older drafts: a schema or a list of names for each name."""
    if not isinstance(value, dict):
        return None
    return [((*path, name), inner) for name, inner in value.items() if not _is_names(inner)]


_WITHIN: dict[str, tuple[Callable[[Path, Any], _Inner], str]] = {
    **dict.fromkeys(("items", "contains", "additionalProperties", "propertyNames", "if", "then", "else", "not"), (_one, "a schema")),
    **dict.fromkeys(("unevaluatedItems", "unevaluatedProperties", "contentSchema"), (_one, "a schema")),
    **dict.fromkeys(("prefixItems", "allOf", "anyOf", "oneOf"), (_some, "a list of one or more schemas")),
    **dict.fromkeys(("$defs", "definitions", "properties", "patternProperties", "dependentSchemas"), (_named, "a map of schemas")),
    "dependencies": (_dependencies, "a map of schemas"),
}


# ------------------------------------------------------------------------------------------------ all others


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and "#" not in value.removesuffix("#")


def _is_anchor(value: Any) -> bool:
    return isinstance(value, str) and _ANCHOR.fullmatch(value) is not None


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and (isinstance(value, int) or value.is_integer())


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value) and len(set(value)) == len(value)


def _is_names_by_name(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_names, value.values()))


def _is_flag_by_name(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_flag, value.values()))


def _is_type(value: Any) -> bool:
    if isinstance(value, str):
        return value in _TYPES
    return _is_names(value) and bool(value) and all(name in _TYPES for name in value)


def _keywords() -> Iterator[tuple[tuple[str, ...], Callable[[Any], bool], str]]:
    yield ("$schema", "$ref", "$dynamicRef", "$recursiveRef", "$comment"), _is_text, "a string"
    yield ("title", "description", "format", "pattern", "contentEncoding", "contentMediaType"), _is_text, "a string"
    yield ("$id",), _is_id, "a reference without a fragment"
    yield ("$anchor", "$dynamicAnchor", "$recursiveAnchor"), _is_anchor, "a name of letters, digits and `-._`, a letter or `_` first"
    yield ("uniqueItems", "deprecated", "readOnly", "writeOnly"), _is_flag, "`true` or `false`"
    yield ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _is_number, "a number"
    yield ("multipleOf",), _is_positive, "a number greater than 0"
    yield ("minLength", "maxLength", "minItems", "maxItems"), _is_count, "a whole number from 0"
    yield ("minContains", "maxContains", "minProperties", "maxProperties"), _is_count, "a whole number from 0"
    yield ("enum", "examples"), _is_list, "a list"
    yield ("required",), _is_names, "a list of strings, each once"
    yield ("dependentRequired",), _is_names_by_name, "a map of lists of strings, each once"
    yield ("$vocabulary",), _is_flag_by_name, "a map of booleans"
    yield ("type",), _is_type, f"{', '.join(_TYPES)}, or a list of them, each once"


_VALUES: dict[str, tuple[Callable[[Any], bool], str]] = {
    name: (holds, expected) for names, holds, expected in _keywords() for name in names
}


# ------------------------------------------------------------------------------------------------ the table, as a JSON Schema


_NAMES = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
_LIKE: dict[Callable[[Any], bool], dict[str, Any]] = {
    _is_text: {"type": "string"},
    _is_id: {"type": "string", "pattern": "^[^#]*#?$"},
    _is_anchor: {"type": "string", "pattern": f"^{_ANCHOR.pattern}$"},
    _is_flag: {"type": "boolean"},
    _is_number: {"type": "number"},
    _is_positive: {"type": "number", "exclusiveMinimum": 0},
    _is_count: {"type": "integer", "minimum": 0},
    _is_list: {"type": "array"},
    _is_names: _NAMES,
    _is_names_by_name: {"type": "object", "additionalProperties": _NAMES},
    _is_flag_by_name: {"type": "object", "additionalProperties": {"type": "boolean"}},
    _is_type: {"anyOf": [{"enum": [*_TYPES]}, {"type": "array", "items": {"enum": [*_TYPES]}, "uniqueItems": True, "minItems": 1}]},
}


def as_schema(reference: str) -> dict[str, Any]:
    """`reference`: where the answer will stand, for the schemas within."""
    one = {"$ref": reference}
    shapes: dict[Callable[[Path, Any], _Inner], dict[str, Any]] = {
        _one: one,
        _some: {"type": "array", "items": one, "minItems": 1},
        _named: {"type": "object", "additionalProperties": one},
        _dependencies: {"type": "object", "additionalProperties": {"anyOf": [_NAMES, one]}},
    }
    within = {keyword: shapes[shape] for keyword, (shape, _) in _WITHIN.items()}
    return {"type": ["object", "boolean"], "properties": {**within, **{keyword: _LIKE[holds] for keyword, (holds, _) in _VALUES.items()}}}
