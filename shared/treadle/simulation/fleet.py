"""Two versions of the engine at once: a deployment, in which each delivery is to a worker of either of them.

What another version would do differently is what it writes and can read, so the other version is this engine behind ports that
speak for it: they write its number, what it adds, and leave out what it does not know; what is of a newer version than its own is
newer to it as it would be to this one. Whatever meets such a thing has to give it back until a worker comes that understands it:
the deployment is completed, or taken back first and completed hours later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from ..core.model import SCHEMA
from ..engine import World
from ..ports import AllOf, AnyOf, AtMost, Change, Condition, Item, Key, Message, Page, Written

ADDED: Final = "added"  # a field that this version does not know
HINTS: Final = ("plan", "gen")  # of messages: what a version that does not know them reads

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Version:
    """`ahead`: of this version's number. `adds`: optional fields to messages and items. `hints`: messages carry them."""

    ahead: int = 0
    adds: bool = False
    hints: bool = True

    @property
    def schema(self) -> int:
        return SCHEMA + self.ahead

    def engine(self, world: World) -> World:
        """The world as a worker of this version sees it."""
        if self == THIS:
            return world
        store: Any = VersionedStore(world.raw, self)
        lanes: Any = VersionedLanes(world.lanes, self)
        return replace(world, store=store, lanes=lanes)

    def seen(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """What is stored or sent, with its number as this engine would have to write it to mean the same."""
        return {**told, "schema": told["schema"] - self.ahead} if number_of(told) is not None else dict(told)

    def said(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """What this engine would write or send, as this version does."""
        if number_of(told) is None:
            return dict(told)
        return {**told, "schema": told["schema"] + self.ahead, **({ADDED: 1} if self.adds else {})}

    def message(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """As far as it knows what messages may carry."""
        return dict(body) if self.hints else {name: value for name, value in body.items() if name not in HINTS}


THIS: Final = Version()
PLAIN: Final = Version(hints=False)  # an older one: the hints came after it
MORE: Final = Version(adds=True)  # a newer one: whatever it adds may be left out
NEXT: Final = Version(ahead=1, adds=True)  # what it writes is not for this one
LAST: Final = Version(ahead=-1)  # the one before, to which what this one writes is too new
PAIRS: Final = ((PLAIN, THIS), (THIS, MORE), (THIS, NEXT), (LAST, THIS))  # what is replaced, and by what


@dataclass
class Fleet:
    """A deployment of `new` in the place of `old`. `begins`: after so many workers. `phases`: how long each lasts (ms), and how many
    of ten deliveries the new version has in it; when they are over it has all."""

    old: Version
    new: Version
    begins: int
    phases: Sequence[tuple[int, int]]
    random: Random
    workers: int = 0
    began_at: int | None = None

    @classmethod
    def at_random(cls, random: Random) -> Fleet:
        """Completed at once, in minutes or late, or taken back and completed hours later: for longer than a message may be received."""
        old, new = random.choice(PAIRS)
        mixed = (random.choice((20_000, 5 * MINUTE_MS, 40 * MINUTE_MS)), random.choice((2, 5, 8)))
        back = (random.choice((MINUTE_MS, HOUR_MS, 9 * HOUR_MS)), 0)
        again = (random.choice((0, 2 * MINUTE_MS)), 5)
        return cls(old, new, random.choice((0, 2, 3, 5, 8)), random.choice(((mixed,), (mixed, back, again))), random)

    def version(self, now: int) -> Version:
        """Of the worker that begins now."""
        self.workers += 1
        if self.workers <= self.begins:
            return self.old
        self.began_at = now if self.began_at is None else self.began_at
        share = self._share(now)
        return self.new if self.random.randrange(10) < share else self.old

    def _share(self, now: int) -> int:
        until = self.began_at or 0
        for lasts_ms, share in self.phases:
            until += lasts_ms
            if now < until:
                return share
        return 10

    @property
    def is_over_at(self) -> int:
        """When the last worker of the old version has gone; before it began nobody knows."""
        return (self.began_at or 0) + sum(lasts_ms for lasts_ms, _ in self.phases)


class VersionedStore:
    """A table as one version reads and writes it."""

    def __init__(self, store: Any, version: Version) -> None:
        self._store = store
        self._version = version

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _seen(self, item: Item | None) -> Item | None:
        return None if item is None else self._version.seen(item)

    def get(self, key: Key, *, consistent: bool = True) -> Item | None:
        return self._seen(self._store.get(key, consistent=consistent))

    def get_many(self, keys: Sequence[Key], *, consistent: bool = True) -> dict[Key, Item]:
        return {key: self._version.seen(item) for key, item in self._store.get_many(keys, consistent=consistent).items()}

    def put(self, item: Item, condition: Condition | None = None) -> Written:
        return self._written(self._store.put(self._version.said(item), self._asked(condition)))

    def update(self, key: Key, change: Change, condition: Condition | None = None) -> Written:
        return self._written(self._store.update(key, self._changed(key, change), self._asked(condition)))

    def delete(self, key: Key, condition: Condition | None = None) -> Written:
        return self._written(self._store.delete(key, self._asked(condition)))

    def query(self, pk: str, *, prefix: str = "", after: Key | None = None, limit: int = 1000, ascending: bool = True) -> Page:
        page = self._store.query(pk, prefix=prefix, after=after, limit=limit, ascending=ascending)
        return Page([self._version.seen(item) for item in page.items], page.after)

    def _written(self, written: Written) -> Written:
        return Written(written.ok, self._seen(written.item))

    def _asked(self, condition: Condition | None) -> Condition | None:
        match condition:
            case AtMost("schema", number):
                return AtMost("schema", number + self._version.ahead)
            case AllOf(parts) | AnyOf(parts):
                return type(condition)(tuple(each for part in parts if (each := self._asked(part)) is not None))
        return condition

    def _changed(self, key: Key, change: Change) -> Change:
        """What a version changes is of its number from then on."""
        standing = self._store.peek(key) or {}
        if "schema" in change.set or "schema" in change.keep or number_of(standing) is None:
            return replace(change, set=self._version.said(change.set), keep=self._version.said(change.keep))
        added = {ADDED: 1} if self._version.adds else {}
        return replace(change, set={**change.set, "schema": max(standing["schema"], self._version.schema), **added})


class VersionedLanes:
    """The queues as one version sends to them."""

    def __init__(self, lanes: Any, version: Version) -> None:
        self._lanes = lanes
        self._version = version

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lanes, name)

    def send(self, messages: Sequence[Message]) -> None:
        self._lanes.send([replace(message, body=self._version.said(self._version.message(message.body))) for message in messages])


def as_read(version: Version, body: str) -> str:
    """The text of a message, as a worker of that version takes it."""
    if version == THIS:
        return body
    told = json.loads(body)
    return json.dumps(version.seen(version.message(told)), ensure_ascii=False, separators=(",", ":")) if isinstance(told, dict) else body


def number_of(told: Mapping[str, Any]) -> int | None:
    """The version that an item or a message is of; None: it does not say."""
    schema = told.get("schema")
    return schema if type(schema) is int else None
