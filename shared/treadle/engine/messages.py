"""What a message has to have: whatever came into a queue, only what some version of the engine sends gets further.

Of a newer version: it goes back to its queue (`Newer`). Anything else that is not as it should be is poison (`Corrupted`): it is
handed back until it is a dead letter, and hurts nobody beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..core.errors import Corrupted, Newer
from ..core.model import SCHEMA

OLDEST = SCHEMA - 1  # the version before is read as well

# kind: what it names beside the run and the path
KINDS: Mapping[str, Mapping[str, type]] = {
    "step": {},
    "chunk": {"low": int, "high": int},
    "lane": {"lane": int},
    "wake": {},
    "settle": {},
    "remove": {},
}
_OF_RUNS = ("settle", "remove")
_COMMON: Mapping[str, type] = {"run": str, "path": str}
_OPTIONAL: Mapping[str, type] = {"plan": str, "gen": int, "seq": int, "also": list, "lost": int, "look": int}
_NAMES = {str: "a text", int: "a whole number", list: "a list", dict: "an object"}


def parsed(text: str) -> Any:
    """Raises Corrupted."""
    try:
        return json.loads(text)
    except ValueError as fault:
        raise Corrupted(f"a message that is not JSON: {fault}") from None


def of_lane(text: str) -> dict[str, Any]:
    """A message of a lane. Fields that are not known are left alone: a newer version may have added them. Raises Corrupted, Newer."""
    body = of_this_version(parsed(text))
    kind = body.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise Corrupted(f"a message of kind {kind!r}: there are {', '.join(KINDS)}")
    _need(f"a message of kind {kind}", body, {**_COMMON, **KINDS[kind]})
    _fit(f"a message of kind {kind}", body, {name: known for name, known in _OPTIONAL.items() if name in body})
    if not body["run"] or (not body["path"] and kind not in _OF_RUNS) or ("plan" in body and "gen" not in body):
        raise Corrupted(f"a message of kind {kind} that does not say whose it is")
    return body


def of_this_version(body: Any) -> dict[str, Any]:
    """Raises Corrupted, Newer."""
    if not isinstance(body, dict):
        raise Corrupted(f"a message must be an object, not {type(body).__name__}")
    schema = body.get("schema")
    if type(schema) is not int:
        raise Corrupted("a message that does not say of which version it is (schema)")
    if schema > SCHEMA:
        raise Newer(f"a message of version {schema}; this worker knows {SCHEMA}")
    if schema < OLDEST:
        raise Corrupted(f"a message of version {schema}, which is too old")
    return body


def of_bus(text: str, needed: Mapping[str, type]) -> dict[str, Any]:
    """The `detail` of a bus event whose `data` has these. Raises Corrupted."""
    event = parsed(text)
    detail = event.get("detail") if isinstance(event, dict) else None
    data = detail.get("data") if isinstance(detail, dict) else None
    if not isinstance(detail, dict) or not isinstance(data, dict):
        raise Corrupted("a message that is no event of the engine's: it has no detail.data")
    _need("an event", data, needed)
    return detail


COMPLETED: Mapping[str, type] = {"run": str, "keys": list}
FAILED: Mapping[str, type] = {"run": str, "key": str, "attempt": int}


def _need(what: str, found: Mapping[str, Any], wanted: Mapping[str, type]) -> None:
    missing = [name for name in wanted if name not in found]
    if missing:
        raise Corrupted(f"{what} without {', '.join(missing)}")
    _fit(what, found, wanted)


def _fit(what: str, found: Mapping[str, Any], wanted: Mapping[str, type]) -> None:
    for name, kind in wanted.items():
        if type(found[name]) is not kind or (kind is list and not all(isinstance(each, str) for each in found[name])):
            raise Corrupted(f"{what} whose {name} is not {_NAMES[kind]}: {found[name]!r:.80}")
