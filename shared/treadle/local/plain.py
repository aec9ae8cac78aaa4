"""The plain part of DynamoDB's expressions, compiled once per text: what the engine writes, in a few microseconds.

Plain means top-level attributes, and what `aws/clauses.py` says with them. Whatever else an expression holds is *not
plain* (`compile_*` answers None, a function raises `NotPlain`) and is left to moto, which then does all of it: here
nothing is ever half understood, and nothing is refused but by a condition.

Items and values are in wire form: `{"state": {"S": "claimed"}}`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

Wire = dict[str, Any]
WireItem = dict[str, Wire]
Values = Mapping[str, Wire]
Test = Callable[[WireItem, Values], bool]
Operand = Callable[[WireItem, Values], Wire | None]  # None: there is no such attribute


class NotPlain(Exception):
    """Leave it to moto."""


@dataclass(frozen=True, slots=True)
class Condition:
    holds: Test
    names: frozenset[str]  # placeholders used
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class Update:
    """`sets`: (attribute, operand) seen against the item as it was; then `adds`, `takes` and `removes`."""

    sets: tuple[tuple[str, Operand], ...]
    adds: tuple[tuple[str, str], ...]  # (attribute, value placeholder)
    takes: tuple[tuple[str, str], ...]
    removes: tuple[str, ...]
    attributes: frozenset[str]
    names: frozenset[str]
    values: frozenset[str]

    def apply(self, item: WireItem, values: Values) -> WireItem:
        """The new item; `item` stays as it is. Raises NotPlain for what DynamoDB would refuse (types that do not go together)."""
        new = dict(item)
        for name, operand in self.sets:
            new[name] = _there(operand(item, values))
        for name, placeholder in self.adds:
            new[name] = _added(item.get(name), values[placeholder])
        for name, placeholder in self.takes:
            _take(new, name, values[placeholder])
        for name in self.removes:
            new.pop(name, None)
        return new


@lru_cache(maxsize=4096)
def compile_condition(text: str, names: tuple[tuple[str, str], ...]) -> Condition | None:
    """`names`: the items of ExpressionAttributeNames."""
    try:
        parser = _Parser(text, dict(names))
        holds = parser.any_of()
        parser.end()
    except NotPlain:
        return None
    return Condition(holds, frozenset(parser.names_used), frozenset(parser.values_used))


@lru_cache(maxsize=4096)
def compile_update(text: str, names: tuple[tuple[str, str], ...]) -> Update | None:
    try:
        parser = _Parser(text, dict(names))
        update = parser.update()
    except NotPlain:
        return None
    return update


# ------------------------------------------------------------------------------------------------------------ parsing

_TOKEN = re.compile(r"\s*(#\w+|:\w+|[A-Za-z_]\w*|<=|>=|<>|[<>=(),+-])")
_WORDS = frozenset({"AND", "OR", "NOT", "IN", "BETWEEN", "SET", "ADD", "DELETE", "REMOVE"})


class _Parser:
    """Recursive descent over the tokens of one expression. Each method takes what it is named after and returns its meaning."""

    def __init__(self, text: str, names: Mapping[str, str]) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._names = names
        self.names_used: set[str] = set()
        self.values_used: set[str] = set()

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _is_next(self, *wanted: str) -> bool:
        if self._peek().upper() in wanted:
            self._at += 1
            return True
        return False

    def _expect(self, token: str) -> None:
        if not self._is_next(token):
            raise NotPlain

    def end(self) -> None:
        if self._peek():
            raise NotPlain

    def attribute(self) -> str:
        token = self._next()
        if token.startswith("#"):
            self.names_used.add(token)
            if token not in self._names:
                raise NotPlain
            return self._names[token]
        # A plain word may be a reserved one, which DynamoDB refuses: only the two key names are known to be none.
        if token in ("pk", "sk"):
            return token
        raise NotPlain

    def value(self) -> str:
        token = self._next()
        if not token.startswith(":"):
            raise NotPlain
        self.values_used.add(token)
        return token

    # conditions, loosest binding first

    def any_of(self) -> Test:
        test = self.all_of()
        while self._is_next("OR"):
            test = _either(test, self.all_of())
        return test

    def all_of(self) -> Test:
        test = self.one()
        while self._is_next("AND"):
            test = _both(test, self.one())
        return test

    def one(self) -> Test:
        if self._is_next("NOT"):
            return _not(self.one())
        if self._is_next("("):
            test = self.any_of()
            self._expect(")")
            return test
        match self._peek():
            case "attribute_exists":
                return _not(_is_absent(self._argument()))
            case "attribute_not_exists":
                return _is_absent(self._argument())
            case "begins_with":
                return self.begins_with()
        return self.comparison()

    def _argument(self) -> str:
        self._next()
        self._expect("(")
        name = self.attribute()
        self._expect(")")
        return name

    def begins_with(self) -> Test:
        self._next()
        self._expect("(")
        name = self.attribute()
        self._expect(",")
        prefix = self.value()
        self._expect(")")
        return lambda item, values: _text(item.get(name)).startswith(_text(values[prefix])) if name in item else False

    def comparison(self) -> Test:
        left = self.operand()
        if self._is_next("IN"):
            return self._membership(left)
        if self._is_next("BETWEEN"):
            low = self.operand()
            self._expect("AND")
            return _both(_compared(left, ">=", low), _compared(left, "<=", self.operand()))
        operator = self._next()
        if operator not in _ORDERS and operator not in ("=", "<>"):
            raise NotPlain
        return _compared(left, operator, self.operand())

    def _membership(self, left: Operand) -> Test:
        self._expect("(")
        options = [self.operand()]
        while self._is_next(","):
            options.append(self.operand())
        self._expect(")")
        return lambda item, values: any(_is_same(left(item, values), option(item, values)) for option in options)

    def operand(self) -> Operand:
        if self._peek().startswith(":"):
            placeholder = self.value()
            return lambda item, values: values[placeholder]
        if self._peek() == "size":
            name = self._argument()
            return lambda item, values: _size(item.get(name))
        name = self.attribute()
        return lambda item, values: item.get(name)

    # updates

    def update(self) -> Update:
        sets: list[tuple[str, Operand]] = []
        pairs: dict[str, list[tuple[str, str]]] = {"ADD": [], "DELETE": []}
        removes: list[str] = []
        verbs: set[str] = set()
        while verb := self._next().upper():
            if verb in verbs:  # DynamoDB refuses a clause that stands there twice
                raise NotPlain
            verbs.add(verb)
            match verb:
                case "SET":
                    self._list(lambda: sets.append(self.assignment()))
                case "ADD" | "DELETE":
                    self._list(lambda into=pairs[verb]: into.append((self.attribute(), self.value())))  # type: ignore[misc]
                case "REMOVE":
                    self._list(lambda: removes.append(self.attribute()))
                case _:
                    raise NotPlain
        changed = [name for name, _ in (*sets, *pairs["ADD"], *pairs["DELETE"])] + removes
        if len(set(changed)) < len(changed):  # paths that overlap
            raise NotPlain
        return Update(
            sets=tuple(sets),
            adds=tuple(pairs["ADD"]),
            takes=tuple(pairs["DELETE"]),
            removes=tuple(removes),
            attributes=frozenset(changed),
            names=frozenset(self.names_used),
            values=frozenset(self.values_used),
        )

    def _list(self, take: Callable[[], object]) -> None:
        take()
        while self._is_next(","):
            take()

    def assignment(self) -> tuple[str, Operand]:
        name = self.attribute()
        self._expect("=")
        operand = self.new_value()
        if self._is_next("+"):
            operand = _sum(operand, self.new_value(), 1)
        elif self._is_next("-"):
            operand = _sum(operand, self.new_value(), -1)
        return name, operand

    def new_value(self) -> Operand:
        if not self._is_next("IF_NOT_EXISTS"):
            return self.operand()
        self._expect("(")
        name = self.attribute()
        self._expect(",")
        default = self.operand()
        self._expect(")")
        return lambda item, values: item.get(name) or default(item, values)


def _tokens(text: str) -> list[str]:
    tokens = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match:
            raise NotPlain
        tokens.append(match[1])
        at = match.end()
    return tokens


# --------------------------------------------------------------------------------------------------------- what it means


def _both(left: Test, right: Test) -> Test:
    return lambda item, values: left(item, values) and right(item, values)


def _either(left: Test, right: Test) -> Test:
    return lambda item, values: left(item, values) or right(item, values)


def _not(test: Test) -> Test:
    return lambda item, values: not test(item, values)


def _is_absent(name: str) -> Test:
    return lambda item, values: name not in item


def _compared(left: Operand, operator: str, right: Operand) -> Test:
    if operator == "=":
        return lambda item, values: _is_same(left(item, values), right(item, values))
    if operator == "<>":
        return lambda item, values: not _is_same(left(item, values), right(item, values))
    order = _ORDERS[operator]
    return lambda item, values: _in_order(left(item, values), order, right(item, values))


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def _is_same(left: Wire | None, right: Wire | None) -> bool:
    if left is None or right is None:
        return False
    if left == right:
        return True
    (kind, one), (other_kind, other) = _only(left), _only(right)
    if kind != other_kind:
        return False
    if kind == "N":
        return number(one) == number(other)
    if kind == "NS":
        return {number(member) for member in one} == {number(member) for member in other}
    return kind == "SS" and set(one) == set(other)


def _in_order(left: Wire | None, order: Callable[[Any, Any], bool], right: Wire | None) -> bool:
    if left is None or right is None:
        return False
    (kind, one), (other_kind, other) = _only(left), _only(right)
    if kind != other_kind:
        return False
    if kind == "N":
        return order(number(one), number(other))
    if kind == "S":
        return order(one, other)
    raise NotPlain


def _size(value: Wire | None) -> Wire | None:
    if value is None:
        return None
    kind, inner = _only(value)
    if kind == "S":
        return {"N": str(len(inner.encode()))}
    if kind in ("L", "M", "NS", "SS"):
        return {"N": str(len(inner))}
    raise NotPlain


def _sum(left: Operand, right: Operand, sign: int) -> Operand:
    def total(item: WireItem, values: Values) -> Wire:
        one, other = _there(left(item, values)), _there(right(item, values))
        if "N" not in one or "N" not in other:
            raise NotPlain
        return {"N": str(number(one["N"]) + sign * number(other["N"]))}

    return total


def _added(value: Wire | None, more: Wire) -> Wire:
    if value is None:
        return more
    (kind, one), (other_kind, other) = _only(value), _only(more)
    if kind != other_kind or kind not in ("N", "NS", "SS"):
        raise NotPlain
    if kind == "N":
        return {"N": str(number(one) + number(other))}
    return {kind: list(dict.fromkeys((*one, *other)))}


def _take(item: WireItem, name: str, members: Wire) -> None:
    kind, gone = _only(members)
    if kind not in ("NS", "SS") or (name in item and kind not in item[name]):
        raise NotPlain
    left = [member for member in item.get(name, members)[kind] if member not in gone]
    if left:
        item[name] = {kind: left}
    else:
        item.pop(name, None)  # there is no empty set


def _there(value: Wire | None) -> Wire:
    if value is None:
        raise NotPlain
    return value


def _text(value: Wire | None) -> str:
    text = (value or {}).get("S")
    if not isinstance(text, str):
        raise NotPlain
    return text


def _only(value: Wire) -> tuple[str, Any]:
    ((kind, inner),) = value.items()
    return kind, inner


def number(text: str) -> int:
    """Whole numbers only: what the engine writes."""
    try:
        return int(text)
    except ValueError:
        raise NotPlain from None
