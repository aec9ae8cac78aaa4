"""A compensation that ends later, and who comes by then: a message, or the sweeper where no message can wait so long."""

from __future__ import annotations

from dataclasses import dataclass

from ..ports import Message
from ..topology import MAX_DELAY_S
from .pulse import LOOK_AGAIN_MS, OVERDUE_MS
from .run import Run


@dataclass(frozen=True, slots=True)
class Pending:
    """A wait, or a child run (whose end sends a message). `until`: when it ends at the latest (ms); 0: not said. `look`: when the sweeper
    has to come by, because no message waits so long; 0: there is one."""

    until: int
    child: str | None = None
    look: int = 0


def look_now(run: Run, pool: str | None = None, delay_s: int = 0) -> Message:
    """The run is looked at again, by a worker of that pool."""
    return run.message("settle", "", delay_s=delay_s, pool=pool, plan=run.control["plan"], gen=run.generation)


def look_then(run: Run, until: int) -> list[Message]:
    """The same at that time. Later than a message may be delayed the due index has it alone."""
    wait_ms = max(0, until - run.now)
    return [look_now(run, delay_s=-(-wait_ms // 1000))] if until and wait_ms <= MAX_DELAY_S * 1000 else []


def later(run: Run, until: int) -> dict[str, int]:
    """What its item says: with `look`, that nobody but the sweeper comes by. Whoever looks at it in between could not know."""
    return {"until": until} | ({"look": until} if until and until - run.now > MAX_DELAY_S * 1000 else {})


def looked_at(run: Run, pending: Pending) -> int:
    """When (ms) the sweeper is to come by: at the time itself where there is no message for it, else when that must be lost."""
    if not pending.until:
        return run.now + LOOK_AGAIN_MS
    return pending.look or max(pending.until, run.now) + OVERDUE_MS
