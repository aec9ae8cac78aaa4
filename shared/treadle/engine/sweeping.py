"""The sweeper's pass: sends again what is due. It never decides: whoever gets a message looks at what is there.

Beside messages it writes one thing, its heartbeat, by which it is seen that it came by.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.model import SCHEMA
from ..ports import Message
from ..topology import DUE_SHARDS, SWEEP_EVERY_S, lane
from . import heartbeat
from .items import run_key, step_key
from .triggers import due_message, is_listed
from .world import NEVER, World

MOST_REMOVED = 50  # runs of one shard at each pass
AHEAD_MS = (SWEEP_EVERY_S + 15) * 1000


def sweep(world: World) -> int:
    """How many messages were sent."""
    now = world.clock.now()
    found = [entry for shard in range(DUE_SHARDS) for entry in world.store.query_due(shard, now + AHEAD_MS)]
    messages = [_due(pk, sk, due - now) for (pk, sk), due in found]
    messages += over(world, now)
    if messages:
        world.lanes.send(messages)
    heartbeat.beat(world, now, len(messages), min((due for _, due in found), default=None))
    return len(messages)


def _due(pk: str, sk: str, wait_ms: int) -> Message:
    wait_s = max(0, -(-wait_ms // 1000))
    if is_listed(pk):
        return due_message(pk, sk, wait_s)
    run_id = pk.partition("#")[0]
    kind, path = ("settle", "") if sk == "!" else ("wake", sk[2:])
    return Message(lane("normal"), {"schema": SCHEMA, "kind": kind, "run": run_id, "path": path, "swept": 1}, wait_s)


def comes_again(world: World, body: Mapping[str, Any]) -> bool:
    """A message of a sweep, about an item that is still due: there is another one in a minute, and so for as long as a deployment takes.
    All of them would wait together."""
    if "swept" not in body:
        return False
    store = world.raw
    item = store.get(step_key(body["run"], body["path"]) if body["path"] else run_key(body["run"]))
    return item is not None and item.get("due", NEVER) <= world.clock.now() + AHEAD_MS


def over(world: World, now: int) -> list[Message]:
    """For runs whose time is over. They are in shards of their own: however many there are, no timer waits for them."""
    if not world.settings.retention:
        return []
    shards = range(DUE_SHARDS, 2 * DUE_SHARDS)
    found = [key for shard in shards for key, _ in world.store.query_due(shard, now, limit=MOST_REMOVED)]
    return [Message(lane("low"), {"schema": SCHEMA, "kind": "remove", "run": pk, "path": ""}) for pk, _ in found]
