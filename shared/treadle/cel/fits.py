"""Whether an expression can have a value at all, as far as JSON Schemas tell what its names stand for.

Law: what is told is certain. A schema that leaves a field or a type open says nothing of it, and neither does `has(...)`. A value that may
be null besides is taken for what it is otherwise: on null the same expression fails as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.expressions import Mismatch, Patience
from .tree import Build, Call, Constant, Fold, Name, Node, Select

ANYTHING: Any = True
MAX_DEPTH = 32  # of references within a schema

_NUMBERS = frozenset({"integer", "number"})  # a JSON number may be either, whatever its schema calls it
_ADDED = (_NUMBERS, frozenset({"string"}), frozenset({"array"}))
_ORDERED = (_NUMBERS, frozenset({"string"}), frozenset({"boolean"}))
_BINARY = {
    **dict.fromkeys(("_-_", "_*_", "_/_", "_%_"), (_NUMBERS,)),
    **dict.fromkeys(("_<_", "_<=_", "_>_", "_>=_"), _ORDERED),
    "_+_": _ADDED,
}
_METHODS = frozenset({"contains", "startsWith", "endsWith", "matches"})
_SIZED = frozenset({"string", "array", "object"})
_BOOLEAN = {"type": "boolean"}
_RESULTS: Mapping[str, Any] = {
    **dict.fromkeys(("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_&&_", "_||_", "!_", "@in", *_METHODS), _BOOLEAN),
    **{name: {"type": "integer"} for name in ("size", "int")},
    "string": {"type": "string"},
    "double": {"type": "number"},
}
_SHOWN = {"array": "a list", "object": "a map", "string": "a string", "boolean": "a boolean", "integer": "a number", "number": "a number"}


@dataclass
class Fits:
    """`schemas`: by name, of what the expression may use. `found`: what can never be."""

    schemas: Mapping[str, Any]
    patience: Patience
    found: list[Mismatch] = field(default_factory=list)

    def of(self, node: Node, bound: frozenset[str] = frozenset()) -> Any:
        """The schema of the node's value."""
        match node:
            case Name(name):
                return ANYTHING if name in bound else self.schemas.get(name.removeprefix("."), ANYTHING)
            case Constant(_, kind):
                return {"type": kind} if kind else ANYTHING
            case Select(operand, name, is_test):
                within = self.of(operand, bound)
                return _BOOLEAN if is_test else self._field(operand, within, name)
            case Call("_[_]", (operand, Constant(str(name)))):
                return self._field(operand, self.of(operand, bound), name)
            case Call(function, arguments):
                return self._call(function, arguments, [self.of(argument, bound) for argument in arguments])
            case Build(parts):
                for part in parts:
                    self.of(part, bound)
            case Fold():
                self.of(node.items, bound)
                inner = bound | {node.accumulator}
                for part in (node.condition, node.step):
                    self.of(part, inner | node.variables)
        return ANYTHING

    def _field(self, operand: Node, schema: Any, name: str) -> Any:
        inner = below(schema, schema, name, self.patience)
        if inner is not None:
            return inner
        kinds = kinds_of(schema, schema, self.patience)
        path = _path(operand)
        if kinds is not None and "object" not in kinds:
            self.found.append(Mismatch(f"`{path}` is {_told(kinds)}, which has no field `{name}`"))
        else:
            self.found.append(Mismatch(f"`{path}` has no field `{name}`", path, name, tuple(_properties(schema, schema))))
        return ANYTHING

    def _call(self, function: str, arguments: tuple[Node, ...], schemas: list[Any]) -> Any:
        kinds = [kinds_of(schema, schema, self.patience) for schema in schemas]
        if function == "_?_:_":
            return ANYTHING
        if function in _BINARY and len(kinds) == 2 and None not in kinds:
            left, right = kinds
            if not any(left & group and right & group for group in _BINARY[function]):  # type: ignore[operator]
                operator = function.strip("_")
                self.found.append(Mismatch(f"`{operator}` cannot be applied to {_told(left)} and {_told(right)}"))
            elif function == "_+_" and left == right:
                return {"type": sorted(left or ())}
        wanted = self._wanted(function)
        for argument, kind in zip(arguments, kinds, strict=True) if wanted else ():
            if wanted and kind is not None and not kind & wanted:
                name = function.strip("_")
                self.found.append(Mismatch(f"`{name}` cannot be applied to {_told(kind)} ({_path(argument)})"))
        return _RESULTS.get(function, ANYTHING)

    @staticmethod
    def _wanted(function: str) -> frozenset[str] | None:
        if function in _METHODS:
            return frozenset({"string"})
        return {"size": _SIZED, "!_": frozenset({"boolean"}), "-_": _NUMBERS}.get(function)


def _path(node: Node) -> str:
    match node:
        case Name(name):
            return name
        case Select(operand, name):
            return f"{_path(operand)}.{name}"
        case Call("_[_]", (operand, Constant(str(name)))):
            return f"{_path(operand)}.{name}"
        case Constant(str(text)):
            return repr(text)
    return "..."


def _told(kinds: frozenset[str] | None) -> str:
    return " or ".join(sorted({_SHOWN.get(kind, kind) for kind in kinds or ()} - {"null"})) or "null"


# ------------------------------------------------------------------------------------------------ what a schema says


def kinds_of(schema: Any, root: Any, patience: Patience, depth: int = 0) -> frozenset[str] | None:
    """The JSON types that a value can have; None: any."""
    schema = _resolved(schema, root, depth)
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return None
    found = _types(schema)
    for part in _alternatives(schema, "allOf", patience):
        more = kinds_of(part, root, patience, depth + 1)
        found = more if found is None else found if more is None else found & more
    for key in ("anyOf", "oneOf"):
        if parts := _alternatives(schema, key, patience):
            each = [kinds_of(part, root, patience, depth + 1) for part in parts]
            if None not in each:
                union = frozenset().union(*(kinds for kinds in each if kinds is not None))
                found = union if found is None else found & union
    return found


def _types(schema: dict[str, Any]) -> frozenset[str] | None:
    if "const" in schema or "enum" in schema:
        return frozenset(map(_kind, [schema["const"]] if "const" in schema else _list(schema["enum"]))) or None
    stated = schema.get("type")
    names = [stated] if isinstance(stated, str) else _list(stated)
    found = frozenset(name for name in names if isinstance(name, str))
    return (found | _NUMBERS if found & _NUMBERS else found) or None


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def below(schema: Any, root: Any, name: str, patience: Patience, depth: int = 0) -> Any:
    """The schema of the field `name`, with `root`'s definitions; None: there is no such field in any value that fits."""
    schema = _resolved(schema, root, depth)
    if schema is False:
        return None
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return ANYTHING
    kinds = kinds_of(schema, root, patience, depth)
    if kinds is not None and "object" not in kinds:
        return None
    found = _own(schema, root, name)
    if found is None or any(below(part, root, name, patience, depth + 1) is None for part in _alternatives(schema, "allOf", patience)):
        return None
    for key in ("anyOf", "oneOf"):
        parts = _alternatives(schema, key, patience)
        if parts and all(below(part, root, name, patience, depth + 1) is None for part in parts):
            return None
    return found


def _own(schema: dict[str, Any], root: Any, name: str) -> Any:
    properties = schema.get("properties")
    if isinstance(properties, dict) and name in properties:
        return _rooted(properties[name], root)
    patterns = schema.get("patternProperties")
    others = schema.get("additionalProperties", True)
    if patterns or others is True:
        return ANYTHING
    return None if others is False else _rooted(others, root)


def _rooted(schema: Any, root: Any) -> Any:
    """With the definitions that it may refer to. One that has its own, or is taken out of a whole that it refers to, is left open."""
    if not isinstance(schema, dict) or schema is root or not isinstance(root, dict):
        return schema
    definitions = {key: root[key] for key in ("$defs", "definitions") if key in root}
    return {**definitions, **schema}


def _resolved(schema: Any, root: Any, depth: int) -> Any:
    for _ in range(MAX_DEPTH):
        if not isinstance(schema, dict):
            return schema
        if "$dynamicRef" in schema or "not" in schema or "if" in schema:
            schema = {key: value for key, value in schema.items() if key not in ("not", "if", "then", "else", "$dynamicRef")}
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        target = _target(reference, root)
        if target is None or len(schema.keys() - {"$ref", "$defs", "definitions", "description", "title", "default"}) > 0:
            return ANYTHING
        schema = target
    return ANYTHING


def _target(reference: str, root: Any) -> Any:
    found = re.fullmatch(r"#/(\$defs|definitions)/([^/~%]+)", reference)
    within = root.get(found[1]) if found and isinstance(root, dict) else None
    return within.get(found[2]) if found and isinstance(within, dict) else None


def _properties(schema: Any, root: Any) -> Iterator[str]:
    schema = _resolved(schema, root, 0)
    if isinstance(schema, dict) and isinstance(schema.get("properties"), dict):
        yield from (name for name in schema["properties"] if isinstance(name, str))


def _alternatives(schema: dict[str, Any], key: str, patience: Patience) -> list[Any]:
    """None where there is no patience left: without them the schema takes more, so that nothing false is told."""
    if key not in schema:
        return []
    parts = _list(schema[key])
    patience.alternatives -= len(parts)
    return parts if patience.alternatives >= 0 else []


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
