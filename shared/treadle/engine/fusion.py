"""Which step a worker goes on with under the claim that it has: named in the fact, it costs no claim of its own."""

from __future__ import annotations

from collections.abc import Callable

from ..core import paths
from ..core.advance import Fact, Verdict, verdict
from ..core.model import Outcome
from ..core.plan import Step
from . import loops
from .run import Run


def successor(run: Run, fact: Fact, may_run: Callable[[str], bool]) -> str | None:
    """A step with this one as its only source goes on in the same hands, if it belongs in the same lane. Not where leases are
    renewed: a claim has to have an item for that; nor in a run that was retried or amended, whose steps may have one (`as_unbegun`).
    `may_run`: whether this worker may do what the step of a key does."""
    if run.world.keeper is not None or run.generation > 1 or "amended" in run.control:
        return None
    step = run.step(fact.key)
    if paths.index(fact.key) is not None:
        return _next_iteration(run, fact, step) if may_run(fact.key) else None
    scope = run.scope(fact.key)
    for name in step.targets:
        target = scope.steps[name]
        is_alone = all(edge.source == step.id for edge in target.edges)
        if is_alone and may_run(name) and target.priority == step.priority and verdict(target, {step.id: fact}) is Verdict.START:
            return paths.join(paths.scope(fact.key), name)
    return None


def _next_iteration(run: Run, fact: Fact, step: Step) -> str | None:
    if step.repeat is None or fact.outcome is not Outcome.SUCCEEDED or "delay" in step.repeat or not loops.is_sync(step):
        return None
    loop, number = paths.whole(fact.key), (paths.index(fact.key) or 0) + 1
    goes_on = loops.goes_on(run, loop, step, number, run.output_of(fact))
    return paths.item(loop, number) if goes_on is True else None
