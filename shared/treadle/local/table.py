"""moto's DynamoDB tables, with items kept in wire form and sparse indexes kept in order.

The law: moto's `table.items` stays the one place where items are. A `WireItem` there is an ordinary moto `Item` that
turns into DynamoDB types only when moto itself looks at it; so whatever is not done here is done by moto on the same data.
Every operation answers None when it is not plain (see plain.py): the caller then lets moto do it.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right, insort
from typing import Any

from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import Table
from moto.dynamodb.models.utilities import dynamo_to_dict

from .plain import Condition as Compiled
from .plain import Update, compile_condition, compile_update
from .wire import NotPlain, Wires, copied, scalar, size_of, weigh

Request = dict[str, Any]
Answer = dict[str, Any]

_MOST_BYTES = 400 * 1024
_PAGE_BYTES = 1024 * 1024


class ConditionFailed(Exception):
    """`item`: the one that stands, if the request asked for it."""

    def __init__(self, item: Wires | None) -> None:
        self.item = item


class _Key(DynamoType):
    """A string key with its hash at hand. Equal to moto's own, and hashed alike."""

    def __init__(self, text: str) -> None:
        self.type = "S"
        self.value = text
        self._hash = hash(("S", text))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: Any) -> bool:
        return bool(self.value == other.value and other.type == "S")

    def __deepcopy__(self, memo: dict[int, Any]) -> _Key:
        return self  # it never changes


class WireItem(Item):
    """An item as the wire has it. Once moto asks for `attrs` those are the truth, until `wire` is asked for again."""

    def __new__(cls, *_: Any) -> WireItem:
        return object.__new__(cls)  # BaseModel's would keep every item for ever, for moto's dashboard

    def __init__(self, hash_key: DynamoType, range_key: DynamoType, wire: Wires, size_bytes: int) -> None:
        self.hash_key = hash_key
        self.range_key = range_key
        self.size_bytes = size_bytes
        self._wire: Wires | None = wire
        self._attrs: LimitedSizeDict | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> WireItem:
        return WireItem(self.hash_key, self.range_key, copied(self.wire), self.size_bytes)  # type: ignore[arg-type]

    @property
    def wire(self) -> Wires:
        """Shared: to be copied before it is given away or changed."""
        if self._wire is None:
            self.size_bytes = self.size()
            self._wire = dynamo_to_dict(self._attrs)
            self._attrs = None
        return self._wire

    @property
    def attrs(self) -> LimitedSizeDict:
        if self._attrs is None:
            self._attrs = LimitedSizeDict.__new__(LimitedSizeDict)
            for name, value in (self._wire or {}).items():
                dict.__setitem__(self._attrs, name, DynamoType(value))
            self._wire = None
        return self._attrs

    @attrs.setter
    def attrs(self, attrs: LimitedSizeDict) -> None:
        self._attrs, self._wire = attrs, None


class _Ordered:
    """One sparse index: entries `(range value, pk, sk)` in order, by hash value."""

    def __init__(
        self, name: str, hash_name: str, hash_kind: str, range_name: str, range_kind: str, projected: frozenset[str] | None
    ) -> None:
        self.name = name
        self.hash_name, self.hash_kind = hash_name, hash_kind
        self.range_name, self.range_kind = range_name, range_kind
        self.projected = projected  # None: everything
        self.entries: dict[Any, list[tuple[Any, str, str]]] = {}

    def check(self, wire: Wires) -> None:
        """Raises NotPlain for a key of another type, also where the other key is not there."""
        for name, kind in ((self.hash_name, self.hash_kind), (self.range_name, self.range_kind)):
            if name in wire:
                scalar(wire[name], kind)

    def entry_of(self, wire: Wires) -> tuple[Any, tuple[Any, str, str]] | None:
        one, other = wire.get(self.hash_name), wire.get(self.range_name)
        if one is None or other is None:
            return None
        return scalar(one, self.hash_kind), (scalar(other, self.range_kind), wire["pk"]["S"], wire["sk"]["S"])

    def move(self, old: Wires | None, new: Wires | None) -> None:
        before = self.entry_of(old) if old else None
        after = self.entry_of(new) if new else None
        if before == after:
            return
        if before:
            entries = self.entries[before[0]]
            del entries[bisect_left(entries, before[1])]
        if after:
            insort(self.entries.setdefault(after[0], []), after[1])


class Fast:
    """The plain operations of one table whose key is `pk` and `sk`, both strings."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.is_stale = True  # moto wrote: the indexes are to be built again
        self._indexes = {index.name: index for index in map(self._ordered, table.global_indexes)}

    def _ordered(self, index: Any) -> _Ordered:
        kinds = {attribute["AttributeName"]: attribute["AttributeType"] for attribute in self.table.attr}
        by_role = {key["KeyType"]: key["AttributeName"] for key in index.schema}
        projected = None
        if index.projection["ProjectionType"] != "ALL":
            projected = frozenset({"pk", "sk", *by_role.values(), *index.projection.get("NonKeyAttributes", ())})
        hash_name, range_name = by_role["HASH"], by_role["RANGE"]
        return _Ordered(index.name, hash_name, kinds[hash_name], range_name, kinds[range_name], projected)

    def _refresh(self) -> None:
        if not self.is_stale:
            return
        for index in self._indexes.values():
            index.entries.clear()
        for pk, partition in list(self.table.items.items()):
            for sk, item in list(partition.items()):
                wire = self._item(pk, sk, item).wire
                for index in self._indexes.values():
                    index.move(None, wire)
        self.is_stale = False

    def _item(self, pk: Any, sk: Any, item: Item) -> WireItem:
        if not isinstance(item, WireItem):
            wire = dynamo_to_dict(item.attrs)
            item = self.table.items[pk][sk] = WireItem(item.hash_key, item.range_key, wire, item.size())  # type: ignore[arg-type]
        return item

    # --------------------------------------------------------------------------------------------------- one item

    def get(self, request: Request) -> Answer:
        _only(request, _GET)
        item = self._find(request["Key"])
        return {"Item": copied(item.wire)} if item else {}

    def get_many(self, keys: list[Wires]) -> list[Wires]:
        if len({(key["pk"]["S"], key["sk"]["S"]) for key in keys}) < len(keys):
            raise NotPlain  # DynamoDB refuses duplicates
        return [copied(item.wire) for item in map(self._find, keys) if item]

    def put(self, request: Request) -> Answer:
        _only(request, _PUT)
        wire = request["Item"]
        self._check_condition(request, wire, None)
        self._store(wire, self._find_key(wire))
        return {}

    def update(self, request: Request) -> Answer:
        _only(request, _UPDATE)
        update = compile_update(request["UpdateExpression"], _names(request))
        if update is None or not update.attributes.isdisjoint(("pk", "sk")):
            raise NotPlain
        item = self._check_condition(request, request["Key"], update)
        values = request.get("ExpressionAttributeValues", {})
        for value in values.values():
            weigh(value)  # no such value gets into an item unchecked
        wire = update.apply(item.wire if item else request["Key"], values)
        self._store(wire, item)
        return {"Attributes": copied(wire)} if request.get("ReturnValues") == "ALL_NEW" else {}

    def delete(self, request: Request) -> Answer:
        _only(request, _DELETE)
        item = self._check_condition(request, request["Key"], None)
        if item:
            self._refresh()
            partition = self.table.items[item.hash_key]
            del partition[item.range_key]
            if not partition:
                del self.table.items[item.hash_key]
            for index in self._indexes.values():
                index.move(item.wire, None)
        return {}

    def _find(self, key: Wires) -> WireItem | None:
        if len(key) != 2:
            raise NotPlain
        return self._find_key(key)

    def _find_key(self, wire: Wires) -> WireItem | None:
        pk, sk = wire["pk"]["S"], wire["sk"]["S"]
        if not pk or not sk or len(pk) > 512 or len(sk) > 256:  # 2048 and 1024 bytes: moto counts and refuses
            raise NotPlain
        hash_key, range_key = _Key(pk), _Key(sk)
        partition = self.table.items.get(hash_key)
        item = partition.get(range_key) if partition else None
        return self._item(hash_key, range_key, item) if item else None

    def _check_condition(self, request: Request, key: Wires, update: Update | None) -> WireItem | None:
        """The item that stands. Raises ConditionFailed, or NotPlain also for placeholders that nothing uses."""
        item = self._find_key(key)
        condition: Compiled | None = None
        names, values = set(update.names) if update else set(), set(update.values) if update else set()
        if text := request.get("ConditionExpression"):
            condition = compile_condition(text, _names(request))
            if condition is None:
                raise NotPlain
            names |= condition.names
            values |= condition.values
        given = request.get("ExpressionAttributeValues", {})
        if names != request.get("ExpressionAttributeNames", {}).keys() or values != given.keys():
            raise NotPlain
        if condition and not condition.holds(item.wire if item else {}, given):
            asked = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
            raise ConditionFailed(copied(item.wire) if item and asked else None)
        return item

    def _store(self, wire: Wires, old: WireItem | None) -> None:
        size = size_of(wire)
        if size > _MOST_BYTES:
            raise NotPlain
        self._refresh()
        for index in self._indexes.values():
            index.check(wire)
        for index in self._indexes.values():
            index.move(old.wire if old else None, wire)
        hash_key, range_key = (old.hash_key, old.range_key) if old else (_Key(wire["pk"]["S"]), _Key(wire["sk"]["S"]))
        self.table.items[hash_key][range_key] = WireItem(hash_key, range_key, wire, size)  # type: ignore[arg-type]

    # --------------------------------------------------------------------------------------------------- many items

    def query(self, request: Request) -> Answer:
        _only(request, _QUERY)
        match = _KEY_CONDITION.fullmatch(request["KeyConditionExpression"])
        if not match or request.get("ExpressionAttributeNames"):
            raise NotPlain
        index = self._index(request)
        if match["hash"] != (index.hash_name if index else "pk") or (match["range"] or match["prefixed"]) not in (
            None,
            index.range_name if index else "sk",
        ):
            raise NotPlain
        found = self._in_index(index, match, request) if index else self._in_partition(match, request)
        return self._page(found, index, request)

    def _index(self, request: Request) -> _Ordered | None:
        name = request.get("IndexName")
        if name is None:
            return None
        if name not in self._indexes or request.get("ConsistentRead") or request.get("ExclusiveStartKey"):
            raise NotPlain
        self._refresh()
        return self._indexes[name]

    def _in_index(self, index: _Ordered, match: re.Match[str], request: Request) -> list[WireItem]:
        values = request["ExpressionAttributeValues"]
        entries = index.entries.get(scalar(values[match["hash_value"]], index.hash_kind), [])
        low, high = _bounds(match, values, index.range_kind)
        start = 0 if low is None else bisect_left(entries, (low,))
        end = len(entries) if high is None else bisect_right(entries, high, key=lambda entry: entry[0])
        # A page is at most `limit` and one more (to know whether it is the last): no more need be looked at.
        most = request.get("Limit", end) + 1
        chosen = entries[start:end][:most] if request.get("ScanIndexForward", True) else entries[start:end][::-1][:most]
        return [self._known(pk, sk) for _, pk, sk in chosen]

    def _known(self, pk: str, sk: str) -> WireItem:
        hash_key, range_key = _Key(pk), _Key(sk)
        return self._item(hash_key, range_key, self.table.items[hash_key][range_key])

    def _in_partition(self, match: re.Match[str], request: Request) -> list[WireItem]:
        values = request["ExpressionAttributeValues"]
        hash_key = _Key(values[match["hash_value"]]["S"])
        partition = self.table.items.get(hash_key, {})
        low, high = _bounds(match, values, "S")
        keys = sorted(key.value for key in partition)
        start = 0 if low is None else bisect_left(keys, low)
        end = len(keys) if high is None else bisect_right(keys, high)
        is_forward = request.get("ScanIndexForward", True)
        if after := request.get("ExclusiveStartKey"):
            at = after["sk"]["S"]
            start, end = (max(start, bisect_right(keys, at)), end) if is_forward else (start, min(end, bisect_left(keys, at)))
        chosen = keys[start:end] if is_forward else keys[start:end][::-1]
        return [self._known(hash_key.value, sk) for sk in chosen[: request.get("Limit", len(chosen)) + 1]]

    def _page(self, found: list[WireItem], index: _Ordered | None, request: Request) -> Answer:
        limit = request.get("Limit", len(found) + 1)
        items: list[Wires] = []
        size = 0
        for item in found:
            if len(items) == limit or size + item.size_bytes > _PAGE_BYTES:
                break
            size += item.size_bytes
            items.append(copied(item.wire, index.projected if index else None))
        answer: Answer = {"Items": items, "Count": len(items), "ScannedCount": len(items)}
        if len(items) < len(found) or (items and len(items) == limit):  # DynamoDB cannot know that nothing follows
            keys = ("pk", "sk", *((index.hash_name, index.range_name) if index else ()))
            answer["LastEvaluatedKey"] = {name: dict(items[-1][name]) for name in keys}
        return answer

    def everything(self) -> list[Wires]:
        """Shared: to be copied before it is given away or changed."""
        return [self._item(pk, sk, item).wire for pk, inside in list(self.table.items.items()) for sk, item in list(inside.items())]

    def earliest(self, index_name: str, *, below: int, but_not: str | None = None) -> int | None:
        """The smallest range value of a numeric index with a hash value below that, but for items whose `pk` begins with `but_not`."""
        self._refresh()
        per_shard = [entries for shard, entries in self._indexes[index_name].entries.items() if shard < below]
        firsts = (next((moment for moment, pk, _ in entries if not (but_not and pk.startswith(but_not))), None) for entries in per_shard)
        return min((moment for moment in firsts if moment is not None), default=None)


_KEY_CONDITION = re.compile(
    r"(?P<hash>\w+) = (?P<hash_value>:\w+)"
    r"(?: AND (?:(?P<range>\w+) (?:<= (?P<most>:\w+)|>= (?P<least>:\w+)|BETWEEN (?P<low>:\w+) AND (?P<high>:\w+))"
    r"|begins_with\((?P<prefixed>\w+), (?P<prefix>:\w+)\)))?"
)

_EXPRESSIONS = {"ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues", "ReturnValuesOnConditionCheckFailure"}
_GET = frozenset({"TableName", "Key", "ConsistentRead"})
_PUT = frozenset({"TableName", "Item", *_EXPRESSIONS})
_UPDATE = frozenset({"TableName", "Key", "UpdateExpression", "ReturnValues", *_EXPRESSIONS})
_DELETE = frozenset({"TableName", "Key", *_EXPRESSIONS})
_QUERY = frozenset(
    {"TableName", "IndexName", "KeyConditionExpression", "ExpressionAttributeValues", "ExpressionAttributeNames"}
    | {"Limit", "ScanIndexForward", "ConsistentRead", "ExclusiveStartKey"}
)


def _only(request: Request, known: frozenset[str]) -> None:
    if not request.keys() <= known or request.get("ReturnValues") not in (None, "NONE", "ALL_NEW"):
        raise NotPlain


def _names(request: Request) -> tuple[tuple[str, str], ...]:
    return tuple(request.get("ExpressionAttributeNames", {}).items())


def _bounds(match: re.Match[str], values: Wires, kind: str) -> tuple[Any, Any]:
    """(lowest, highest) range value, both inclusive; None: no bound."""
    if match["prefix"]:
        prefix = scalar(values[match["prefix"]], "S")
        return prefix, prefix + chr(0x10FFFF)
    low = match["least"] or match["low"]
    high = match["most"] or match["high"]
    lowest = scalar(values[low], kind) if low else None
    highest = scalar(values[high], kind) if high else None
    if lowest is not None and highest is not None and lowest > highest:
        raise NotPlain  # BETWEEN refuses them
    return lowest, highest
