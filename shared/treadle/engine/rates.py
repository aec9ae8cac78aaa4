"""How often a task may begin, over all runs (`tasks.NAME.rate` of the configuration): a bucket of a second's worth of beginnings.

One item per task says when the next one may begin. Who asks is given that time for its own and moves it on by one interval: a
single write that cannot fail, so that nobody asks twice, however many there are. Whoever is given a time that is further away than a
second is released until then and comes back once; that time stands on its item. Who comes back much too late asks anew, or
all that an outage held up would begin at once.

Fast tasks have several such items, each with its part of the rate, so that none is written too often.
"""

from __future__ import annotations

from ..core.model import SCHEMA
from ..core.plan import Step
from ..ports import Absent, AtMost, Change, any_of
from .claims import Claim
from .run import Run

BURST_MS = 1000  # what may begin ahead of its time: SQS delays by whole seconds
LATE_MS = 10_000
LEAST_INTERVAL_US = 5000  # of one item: 200 writes a second


def wait_for_turn(run: Run, step: Step, claim: Claim) -> int | None:
    """When (ms) this attempt may begin; None: now. Only for tasks that have a rate does it cost anything: a write, or two where
    others wait."""
    interval_us = run.world.settings.rates.get(step.spec)
    if interval_us is None:
        return None
    now = run.now
    if claim.turn is not None and claim.turn - BURST_MS <= now <= claim.turn + LATE_MS:
        return None
    turn = _take_turn(run, step.spec, interval_us, now)
    return None if turn <= now + BURST_MS else turn


def _take_turn(run: Run, task: str, interval_us: int, now: int) -> int:
    shards = -(-LEAST_INTERVAL_US // interval_us)
    shard = run.world.random.randrange(shards) if shards > 1 else 0
    key, each_us = (f"rate#{task}#{shard}", "rate"), interval_us * shards
    nobody_waits = any_of(Absent(), AtMost("next", now * 1000))
    taken = run.world.store.update(key, Change(set={"next": now * 1000 + each_us, "schema": SCHEMA}), nobody_waits)
    if taken.ok:
        return now
    moved = run.world.store.update(key, Change(add={"next": each_us}))
    following: int = (moved.item or {})["next"]
    return (following - each_us) // 1000
