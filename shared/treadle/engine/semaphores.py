"""At most N at once for one key: live runs of a workflow, or tasks across all runs.

One item per key, changed by version: who holds a place, and who waits for one, first come first served. A holder that is gone
without giving its place back is found when the next one asks: its lease is over, or its run has ended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..core.errors import Unavailable
from ..core.model import SCHEMA, RunStatus
from ..ports import Absent, Equals, Item
from .items import digest, run_key
from .world import World

MAX_TRIES = 50  # of a write that lost to another one
MAX_WAITING = 1_000  # in line, so that the item stays below 400 KB; whoever comes later asks again from time to time
NO_LIMIT = 1_000_000
GRACE_MS = 5 * 60_000  # a run that holds a place has begun to exist by then


@dataclass(frozen=True, slots=True)
class Semaphore:
    """`holders`: id -> until when (ms; 0: as long as its run is live). `waiting`: [id, anything its waker needs]."""

    world: World
    name: str

    def _change(self, change: Callable[[Item], Any]) -> Any:
        for _ in range(MAX_TRIES):
            standing = self.world.store.get((self.name, "semaphore"))
            item = standing or {"pk": self.name, "sk": "semaphore", "schema": SCHEMA, "rev": 0, "holders": {}, "waiting": []}
            result, changed = change(item)
            if not changed:
                return result
            condition = Equals("rev", item["rev"]) if standing else Absent()
            if self.world.store.put({**item, "rev": item["rev"] + 1}, condition).ok:
                return result
        raise Unavailable(f"the places of {self.name} change hands too fast")

    def acquire(self, holder: str, limit: int, *, until: int = 0, ticket: Any = None) -> bool:
        """A place for `holder` (again, if it has one). Without one it waits in line when it has a ticket."""

        def take(item: Item) -> tuple[bool, bool]:
            holders, waiting = item["holders"], item["waiting"]
            if holder in holders and holders[holder]["until"] == until:
                return True, False
            if holder not in holders and len(holders) >= limit:
                for gone in self._gone(holders):
                    del holders[gone]
            ahead = [entry[0] for entry in waiting[: max(0, limit - len(holders))]]
            if holder in holders or (len(holders) < limit and (holder in ahead or len(waiting) < limit - len(holders))):
                holders[holder] = {"until": until, "since": self.world.clock.now()}
                item["waiting"] = [entry for entry in waiting if entry[0] != holder]
                return True, True
            if ticket is not None and len(waiting) < MAX_WAITING and all(entry[0] != holder for entry in waiting):
                waiting.append([holder, ticket])
                return False, True
            return False, False

        return bool(self._change(take))

    def _gone(self, holders: dict[str, Any]) -> list[str]:
        """Holders whose lease is over, or whose run has ended (or never came to be)."""
        now = self.world.clock.now()
        gone = [holder for holder, held in holders.items() if held["until"] and held["until"] <= now]
        of_runs = [holder for holder, held in holders.items() if not held["until"]]
        found = self.world.store.get_many([run_key(holder) for holder in of_runs])
        for holder in of_runs:
            control = found.get(run_key(holder))
            is_over = RunStatus(control["status"]).is_final if control else now - holders[holder]["since"] > GRACE_MS
            if is_over:
                gone.append(holder)
        return gone

    def release(self, holder: str, limit: int) -> list[list[Any]]:
        """Give the place back (or leave the line). Those at the head of the line who may now try: [id, ticket]."""

        def give(item: Item) -> tuple[list[list[Any]], bool]:
            had = item["holders"].pop(holder, None) is not None
            before = len(item["waiting"])
            item["waiting"] = [entry for entry in item["waiting"] if entry[0] != holder]
            free = max(0, limit - len(item["holders"]))
            return item["waiting"][:free], had or len(item["waiting"]) != before

        released: list[list[Any]] = self._change(give)
        return released

    def everybody(self) -> list[str]:
        """Who has a place, oldest first; then who waits for one, in line."""
        item = self.world.store.get((self.name, "semaphore")) or {"holders": {}, "waiting": []}
        holders = sorted(item["holders"], key=lambda holder: (item["holders"][holder]["since"], holder))
        return [*holders, *(entry[0] for entry in item["waiting"] if entry[0] not in holders)]


def of_runs(world: World, tenant: str, workflow: str, key: str) -> Semaphore:
    return Semaphore(world, f"runs#{tenant}#{workflow}#{digest(key)}")


def of_engine(world: World) -> Semaphore:
    """Live runs of all workflows and tenants."""
    return Semaphore(world, "runs")


def of_tasks(world: World, tenant: str, key: str) -> Semaphore:
    return Semaphore(world, f"tasks#{tenant}#{digest(key)}")
