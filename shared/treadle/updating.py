"""What may be changed of a run while it is there: its search attributes, its metadata, and whether it goes on. A JSON merge
patch (RFC 7396): a null removes a member, what is not named stays. What steps gave are facts and cannot be patched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .core.errors import Conflict, Rejected
from .core.model import Json, RunStatus
from .engine import control
from .engine.items import body_key, decode, encode, run_key
from .engine.run import Run
from .engine.starting import MAX_ATTRIBUTES
from .ports import Change, Equals, is_set
from .viewing import shown_status

MAX_METADATA: Final = 4096  # bytes of JSON

_ACTS: Final = {RunStatus.PAUSED.value: control.pause, RunStatus.RUNNING.value: control.resume, RunStatus.CANCELLED.value: control.cancel}


def changes(run: Run, patch: Mapping[str, Any]) -> list[dict[str, Json]]:
    """`{path, before, after}` of each member that the patch changes; a member that is not there is null."""
    found: list[dict[str, Json]] = []
    for name in ("attributes", "metadata"):
        if name in patch:
            found += _members(f"/{name}", _standing(run, name), _patched(run, name, patch))
    status = patch.get("status")
    if status is not None and status != shown_status(run.status):
        found.append({"path": "/status", "before": shown_status(run.status), "after": status})
    return found


def apply(run: Run, patch: Mapping[str, Any], planned: list[dict[str, Json]]) -> None:
    """`planned`: what `changes` said. Raises Conflict, Rejected("bad-value") for what is too large, WrongState."""
    parts = {change["path"].split("/")[1] for change in planned}
    after = {name: _patched(run, name, patch) for name in ("attributes", "metadata") if name in parts}
    _refuse_large("attributes", after.get("attributes"), MAX_ATTRIBUTES)
    _refuse_large("metadata", after.get("metadata"), MAX_METADATA)
    if after:
        attributes = {"attributes": encode(after["attributes"])} if "attributes" in after else {}
        as_it_was = Equals("rev", run.control["rev"])
        change = Change(set=attributes, add={"rev": 1})
        written = run.world.store.update(run_key(run.id), change, as_it_was)
        run.control = written.item or run.control
        if not written.ok and not (attributes and is_set(change, written.item)):
            raise Conflict(f"run {run.id} was changed by somebody else: look at it again")
    if "metadata" in after:
        run.world.store.update(body_key(run.id), Change(set={"metadata": encode(after["metadata"])}))
    if "status" in parts:
        _ACTS[patch["status"]](run)


def _standing(run: Run, name: str) -> dict[str, Json]:
    item = run.control if name == "attributes" else run.world.store.get(body_key(run.id)) or {}
    standing: dict[str, Json] = decode(item[name]) if name in item else {}
    return standing


def _patched(run: Run, name: str, patch: Mapping[str, Any]) -> dict[str, Json]:
    merged: dict[str, Json] = merge(_standing(run, name), patch[name] or {})
    return merged


def merge(value: Json, patch: Json) -> Json:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(value) if isinstance(value, dict) else {}
    for name, given in patch.items():
        if given is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), given)
    return merged


def _members(place: str, before: Mapping[str, Json], after: Mapping[str, Json]) -> list[dict[str, Json]]:
    names = [*before, *(name for name in after if name not in before)]
    return [
        {"path": f"{place}/{name}", "before": before.get(name), "after": after.get(name)}
        for name in names
        if (name in before, before.get(name)) != (name in after, after.get(name))
    ]


def _refuse_large(name: str, value: Json, limit: int) -> None:
    if value is not None and len(encode(value).encode()) > limit:
        raise Rejected("bad-value", f"`{name}` has more than {limit} bytes as JSON")
