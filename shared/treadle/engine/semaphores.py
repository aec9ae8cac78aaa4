"""At most N at once for one key: live runs of a workflow, or tasks across all runs.

One item per key, changed by version: who holds a place, and who waits for one, first come first served. Who is gone without a word
is found when the next one asks: a holder whose lease is over, or whose run has ended, and a step that is first in line and is not
looked at any more (its run was cancelled, its scope stopped).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..core.errors import Unavailable
from ..core.model import SCHEMA, RunStatus, State
from ..ports import Absent, Equals, Item, Key
from .items import digest, run_key, step_key
from .world import World

MAX_TRIES = 50  # of a write that lost to another one
MAX_WAITING = 1_000  # in line, so that the item stays below 400 KB; whoever comes later asks again from time to time
NO_LIMIT = 1_000_000
GRACE_MS = 5 * 60_000  # a run that holds a place has begun to exist by then, and a step that stands in line was looked at


class Place(NamedTuple):
    """What a step counts under, and how many may be there."""

    name: str
    limit: int


@dataclass(frozen=True, slots=True)
class Semaphore:
    """`holders`: id -> until when (ms; 0: as long as its run is live), for which claim (its fence; of a run its generation), and, of a
    step that waits for its callback, the key of the item that has it for as long as it waits. `waiting`: [id, anything its waker needs]."""

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

    def acquire(self, holder: str, limit: int, *, until: int = 0, fence: int | None = None, ticket: Any = None) -> bool:
        """A place for `holder` (again, if it has one). Without one it waits in line when it has a ticket."""
        mine = {"until": until} if fence is None else {"until": until, "fence": fence}

        def take(item: Item) -> tuple[bool, bool]:
            holders, waiting = item["holders"], item["waiting"]
            held = holders.get(holder, mine)
            if holder in holders and mine.items() <= held.items():
                return True, False
            if held["until"] > until and held.get("fence") != fence:
                return False, False  # this lease is over, or another one is longer: the place is that claim's
            if holder not in holders and len(holders) >= limit:
                for gone in self._gone(holders):
                    del holders[gone]
            in_line = len(waiting)
            if holder in holders or self._is_next(waiting, holder, limit - len(holders)):
                holders[holder] = {**mine, "since": self.world.clock.now()}
                item["waiting"] = [entry for entry in waiting if entry[0] != holder]
                return True, True
            if ticket is not None and len(waiting) < MAX_WAITING and all(entry[0] != holder for entry in waiting):
                waiting.append([holder, ticket])
                return False, True
            return False, len(waiting) != in_line

        return bool(self._change(take))

    def _is_next(self, waiting: list[list[Any]], holder: str, free: int) -> bool:
        """There is a place for it and for all who stand before it. Takes those out of the line who stand first and wait no more."""
        while free > 0:
            first = waiting[:free]
            if len(waiting) < free or any(entry[0] == holder for entry in first):
                return True
            left = [entry[0] for entry in first if not self._waits_still(entry[1])]
            if not left:
                return False
            waiting[:] = [entry for entry in waiting if entry[0] not in left]
        return False

    def _waits_still(self, ticket: dict[str, Any]) -> bool:
        """A step in line is looked at from time to time. A run in line leaves it when it ends."""
        if "path" not in ticket:
            return True
        now = self.world.clock.now()
        item = self.world.store.get(step_key(ticket["run"], ticket["path"]))
        if item is None:
            return bool(now - ticket.get("since", 0) <= GRACE_MS)
        until = {State.CLAIMED: item.get("lease", 0), State.RELEASED: item.get("look", 0)}.get(item["state"], 0)
        return bool(now - until <= GRACE_MS)

    def _gone(self, holders: dict[str, Any]) -> list[str]:
        """Holders whose lease is over, or whose run has ended (or never came to be)."""
        now = self.world.clock.now()
        over = {holder: held for holder, held in holders.items() if held["until"] <= now}
        found = self.world.store.get_many([key for holder, held in over.items() if (key := _kept_by(holder, held)) is not None])
        return [holder for holder, held in over.items() if _is_gone(held, found.get(_kept_by(holder, held) or ("", "")), now)]

    def keep(self, holder: str, fence: int, key: Key) -> None:
        """The place is held beyond the lease, for as long as the item of the step waits."""

        def stay(item: Item) -> tuple[None, bool]:
            now = self.world.clock.now()
            held = item["holders"].get(holder, {"until": now, "since": now, "fence": fence})
            if held.get("fence", fence) != fence:
                return None, False  # taken over: that claim's place
            item["holders"][holder] = {**held, "fence": fence, "waits": [*key]}
            return None, True

        self._change(stay)

    def is_free_for(self, holder: str, limit: int) -> bool:
        """Whether a place was given back before it could be told of it: it stands among the first in line, and there is one."""
        item = self.world.store.get((self.name, "semaphore")) or {"holders": {}, "waiting": []}
        return any(entry[0] == holder for entry in item["waiting"][: max(0, limit - len(item["holders"]))])

    def release(self, holder: str, limit: int, fence: int | None = None) -> list[list[Any]]:
        """Give the place back (or leave the line). Those at the head of the line who may now try: [id, ticket].

        `fence`: of the claim that had it; what somebody has taken over since is not given away.
        """

        def give(item: Item) -> tuple[list[list[Any]], bool]:
            held = item["holders"].get(holder)
            had = held is not None and (fence is None or held.get("fence", fence) == fence)
            if had:
                del item["holders"][holder]
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


def _kept_by(holder: str, held: dict[str, Any]) -> Key | None:
    """The item that says whether a holder without a lease is there still."""
    if "waits" in held:
        pk, sk = held["waits"]
        return pk, sk
    return None if held["until"] else run_key(holder)


def _is_gone(held: dict[str, Any], item: Item | None, now: int) -> bool:
    if "waits" in held:
        return item is None or item["state"] != State.WAITING or item["fence"] != held["fence"]
    if held["until"]:
        return True
    return RunStatus(item["status"]).is_final if item else bool(now - held["since"] > GRACE_MS)


def of_runs(world: World, tenant: str, workflow: str, key: str) -> Semaphore:
    return Semaphore(world, f"runs#{tenant}#{workflow}#{digest(key)}")


def of_engine(world: World) -> Semaphore:
    """Live runs of all workflows and tenants."""
    return Semaphore(world, "runs")


def of_tasks(world: World, tenant: str, key: str) -> Semaphore:
    return Semaphore(world, place_name(tenant, key))


def place_name(tenant: str, key: str) -> str:
    return f"tasks#{tenant}#{digest(key)}"
