"""Who asked for what, and from where: a chain of records for each tenant, each with the hash of the one before.

Rule 1: the record is written before anything is done; a refusal is a further record. What cannot be recorded is not done.
Rule 2: a record is added by one conditional write, after the last one; nothing ever changes or removes one.
Rule 3: `fault` finds the first record that was changed, removed or moved, with nothing but the records and the head. The head
is kept apart from them, so that the last record cannot be removed unseen; who keeps a head of his own needs to trust nobody.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from .core.errors import Conflict, Rejected, Unavailable
from .core.model import SCHEMA, Json
from .core.moments import rfc3339
from .engine.items import decode, encode
from .engine.world import World
from .ports import Absent, AtMost, Change, Item, any_of

FIRST = "0" * 64  # stands for the hash of the record before the first one
MAX_TRIES = 50  # of adding a record while others add theirs

Record = dict[str, Json]

_place: ContextVar[str | None] = ContextVar("where the request came from", default=None)


@dataclass(frozen=True, slots=True)
class Head:
    """The last record: how many there are, and its hash."""

    n: int
    hash: str


@dataclass(frozen=True, slots=True)
class Trail:
    records: list[Record]
    head: Head


@dataclass(frozen=True, slots=True)
class Fault:
    """`n`: the record that was `changed`, `removed` or `moved`."""

    n: int
    what: str
    told: str


@contextmanager
def coming_from(place: str | None) -> Iterator[None]:
    """Records that are written within say where the request came from: an address."""
    before = _place.set(place)
    try:
        yield
    finally:
        _place.reset(before)


@contextmanager
def asked(world: World, tenant: str, what: str, by: str | None, **told: Json) -> Iterator[None]:
    """Around what is done: the record stands before it. What is None is left out."""
    number = append(world, tenant, what, by, told)
    try:
        yield
    except (Rejected, Conflict) as refused:
        append(world, tenant, "refused", by, {"of": number, "code": refused.code if isinstance(refused, Rejected) else "conflict"})
        raise


def append(world: World, tenant: str, what: str, by: str | None, told: Mapping[str, Json]) -> int:
    """The record's number. Raises Unavailable when too many others are at it."""
    head = _head(world, tenant)
    for _ in range(MAX_TRIES):
        record = _record(world, head, what, by, told)
        item: Item = {"pk": _key(tenant), "sk": _place_of(head.n + 1), "schema": SCHEMA, "record": encode(record)}
        written = world.store.put(item, Absent())
        if written.ok:
            _move_head(world, tenant, Head(head.n + 1, str(record["hash"])))
            return head.n + 1
        standing = decode((written.item or {})["record"])  # somebody was faster, or died before the head was moved
        head = Head(standing["n"], standing["hash"])
    raise Unavailable(f"the audit trail of {tenant} grows too fast")


def _record(world: World, head: Head, what: str, by: str | None, told: Mapping[str, Json]) -> Record:
    named = {"by": by, "from": _place.get(), **told}
    body = {"n": head.n + 1, "at": rfc3339(world.clock.now()), "what": what, "before": head.hash}
    body |= {name: value for name, value in named.items() if value is not None}
    return body | {"hash": hash_of(body)}


def hash_of(record: Mapping[str, Json]) -> str:
    """SHA-256 of the record's canonical JSON (keys in order, no spaces), without its own `hash`."""
    body = {name: value for name, value in record.items() if name != "hash"}
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _head(world: World, tenant: str) -> Head:
    item = world.store.get((f"{_key(tenant)}#head", "head"))
    return Head(item["n"], item["hash"]) if item else Head(0, FIRST)


def _move_head(world: World, tenant: str, head: Head) -> None:
    """Forward only: the one whose record came later moves it further."""
    key = (f"{_key(tenant)}#head", "head")
    world.store.update(key, Change(set={"schema": SCHEMA, "n": head.n, "hash": head.hash}), any_of(Absent(), AtMost("n", head.n - 1)))


def _key(tenant: str) -> str:
    return f"audit#{tenant}"


def _place_of(number: int) -> str:
    return f"{number:012d}"


# ------------------------------------------------------------------------------------------------ reading and checking


def page(world: World, tenant: str, *, limit: int, cursor: str | None) -> tuple[Trail, str | None]:
    """From the first record on. The head is read first: the records that it stands for are then all there.

    Raises Rejected("bad-value") for a cursor that is none.
    """
    if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) == len(_place_of(0))):
        raise Rejected("bad-value", f"this is no cursor of this list: {cursor[:100]}")
    head = _head(world, tenant)
    found = world.store.query(_key(tenant), after=(_key(tenant), cursor) if cursor else None, limit=limit)
    return Trail([decode(item["record"]) for item in found.items], head), found.after[1] if found.after else None


def fault(records: Sequence[Any], head: Head) -> Fault | None:
    """The first record that is not as it was written. `records`: all of them, in the order they are kept in."""
    before = FIRST
    for number, record in enumerate(records, 1):
        found = _fault_of(record, number, before, records[number:])
        if found:
            return found
        before = str(record["hash"])
    if len(records) < head.n:
        return Fault(len(records) + 1, "removed", f"the trail ends with record {len(records)}, but there were {head.n}")
    if head.n and records[head.n - 1]["hash"] != head.hash:
        return Fault(head.n, "changed", f"record {head.n} is not the one that the head names")
    return None


def _fault_of(record: Any, number: int, before: str, rest: Sequence[Any]) -> Fault | None:
    if not isinstance(record, dict) or hash_of(record) != record.get("hash"):
        return Fault(number, "changed", f"record {number} does not have the hash of what it says")
    if record["n"] != number:
        is_there = any(isinstance(later, dict) and later.get("n") == number for later in rest)
        return Fault(number, "moved" if is_there else "removed", f"where record {number} was stands record {record['n']}")
    if record["before"] != before:
        return Fault(number, "changed", f"record {number} does not follow the one before it")
    return None
