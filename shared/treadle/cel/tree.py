"""What an expression says, read from the syntax tree that the CEL runtime serialises (cel/expr/syntax.proto).

The runtime gives its tree only as protobuf bytes. The few messages it consists of are read here by hand, because the
protobuf package would cost the dispatcher more to import than CEL itself.

Law: macros are expanded in the tree, so a name that a macro binds is seen where it is bound, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..core.errors import ExpressionFault
from ..core.expressions import References

Access = tuple[str, ...]  # a root name and the constant keys below it: ("steps", "a", "output")

#: Identifiers that CEL itself gives a meaning (types and namespaces), so that they are no references.
OWN_NAMES = frozenset({"int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type", "google", "math"})

#: Copies of its inputs that a value may hold. Macros can double what they are given, 30 of them in a row a billion times.
MAX_COPIES = 65_536

# Functions whose result is a truth value, a number or a key, however large their arguments are.
_SMALL = frozenset(
    {"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_&&_", "_||_", "!_", "-_", "_-_", "_*_", "_/_", "_%_", "@in"}
    | {"@not_strictly_false", "size", "int", "uint", "double", "bool", "type", "timestamp", "duration"}
    | {"contains", "startsWith", "endsWith", "matches", "indexOf", "lastIndexOf", "charAt"}
)


@dataclass(frozen=True, slots=True)
class Name:
    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    text: str | None  # None: not a string
    kind: str = ""  # as JSON Schema says it; empty: bytes or an unsigned number


@dataclass(frozen=True, slots=True)
class Select:
    operand: Node
    field: str
    is_test: bool = False  # `has(operand.field)`


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    arguments: tuple[Node, ...]  # the receiver of a method first


@dataclass(frozen=True, slots=True)
class Build:
    """A list, map or message literal."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Fold:
    """What `all`, `exists`, `map` and `filter` are expanded to."""

    variables: frozenset[str]  # of the iteration; may hold an empty name
    accumulator: str
    items: Node
    initial: Node
    condition: Node
    step: Node
    result: Node


Node = Name | Constant | Select | Call | Build | Fold


# ------------------------------------------------------------------------------------------------ what it refers to


def accesses(node: Node, bound: frozenset[str] = frozenset()) -> Iterator[Access]:
    """The longest constant paths that the expression reads of names it does not bind itself."""
    path = _path(node)
    if path is not None:
        if path[0] not in bound and path[0] not in OWN_NAMES:
            yield path
        return
    match node:
        case Select(operand):
            yield from accesses(operand, bound)
        case Call(_, parts) | Build(parts):
            for part in parts:
                yield from accesses(part, bound)
        case Fold():
            yield from accesses(node.items, bound)
            yield from accesses(node.initial, bound)
            inner = bound | {node.accumulator}
            yield from accesses(node.result, inner)
            for part in (node.condition, node.step):
                yield from accesses(part, inner | node.variables)


def _path(node: Node) -> Access | None:
    match node:
        case Name(name):
            return (name.removeprefix("."),)
        case Select(operand, field):
            above = _path(operand)
            return None if above is None else (*above, field)
        case Call("_[_]", (operand, Constant(str(key)))):
            above = _path(operand)
            return None if above is None else (*above, key)
        case _:
            return None


_NONE = References(frozenset(), frozenset())


def references(paths: frozenset[Access], in_regexes: int = 0) -> References:
    if not paths and not in_regexes:
        return _NONE
    steps, secrets = ([path[1:] for path in paths if path[0] == root] for root in ("steps", "secrets"))
    return References(
        roots=frozenset(path[0] for path in paths),
        steps=frozenset(path[0] for path in steps if path),
        steps_dynamic=any(not path for path in steps),
        secrets=frozenset(path[0] for path in secrets if path),
        secrets_dynamic=any(not path for path in secrets),
        in_regexes=in_regexes,
    )


# ------------------------------------------------------------------------------------------------ how much it may grow


def check_growth(node: Node) -> int:
    """How many copies of what it is given the expression's value may hold. Raises ExpressionFault for more than MAX_COPIES."""
    return _copies(node, {})


def _copies(node: Node, bound: Mapping[str, int]) -> int:
    copies = _copies_unchecked(node, bound)
    if copies > MAX_COPIES:
        raise ExpressionFault(f"the value could grow to more than {MAX_COPIES} copies of its inputs; use fewer nested macros", 1)
    return copies


def _copies_unchecked(node: Node, bound: Mapping[str, int]) -> int:
    match node:
        case Name(name):
            return bound.get(name, 1)
        case Constant():
            return 1
        case Select(operand):
            return _copies(operand, bound)
        case Build(parts):
            return sum(_copies(part, bound) for part in parts)
        case Call("_?_:_", (condition, then, otherwise)):
            _copies(condition, bound)
            return max(_copies(then, bound), _copies(otherwise, bound))
        case Call(function, parts):
            copies = sum(_copies(part, bound) for part in parts)
            return 1 if function in _SMALL else copies
        case Fold():
            items = _copies(node.items, bound)
            initial = _copies(node.initial, bound)
            # The loop goes over different items: together they are one copy of the list, so the step counts once.
            inner = {**bound, **dict.fromkeys(node.variables, items), node.accumulator: 0}
            _copies(node.condition, inner)
            step = _copies(node.step, inner)
            return _copies(node.result, {**bound, node.accumulator: initial + step})


Items = Access | int | None  # of a loop: where they lie, how many they are, or (None) not known before they are computed


@dataclass(frozen=True, slots=True)
class Repeated:
    """What lies at `path` is copied for each item of the lists around it."""

    path: Access
    over: tuple[Items, ...]


def repeated(node: Node, over: tuple[Items, ...] = (), bound: frozenset[str] = frozenset(), *, is_kept: bool = True) -> Iterator[Repeated]:
    """Of what does not belong to the item itself. `is_kept`: the value becomes a part of another one."""
    path = _path(node)
    if path is not None:
        if over and is_kept and path[0] not in bound and path[0] not in OWN_NAMES:
            yield Repeated(path, over)
        return
    match node:
        case Select(operand):
            yield from repeated(operand, over, bound, is_kept=False)
        case Build(parts):
            for part in parts:
                yield from repeated(part, over, bound, is_kept=is_kept)
        case Call(function, parts):
            is_kept = is_kept and function not in _SMALL and function != "_[_]"
            for part in parts:
                yield from repeated(part, over, bound, is_kept=is_kept)
        case Fold():
            yield from repeated(node.items, over, bound, is_kept=False)
            yield from repeated(node.initial, over, bound, is_kept=is_kept)
            inside = bound | node.variables | {node.accumulator}
            around = (*over, _items(node.items, bound))
            yield from repeated(node.condition, around, inside, is_kept=False)
            yield from repeated(node.step, around, inside)
            yield from repeated(node.result, over, bound | {node.accumulator}, is_kept=is_kept)


def _items(node: Node, bound: frozenset[str]) -> Items:
    path = _path(node)
    if path is not None:
        return path if path[0] not in bound else None
    return len(node.parts) if isinstance(node, Build) else None


# ------------------------------------------------------------------------------------------------ regular expressions

Pattern = tuple[str | Access, ...]  # literal pieces, and paths of strings


def patterns(node: Node, bound: frozenset[str] = frozenset()) -> Iterator[Pattern]:
    """Of each `matches`. Raises ExpressionFault for one that cannot be told before the expression is evaluated."""
    match node:
        case Select(operand):
            yield from patterns(operand, bound)
        case Build(parts):
            for part in parts:
                yield from patterns(part, bound)
        case Call(function, parts):
            if function == "matches" and len(parts) == 2:
                yield _pattern(parts[1], bound)
            for part in parts:
                yield from patterns(part, bound)
        case Fold():
            inside = bound | node.variables | {node.accumulator}
            for part in (node.items, node.initial):
                yield from patterns(part, bound)
            for part in (node.condition, node.step, node.result):
                yield from patterns(part, inside)


def _pattern(node: Node, bound: frozenset[str]) -> Pattern:
    path = _path(node)
    match node:
        case Constant(str(text)):
            return (text,)
        case Call("_+_", (left, right)):
            return (*_pattern(left, bound), *_pattern(right, bound))
        case _ if path is not None and path[0] not in bound:
            return (path,)
        case _:
            raise ExpressionFault("the pattern of `matches` is text, a path such as `input.pattern`, or several of them joined by `+`", 1)


# ------------------------------------------------------------------------------------------------ without the runtime

_PLAIN_PATH = re.compile(r"[ \t\r\n\f]*([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*){0,15})[ \t\r\n\f]*", re.ASCII)
_RESERVED = frozenset(
    {"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop", "namespace", "null"}
    | {"package", "return", "true", "var", "void", "while"}
)


def plain(text: str) -> Node | None:
    """The tree of a path such as `input.order.id`; None for all else, and for a path with words that mean something in CEL."""
    found = _PLAIN_PATH.fullmatch(text)
    if found is None:
        return None
    root, *fields = found[1].split(".")
    if root in OWN_NAMES or not _RESERVED.isdisjoint((root, *fields)):
        return None
    node: Node = Name(root)
    for field in fields:
        node = Select(node, field)
    return node


# ------------------------------------------------------------------------------------------------ reading the bytes


def read(serialized: bytes) -> Node:
    """The tree of a serialised expression: an Any that holds a ParsedExpr, or a CheckedExpr if it was type-checked."""
    any_ = _by_field(serialized)
    return _within(_by_field(_message(any_, 2)), 4 if _text(any_, 1).endswith(".CheckedExpr") else 2)


def _expression(data: bytes) -> Node:
    for field, value in _fields(data):
        if isinstance(value, bytes) and field in _READERS:
            return _READERS[field](value)
    raise ExpressionFault("the expression is empty", 1)


def _constant(data: bytes) -> Node:
    for field, value in _fields(data):
        return Constant(value.decode() if field == 6 and isinstance(value, bytes) else None, _KINDS.get(field, ""))
    return Constant(None)


def _name(data: bytes) -> Node:
    return Name(_text(_by_field(data), 1))


def _select(data: bytes) -> Node:
    fields = _by_field(data)
    return Select(_within(fields, 1), _text(fields, 2), bool(fields.get(3)))


def _call(data: bytes) -> Node:
    """The receiver of a method comes first."""
    fields = _fields(data)
    parts = tuple(_expression(value) for field, value in fields if field in (1, 3) and isinstance(value, bytes))
    return Call(_text(dict(fields), 2), parts)


def _list(data: bytes) -> Node:
    return Build(tuple(_expression(value) for field, value in _fields(data) if field == 1 and isinstance(value, bytes)))


def _struct(data: bytes) -> Node:
    entries = [value for field, value in _fields(data) if field == 2 and isinstance(value, bytes)]
    parts = [part for entry in entries for field, part in _fields(entry) if field in (3, 4)]
    return Build(tuple(_expression(part) for part in parts if isinstance(part, bytes)))


def _fold(data: bytes) -> Node:
    fields = _by_field(data)
    items, initial, condition, step, result = (_within(fields, field) for field in (2, 4, 5, 6, 7))
    return Fold(frozenset({_text(fields, 1), _text(fields, 8)}), _text(fields, 3), items, initial, condition, step, result)


_KINDS = {1: "null", 2: "boolean", 3: "integer", 5: "number", 6: "string"}
_READERS = {3: _constant, 4: _name, 5: _select, 6: _call, 7: _list, 8: _struct, 9: _fold}


_Fields = dict[int, bytes | int]


def _by_field(data: bytes) -> _Fields:
    """Of a message none of whose fields is repeated."""
    return dict(_fields(data))


def _message(fields: _Fields, wanted: int) -> bytes:
    value = fields.get(wanted, b"")
    return value if isinstance(value, bytes) else b""


def _within(fields: _Fields, wanted: int) -> Node:
    return _expression(_message(fields, wanted))


def _text(fields: _Fields, wanted: int) -> str:
    return _message(fields, wanted).decode()


def _fields(data: bytes) -> list[tuple[int, bytes | int]]:
    """Field numbers and values of one protobuf message; bytes for what has a length, ints for the rest."""
    found: list[tuple[int, bytes | int]] = []
    at, end = 0, len(data)
    while at < end:
        tag = data[at]
        at += 1
        if tag >= 0x80:
            tag, at = _varint(data, at - 1)
        wire = tag & 7
        if wire in (0, 2):
            value = data[at]
            at += 1
            if value >= 0x80:
                value, at = _varint(data, at - 1)
            if wire == 0:
                found.append((tag >> 3, value))
            else:
                found.append((tag >> 3, data[at : at + value]))
                at += value
        else:  # 1: eight bytes, 5: four; syntax.proto has no groups
            at += 8 if wire == 1 else 4
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
