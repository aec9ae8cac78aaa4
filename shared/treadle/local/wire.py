"""Items as DynamoDB's wire has them: `{"state": {"S": "claimed"}, "fence": {"N": "7"}}`."""

from __future__ import annotations

import random
from typing import Any

Wire = dict[str, Any]  # {"S": "text"}
Wires = dict[str, Wire]  # an item or a key


class NotPlain(Exception):
    """Leave it to moto."""


def size_of(wire: Wires) -> int:
    """Bytes as DynamoDB counts them, near enough for its limits. Raises NotPlain for binary, empty sets and numbers that are not whole."""
    return sum(len(name) + weigh(value) for name, value in wire.items())


def weigh(value: Wire) -> int:
    ((kind, inner),) = value.items()
    if kind == "S":
        return len(inner) if inner.isascii() else len(inner.encode())
    if kind == "N":
        return _weigh_number(inner)
    if kind == "BOOL" or kind == "NULL":
        return 1
    if kind == "M":
        return 3 + size_of(inner)
    if kind == "L":
        return 3 + sum(1 + weigh(member) for member in inner)
    if kind == "NS" and inner:
        return sum(map(_weigh_number, inner))
    if kind == "SS" and inner:
        return sum(len(member.encode()) for member in inner)
    raise NotPlain


def _weigh_number(text: str) -> int:
    digits = text[1:] if text[:1] == "-" else text
    if not digits.isdigit() or len(digits) > 38 or (digits[0] == "0" and text != "0"):
        raise NotPlain
    return len(digits) // 2 + 2


def copied(wire: Wires, names: frozenset[str] | None = None) -> Wires:
    """Its own all the way down, so that no caller can change what is stored."""
    return {name: _copied(value) for name, value in wire.items() if names is None or name in names}


def _copied(value: Wire) -> Wire:
    ((kind, inner),) = value.items()
    if kind == "M":
        return {kind: copied(inner)}
    if kind == "L":
        return {kind: [_copied(member) for member in inner]}
    if kind == "NS" or kind == "SS":
        return {kind: list(inner)}
    return {kind: inner}


def number(text: str) -> int:
    """Whole numbers only: what the engine writes. Raises NotPlain for others."""
    try:
        return int(text)
    except ValueError:
        raise NotPlain from None


def scalar(value: Wire, kind: str) -> Any:
    """The value of a key. Raises NotPlain for another type and for an empty string: neither may be a key."""
    inner = value.get(kind)
    if not inner:
        raise NotPlain
    return number(inner) if kind == "N" else inner


def new_id() -> str:
    """Looks like a UUID. Not from the system's randomness: asking for that gives the interpreter away, with the lock in hand."""
    digits = f"{random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
