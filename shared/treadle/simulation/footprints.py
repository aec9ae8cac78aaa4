"""What each call touches: the ground on which two calls of two workers may change places.

The ports are seen through, so that a simulation knows of a worker that is suspended before a call what this call is going to read
and write, and afterwards what came of it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ..engine import World
from ..ports import Blobs, Bus, Change, Condition, Event, Item, Key, Lanes, Message, Page, Store, Written

_ANSWERS = "treadle.viewing"  # what is read there is told to whoever asked, and decides nothing


@dataclass(frozen=True, slots=True)
class Touch:
    """`call`: as in `store.put`. `about`: what of, for people. `reads`, `writes`: keys. `looks`: at any number of items, so at all.
    `is_local`: no other worker's call can change its answer or be changed by it."""

    call: str
    about: str = ""
    reads: frozenset[Key] = frozenset()
    writes: frozenset[Key] = frozenset()
    looks: bool = False
    is_local: bool = False

    def depends_on(self, other: Touch) -> bool:
        """Whether it matters which of the two comes first.

        Any two writes of runs and steps count as dependent, whatever their keys: the invariants are looked at at each of them, and
        what they read is not only what is written. For the same reason a task that begins or ends (`looks`) depends on every write.
        """
        if self.is_local or other.is_local:
            return False
        if self._is_watched and other._is_watched:
            return True
        if self.looks and other.looks:
            return self.call == "task" == other.call
        if self.looks or other.looks:
            return bool(self.writes or other.writes)
        return not all(one.isdisjoint(other) for one, other in self._clashes(other))

    def _clashes(self, other: Touch) -> Iterator[tuple[frozenset[Key], frozenset[Key]]]:
        yield self.reads, other.writes
        yield self.writes, other.reads
        yield self.writes, other.writes

    @property
    def _is_watched(self) -> bool:
        """It writes what the invariants are about (`Watch.wrote`): a run, a step, or what is archived of one."""
        return any(sk == "!" or sk[:2] in ("s#", "a#") for _, sk in self.writes)


TASK = Touch("task", looks=True)


class Witness(Protocol):
    """Who is told. `touches`: before the call; `answered`: after it, with its answer, or the error in place of one."""

    def touches(self, touch: Touch) -> None: ...
    def answered(self, touch: Touch, answer: Any) -> None: ...


def seen(world: World, witness: Witness) -> World:
    return replace(
        world,
        store=_Store(world.store, witness),
        lanes=_Lanes(world.lanes, witness),
        bus=_Bus(world.bus, witness),
        blobs=_Blobs(world.blobs, witness),
    )


class _Seen:
    def __init__(self, port: Any, witness: Witness) -> None:
        self._port = port
        self._witness = witness

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    def _called(self, touch: Touch, call: Callable[[], Any]) -> Any:
        self._witness.touches(touch)
        try:
            answer = call()
        except Exception as error:
            self._witness.answered(touch, error)
            raise
        self._witness.answered(touch, answer)
        return answer


class _Store(_Seen, Store):
    def get(self, key: Key, *, consistent: bool = True) -> Item | None:
        found: Item | None = self._called(_reading("store.get", [key]), lambda: self._port.get(key, consistent=consistent))
        return found

    def get_many(self, keys: Sequence[Key], *, consistent: bool = True) -> dict[Key, Item]:
        found: dict[Key, Item] = self._called(_reading("store.get_many", keys), lambda: self._port.get_many(keys, consistent=consistent))
        return found

    def put(self, item: Item, condition: Condition | None = None) -> Written:
        touch = _writing("store.put", (item["pk"], item["sk"]), item)
        written: Written = self._called(touch, lambda: self._port.put(item, condition))
        return written

    def update(self, key: Key, change: Change, condition: Condition | None = None) -> Written:
        told = {**change.set, **change.add, **dict.fromkeys(change.remove, "")}
        written: Written = self._called(_writing("store.update", key, told), lambda: self._port.update(key, change, condition))
        return written

    def delete(self, key: Key, condition: Condition | None = None) -> Written:
        written: Written = self._called(_writing("store.delete", key, {}), lambda: self._port.delete(key, condition))
        return written

    def query(self, pk: str, *, prefix: str = "", after: Key | None = None, limit: int = 1000, ascending: bool = True) -> Page:
        more: dict[str, Any] = {"prefix": prefix, "after": after, "limit": limit, "ascending": ascending}
        page: Page = self._called(_looking("store.query", prefix or pk, (pk, prefix)), lambda: self._port.query(pk, **more))
        return page

    def query_due(self, shard: int, until: int, *, limit: int = 100) -> list[tuple[Key, int]]:
        found: list[tuple[Key, int]] = self._called(
            _looking("store.query_due", str(shard)), lambda: self._port.query_due(shard, until, limit=limit)
        )
        return found

    def query_list(self, partition: str, **more: Any) -> Page:
        page: Page = self._called(_looking("store.query_list", partition), lambda: self._port.query_list(partition, **more))
        return page


class _Lanes(_Seen, Lanes):
    def send(self, messages: Sequence[Message]) -> None:
        told = " ".join(f"{message.body['kind']} {message.body.get('path', '')}".strip() for message in messages)
        self._called(Touch("lanes.send", told, is_local=True), lambda: self._port.send(messages))

    def defer(self, queue: str, receipt: str, delay_s: int) -> None:
        self._called(Touch("lanes.defer", queue, is_local=True), lambda: self._port.defer(queue, receipt, delay_s))


class _Bus(_Seen, Bus):
    def put(self, events: Sequence[Event]) -> None:
        told = " ".join(event.kind for event in events)
        self._called(Touch("bus.put", told, is_local=True), lambda: self._port.put(events))


class _Blobs(_Seen, Blobs):
    """A blob's name is the hash of its content, and who knows the name knows it from an item that was written after the blob."""

    def put(self, name: str, content: bytes) -> None:
        self._called(Touch("blobs.put", "blob", is_local=True), lambda: self._port.put(name, content))

    def get(self, name: str, *, most: int | None = None) -> bytes:
        content: bytes = self._called(Touch("blobs.get", "blob", is_local=True), lambda: self._port.get(name, most=most))
        return content

    def under(self, prefix: str) -> list[str]:
        names: list[str] = self._called(Touch("blobs.under", "blob", looks=True), lambda: self._port.under(prefix))
        return names

    def remove(self, name: str) -> None:
        self._called(Touch("blobs.remove", "blob", looks=True), lambda: self._port.remove(name))


# ------------------------------------------------------------------------------------------------ which calls are local


def _reading(call: str, keys: Sequence[Key]) -> Touch:
    about = " ".join(sorted(_shown(key) for key in keys))
    return Touch(call, about, reads=frozenset(keys), is_local=all(_is_private(key) for key in keys) or _is_for_an_answer())


def _writing(call: str, key: Key, told: Any) -> Touch:
    words = [_shown(key), *(str(told[name]) for name in ("status", "state", "outcome") if told.get(name)), *_marks(told)]
    return Touch(call, " ".join(words), writes=frozenset([key]), is_local=_is_private(key))


def _marks(told: Any) -> list[str]:
    return [name for name in ("hold", "people", "next") if name in told] + (["taken"] if told.get("taken") else [])


def _looking(call: str, about: str, at: Key = ("", "")) -> Touch:
    return Touch(call, about, looks=True, is_local=_is_private(at) or _is_for_an_answer())


def _shown(key: Key) -> str:
    pk, sk = key
    return pk.partition("#")[2] + "/" + sk if sk in ("join", "cursor") else "token" if sk == "token" else sk


def _is_private(key: Key) -> bool:
    """Plans, inputs and registered workflows are written before anybody knows of them, and stay as they are; what is noted of
    requests (`act#`, the audit trail) is read by nobody who decides anything."""
    pk, sk = key
    return sk in ("plan", "body") or sk.startswith("act#") or pk.startswith(("audit#", "workflow#", "workflows#", "heartbeat"))


def _is_for_an_answer() -> bool:
    frame = sys._getframe(3)
    while frame is not None:
        if frame.f_globals.get("__name__") == _ANSWERS:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def text_of(value: Any) -> str:
    """Of any answer: the same for equal ones."""
    if isinstance(value, Written):
        return f"{value.ok} {text_of(value.item)}"
    if isinstance(value, Page):
        return f"{text_of(value.items)} {value.after}"
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, Exception):
        return type(value).__name__
    if isinstance(value, dict) and value and isinstance(next(iter(value)), tuple):
        return text_of(sorted(value.items()))
    return json.dumps(value, sort_keys=True, default=_plain)


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, (set, frozenset)) else str(value)
