"""Groups: a nested workflow in its own scope."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import paths
from ..core.model import State
from ..core.plan import Step
from .claims import Claim, write_state
from .progress import Ready
from .schedule import wake

if TYPE_CHECKING:
    from .segment import Segment


def open_group(segment: Segment, claim: Claim, step: Step) -> None:
    """The group's item stays open while its steps run; a timeout of the group lies on it."""
    run = segment.run
    until = None if step.timeout is None else claim.attempt_at + step.timeout
    if not write_state(run, claim, State.OPEN, until=until).ok:
        return
    scope_key = paths.inside(claim.key, claim.attempt)
    seq = max(segment.seq, claim.seq) + 1  # a message about a later attempt has none
    ready = Ready([(paths.join(scope_key, name), seq) for name in run.plan.scopes[step.id].roots])
    if until is not None:
        ready.messages += wake(run, claim.key, until)
    segment.share(ready, None, claim.key)
