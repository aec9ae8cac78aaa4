"""What starts runs of a workflow by itself: its triggers, kept in the item that names its newest version.

One item, so one condition: a newer version and its triggers stand from the same write on, and those of the older version are
gone with it. Its schedules are in the `due` index as whatever else is due:

    triggers   JSON text: the definition's list (a reference when it is large)
    fires      schedule -> when it is to fire next; triggers with the same schedule share it
    due        the earliest of these
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.model import SCHEMA
from ..ports import Change, Item, Key, Message
from .items import INLINE_LIMIT, decode, digest, encode, shard_of
from .world import World

QUEUE = "submissions"
FRESH_MS = 10_000  # how long one process may go on with the triggers that it read
LISTED = "workflows#"  # begins the `pk` of the items that name the newest versions


@dataclass(frozen=True, slots=True)
class Triggered:
    """The newest version of a workflow, and what starts it."""

    tenant: str
    workflow: str
    version: str
    triggers: tuple[Mapping[str, Any], ...]


def listed_key(tenant: str, workflow_id: str) -> Key:
    return LISTED + tenant, workflow_id


# -------------------------------------------------------------------------------------------------------- writing


def with_triggers(world: World, item: Item, triggers: Sequence[Mapping[str, Any]], standing: Item | None) -> Item:
    """The item of a new version. A schedule that the version before had goes on: its next time is not moved by a deployment."""
    if not triggers:
        return item
    from ..core.schedules import parse_schedule  # on demand: who registers a workflow needs it, who runs one does not

    now = world.clock.now() // 1000 * 1000
    before: Mapping[str, int] = (standing or {}).get("fires", {})
    fires: dict[str, int] = {}
    for schedule in (trigger["schedule"] for trigger in triggers if "schedule" in trigger):
        moment = before.get(schedule) or parse_schedule(schedule).next_after(now, now)
        if moment is not None:
            fires[schedule] = moment
    kept = encode(world.keep(encode(list(triggers)), INLINE_LIMIT))
    return item | {"triggers": kept} | _due(fires, item)


def _due(fires: Mapping[str, int], item: Item) -> Item:
    if not fires:
        return {}
    return {"fires": dict(fires), "due": min(fires.values()), "due_shard": shard_of(digest(item["pk"], item["sk"]))}


def moved_on(item: Item, fires: Mapping[str, int]) -> Change:
    """The change that lets the schedules fire at these times next; none: they have no time left."""
    due = _due(fires, item)
    return Change(set=due, add={"rev": 1}) if due else Change(add={"rev": 1}, remove=("fires", "due", "due_shard"))


# -------------------------------------------------------------------------------------------------------- reading


def triggered(world: World, item: Item) -> Triggered | None:
    """None: nothing starts it but who asks for it."""
    if "triggers" not in item:
        return None
    triggers = tuple(world.load(decode(item["triggers"])))
    return Triggered(item["pk"].removeprefix(LISTED), item["sk"], item["version"], triggers)


def live(world: World, tenant: str) -> Sequence[Triggered]:
    """All that the tenant's events may start, read again after ten seconds."""
    now = world.clock.now()
    read_at, known = world.triggers.get(tenant, (None, ()))
    if read_at is not None and now - read_at < FRESH_MS:
        return known
    found: list[Triggered] = []
    after = None
    while True:
        page = world.store.query(LISTED + tenant, after=after)
        found += [one for item in page.items if (one := triggered(world, item))]
        after = page.after
        if after is None:
            world.triggers[tenant] = (now, tuple(found))
            return found


# ------------------------------------------------------------------------------------------------------- sweeping


def is_listed(pk: str) -> bool:
    return pk.startswith(LISTED)


def due_message(pk: str, workflow_id: str, wait_s: int) -> Message:
    """What the sweeper sends when schedules are due: whoever gets it looks which, and starts the runs."""
    body = {"schema": SCHEMA, "kind": "schedule", "tenant": pk.removeprefix(LISTED), "workflow": workflow_id}
    return Message(QUEUE, body, wait_s)
