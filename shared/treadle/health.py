"""Is the engine well? What everybody may ask, without a token: so it says little, and asks the table once in a while only."""

from __future__ import annotations

from typing import Any, Final

from .core.errors import Unavailable
from .core.moments import rfc3339
from .engine.heartbeat import LATE_MS, last
from .engine.world import World

FRESH_MS: Final = 10_000  # an answer is good for so long: the address is open to all

OK, DEGRADED = "ok", "degraded"


class Health:
    """One for each process."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._answered: tuple[int, dict[str, Any]] | None = None  # when (ms), and what

    def look(self) -> dict[str, Any]:
        """`status`, `why` it is not ok, and the `sweeper`'s last pass (None: there was none, or nobody knows)."""
        now = self._world.clock.now()
        if self._answered is None or now - self._answered[0] >= FRESH_MS:
            self._answered = now, self._asked(now)
        return self._answered[1]

    def _asked(self, now: int) -> dict[str, Any]:
        try:
            heartbeat = last(self._world)
        except Unavailable:
            return _told("the table cannot be read")
        if heartbeat is None:
            return _told("the sweeper has never come by: timers and what a lost worker had in hand wait for it")
        pass_ = {"at": rfc3339(heartbeat.at), "tookMs": heartbeat.took_ms, "sent": heartbeat.sent, "behindMs": heartbeat.behind_ms}
        pass_["version"] = heartbeat.version
        is_late = heartbeat.is_late(now)
        why = f"the sweeper has not come by for {(now - heartbeat.at) // 1000} s: timers and what a lost worker had in hand wait for it"
        behind = f"the sweeper found what was due {heartbeat.behind_ms // 1000} s before: nobody takes up what it sends"
        reason = why if is_late else behind if heartbeat.behind_ms > LATE_MS else None
        return _told(reason, {**pass_, "late": is_late})


def _told(why: str | None, sweeper: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"status": DEGRADED, "why": why, "sweeper": sweeper} if why else {"status": OK, "why": None, "sweeper": sweeper}
