"""A step that was begun for a message of before its run was retried or amended: what it comes after may have to run again first.

The generation in a message is a hint, and the claim is made on it. Where control then tells of another one, the claim is looked at
again from the facts; a step whose turn it is not yet is given back as if nobody had begun it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import paths
from ..core.advance import Verdict, verdict
from ..core.model import State
from .claims import AMENDED, Claim, as_unbegun, write_state
from .items import fact_of, is_fact, step_key
from .run import Run

if TYPE_CHECKING:
    from .segment import Segment


def given_up(run: Run, claim: Claim) -> bool:
    """Whether it was not its turn."""
    if _is_due(run, claim.key):
        return False
    if paths.index(claim.key) is not None:
        run.world.store.delete(step_key(run.id, claim.key), claim.is_mine_still)
    else:  # what stood there may have barred the step from being skipped
        marked = {AMENDED: claim.amended} if claim.amended else {}
        run.world.store.put(as_unbegun(run, claim.key) | marked, claim.is_mine_still)
    return True


def given_back(segment: Segment, *claims: Claim) -> bool:
    """Whether it was decided before the plan was amended that these begin: that is decided anew. What has begun goes on."""
    plan = segment.run.control["plan"]
    if plan == segment.plan:
        return False
    segment.plan = plan
    segment.local.clear()
    segment.run.must_settle = segment.repair = True
    if any(claim.attempt > 1 or claim.losses or paths.index(claim.key) is not None or _is_marked(segment.run, claim) for claim in claims):
        return False
    for claim in claims:
        write_state(segment.run, claim, State.RELEASED)
    return True


def _is_marked(run: Run, claim: Claim) -> bool:
    """It is held by the fact before it, and whoever amended the plan has seen that. Where he came first he has barred the step."""
    item = run.world.store.get(step_key(run.id, claim.key)) if claim.is_fused else None
    return item is not None and bool(item.get("fence") == claim.fence)


def _is_due(run: Run, key: str) -> bool:
    scope_key = paths.scope(key)
    if paths.index(key) is not None:
        return _is_open(run, paths.whole(key))
    if scope_key and not _is_open(run, paths.owner(scope_key)[0]):
        return False
    step = run.step(key)
    sources = dict.fromkeys(edge.source for edge in step.edges)
    found = run.world.store.get_many([step_key(run.id, paths.join(scope_key, source)) for source in sources])
    facts = {paths.step_id(item["sk"][2:]): fact_of(item) for item in found.values() if is_fact(item)}
    return verdict(step, facts) is Verdict.START


def _is_open(run: Run, key: str) -> bool:
    item = run.world.store.get(step_key(run.id, key))
    return item is not None and item["state"] == State.OPEN
