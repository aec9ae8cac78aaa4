"""A step that cannot run yet: there is no place for it, what it needs cannot be read, or it is not its turn.

Law: one next look. The step's item names its time, and so does the one message that counts; what else comes before then, sent twice,
delivered twice or by a sweeper, is a repeat and ends there. A message that is lost is sent again with the time that stands on the item.
Looks become rarer. Whoever gives a place back does not wait for one: his message says that it is for now (`AT_ONCE`).
"""

from __future__ import annotations

from typing import Final

from ..core.model import State
from ..ports import Item
from .admission import AT_ONCE, come_back_later, come_now_if_free
from .claims import Claim, write_state
from .results import Held
from .run import Run

LONGEST_LOOK_S: Final = 300


def hold(run: Run, claim: Claim, held: Held) -> None:
    """The step is given back, until its own time or its next look."""
    if held.turn is not None:
        if write_state(run, claim, State.RELEASED, until=held.turn, turn=held.turn).ok:
            run.send(come_back_later(run, claim.key, held.for_s or 0))
        return
    after_s = _next_look_s(run, held.for_s, claim.looks)
    look, place = run.now + after_s * 1000, None if held.place is None else [*held.place]
    ran = None if held.pool is None else 1
    if not write_state(run, claim, State.RELEASED, look=look, looks=claim.looks + 1, place=place, ran=ran).ok:
        return
    run.send(come_back_later(run, claim.key, after_s, look, held.pool))
    if held.place is not None:
        run.send(come_now_if_free(run, claim.key, held.place))


def _next_look_s(run: Run, after_s: int | None, looks: int) -> int:
    """Twice as long each time. `after_s` None: when every lease that holds a place now is over."""
    first_s = run.world.settings.lease_s if after_s is None else after_s
    return min(first_s << min(looks, 10), max(first_s, LONGEST_LOOK_S))


def is_repeat(standing: Item, look: int | None, now: int) -> bool:
    """`look`: the time that the message in hand names."""
    return standing.get("look", 0) > now and look not in (standing["look"], AT_ONCE)
