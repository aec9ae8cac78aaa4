"""Many steps that became ready at once, in one message: a wide fan of explicit steps without a message for each.

Each is claimed, run and recorded like any other; what is shared is the delivery, the look at control, the counting of the
join they lead to, and the events. A batch that takes longer than a second gives the rest back, so that slow steps run beside
one another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core import paths
from ..core.model import State
from ..ports import Message
from . import stale
from .chunks import CONTROL_EVERY_MS
from .claims import Claim, take, write_state
from .progress import is_decided_early
from .run import Gate, Run

if TYPE_CHECKING:
    from .segment import Segment

BATCH_FROM = 12  # ready steps of one lane; fewer get a message each and run beside one another from the start
BATCH = 10
PATHS_BYTES = 150  # of all paths in a message, so that it stays below 300


def work(segment: Segment, keys: list[str], seq: int) -> None:
    """The steps of one message: all in the same scope."""
    run = segment.run
    segment.seq = seq
    claims = []
    for key in keys:
        claim = take(run, key)
        if isinstance(claim, Claim):
            claims.append(claim)
        else:
            segment.meet(key, claim)
    began = read_at = run.now
    if claims:
        run.read_control(claims[0].key)
    if claims and stale.given_back(segment, *claims):
        return
    segment.collected = []
    for number, claim in enumerate(claims):
        if run.now - read_at >= CONTROL_EVERY_MS:
            run.read_control(claim.key)
            read_at = run.now
        too_long = number > 0 and run.now - began >= run.world.settings.chunk_s * 1000
        if too_long or run.gate(claim.key) is not Gate.OPEN or not segment.has_time(claim.key):
            _give_back(segment, claims[number:])
            break
        segment.seq = seq
        segment.run_claimed(claim)
    segment.share_collected()


def _give_back(segment: Segment, claims: list[Claim]) -> None:
    run = segment.run
    released = [claim.key for claim in claims if write_state(run, claim, State.RELEASED).ok]
    run.read_control(claims[0].key)
    match run.gate(claims[0].key):
        case Gate.OPEN:
            run.send([step_message(run, key, segment.seq) for key in released])
        case Gate.CLOSED:
            run.must_settle = True


def messages(run: Run, starts: list[tuple[str, int]]) -> list[Message]:
    """For (key, seq) of steps that may start: one each, or several tasks of one lane in a message when there are many."""
    by_lane: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for key, seq in starts:
        step = run.step(key)
        is_plain = step.action == "task" and not step.is_loop and not is_decided_early(step)
        by_lane.setdefault((step.priority, run.pool_of(key)) if is_plain else ("alone", key), []).append((key, seq))
    found = []
    for alike in by_lane.values():
        for keys, seq in _batched(alike):
            found.append(step_message(run, keys[0], seq, **({"also": keys[1:]} if len(keys) > 1 else {})))
    return found


def step_message(run: Run, key: str, seq: int = 0, **more: Any) -> Message:
    return run.message("step", key, plan=run.control["plan"], gen=run.generation, seq=seq, **more)


def _batched(starts: list[tuple[str, int]]) -> list[tuple[list[str], int]]:
    """Ready steps by message: those of one scope together, at most ten at a time."""
    if len(starts) < BATCH_FROM:
        return [([key], seq) for key, seq in starts]
    found: list[tuple[list[str], int]] = []
    for key, seq in starts:
        last = found[-1] if found else None
        if last and last[1] == seq and _has_room(last[0], key) and paths.scope(last[0][0]) == paths.scope(key):
            last[0].append(key)
        else:
            found.append(([key], seq))
    return found


def _has_room(keys: list[str], more: str) -> bool:
    return len(keys) < BATCH and sum(len(key) + len('"",') for key in (*keys, more)) <= PATHS_BYTES
