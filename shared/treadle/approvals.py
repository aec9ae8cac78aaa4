"""What people are asked: steps that wait for an approval, or for a decision about a failure. The inbox of those who answer.

The list is the sparse index of the waiting items themselves (`engine.asking`): answered, they are no longer in it. The index
lags a little, so each item is read before it is shown.
"""

from __future__ import annotations

from typing import Any

from .core import paths
from .core.model import RunStatus, State
from .core.moments import rfc3339
from .engine.asking import inbox
from .engine.items import error_of, run_key
from .engine.world import World
from .listing import read_cursor, write_cursor
from .ports import Item, Key

KINDS = ("approval", "decision")
_KIND_OF = {"approval": "approval", "person": "decision"}  # what an item waits for -> its kind


def page(
    world: World, tenant: str, *, kinds: tuple[str, ...], by: str | None, limit: int, cursor: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """Newest first; the cursor of the next page, None: there is none. Raises Rejected("bad-value") for a cursor that is none."""
    found: list[dict[str, Any]] = []
    after = read_cursor(cursor) if cursor else None
    while kinds:
        listed = world.store.query_list(inbox(tenant), after=after, limit=limit)
        for entry, place in _asked(world, listed.items):
            after = place
            if entry is not None and entry["kind"] in kinds and _may(entry, by):
                found.append(entry)
                if len(found) == limit:
                    return found, write_cursor(after)
        if listed.after is None:
            break
        after = listed.after[1]
    return found, None


def _asked(world: World, listed: list[Item]) -> list[tuple[dict[str, Any] | None, str]]:
    """What is listed, as it is now; None: it was answered meanwhile."""
    keys: list[Key] = [(item["pk"], item["sk"]) for item in listed]
    runs = {run_key(_run_of(key)) for key in keys}
    items = world.store.get_many([*keys, *runs]) if keys else {}
    return [(_entry(items.get(key), items.get(run_key(_run_of(key)))), item["list_sk"]) for key, item in zip(keys, listed, strict=True)]


def _run_of(key: Key) -> str:
    return key[0].partition("#")[0]


def _entry(item: Item | None, control: Item | None) -> dict[str, Any] | None:
    if item is None or control is None or item["state"] != State.WAITING or item["wait"]["for"] not in _KIND_OF:
        return None
    if RunStatus(control["status"]).is_final or not item["sk"].startswith("s#"):  # a step that a retry took back is archived
        return None
    wait, error = item["wait"], error_of(item.get("error"))
    entry = {
        "run": control["pk"],
        "workflow": control["workflow"],
        "step": paths.shown(item["sk"][2:]),
        "kind": _KIND_OF[wait["for"]],
        "since": item["list_sk"].partition("#")[0],
    }
    optional = {
        "message": wait.get("message"),
        "approvers": wait.get("by"),
        "until": rfc3339(item["until"]) if "until" in item else None,
        "error": error.to_json() if error else None,
    }
    return entry | {name: value for name, value in optional.items() if value is not None}


def _may(entry: dict[str, Any], by: str | None) -> bool:
    return by is None or "approvers" not in entry or by in entry["approvers"]
