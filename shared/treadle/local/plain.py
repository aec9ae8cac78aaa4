"""The plain part of DynamoDB's expressions, compiled once per text: what the engine writes, in a few microseconds.

Plain means top-level attributes, and what `aws/clauses.py` says with them. Whatever else an expression holds is *not
plain* (`compile_*` answers None, a function raises `NotPlain`) and is left to moto, which then does all of it: here
nothing is ever half understood, and nothing is refused but by a condition.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from .semantics import (
    ORDERS,
    Operand,
    Test,
    Values,
    added,
    both,
    compared,
    either,
    is_absent,
    is_same,
    negated,
    size_value,
    take_away,
    text_of,
    there,
    total,
)
from .wire import NotPlain, Wires


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

    def apply(self, item: Wires, values: Values) -> Wires:
        """The new item; `item` stays as it is. Raises NotPlain for what DynamoDB would refuse (types that do not go together)."""
        new = dict(item)
        for name, operand in self.sets:
            new[name] = there(operand(item, values))
        for name, placeholder in self.adds:
            new[name] = added(item.get(name), values[placeholder])
        for name, placeholder in self.takes:
            take_away(new, name, values[placeholder])
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
            test = either(test, self.all_of())
        return test

    def all_of(self) -> Test:
        test = self.one()
        while self._is_next("AND"):
            test = both(test, self.one())
        return test

    def one(self) -> Test:
        if self._is_next("NOT"):
            return negated(self.one())
        if self._is_next("("):
            test = self.any_of()
            self._expect(")")
            return test
        match self._peek():
            case "attribute_exists":
                return negated(is_absent(self._argument()))
            case "attribute_not_exists":
                return is_absent(self._argument())
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
        return lambda item, values: text_of(item.get(name)).startswith(text_of(values[prefix])) if name in item else False

    def comparison(self) -> Test:
        left = self.operand()
        if self._is_next("IN"):
            return self._membership(left)
        if self._is_next("BETWEEN"):
            low = self.operand()
            self._expect("AND")
            return both(compared(left, ">=", low), compared(left, "<=", self.operand()))
        operator = self._next()
        if operator not in ORDERS and operator not in ("=", "<>"):
            raise NotPlain
        return compared(left, operator, self.operand())

    def _membership(self, left: Operand) -> Test:
        self._expect("(")
        options = [self.operand()]
        while self._is_next(","):
            options.append(self.operand())
        self._expect(")")
        return lambda item, values: any(is_same(left(item, values), option(item, values)) for option in options)

    def operand(self) -> Operand:
        if self._peek().startswith(":"):
            placeholder = self.value()
            return lambda item, values: values[placeholder]
        if self._peek() == "size":
            name = self._argument()
            return lambda item, values: size_value(item.get(name))
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
            operand = total(operand, self.new_value(), 1)
        elif self._is_next("-"):
            operand = total(operand, self.new_value(), -1)
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
