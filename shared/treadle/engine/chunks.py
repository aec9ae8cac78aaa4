"""Working through the items of a forEach: a chunk of the index range, or a lane.

Items of a chunk have no claims of their own: the chunk's claim holds them, and each fact is written only where none stands.
A chunk that takes longer than a second gives the rest of its range to others, so that slow items run beside one another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..core import paths
from ..core.advance import Edging, Fact
from ..core.model import SCHEMA, Outcome, State
from ..core.plan import Step
from ..core.retry import is_rung, next_attempt
from ..ports import Absent, AtMost, Change, Equals, Item, Key, Present, all_of, is_set
from . import ending, hooking, looks, loops, outgrown, suspects, tolerance, waits
from .actions import act
from .claims import Claim, Hold, write_result
from .groups import open_group
from .items import chunk_key, decode, encode, fact_of, is_fact, step_key
from .loops import Progress
from .results import LOST, Done, Failed, Held, Result
from .run import Gate, Run
from .thresholds import check_thresholds

if TYPE_CHECKING:
    from .segment import Segment

CONTROL_EVERY_MS = 1000


def work(segment: Segment, body: dict[str, Any]) -> None:
    """A `chunk` or a `lane` message."""
    run = segment.run
    header = loops.header_of(run, body["path"])
    if header is None:
        standing = run.world.store.get(step_key(run.id, body["path"]))
        if standing is not None and is_fact(standing):
            segment.follow(standing)
        return
    segment.seq = max(segment.seq, header.get("seq", 0))
    if body["kind"] == "chunk":
        _chunk(segment, body["path"], header, body["low"], body["high"])
    else:
        _lane(segment, body["path"], header, body["lane"])


# ------------------------------------------------------------------------------------------------ chunks


def _chunk(segment: Segment, loop: str, header: Item, low: int, high: int) -> None:
    run = segment.run
    chunk, standing = _claim(segment, loop, low, high)
    if chunk is None:
        if not standing:
            return  # it went up a pool
        if standing["state"] == State.CLAIMED:
            segment.again_at = standing["lease"]
        else:
            # its worker may have died before it handed on the rest, or counted
            if standing["high"] < high:
                _hand_on(segment, loop, standing["high"], high)
            _count(segment, loop, header, _members_again(standing, run), None)
            ending.tell_again(run, *_left_behind(run, [paths.item(loop, number) for number in standing.get("open", ())]).values())
        return
    is_mine = all_of(Equals("fence", chunk["fence"]), Equals("state", State.CLAIMED.value))
    with suspects.given_back(run, (chunk["pk"], chunk["sk"]), Change(set={"lease": run.now, suspects.GIVEN_BACK: 1}), is_mine):
        _run_chunk(segment, loop, header, chunk, standing)


def _run_chunk(segment: Segment, loop: str, header: Item, chunk: Item, standing: Item) -> None:
    """`standing`: what my claim replaced."""
    run = segment.run
    keys = [paths.item(loop, number) for number in range(chunk["low"], chunk["high"])]
    before = _left_behind(run, keys) if standing or loops.is_tried_anew(run, header) else {}
    if standing and standing["state"] == State.CLAIMED:
        mine = suspects.remember(run, chunk, standing, keys, before)
        if mine is None:
            return
        chunk = mine
    if standing:
        ending.tell_again(run, *before.values())
    if standing and not loops.is_sync(run.step(loop)):
        run.must_settle = segment.repair = True  # items that a lost worker opened may lack what is in them
    run.read_control(keys[0])
    progress = Progress(header["gen"])
    end = _run_range(segment, loop, chunk, before, progress)
    if end == chunk["low"] or (standing and end < chunk["high"] and not progress.begun):
        _give_back(segment, loop, chunk, standing)
    else:
        _end_chunk(segment, loop, header, chunk, end, progress)


def _claim(segment: Segment, loop: str, low: int, high: int) -> tuple[Item | None, Item]:
    """(my claim on the chunk, the item that it replaced): no claim when another's stands, and neither when it went up a pool."""
    run, now = segment.run, segment.run.now
    pk, sk = chunk_key(run.id, loop, low)
    chunk: Item = {"pk": pk, "sk": sk, "schema": SCHEMA, "state": State.CLAIMED.value, "low": low, "high": high}
    chunk |= {"fence": run.world.new_fence(), "lease": now + run.world.settings.lease_s * 1000}
    if "expires" in run.control:
        chunk["expires"] = run.control["expires"]
    if run.generation > 1:
        chunk["gen"] = run.generation
    written = run.world.store.put(chunk, Absent())
    if written.ok:
        return chunk, {}
    standing = written.item or {}
    if standing["state"] != State.CLAIMED or standing["lease"] > now:
        return None, standing
    is_lost = suspects.GIVEN_BACK not in standing
    if is_lost and (went_up := outgrown.lost(run, "chunk", loop, standing["fence"], segment.lost, low=low, high=high)) is not None:
        run.send([went_up])
        return None, {}
    written = run.world.store.put(chunk, all_of(Equals("fence", standing["fence"]), AtMost("lease", now)))  # its worker is gone
    return (chunk, standing) if written.ok else (None, written.item or standing)


def _left_behind(run: Run, keys: list[str]) -> dict[str, Item]:
    """By key: the items that a lost worker (or the run before its retry) ended, or began."""
    found = run.world.store.get_many([step_key(run.id, key) for key in keys])
    return {item["sk"][2:]: item for item in found.values()}


def _members_again(chunk: Item, run: Run) -> dict[int, Edging]:
    """The members that an ended chunk stands for: its worker may have died before it counted them."""
    count = len(run.world.load(decode(chunk["outputs"])))
    failed = set(chunk.get("failed", ()))
    left = set(chunk.get("open", ()))
    numbers = range(chunk["low"], chunk["low"] + count)
    return {number: Edging.FAILED if number in failed else Edging.LIVE for number in numbers if number not in left}


def _run_range(segment: Segment, loop: str, chunk: Item, before: dict[str, Item], progress: Progress) -> int:
    """Run the chunk's items; the index of the first that was not begun."""
    run, settings = segment.run, segment.run.world.settings
    step = run.step(loop)
    began = read_at = run.now
    for number in range(chunk["low"], chunk["high"]):
        key = paths.item(loop, number)
        if run.now - read_at >= CONTROL_EVERY_MS:
            run.read_control(key)
            read_at = run.now
        if run.gate(key) is not Gate.OPEN or run.generation != progress.generation:
            progress.stopped = True
            return number
        too_long = progress.begun and run.now - began >= settings.chunk_s * 1000
        if too_long or run.now + settings.begin_margin_s * 1000 > segment.deadline:
            return number
        standing = before.get(key)
        if standing is not None and not is_fact(standing):
            goes_on = True  # begun, and ending later by itself: whatever was to take it further may be lost
            progress.left_open(number)
            run.must_settle = segment.repair = True
        elif standing is not None and not suspects.is_dropped(run, standing):
            goes_on = _met(run, run.note(standing), step, number, progress)
        else:
            claim = Claim(key, chunk["fence"], chunk["lease"], 1, run.now, run.now, is_fused=True, hold=Hold((chunk["pk"], chunk["sk"])))
            losses = chunk.get(suspects.LOSSES, 0) if number == chunk.get(suspects.ITEM) else 0
            goes_on = _item(segment, claim, step, number, progress, losses)
        if not goes_on:
            progress.stopped = True
            return number + 1
    return int(chunk["high"])


def _met(run: Run, fact: Fact, step: Step, number: int, progress: Progress) -> bool:
    """An item that has ended, perhaps by a lost worker, who may not have said that its failure is one too many. False: it is never
    counted, the loop stops, or was opened again."""
    loop = paths.whole(fact.key)
    if run.generation != progress.generation:
        progress.left_open(number)
        return False
    if fact.outcome is Outcome.FAILED:
        check_thresholds(run, fact)
    is_too_many = fact.outcome is Outcome.FAILED and not tolerance.is_tolerated(run, loop, step, run.headers[loop], number, fact.error)
    if is_too_many or suspects.was_cancelled(run, fact):
        progress.left_open(number)
        return False
    progress.took(number, fact)
    return True


def _item(segment: Segment, claim: Claim, step: Step, number: int, progress: Progress, losses: int) -> bool:
    """One item, that was lost so often. False: stop here (the chunk is no longer mine, or the loop has failed)."""
    run, progress.begun = segment.run, True
    hooking.step_begins(run, claim)
    if step.action == "group":
        open_group(segment, claim, step)
        progress.left_open(number)
        return True
    result: Result = Failed(LOST) if suspects.is_given_up(run, step, losses) else act(run, claim, segment.deadline)
    match result:
        case Done(output):
            fact = _fact(run, segment, claim, Outcome.SUCCEEDED, output=run.kept(output))
        case Failed(error):
            if is_rung(run.plan.escalation, claim.number) or next_attempt(step.retry, error, claim.number, 0.0) is not None:
                ending.fail_attempt(run, claim, error)
                progress.left_open(number)
                return True
            fact = _fact(run, segment, claim, Outcome.FAILED, error=error)
        case Held():
            looks.hold(run, claim, result)
            progress.left_open(number)
            return True
        case _:
            waits.enter(segment, claim, result)
            progress.left_open(number)
            return True
    return _record(run, claim, fact, step, number, progress)


def _fact(run: Run, segment: Segment, claim: Claim, outcome: Outcome, **more: Any) -> Fact:
    return Fact(claim.key, outcome, attempts=claim.number, started_at=claim.started_at, ended_at=run.now, seq=segment.seq + 1, **more)


def _record(run: Run, claim: Claim, fact: Fact, step: Step, number: int, progress: Progress) -> bool:
    written, _ = write_result(run, fact, claim)
    if not written.ok:
        standing = written.item or {}
        run.read_control(claim.key)  # it was ended as the run stopped, or somebody else is at it
        if not is_fact(standing):
            progress.left_open(number)
            return True
        if suspects.is_dropped(run, standing):
            return _record(run, claim, fact, step, number, progress)
        fact = fact_of(standing)
    run.has_ended(fact)
    return _met(run, fact, step, number, progress)


def _end_chunk(segment: Segment, loop: str, header: Item, chunk: Item, end: int, progress: Progress) -> None:
    """Write what the chunk came to, hand on what it did not begin, then count: a reader of the full count finds the outputs."""
    run = segment.run
    failed = [number for number, how in progress.members.items() if how is Edging.FAILED]
    ended = {"state": State.ENDED.value, "high": end, "outputs": encode(run.kept(progress.outputs))}
    ended |= {name: value for name, value in (("open", progress.open), ("failed", failed)) if value}
    if not run.world.store.put({**chunk, **ended}, Equals("fence", chunk["fence"])).ok:
        return
    if end < chunk["high"] and not progress.stopped:
        _hand_on(segment, loop, end, chunk["high"])
    elif progress.stopped and run.gate(paths.item(loop, end)) is Gate.CLOSED:
        run.must_settle = True
    _count(segment, loop, header, progress.members, progress.last)


def _give_back(segment: Segment, loop: str, chunk: Item, standing: Item) -> None:
    """Nothing of it was begun. A chunk that ends empty could never be claimed again, so it is as if it had not been: there is none, or
    that of a lost worker, who may still have an item in hand."""
    run, is_mine = segment.run, Equals("fence", chunk["fence"])
    if standing:
        run.world.store.put(standing, is_mine)
    else:
        run.world.store.delete((chunk["pk"], chunk["sk"]), is_mine)
    match run.gate(paths.item(loop, chunk["low"])):
        case Gate.OPEN:
            segment.again_at = run.now  # too little of this invocation was left
        case Gate.CLOSED:
            run.must_settle = True


def _hand_on(segment: Segment, loop: str, low: int, high: int) -> None:
    """The rest in small pieces, so that slow items run beside one another."""
    run = segment.run
    size = max(1, min(8, (high - low) // 8))
    run.send([loops.chunk_message(run, loop, at, min(at + size, high)) for at in range(low, high, size)])


def _count(segment: Segment, loop: str, header: Item, members: dict[int, Edging], last: Fact | None) -> None:
    found = loops.members_ended(segment.run, loop, header, members, last)
    if found:
        segment.go_on_from(found)
    else:
        segment.loose[paths.item(loop, 0)] = None


# ------------------------------------------------------------------------------------------------ lanes


@dataclass(frozen=True, slots=True)
class _Lane:
    """Where a lane's entry lies: the names of its attributes in the cursor."""

    cursor: Key
    item: str
    fence: str
    lease: str
    losses: str


def _lane(segment: Segment, loop: str, header: Item, lane: int) -> None:
    """Take items one after another until one ends later by itself, or none is left.

    The cursor's entry for the lane is the claim on its item: number, fence and lease. A lane that is held needs no second
    worker: the message of the one that holds it comes back should that one die.
    """
    run = segment.run
    number, at = divmod(lane, loops.MAX_LANES)
    entry = _Lane(loops.cursor_of(run, loop, header["attempt"], number), f"n_{at}", f"f_{at}", f"l_{at}", f"x_{at}")
    while True:
        fence = run.world.new_fence()
        cursor, free = _take_lane(segment, loop, lane, entry, fence)
        if cursor is None:
            return
        is_open = True
        while is_open and cursor[entry.item] < cursor["high"]:
            index, lease = cursor[entry.item], cursor[entry.lease]
            hold = Hold(entry.cursor, entry.fence, entry.lease)
            claim = Claim(paths.item(loop, index), fence, lease, 1, run.now, run.now, is_fused=True, hold=hold)
            with suspects.given_back(run, entry.cursor, free, Equals(entry.fence, fence)):
                is_open = _lane_item(segment, loop, header, claim, cursor.get(entry.losses, 0))
            if is_open:
                still_mine = all_of(Equals(entry.fence, fence), Equals(entry.item, index))
                counted = (entry.losses,) if entry.losses in cursor else ()
                on = Change(copy={entry.item: "next"}, add={"next": 1}, remove=counted)
                moved = run.world.store.update(entry.cursor, on, still_mine)
                if moved.item is None or moved.item.get(entry.fence) != fence:
                    return
                cursor, free = moved.item, Change(remove=(entry.lease,))
        in_hand = paths.item(loop, cursor[entry.item])
        if not free.set or cursor[entry.item] >= cursor["high"] or run.world.store.get(step_key(run.id, in_hand)) is not None:
            free = Change(remove=(entry.lease, entry.losses) if entry.losses in cursor else (entry.lease,))
        run.world.store.update(entry.cursor, free, Equals(entry.fence, fence))
        if is_open or not _ended_meanwhile(run, in_hand):
            return


def _take_lane(segment: Segment, loop: str, lane: int, entry: _Lane, fence: int) -> tuple[Item | None, Change]:
    """(the cursor with the lane in my hand, how it is let go before an item of it was begun): None where it is not mine. That of a
    lost worker, who may still have an item in hand, is then as it was."""
    run, now = segment.run, segment.run.now
    free = Change(remove=(entry.lease,))
    mine = Change(set={entry.fence: fence, entry.lease: now + run.world.settings.lease_s * 1000})
    taken = run.world.store.update(entry.cursor, mine, all_of(Present("pk"), Absent(entry.lease)))
    if not taken.ok and taken.item is not None and taken.item[entry.lease] <= now:  # its worker is gone
        lost = taken.item
        if (went_up := outgrown.lost(run, "lane", loop, lost[entry.fence], segment.lost, lane=lane)) is not None:
            run.send([went_up])
            return None, free
        free = Change(set={entry.fence: lost[entry.fence], entry.lease: lost[entry.lease]}, add={entry.losses: -1})
        over = all_of(Equals(entry.fence, lost[entry.fence]), AtMost(entry.lease, now))
        taken = run.world.store.update(entry.cursor, replace(mine, add={entry.losses: 1}), over)
    if not is_set(mine, taken.item):
        segment.again_at = None if taken.item is None else taken.item.get(entry.lease, now)  # without one it has just been let go
        return None, free
    return taken.item, free


def _ended_meanwhile(run: Run, key: str) -> bool:
    """The item ended while the lane was still held, so that its end could not move the lane on."""
    return run.gate(key) is Gate.OPEN and bool(run.find_facts([key]))


def _lane_item(segment: Segment, loop: str, header: Item, claim: Claim, losses: int) -> bool:
    """True: the item has ended, the lane goes on. False: it ends later, or the lane must stop here."""
    run, key = segment.run, claim.key
    number = paths.index(key) or 0
    run.read_control(key)
    gate = run.gate(key)
    if gate is Gate.CLOSED:
        run.must_settle = True
        return False
    progress = Progress(header["gen"])
    if run.generation != progress.generation:
        return False
    standing = run.world.store.get(step_key(run.id, key))
    if standing is None and gate is Gate.HELD:
        loops.set_aside(run, key, segment.seq)
        return False
    if standing is not None and not is_fact(standing):
        run.must_settle = segment.repair = True  # whatever was to take it further may be lost
        ending.tell_again(run, standing)
        return False
    if standing is not None and not suspects.is_dropped(run, standing):
        if not _met(run, fact_of(standing), run.step(loop), number, progress):
            return False
    elif segment.deadline - run.now < run.world.settings.begin_margin_s * 1000:
        segment.again_at = run.now
        return False
    elif not _item(segment, claim, run.step(loop), number, progress, losses):
        return False
    _count(segment, loop, header, progress.members, progress.last)
    return not progress.open
