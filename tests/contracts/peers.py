"""Calls of the ports as one table: each case prepares something, makes a call, and tells what was answered and what is then there.

They run on the AWS in memory and on moto as it comes; test_same_answers.py compares what they tell, answer by answer. A case works in a
partition of its own, named like the case.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from treadle.core.errors import TreadleError
from treadle.ports import (
    Absent,
    AtMost,
    Change,
    Condition,
    Equals,
    Event,
    Item,
    Message,
    OneOf,
    Present,
    SizeBelow,
    Written,
    all_of,
    any_of,
)

from .conftest import World

Told = Any  # plain JSON
Case = Callable[[World, str], Told]
CASES: dict[str, Case] = {}

BARE: Item = {"number": 1}
FULL: Item = {
    "number": 7, "text": "b", "empty": "", "yes": True, "no": False, "nothing": None, "list": [1, "two", None], "map": {"a": {"b": 1}},
    "set": {1, 2, 3}, "low": -5, "high": 10**20,
}  # fmt: skip
STANDING: dict[str, Item | None] = {"no item": None, "a bare item": BARE, "a full item": FULL}

CONDITIONS: dict[str, Condition] = {
    "nobody wrote it": Absent(),
    "it is there": Present(),
    "no such attribute": Absent("other"),
    "the number is absent": Absent("number"),
    "the null is absent": Absent("nothing"),
    "the null is there": Present("nothing"),
    "the set is there": Present("set"),
    "the number equals": Equals("number", 7),
    "the number differs": Equals("number", 8),
    "a large number": Equals("high", 10**20),
    "the text equals": Equals("text", "b"),
    "the empty text": Equals("empty", ""),
    "a number is not its text": Equals("number", "7"),
    "true": Equals("yes", True),
    "false": Equals("no", False),
    "true is not 1": Equals("yes", 1),
    "null equals null": Equals("nothing", None),
    "absent does not equal null": Equals("other", None),
    "the list": Equals("list", [1, "two", None]),
    "the map": Equals("map", {"a": {"b": 1}}),
    "another map": Equals("map", {"a": {"b": 2}}),
    "the set equals": Equals("set", {3, 2, 1}),
    "a smaller set": Equals("set", {1, 2}),
    "one of the texts": OneOf("text", ("a", "b")),
    "none of the texts": OneOf("text", ("c",)),
    "one of an absent one": OneOf("other", ("a",)),
    "at most": AtMost("number", 7),
    "not at most": AtMost("number", 6),
    "below zero": AtMost("low", -5),
    "at most, of an absent one": AtMost("other", 5),
    "text is not at most a number": AtMost("text", 5),
    "a small set": SizeBelow("set", 4),
    "a full set": SizeBelow("set", 3),
    "an absent set": SizeBelow("other", 1),
    "a short text": SizeBelow("text", 2),
    "all of two": all_of(Present(), Equals("number", 7)),
    "all of two, one fails": all_of(Present(), Equals("number", 8)),
    "any of two": any_of(Absent(), Equals("number", 1)),
    "any in all": all_of(any_of(Absent("other"), Equals("number", 9)), OneOf("number", (1, 7))),
    "all in any": any_of(all_of(Present("text"), AtMost("number", 9)), Absent()),
}

CHANGES: dict[str, Change] = {
    "set": Change(set={"number": 2, "new": "x"}),
    "set every kind": Change(set={name: value for name, value in FULL.items() if value != {1}}),
    "set a null": Change(set={"text": None}),
    "keep": Change(keep={"number": 2, "new": "x"}),
    "copy": Change(copy={"was": "number"}),
    "copy of what is absent": Change(copy={"was": "other"}),
    "copy and set": Change(copy={"was": "number"}, set={"number": 9}),
    "add a number": Change(add={"number": 3}),
    "add to none": Change(add={"counter": 1}),
    "add below zero": Change(add={"number": -10}),
    "add members": Change(add={"set": {3, 4}}),
    "add members to none": Change(add={"members": {1}}),
    "add nothing": Change(add={"set": set()}, set={"number": 2}),
    "take members": Change(take={"set": {1, 9}}),
    "take all members": Change(take={"set": {1, 2, 3}}),
    "take of none": Change(take={"members": {1}}),
    "remove": Change(remove=("text", "list")),
    "remove what is absent": Change(remove=("other",)),
    "remove and set": Change(remove=("text",), set={"new": 1}),
    "set an empty set": Change(set={"members": set(), "number": 2}),
    "of all kinds": Change(set={"a": 1}, keep={"b": 2}, copy={"c": "number"}, add={"d": 1, "set": {9}}, remove=("text",)),
    "nothing": Change(),
    "one attribute twice": Change(set={"number": 1}, remove=("number",)),
    "a number to a text": Change(add={"text": 1}),
    "members to a number": Change(add={"number": {1}}),
}

WRITES: dict[str, Callable[[World, str, Condition], Written]] = {
    "put": lambda world, pk, when: world.store.put({"pk": pk, "sk": "x", "new": 1}, when),
    "update": lambda world, pk, when: world.store.update((pk, "x"), Change(set={"new": 1}), when),
    "delete": lambda world, pk, when: world.store.delete((pk, "x"), when),
}


def told(value: Any) -> Told:
    """Without the partition, which is the case's; sets in order; of the full item only what is not as it was prepared."""
    match value:
        case Written():
            return {"ok": value.ok, "item": told(value.item)}
        case dict():
            plain = {name: told(inner) for name, inner in value.items() if name not in ("pk", "list_pk")}
            if all(name in plain and json.dumps(plain[name]) == shown for name, shown in _PREPARED.items()):
                return {"full": True, **{name: inner for name, inner in plain.items() if name not in _PREPARED}}
            return plain
        case list() | tuple():
            return [told(inner) for inner in value]
        case set() | frozenset():
            return sorted(value)
        case _:
            return value


_PREPARED: dict[str, str] = {"": ""}  # nothing is as it was prepared until that is known
_PREPARED = {name: json.dumps(told(value)) for name, value in FULL.items()}


def asked(call: Callable[[], Any]) -> Told:
    """The answer, or by what kind of error it was refused."""
    try:
        return told(call())
    except (TreadleError, ValueError, TypeError) as error:
        return f"refused: {type(error).__name__}"


def case(name: str) -> Callable[[Case], Case]:
    def add(function: Case) -> Case:
        assert name not in CASES, name
        CASES[name] = function
        return function

    return add


def _write(write: str, when: Condition, standing: Item | None) -> Case:
    def run(world: World, pk: str) -> Told:
        if standing is not None:
            world.store.put({"pk": pk, "sk": "x", **standing})
        return [asked(lambda: WRITES[write](world, pk, when)), asked(lambda: world.store.get((pk, "x")))]

    return run


def _change(change: Change, standing: Item | None) -> Case:
    def run(world: World, pk: str) -> Told:
        if standing is not None:
            world.store.put({"pk": pk, "sk": "x", **standing})
        return [asked(lambda: world.store.update((pk, "x"), change)), asked(lambda: world.store.get((pk, "x")))]

    return run


CASES |= {
    f"{write} where {condition}, of {item}": _write(write, when, standing)
    for condition, when in CONDITIONS.items()
    for write in WRITES
    for item, standing in STANDING.items()
    if write == "update" or item == "a full item" or condition in ("nobody wrote it", "it is there", "any in all")
}
CASES |= {f"{name}, of {item}": _change(change, STANDING[item]) for name, change in CHANGES.items() for item in ("no item", "a full item")}


# ------------------------------------------------------------------------------------------------ reading


def _filled(world: World, pk: str, count: int, **more: Any) -> None:
    for number in range(count):
        world.store.put({"pk": pk, "sk": f"s#{number:03d}", "n": number, **more})


def _query(count: int, **how: Any) -> Case:
    def run(world: World, pk: str) -> Told:
        _filled(world, pk, count)
        world.store.put({"pk": pk, "sk": "t#0"})
        after = {"after": (pk, how["after"])} if "after" in how else {}
        page = world.store.query(pk, **{**how, **after})
        return {"items": told(page.items), "after": page.after and page.after[1]}

    return run


QUERIES: dict[str, tuple[int, dict[str, Any]]] = {
    "of nothing": (0, {"prefix": "s#"}),
    "of all": (5, {}),
    "by a prefix": (5, {"prefix": "s#"}),
    "by a prefix that nothing has": (5, {"prefix": "u#"}),
    "downwards": (5, {"ascending": False}),
    "a page": (5, {"limit": 2}),
    "a page that is just full": (1, {"limit": 2}),
    "a page downwards": (5, {"limit": 2, "ascending": False}),
    "behind a key": (5, {"after": "s#002"}),
    "behind a key that is not there": (5, {"after": "s#0025"}),
    "behind a key, downwards": (5, {"after": "s#002", "ascending": False}),
    "behind a key, by a prefix": (5, {"after": "s#002", "prefix": "s#"}),
    "behind the last": (5, {"after": "t#0"}),
}
CASES |= {f"query {name}": _query(count, **how) for name, (count, how) in QUERIES.items()}


def _get(how: Callable[[World, str], Any]) -> Case:
    def run(world: World, pk: str) -> Told:
        _filled(world, pk, 3)
        return asked(lambda: how(world, pk))

    return run


def _by_key(found: dict[Any, Item]) -> Told:
    return {key[1]: told(item) for key, item in sorted(found.items())}


GETS: dict[str, Callable[[World, str], Any]] = {
    "get": lambda world, pk: world.store.get((pk, "s#001")),
    "get, not consistently": lambda world, pk: world.store.get((pk, "s#001"), consistent=False),
    "get what is not there": lambda world, pk: world.store.get((pk, "s#009")),
    "get many": lambda world, pk: _by_key(world.store.get_many([(pk, f"s#{number:03d}") for number in range(3)])),
    "get many of which some are not there": lambda world, pk: _by_key(world.store.get_many([(pk, "s#000"), (pk, "s#009")])),
    "get none": lambda world, pk: _by_key(world.store.get_many([])),
    "get 150": lambda world, pk: len(world.store.get_many([(pk, f"s#{number:03d}") for number in range(150)])),
}
CASES |= {name: _get(how) for name, how in GETS.items()}


def _due(until: int, limit: int, *, removed: bool = False) -> Case:
    def run(world: World, pk: str) -> Told:
        shard = 1000 + sum(map(ord, pk))  # of this case's own
        for number, due in enumerate((30, 10, 20)):
            world.store.put({"pk": pk, "sk": str(number), "due": due, "due_shard": shard})
        world.store.put({"pk": pk, "sk": "undated", "due_shard": shard})
        if removed:
            world.store.update((pk, "1"), Change(remove=("due", "due_shard")))
        return [[key[1], due] for key, due in world.store.query_due(shard, until, limit=limit)]

    return run


CASES |= {
    "due, all": _due(99, 100),
    "due until then": _due(20, 100),
    "due, none yet": _due(9, 100),
    "due, the first": _due(99, 1),
    "due no more": _due(99, 100, removed=True),
}


def _list(**how: Any) -> Case:
    def run(world: World, pk: str) -> Told:
        for number in range(5):
            world.store.put(
                {"pk": f"{pk} {number}", "sk": "!", "list_pk": pk, "list_sk": f"2026-{number}", "status": "running", "plan": "x"}
            )
        page = world.store.query_list(pk, **how)
        return {"items": told(page.items), "after": page.after and page.after[1]}

    return run


CASES |= {
    "list, the newest first": _list(),
    "list from": _list(start="2026-3"),
    "list until": _list(end="2026-1"),
    "list between": _list(start="2026-1", end="2026-2"),
    "list none": _list(start="2027"),
    "list a page": _list(limit=2),
    "list a page that is just full": _list(limit=1, end="2026-0"),
    "list behind": _list(after="2026-2"),
    "list behind, from": _list(after="2026-3", start="2026-2"),
}


# ------------------------------------------------------------------------------------------------ lanes, bus, blobs

LANE = "lane-low"


def _heard(world: World, queue: str) -> list[Any]:
    found: list[Any] = []
    while some := world.mailbox.receive(queue):
        found += [[mail.body, mail.group] for mail in some]
    return sorted(found, key=str)


def _sent(*messages: Message) -> Case:
    def run(world: World, pk: str) -> Told:
        answer = asked(lambda: world.lanes.send(list(messages)))
        return [answer, _heard(world, LANE)]

    return run


SENT: dict[str, list[Message]] = {
    "nothing": [],
    "a message": [Message(LANE, {"n": 1})],
    "a message of a group": [Message(LANE, {"n": 1}, group="acme")],
    "text beyond ASCII": [Message(LANE, {"text": "Ünlucky ✓"})],
    "eleven": [Message(LANE, {"n": n}) for n in range(11)],
    "the same twice": [Message(LANE, {"n": 1})] * 2,
    "too large": [Message(LANE, {"text": "x" * 1_100_000})],
    "one for later": [Message(LANE, {"n": 1}, delay_s=900)],
    "too late": [Message(LANE, {"n": 1}, delay_s=901)],
    "before now": [Message(LANE, {"n": 1}, delay_s=-1)],
}
CASES |= {f"send {name}": _sent(*messages) for name, messages in SENT.items()}


def _deferred(delay_s: int, *, twice: bool = False) -> Case:
    def run(world: World, pk: str) -> Told:
        world.lanes.send([Message("lane-critical", {"n": 1})])
        (mail,) = world.mailbox.receive("lane-critical")
        answers = [asked(lambda: world.lanes.defer("lane-critical", mail.receipt, delay_s)) for _ in range(1 + twice)]
        again = [mail.body for mail in world.mailbox.receive("lane-critical")] if delay_s == 0 else []
        hidden = world.mailbox.hidden("lane-critical")
        for each in world.mailbox.receive("lane-critical"):
            world.lanes.defer("lane-critical", each.receipt, 0)
        return [answers, again, hidden > 0]

    return run


CASES |= {
    "defer for nothing": _deferred(0),
    "defer for an hour": _deferred(3600),
    "defer for too long": _deferred(43_201),
    "defer twice": _deferred(60, twice=True),
    "defer below zero": _deferred(-1),
}


@case("defer what nobody has in hand")
def _defer_nothing(world: World, pk: str) -> Told:
    return asked(lambda: world.lanes.defer("lane-high", "no receipt", 1))


def _put(*events: Event) -> Case:
    def run(world: World, pk: str) -> Told:
        answer = asked(lambda: world.bus.put(list(events)))
        queues = ("completions", "errors", "submissions")
        heard = {queue: [body["detail-type"] for body, _ in _heard(world, queue)] for queue in queues}
        return [answer, heard]

    return run


def _event(kind: str, source: str = "treadle", **data: Any) -> Event:
    return Event(kind, "1", "run", 0, data, source)


PUT: dict[str, list[Event]] = {
    "nothing": [],
    "a failed step": [_event("StepFailed")],
    "completions to be advanced": [_event("StepsCompleted", advance=True)],
    "completions that were": [_event("StepsCompleted", advance=False)],
    "the start of a run": [_event("RunStarted")],
    "the failure of a run": [_event("RunFailed")],
    "a request": [_event("RunRequested", "shop", workflow="order")],
    "a stranger's event": [_event("OrderPaid", "shop")],
    "a stranger's failed step": [_event("StepFailed", "shop")],
    "eleven": [_event("StepFailed", n=n) for n in range(11)],
    "of each some": [_event("StepFailed"), _event("RunStarted"), _event("OrderPaid", "shop")],
    "too large": [_event("StepFailed", text="x" * 1_100_000)],
}
CASES |= {f"put on the bus {name}": _put(*events) for name, events in PUT.items()}


def _blob(do: Callable[[World, str], Any]) -> Case:
    return lambda world, pk: asked(lambda: do(world, f"{pk}/".replace(" ", "-").replace(",", "")))


def _put_and_get(content: bytes) -> Callable[[World, str], Any]:
    def run(world: World, name: str) -> Any:
        world.blobs.put(name + "a", content)
        return world.blobs.get(name + "a") == content

    return run


def _under(world: World, name: str) -> Any:
    for inner in ("b", "a/1", "a/2", "ab"):
        world.blobs.put(name + inner, b"1")
    return [each[len(name) :] for each in world.blobs.under(name + "a/")]


def _removed(world: World, name: str) -> Any:
    world.blobs.put(name + "a", b"1")
    world.blobs.remove(name + "a")
    world.blobs.remove(name + "a")
    return world.blobs.get(name + "a")


CASES |= {
    "blob of nothing": _blob(_put_and_get(b"")),
    "blob of any bytes": _blob(_put_and_get(bytes(range(256)))),
    "blob of 2 MB": _blob(_put_and_get(b"x" * 2_000_000)),
    "blob that is not there": _blob(lambda world, name: world.blobs.get(name)),
    "blobs by what they begin with": _blob(_under),
    "blob that was removed": _blob(_removed),
}
