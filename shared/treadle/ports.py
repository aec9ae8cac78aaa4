"""What the engine needs of the world, as six ports. `aws/` keeps these promises with boto3, `simulation/memory.py` in memory.

Each method is one AWS call (`get_many` and `send` one per hundred or ten), so that a call is also a place where a crash
can happen. Every change of the table is one conditional write: conditions and changes are data, said once where they are
used, and both adapters give them the same meaning (tests/contracts).

Errors: `Unavailable` when the world is at fault (throttled, unreachable, a batch entry refused): let the queue deliver
again. A failed condition is not an error: it is an answer (`Written.ok` is False) with the item that stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from .topology import EVENT_SOURCE

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Item = dict[str, Any]  # str, int, bool, None, list, dict and set[int] values; no floats (JSON payloads are text)
Key = tuple[str, str]  # (pk, sk)
Members = set[int]


# ------------------------------------------------------------------------------------------------ conditions, as data


@dataclass(frozen=True, slots=True)
class Absent:
    """The attribute is not there (by default: there is no such item)."""

    name: str = "pk"


@dataclass(frozen=True, slots=True)
class Present:
    name: str = "pk"


@dataclass(frozen=True, slots=True)
class Equals:
    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class OneOf:
    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class AtMost:
    """`name <= value`; false where the attribute is absent, as in DynamoDB."""

    name: str
    value: int


@dataclass(frozen=True, slots=True)
class SizeBelow:
    """The set or string `name` has fewer than `limit` members (characters), or is absent."""

    name: str
    limit: int


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple[Condition, ...]


Condition = Absent | Present | Equals | OneOf | AtMost | SizeBelow | AllOf | AnyOf


def all_of(*parts: Condition) -> AllOf:
    return AllOf(parts)


def any_of(*parts: Condition) -> AnyOf:
    return AnyOf(parts)


@dataclass(frozen=True, slots=True)
class Change:
    """One UpdateItem. `set` overwrites, `keep` sets only what is absent, `copy` sets an attribute to what another one was before
    this change, `add` adds to a number or unites a set of ints, `take` removes members from a set, `remove` deletes attributes.
    One attribute is changed by at most one of them."""

    set: Mapping[str, Any] = field(default_factory=dict)
    keep: Mapping[str, Any] = field(default_factory=dict)
    copy: Mapping[str, str] = field(default_factory=dict)
    add: Mapping[str, int | Members] = field(default_factory=dict)
    take: Mapping[str, Members] = field(default_factory=dict)
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """`ok`: the write happened; `item` is then the new item for an update and None for a put or delete.
    Not `ok`: the condition failed and `item` is the one that stands (None if there is none)."""

    ok: bool
    item: Item | None


def is_set(change: Change, standing: Item | None) -> bool:
    """What the change sets stands: it was made by an earlier try of the same request, or by another one to the same effect."""
    return standing is not None and all(standing.get(name) == value for name, value in change.set.items())


@dataclass(frozen=True, slots=True)
class Page:
    items: list[Item]
    after: Key | None  # pass as `after` for the next page; None: that was the last


class Store(Protocol):
    """The state table. Keys are `pk` and `sk` (strings), part of each item."""

    def get(self, key: Key, *, consistent: bool = True) -> Item | None: ...

    def get_many(self, keys: Sequence[Key], *, consistent: bool = True) -> dict[Key, Item]:
        """The items that exist. Any number of distinct keys; unprocessed ones are asked for again, a bounded number of times."""
        ...

    def put(self, item: Item, condition: Condition | None = None) -> Written:
        """An AWS client that lost the answer to a request makes it again: where this very item stands then, it has been written."""
        ...

    def update(self, key: Key, change: Change, condition: Condition | None = None) -> Written:
        """Creates the item when there is none and the condition allows it."""
        ...

    def delete(self, key: Key, condition: Condition | None = None) -> Written: ...

    def query(self, pk: str, *, prefix: str = "", after: Key | None = None, limit: int = 1000, ascending: bool = True) -> Page:
        """Items of one partition in order of `sk`, strongly consistent. Not for the hot path."""
        ...

    def query_due(self, shard: int, until: int, *, limit: int = 100) -> list[tuple[Key, int]]:
        """(key, due) of items whose `due_shard` is `shard` and `due` <= `until`, earliest first (sparse index, eventually consistent)."""
        ...

    def query_list(self, partition: str, *, start: str = "", end: str = "\uffff", after: str | None = None, limit: int = 100) -> Page:
        """Items with `list_pk` == partition and start <= `list_sk` <= end, newest (greatest) first; what the index projects.
        `after`: a `list_sk` to go on behind. `Page.after` is then (partition, list_sk)."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """`body` is JSON of at most 300 bytes in practice; `queue` a logical name of topology.py; `delay_s` at most 900.
    `group`: the tenant, for fairness between tenants within a lane (SQS message group on a standard queue)."""

    queue: str
    body: Mapping[str, Any]
    delay_s: int = 0
    group: str | None = None


class Lanes(Protocol):
    def send(self, messages: Sequence[Message]) -> None:
        """Ten per call; each entry of each answer is looked at, refused ones are tried again. Raises Unavailable if some stay refused."""
        ...

    def defer(self, queue: str, receipt: str, delay_s: int) -> None:
        """A message in hand becomes visible again in `delay_s` seconds (at most 12 h)."""
        ...


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. `kind` is the detail-type, `id` makes repeats recognisable, `time` ms since the epoch."""

    kind: str
    id: str
    run_id: str
    time: int
    data: Any  # a map, but for what workflows emit
    source: str = EVENT_SOURCE  # of the bus entry; `emit` may name another

    def to_cloud_event(self) -> dict[str, Any]:
        """The bus event's `detail`. `advance` stands beside `data`, not in it, so that a rule can ask for it."""
        is_own = self.source == EVENT_SOURCE  # of an event that a workflow emits the data are whatever they are
        rest = {name: value for name, value in self.data.items() if name != "advance"} if is_own else self.data
        flag = {"advance": self.data["advance"]} if is_own and "advance" in self.data else {}
        head = {"specversion": "1.0", "id": self.id, "source": self.source, "type": self.kind, "subject": self.run_id}
        return {**head, "time": rfc3339(self.time), **flag, "data": rest}


def rfc3339(time_ms: int) -> str:
    """`2026-11-23T00:00:00.000Z`"""
    return (_EPOCH + timedelta(milliseconds=time_ms)).isoformat(timespec="milliseconds")[:-6] + "Z"


class Bus(Protocol):
    def put(self, events: Sequence[Event]) -> None:
        """As CloudEvents 1.0 in `detail`, source `treadle`. Ten per call, each entry looked at. Raises Unavailable."""
        ...


class TooLarge(Exception):
    """An object has more bytes than were asked for."""


class Blobs(Protocol):
    def put(self, name: str, content: bytes) -> None:
        """Names are content hashes, so writing twice changes nothing."""
        ...

    def get(self, name: str, *, most: int | None = None) -> bytes:
        """Raises NotFound, TooLarge when it has more than `most` bytes; these are not fetched then."""
        ...

    def under(self, prefix: str) -> list[str]:
        """All names that begin with it."""
        ...

    def remove(self, name: str) -> None:
        """One that is not there is as good as removed."""
        ...


class Secrets(Protocol):
    """What `secrets.NAME` stands for, asked by whoever is about to run a task."""

    def get(self, tenant: str, name: str, *, anew: bool = False) -> str:
        """Its text. `anew`: one that was read a while ago will not do, for it may have been changed since.

        Raises NotFound, Rejected (it is there and cannot be read: the sentence says why, without the value), Unavailable.
        """
        ...


class Clock(Protocol):
    def now(self) -> int:
        """Milliseconds since the epoch."""
        ...
