"""Values of the port as DynamoDB's wire form and back: str S, int N, bool BOOL, None NULL, list L, dict M, set[int] NS.

Our own, because boto3's serializer goes through Decimal and costs several times as much. There are no floats in items
(JSON payloads are text), and no empty sets: an empty set is an attribute that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.errors import Corrupted
from ..ports import Item

Wire = dict[str, Any]  # {"S": "text"}
WireItem = dict[str, Wire]


def to_wire_item(item: Mapping[str, Any]) -> WireItem:
    """Raises TypeError for a value that no item may hold."""
    return {name: to_wire(value) for name, value in item.items() if not is_empty_set(value)}


def from_wire_item(wire: Mapping[str, Wire]) -> Item:
    """Raises Corrupted for what `to_wire_item` never writes."""
    return {name: from_wire(value) for name, value in wire.items()}


def is_empty_set(value: Any) -> bool:
    return not value and isinstance(value, (set, frozenset))


def to_wire(value: Any) -> Wire:
    kind = type(value)
    if kind is str:
        return {"S": value}
    if kind is int:
        return {"N": str(value)}
    if kind is bool:
        return {"BOOL": value}
    if value is None:
        return {"NULL": True}
    if kind is dict:
        return {"M": {name: to_wire(inner) for name, inner in value.items()}}
    if kind is list or kind is tuple:
        return {"L": [to_wire(inner) for inner in value]}
    return _to_wire_unusual(value)


def _to_wire_unusual(value: Any) -> Wire:
    """Sets, and subclasses of what `to_wire` knows (a StrEnum is its text)."""
    if isinstance(value, (set, frozenset)):
        if not value or any(type(member) is not int for member in value):
            raise TypeError(f"a set in an item has members and they are ints, not {value!r}")
        return {"NS": [str(member) for member in value]}
    if isinstance(value, str):
        return {"S": str(value)}
    if isinstance(value, int):
        return {"N": str(int(value))}
    raise TypeError(f"an item cannot hold a {type(value).__name__}: {value!r}")


def from_wire(wire: Wire) -> Any:
    for kind, value in wire.items():
        if kind == "S" or kind == "BOOL":
            return value
        if kind == "N":
            return _number(value)
        if kind == "NULL":
            return None
        if kind == "M":
            return {name: from_wire(inner) for name, inner in value.items()}
        if kind == "L":
            return [from_wire(inner) for inner in value]
        if kind == "NS":
            return {_number(member) for member in value}
    raise Corrupted(f"an item holds a value of unknown type: {wire!r}")


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Corrupted(f"an item holds a number that is not whole: {text}") from None
