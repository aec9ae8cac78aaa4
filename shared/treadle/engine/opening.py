"""Opening loops: the header, and the first of their items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import paths
from ..core.advance import Fact
from ..core.errors import ExpressionFault
from ..core.model import Json, Outcome, State, StepError
from ..core.plan import Step
from . import chunks, loops
from .actions import expression_error
from .claims import Claim, write_state
from .progress import Ready
from .run import Run

if TYPE_CHECKING:
    from .segment import Segment


def open_loop(segment: Segment, claim: Claim, step: Step) -> Claim | None:
    """The claim to go on with, where the loop ends at once (an empty list, a `while` that is false)."""
    return _open_repeat(segment, claim, step) if step.repeat is not None else _open_for_each(segment, claim, step)


def _open_for_each(segment: Segment, claim: Claim, step: Step) -> Claim | None:
    ready = Ready()
    try:
        values = loops.open_for_each(segment.run, claim, step, ready)
    except ExpressionFault as fault:
        segment.failed(claim, expression_error(fault))
        return None
    if isinstance(values, StepError):
        segment.failed(claim, values)
        return None
    if not values:
        return segment.ended(claim, segment.fact(claim, Outcome.SUCCEEDED, []))
    if ready.messages:
        mine, *others = ready.messages
        segment.send(Ready(messages=others))
        chunks.work(segment, dict(mine.body))
    return None


def _open_repeat(segment: Segment, claim: Claim, step: Step) -> Claim | None:
    run = segment.run
    number, previous = _kept(run, claim) if claim.attempt > 1 else (0, None)
    match loops.goes_on(run, claim.key, step, number, previous):
        case StepError() as error:
            segment.failed(claim, error)
            return None
        case False:
            return segment.ended(claim, segment.fact(claim, Outcome.SUCCEEDED, run.kept(previous)))
    if write_state(run, claim, State.OPEN).ok:
        run.headers[claim.key] = claim.item(run) | {"state": State.OPEN.value}
        segment.local.append((paths.item(claim.key, number), max(segment.seq, claim.seq) + 1, claim.key))
    return None


def _kept(run: Run, claim: Claim) -> tuple[int, Json]:
    """A person had the loop tried again: (the first iteration that is not there, what the one before it gave)."""
    number = 0
    last: Fact | None = None
    while (found := run.find_facts([key := paths.item(claim.key, number)])) and found[key].outcome is Outcome.SUCCEEDED:
        number, last = number + 1, found[key]
    return number, None if last is None else run.output_of(last)
