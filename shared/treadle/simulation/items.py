"""Items as DynamoDB would hold them: copied on the way in and out, typed (true is not 1), sized, limited.

What DynamoDB refuses with a ValidationException is a ValueError here, and so it is from the adapter for AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import topology
from ..ports import Item

MAX_ITEM_BYTES = 400 * 1024
_KEY_BYTES = {"pk": 2048, "sk": 1024}
_LARGEST = 10**38  # numbers have 38 digits
_PYTHON_TYPE: Mapping[str, type] = {"S": str, "N": int}


def stored(item: Mapping[str, Any]) -> Item:
    """A copy as it would be stored. Raises ValueError for what DynamoDB refuses, TypeError for what no item may hold."""
    copied = {name: copy(value) for name, value in item.items() if not is_empty_set(value)}
    for name, limit in _KEY_BYTES.items():
        value = copied.get(name)
        if not isinstance(value, str) or not 0 < len(value.encode()) <= limit:
            raise ValueError(f"the key attribute {name} is a string of 1 to {limit} bytes, not {value!r}")
    for index in topology.INDEXES:
        _check_index_key(copied, index.hash_key, index.hash_type)
        _check_index_key(copied, index.range_key, index.range_type)
    if not _is_surely_small(copied) and (size := size_bytes(copied)) > MAX_ITEM_BYTES:
        raise ValueError(f"Item size has exceeded the maximum allowed size: {size} of {MAX_ITEM_BYTES} bytes")
    return copied


def _is_surely_small(item: Item) -> bool:
    """Most items are a few short texts and numbers: no need to size them to the byte."""
    texts = [len(value) for value in item.values() if type(value) is str]
    flat = len(texts) + sum([1 for value in item.values() if type(value) in (int, bool)])
    return flat == len(item) and sum(texts) < 10_000


def _check_index_key(item: Item, name: str, kind: str) -> None:
    if name in item and (type(item[name]) is not _PYTHON_TYPE[kind] or item[name] == ""):
        raise ValueError(f"{name} is the key of an index and of type {kind}; {item[name]!r} is not")


def copy(value: Any) -> Any:
    """A deep copy, in the plain types of the port (a StrEnum becomes its text)."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is int:
        return _checked_number(value)
    if kind is dict:
        return {name: copy(inner) for name, inner in value.items()}
    if kind is list or kind is tuple:
        return [copy(inner) for inner in value]
    if isinstance(value, (set, frozenset)):
        return _copied_set(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return _checked_number(int(value))
    raise TypeError(f"an item cannot hold a {kind.__name__}: {value!r}")


def copy_item(item: Item) -> Item:
    return {name: copy(value) for name, value in item.items()}


def _copied_set(value: set[int] | frozenset[int]) -> set[int]:
    if not value or any(type(member) is not int for member in value):
        raise TypeError(f"a set in an item has members and they are ints, not {value!r}")
    return set(value)


def _checked_number(value: int) -> int:
    if abs(value) >= _LARGEST:
        raise ValueError("a number has at most 38 digits")
    return value


def is_empty_set(value: Any) -> bool:
    return not value and isinstance(value, (set, frozenset))


def same(one: Any, other: Any) -> bool:
    """Equal and of the same type, all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def size_bytes(item: Item) -> int:
    """As DynamoDB publishes it: names and strings in UTF-8, numbers by their digits, 3 for a list or map and 1 for each of its members."""
    return sum([_size_of_text(name) + _size_of(value) for name, value in item.items()])


def _size_of_text(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _size_of(value: Any) -> int:
    if isinstance(value, str):
        return _size_of_text(value)
    if value is None or isinstance(value, bool):
        return 1
    if isinstance(value, int):
        return _size_of_number(value)
    if isinstance(value, set):
        return sum(map(_size_of_number, value))
    if isinstance(value, list):
        return 3 + sum([1 + _size_of(inner) for inner in value])
    return 3 + sum([1 + _size_of_text(name) + _size_of(inner) for name, inner in value.items()])


def _size_of_number(value: int) -> int:
    digits = str(abs(value)).rstrip("0")
    return (len(digits) + 1) // 2 + 1 + (value < 0)
