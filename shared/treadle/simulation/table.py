"""`ports.Store` in memory: one table and its indexes, each call atomic, with DynamoDB's meaning of conditions and changes."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import RLock
from typing import Any, assert_never

from .. import topology
from ..ports import Absent, AllOf, AnyOf, AtMost, Change, Condition, Equals, Item, Key, Members, OneOf, Page, Present, SizeBelow, Written
from .calls import Calls, Watched, watched
from .items import copy, copy_item, is_empty_set, same, size_bytes, stored

_PAGE_BYTES = 1_048_576  # a query's page ends here
_MEMBERS_OF_IN = 100
_BEHIND_ALL = "\U0010ffff"


class MemoryStore(Watched):
    def __init__(self, calls: Calls | None = None) -> None:
        self.calls = calls
        self.wrote: Callable[[Key, Item | None], None] | None = None  # told of each change, as it stands in the table (None: gone)
        self._lock = RLock()
        self._items: dict[Key, Item] = {}
        self._partitions: dict[str, list[str]] = {}  # pk -> its sort keys, in order
        self._due: dict[int, dict[Key, int]] = {}  # shard -> key -> due
        self._lists: dict[str, dict[Key, str]] = {}  # list_pk -> key -> list_sk

    # ------------------------------------------------------------------------------------------------------- reads

    @watched("store.get")
    def get(self, key: Key, *, consistent: bool = True) -> Item | None:
        with self._lock:
            item = self._items.get(key)
            return copy_item(item) if item is not None else None

    def get_many(self, keys: Sequence[Key], *, consistent: bool = True) -> dict[Key, Item]:
        found: dict[Key, Item] = {}
        for first in range(0, len(keys), 100):
            found |= self._get_batch(keys[first : first + 100])
        return found

    @watched("store.get_many")
    def _get_batch(self, keys: Sequence[Key]) -> dict[Key, Item]:
        if len(set(keys)) < len(keys):
            raise ValueError("Provided list of item keys contains duplicates")
        with self._lock:
            return {key: copy_item(self._items[key]) for key in keys if key in self._items}

    # ------------------------------------------------------------------------------------------------------ writes

    @watched("store.put")
    def put(self, item: Item, condition: Condition | None = None) -> Written:
        new = stored(item)
        return self._write((new["pk"], new["sk"]), condition, new)

    @watched("store.update")
    def update(self, key: Key, change: Change, condition: Condition | None = None) -> Written:
        _check_targets(change)  # a malformed request is refused before its condition is looked at
        with self._lock:
            old = self._items.get(key)
            if condition and not holds(condition, old):
                return Written(False, copy_item(old) if old else None)
            new = stored(changed(old or {"pk": key[0], "sk": key[1]}, change))
            self._replace(key, new)
            return Written(True, copy_item(new))

    @watched("store.delete")
    def delete(self, key: Key, condition: Condition | None = None) -> Written:
        return self._write(key, condition, None)

    def _write(self, key: Key, condition: Condition | None, new: Item | None) -> Written:
        with self._lock:
            old = self._items.get(key)
            if condition and not holds(condition, old):
                is_done = self.is_repeating and new is not None and same(new, old)
                return Written(True, None) if is_done else Written(False, copy_item(old) if old else None)
            self._replace(key, new)
            return Written(True, None)

    def _replace(self, key: Key, new: Item | None) -> None:
        old = self._items.pop(key, None)
        if old is None and new is not None:
            insort(self._partitions.setdefault(key[0], []), key[1])
        elif old is not None and new is None:
            del self._partitions[key[0]][bisect_left(self._partitions[key[0]], key[1])]
        _reindex(self._due, topology.DUE, key, old, new)
        _reindex(self._lists, topology.LIST, key, old, new)
        if new is not None:
            self._items[key] = new
        if self.wrote is not None:
            self.wrote(key, new)

    # ----------------------------------------------------------------------------------------------------- queries

    @watched("store.query")
    def query(self, pk: str, *, prefix: str = "", after: Key | None = None, limit: int = 1000, ascending: bool = True) -> Page:
        with self._lock:
            sks = self._partitions.get(pk, [])
            chosen = sks[bisect_left(sks, prefix) : bisect_left(sks, prefix + _BEHIND_ALL)]
            if not ascending:
                chosen.reverse()
            if after is not None:
                chosen = [sk for sk in chosen if (sk > after[1] if ascending else sk < after[1])]
            items = _cut([self._items[pk, sk] for sk in chosen[:limit]])
        # DynamoDB stops at the limit without looking whether more would come: a full page is never known to be the last.
        is_full = len(items) == limit or len(items) < len(chosen)
        return Page(items, (pk, items[-1]["sk"]) if is_full and items else None)

    @watched("store.query_due")
    def query_due(self, shard: int, until: int, *, limit: int = 100) -> list[tuple[Key, int]]:
        with self._lock:
            due = sorted((due, key) for key, due in self._due.get(shard, {}).items() if due <= until)
        return [(key, at) for at, key in due[:limit]]

    @watched("store.query_list")
    def query_list(self, partition: str, *, start: str = "", end: str = "\uffff", after: str | None = None, limit: int = 100) -> Page:
        with self._lock:
            listed = [
                (sk, key) for key, sk in self._lists.get(partition, {}).items() if start <= sk <= end and (after is None or sk < after)
            ]
            listed.sort(reverse=True)
            items = _cut([_projected(self._items[key], topology.LIST) for _, key in listed[:limit]])
        is_full = len(items) == limit or len(items) < len(listed)
        return Page(items, (partition, items[-1]["list_sk"]) if is_full and items else None)

    # ------------------------------------------------------------------------------------------- for simulations

    def saved(self) -> Callable[[MemoryStore], None]:
        """What makes another one be as this one is now. An item is never changed in place, so that the two may share it."""
        items, partitions = dict(self._items), {pk: list(sks) for pk, sks in self._partitions.items()}
        due = {shard: dict(some) for shard, some in self._due.items()}
        lists = {partition: dict(some) for partition, some in self._lists.items()}

        def restore(other: MemoryStore) -> None:
            other._items, other._partitions = dict(items), {pk: list(sks) for pk, sks in partitions.items()}
            other._due = {shard: dict(some) for shard, some in due.items()}
            other._lists = {partition: dict(some) for partition, some in lists.items()}

        return restore

    def items(self) -> list[Item]:
        """Everything, in order of its keys: for invariants and for showing what a simulation left behind."""
        with self._lock:
            return [copy_item(self._items[key]) for key in sorted(self._items)]


def _reindex(entries: dict[Any, dict[Key, Any]], index: topology.Index, key: Key, old: Item | None, new: Item | None) -> None:
    if old is not None and index.hash_key in old and index.range_key in old:
        del entries[old[index.hash_key]][key]
    if new is not None and index.hash_key in new and index.range_key in new:
        entries.setdefault(new[index.hash_key], {})[key] = new[index.range_key]


def _projected(item: Item, index: topology.Index) -> Item:
    names = ("pk", "sk", index.hash_key, index.range_key, *(index.includes or ()))
    return {name: item[name] for name in names if name in item}


def _cut(items: Iterable[Item]) -> list[Item]:
    """Copies of as many as a page holds."""
    page: list[Item] = []
    room = _PAGE_BYTES
    for item in items:
        room -= size_bytes(item)
        if page and room < 0:
            break
        page.append(copy_item(item))
    return page


# ------------------------------------------------------------------------------------------- the meaning of conditions


def holds(condition: Condition, item: Item | None) -> bool:
    """Comparing an attribute that is absent, or of another type, is false."""
    there: Mapping[str, Any] = item or {}
    match condition:
        case Absent(name):
            return name not in there
        case Present(name):
            return name in there
        case Equals(name, value):
            return name in there and same(there[name], copy(value))
        case OneOf(name, options):
            values = _some(options, _MEMBERS_OF_IN)
            return name in there and any(same(there[name], copy(value)) for value in values)
        case AtMost(name, value):
            return type(there.get(name)) is int and there[name] <= value
        case SizeBelow(name, limit):
            return name not in there or (isinstance(there[name], (str, set, list, dict)) and len(there[name]) < limit)
        case AllOf(parts):
            return all(holds(part, item) for part in _some(parts))
        case AnyOf(parts):
            return any(holds(part, item) for part in _some(parts))
        case _:
            assert_never(condition)


def _some(parts: tuple[Any, ...], at_most: int = 1000) -> tuple[Any, ...]:
    if not 0 < len(parts) <= at_most:
        raise ValueError(f"a condition has 1 to {at_most} parts, not {len(parts)}")
    return parts


# ---------------------------------------------------------------------------------------------- the meaning of changes


def changed(old: Item, change: Change) -> Item:
    """The item after the change. Raises ValueError where DynamoDB would answer with a ValidationException."""
    new = dict(old)
    for name, source in change.copy.items():
        if source not in old:
            raise ValueError(f"The provided expression refers to an attribute that does not exist in the item: {source}")
        new[name] = old[source]
    new |= change.set
    new |= {name: value for name, value in change.keep.items() if name not in old}
    for name, value in change.add.items():
        new[name] = _added(name, old.get(name), value)
    for name, members in change.take.items():
        if name in old:
            new[name] = _set_of(name, old[name]) - members
    for name in change.remove:
        new.pop(name, None)
    return new


def _check_targets(change: Change) -> None:
    targets = [*change.set, *change.remove]
    for clause in (change.keep, change.copy, change.add, change.take):
        targets += [name for name, value in clause.items() if not is_empty_set(value)]
    if not targets:
        raise ValueError("a change of nothing")
    if len(set(targets)) < len(targets):
        raise ValueError(f"Two document paths overlap with each other: {targets}")
    if keys := {"pk", "sk"} & set(targets):
        raise ValueError(f"Cannot update attribute {keys}. This attribute is part of the key")


def _added(name: str, old: Any, value: int | Members) -> Any:
    if isinstance(value, (set, frozenset)):
        return _set_of(name, set() if old is None else old) | value
    if old is not None and type(old) is not int:
        raise ValueError(f"An operand in the update expression has an incorrect data type: {name} is no number")
    return (old or 0) + value


def _set_of(name: str, value: Any) -> Members:
    if not isinstance(value, set):
        raise ValueError(f"An operand in the update expression has an incorrect data type: {name} is no set")
    return value
