"""Lists of runs, newest first, a page at a time. The list index has one partition per workflow; pages merge what they need of them."""

from __future__ import annotations

import base64
import binascii
import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .core.errors import Rejected
from .core.expressions import as_text
from .engine.world import World
from .ports import Item
from .viewing import summary
from .views import RunView

LAST = "\uffff"


def runs(
    world: World,
    tenant: str,
    workflows: Sequence[str],
    *,
    status: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    started_after: str | None = None,
    started_before: str | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> tuple[list[RunView], str | None]:
    """The page, and the cursor of the next. Raises Rejected("bad-value") for a cursor that is none."""
    behind = read_cursor(cursor) if cursor else None
    found: list[RunView] = []
    last = ""
    merged = heapq.merge(
        *(_partition(world, f"{tenant}#{name}", started_after or "", behind or started_before or LAST, limit) for name in workflows),
        key=lambda item: item["list_sk"],
        reverse=True,
    )
    for item in merged:
        if behind is not None and item["list_sk"] >= behind:
            continue
        if len(found) == limit:
            return found, write_cursor(last)
        last = str(item["list_sk"])
        shown = summary(item)
        if (status is None or shown.status == status) and has_attributes(shown, attributes or {}):
            found.append(shown)
    return found, None


def _partition(world: World, partition: str, start: str, end: str, limit: int) -> Iterator[Item]:
    """Newest first, read page by page as far as it is asked for."""
    after = None
    while True:
        page = world.store.query_list(partition, start=start, end=end, after=after, limit=limit)
        yield from page.items
        if page.after is None:
            return
        after = page.after[1]


def has_attributes(run: RunView, wanted: Mapping[str, Any]) -> bool:
    """Compared as text, as they come in an address: true is `true`."""
    return all(name in run.attributes and as_text(run.attributes[name]) == as_text(value) for name, value in wanted.items())


def write_cursor(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> str:
    """Raises Rejected("bad-value")."""
    try:
        place = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        place = ""
    if not place:
        raise Rejected("bad-value", f"this is no cursor of this list: {cursor[:100]}")
    return place
