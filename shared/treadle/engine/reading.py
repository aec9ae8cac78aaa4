"""What is read of the table is looked at before anybody relies on it: a run of which something cannot be read is set aside.

`Checked` stands before the store. An item that no version of the engine could have written raises Unreadable, which says which
item it is and what is wrong with it; one of a newer version raises Newer, and is not written over. Of the runs beside it nothing is
touched.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..core.errors import Corrupted, Newer
from ..core.model import SCHEMA, Outcome, RunStatus, State
from ..ports import Absent, AllOf, AtMost, Change, Condition, Item, Key, Page, Store, Written, all_of, any_of

Check = Callable[[Any], str | None]  # what is wrong with a value; None: nothing


class Unreadable(Corrupted):
    def __init__(self, key: Key, fault: str) -> None:
        super().__init__(f"item {key[0]} / {key[1]}: {fault}")
        self.key = key
        self.fault = fault


def _of(kind: type, called: str) -> Check:
    return lambda value: None if type(value) is kind else f"is {type(value).__name__}, not {called}"


def _one_of(*known: str) -> Check:
    return lambda value: None if value in known else f"is {value!r:.60}, which is none of {', '.join(known)}"


def _json(value: Any) -> str | None:
    if type(value) is not str:
        return f"is {type(value).__name__}, not JSON text"
    try:
        json.loads(value)
    except ValueError as fault:
        return f"is not JSON: {fault}"
    return None


def _error(value: Any) -> str | None:
    told = value
    if type(value) is str:
        if (fault := _json(value)) is not None:
            return fault
        told = json.loads(value)
    return None if isinstance(told, dict) and isinstance(told.get("name"), str) else "is no error: it has no name"


def _wait(value: Any) -> str | None:
    return None if isinstance(value, dict) and isinstance(value.get("for"), str) else "does not say what for"


_INT, _TEXT, _LIST, _MAP = _of(int, "a whole number"), _of(str, "text"), _of(list, "a list"), _of(dict, "a map")

_STEP: Mapping[str, Check] = {  # what may be there
    "fence": _INT, "lease": _INT, "attempt": _INT, "started_at": _INT, "attempt_at": _INT, "ended_at": _INT, "until": _INT, "base": _INT,
    "losses": _INT, "seq": _INT, "gen": _INT, "n": _INT, "expires": _INT, "output": _json, "error": _error, "given": _json, "list": _json,
    "saw": _LIST, "chosen": _LIST, "next": _TEXT, "of": _TEXT, "wait": _wait, "outcome": _one_of(*(each.value for each in Outcome)),
    "look": _INT, "looks": _INT, "place": _LIST,
}  # fmt: skip
_NEEDED: Mapping[str, tuple[str, ...]] = {  # what has to be, by state
    State.CLAIMED: ("fence", "lease", "attempt", "started_at", "attempt_at"),
    State.RELEASED: ("fence", "attempt"),
    State.RETRY: ("fence", "attempt", "error"),
    State.WAITING: ("fence", "attempt", "attempt_at", "wait"),
    State.OPEN: ("fence", "attempt", "started_at"),
    State.ENDED: ("fence", "outcome", "ended_at"),
}
_STATE = _one_of(*(each.value for each in State))
_RUN: Mapping[str, Check] = {
    "status": _one_of(*(each.value for each in RunStatus)), "gen": _INT, "rev": _INT, "plan": _TEXT, "tenant": _TEXT, "workflow": _TEXT,
    "version": _TEXT, "started_at": _INT, "ended_at": _INT, "due": _INT, "timeout_at": _INT, "attributes": _json, "output": _json,
    "error": _error, "parent": _MAP, "stop": _one_of("stop", "cancel", "timeout"), "priority": _TEXT, "exceeded": _INT,
    "anew": _of(bool, "true or false"),
}  # fmt: skip
_OF_RUN = ("status", "gen", "rev", "plan", "tenant", "workflow", "version", "started_at")
_CHUNK: Mapping[str, Check] = {"state": _STATE, "low": _INT, "high": _INT, "fence": _INT, "lease": _INT, "outputs": _json}
_STOP: Mapping[str, Check] = {"kind": _one_of("continue", "stop", "cancel"), "error": _error}


def fault_of(item: Item) -> str | None:
    """What is wrong with an item; None: nothing. Raises Newer."""
    sk = item["sk"]
    if sk[:2] == "s#":
        state = item.get("state")
        return _schema(item) or _named("state", _STATE, item) or _among(item, _NEEDED[str(state)], _STEP) or _endless(item)
    if sk == "!":
        return _schema(item) or _among(item, _OF_RUN, _RUN)
    if sk[:2] == "c#":
        return _schema(item) or _among(item, ("state", "low", "high"), _CHUNK)
    if sk == "body":
        return _schema(item) or _among(item, ("input",), {"input": _json})
    if sk == "plan":
        return _schema(item) or _among(item, ("plan",), {"plan": _json})
    if sk[:5] == "stop#":
        return _schema(item) or _among(item, ("kind", "error"), _STOP)
    _known(item)
    return None


def _endless(item: Item) -> str | None:
    is_timer = item["state"] == State.WAITING and item["wait"]["for"] == "timer"
    return "until is missing" if is_timer and "until" not in item else None


def _schema(item: Item) -> str | None:
    schema = item.get("schema")
    if type(schema) is not int:
        return "schema is missing" if schema is None else "schema is no whole number"
    _known(item)
    return f"schema is {schema}, which is too old" if schema < SCHEMA - 1 else None


def _known(item: Item) -> None:
    """Whatever kind of item it is: one of a newer version is not taken for one of this."""
    schema = item.get("schema")
    if type(schema) is int and schema > SCHEMA:
        raise Newer(f"item {item['pk']} / {item['sk']} is of version {schema}; this worker knows {SCHEMA}")


def _among(item: Item, needed: Sequence[str], known: Mapping[str, Check]) -> str | None:
    for name in needed:
        if name not in item:
            return f"{name} is missing"
    for name, value in item.items():
        check = known.get(name)
        if check is not None and (fault := check(value)) is not None:
            return f"{name} {fault}"
    return None


def _named(name: str, check: Check, item: Item) -> str | None:
    if name not in item:
        return f"{name} is missing"
    fault = check(item[name])
    return None if fault is None else f"{name} {fault}"


def readable(item: Item) -> Item:
    """Raises Unreadable, Newer."""
    fault = fault_of(item)
    if fault is not None:
        raise Unreadable((item["pk"], item["sk"]), fault)
    return item


IS_KNOWN = any_of(Absent("schema"), AtMost("schema", SCHEMA))


def guarded(condition: Condition | None) -> Condition:
    """No write changes what a newer version wrote, be it a moment after it was read: the item that stands is then looked at, and Newer."""
    if condition is None:
        return IS_KNOWN
    if isinstance(condition, AllOf):
        return AllOf((*condition.parts, IS_KNOWN))
    return condition if condition == Absent() else all_of(condition, IS_KNOWN)


class Checked:
    """A store whose items can be relied on. `raw`: the store itself. `lenient`: for views, which show what can be read: an item
    that cannot is `{pk, sk, fault}`."""

    def __init__(self, raw: Store, *, lenient: bool = False) -> None:
        self.raw = raw
        self._look: Callable[[Item], Item] = marked if lenient else readable

    def get(self, key: Key, *, consistent: bool = True) -> Item | None:
        item = self.raw.get(key, consistent=consistent)
        return None if item is None else self._look(item)

    def get_many(self, keys: Sequence[Key], *, consistent: bool = True) -> dict[Key, Item]:
        return {key: self._look(item) for key, item in self.raw.get_many(keys, consistent=consistent).items()}

    def put(self, item: Item, condition: Condition | None = None) -> Written:
        return self._written(self.raw.put(item, guarded(condition)))

    def update(self, key: Key, change: Change, condition: Condition | None = None) -> Written:
        return self._written(self.raw.update(key, change, guarded(condition)))

    def delete(self, key: Key, condition: Condition | None = None) -> Written:
        return self._written(self.raw.delete(key, guarded(condition)))

    def _written(self, written: Written) -> Written:
        if written.item is not None:
            self._look(written.item)
        return written

    def query(self, pk: str, *, prefix: str = "", after: Key | None = None, limit: int = 1000, ascending: bool = True) -> Page:
        page = self.raw.query(pk, prefix=prefix, after=after, limit=limit, ascending=ascending)
        return Page([self._look(item) for item in page.items], page.after)

    def query_due(self, shard: int, until: int, *, limit: int = 100) -> list[tuple[Key, int]]:
        return self.raw.query_due(shard, until, limit=limit)

    def query_list(self, partition: str, *, start: str = "", end: str = "\uffff", after: str | None = None, limit: int = 100) -> Page:
        return self.raw.query_list(partition, start=start, end=end, after=after, limit=limit)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


def marked(item: Item) -> Item:
    try:
        fault = fault_of(item)
    except Newer as newer:
        fault = str(newer)
    return item if fault is None else {"pk": item["pk"], "sk": item["sk"], "fault": fault}
