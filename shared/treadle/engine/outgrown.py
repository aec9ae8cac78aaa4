"""Out of memory: where pools are chosen by what tasks were seen to need, a task that was too much for its worker goes up a pool.

What the kernel does to a worker leaves no word of it, so each attempt that was lost with its worker goes up, and only it: once it has
ended, what it was seen to need says where the next ones go. Whoever sends it names the claim that was lost (its fence): a worker that
finds that claim takes it over, and one that finds another one sends it further up. As many times as there are pools at most.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ..core import paths
from ..core.plan import Step
from ..core.resources import larger_pool
from ..core.retry import matches
from ..ports import Message
from .gauge import ran_out
from .results import Failed, Held, Result

if TYPE_CHECKING:
    from .run import Run

log = logging.getLogger("treadle.tasks")


def is_at_most_once(step: Step) -> bool:
    return step.retry is not None and matches(step.retry.but_not, "Interrupted")


def above(run: Run, key: str) -> str | None:
    """The pool that comes after this worker's; None: there is none, or nobody is to go up by himself."""
    world, step = run.world, run.step(key)
    if world.observed is None or step.action != "task" or world.settings.recovery != "automatic" or is_at_most_once(step):
        return None
    pool = larger_pool(world.own_pool, step.needs, world.pools, world.most_mb)
    return None if pool is None else pool.name


def lost(run: Run, kind: str, key: str, fence: int, named: int | None, **more: Any) -> Message | None:
    """The message that takes what was lost with a worker up a pool; None: it is done here. `fence`: of the claim that was lost;
    `named`: the one that the message in hand names."""
    pool = None if fence == named else above(run, key)
    if pool is None:
        return None
    run.read_control()
    log.warning("what was lost with its worker goes up to the pool %s", pool, extra={"run": run.id, "step": paths.shown(key)})
    return run.message(kind, key, pool=pool, plan=run.control["plan"], gen=run.generation, lost=fence, **more)


def held(run: Run, key: str, result: Result) -> Held | None:
    """An attempt that ran out of memory, and whose worker can tell: it is as if it had been lost."""
    if not isinstance(result, Failed) or run.world.observed is None or not ran_out(result.error):
        return None
    pool = above(run, key)
    if pool is None:
        return None
    log.warning("a task ran out of memory and goes up to the pool %s", pool, extra={"run": run.id, "step": paths.shown(key)})
    return Held(0, pool=pool)
