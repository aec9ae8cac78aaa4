"""DynamoDB's published rules: how many bytes an item is, and how many units a read or write of it takes.

Sizes: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
Units: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
Indexes: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html (section on throughput)

Items are in wire form: `{"state": {"S": "ended"}, "fence": {"N": "7"}}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..topology import INDEXES, Index

Wire = Mapping[str, Any]
Item = Mapping[str, Wire]

WRITE_BLOCK = 1024
READ_BLOCK = 4096
CHUNK = 64 * 1024  # SQS and EventBridge bill each 64 KiB of a request or event as one


def item_bytes(item: Item) -> int:
    """Names and values of all attributes, names in UTF-8."""
    return sum(len(name.encode()) + value_bytes(value) for name, value in item.items())


def value_bytes(value: Wire) -> int:
    ((kind, inner),) = value.items()
    match kind:
        case "S":
            return len(inner.encode())
        case "N":
            return number_bytes(inner)
        case "B":
            return len(inner)
        case "BOOL" | "NULL":
            return 1
        case "L":
            return 3 + sum(1 + value_bytes(member) for member in inner)
        case "M":
            return 3 + sum(1 + len(name.encode()) + value_bytes(member) for name, member in inner.items())
        case "SS":
            return sum(len(member.encode()) for member in inner)
        case "NS":
            return sum(map(number_bytes, inner))
    raise ValueError(f"no such type of attribute: {kind}")


def number_bytes(text: str) -> int:
    """A byte for each two significant digits and one more; another one for a minus sign. Zeros at either end are not significant."""
    digits = text.lstrip("-").replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1 + text.startswith("-")


def blocks(size: int, block: int) -> int:
    """Begun blocks; nothing costs as much as the smallest thing."""
    return max(1, -(-size // block))


def write_units(old: Item | None, new: Item | None) -> int:
    """Of the table: the larger of the item before and after. A refused write costs as if nothing had changed: `new` is then `old`."""
    return blocks(max(item_bytes(item) if item else 0 for item in (old, new)), WRITE_BLOCK)


def index_units(old: Item | None, new: Item | None, indexes: Iterable[Index] = INDEXES) -> int:
    """Of all indexes: a write for an entry that comes, goes or changes what is projected, two for one that changes its place."""
    return sum(_units_of(_entry(old, index), _entry(new, index), index) for index in indexes)


def read_units(items: Iterable[int], *, consistent: bool) -> float:
    """Each item by itself (GetItem, BatchGetItem). `items`: their bytes, 0 for one that is not there."""
    return sum(blocks(size, READ_BLOCK) for size in items) * (1.0 if consistent else 0.5)


def query_units(size: int, *, consistent: bool) -> float:
    """All items of the answer together."""
    return blocks(size, READ_BLOCK) * (1.0 if consistent else 0.5)


def chunks(size: int) -> int:
    return blocks(size, CHUNK)


def _entry(item: Item | None, index: Index) -> Item | None:
    """What the index holds of the item; None: the item is not in it."""
    if item is None or index.hash_key not in item or index.range_key not in item:
        return None
    projected = {"pk", "sk", index.hash_key, index.range_key, *(index.includes or ())}
    return {name: value for name, value in item.items() if name in projected}


def _units_of(old: Item | None, new: Item | None, index: Index) -> int:
    if old == new:
        return 0
    if old is None or new is None:
        return write_units(old, new)
    stays = all(old[key] == new[key] for key in (index.hash_key, index.range_key))
    return write_units(old, new) if stays else write_units(old, None) + write_units(None, new)
