"""The part of a pass that goes over an open loop: its items, its chunks and lanes, its next iteration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..core import paths
from ..core.advance import Edging, Fact
from ..core.model import Outcome, State, StepError
from ..core.plan import Step
from ..ports import Absent, Change, Equals, Item, all_of
from . import loops, suspects, tolerance
from .claims import is_unbegun
from .items import fact_of, is_fact
from .progress import after
from .pulse import Pulse
from .stopping import stop_container

if TYPE_CHECKING:
    from .walk import Walk


def is_failure(item: Item) -> bool:
    return is_fact(item) and item["outcome"] == Outcome.FAILED


# What there is of an item, in one byte: a loop may have a million.
UNBEGUN, BEGUN, LIVE, FAILED = range(4)
IN_HAND = "in_hand"  # on a lost worker's chunk, where the loop stops: the item that it may still end


class LoopWalk:
    """Law: of an open loop no more than one page of items is in memory, and one byte of each."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.last_failure: Fact | None = None

    def loop(self, key: str, step: Step, item: Item, closing: str | None) -> Pulse:
        stop = None if closing else self.walk.stop_of(key)
        inner = "cancel" if closing else "stop" if stop else None  # an item that failed before its loop stopped is not cancelled
        pulse = Pulse()
        self.walk.run.headers[key] = item
        if step.repeat is not None:
            self._repeat(key, step, item, inner, pulse)
        else:
            self._for_each(key, step, item, inner, pulse)
        if inner is not None and pulse.is_still and not self.walk.changed and not self._is_held(key, step, item, pulse):
            self.walk.end_open(item, closing, stop)
        return pulse

    def _look(self, key: str, step: Step, inner: str | None, pulse: Pulse) -> int:
        """At one item or iteration."""
        child = self.walk.item(key)
        if child is None or (inner is None and is_fact(child) and not suspects.counts(self.walk.run, child)):
            return UNBEGUN
        if is_fact(child):
            if not is_failure(child):
                return LIVE
            fact = fact_of(child)
            if self.last_failure is None or (self.last_failure.ended_at, self.last_failure.key) < (fact.ended_at, fact.key):
                self.last_failure = fact
            return FAILED
        if is_unbegun(child, inner):
            self._released(key, inner, pulse)
        else:
            pulse += self.walk.begun(key, step, child, inner)
        return BEGUN

    def _released(self, key: str, inner: str | None, pulse: Pulse) -> None:
        """Backed off, when the run was paused or had no place for it."""
        if inner is None:
            pulse.moves()
            if self.walk.repair:
                self.walk.ready.starts.append((key, 0))

    def _is_held(self, key: str, step: Step, item: Item, pulse: Pulse) -> bool:
        """A worker is still in the middle of an iteration, a chunk or a lane: it sees the stop within a second, and then comes by here.
        The one item that a worker whose lease is over may still end is ended in its place."""
        if step.repeat is not None:
            last = self._last_fact(key, self._last_number(key))
            lease = (self.walk.item(last.key) or {}).get("lease", 0) if last else 0
            if last and last.next and lease > self.walk.run.now:
                pulse.moves(lease)
            elif last and last.next:
                self.walk.cancel_held(last.next)
                return True
            return not pulse.is_still
        if item["lanes"]:
            self._lanes_in_hand(key, item, pulse)
        else:
            self._chunks_in_hand(key, item, pulse)
        return self.walk.changed or not pulse.is_still

    def _lanes_in_hand(self, key: str, item: Item, pulse: Pulse) -> None:
        run = self.walk.run
        for number in range(-(-item["lanes"] // loops.MAX_LANES)):
            at = loops.cursor_of(run, key, item["attempt"], number)
            cursor = run.world.store.get(at) or {}
            for lease_name in [name for name in cursor if name.startswith("l_")]:
                fence_name, item_name = f"f_{lease_name[2:]}", f"n_{lease_name[2:]}"
                if cursor[lease_name] > run.now:
                    pulse.moves(cursor[lease_name])
                    continue
                in_hand = paths.item(key, cursor[item_name])
                if cursor[item_name] < cursor["high"] and self.walk.item(in_hand) is None:
                    self.walk.cancel_held(in_hand)
                as_it_was = [Equals(name, cursor[name]) for name in (fence_name, item_name, lease_name)]
                let_go = Change(set={fence_name: run.world.new_fence()}, remove=(lease_name,))
                run.world.store.update(at, let_go, all_of(*as_it_was))
                self.walk.changed = True

    def _chunks_in_hand(self, key: str, item: Item, pulse: Pulse) -> None:
        """Which item a lost worker has in hand is written down before that is ended: others look as well, and what they find unbegun a
        little later is another one."""
        run = self.walk.run
        for chunk in self._chunks(key, item):
            if chunk["state"] != State.CLAIMED:
                continue
            if chunk["lease"] > run.now:
                pulse.moves(chunk["lease"])
                continue
            self.walk.changed = True
            at, as_it_was = (chunk["pk"], chunk["sk"]), all_of(Equals("fence", chunk["fence"]), Equals("lease", chunk["lease"]))
            in_hand = chunk.get(IN_HAND)
            if in_hand is None:
                in_hand = next((n for n in range(chunk["low"], chunk["high"]) if self.walk.item(paths.item(key, n)) is None), chunk["high"])
                if not run.world.store.update(at, Change(set={IN_HAND: in_hand}), all_of(as_it_was, Absent(IN_HAND))).ok:
                    continue
            if in_hand < chunk["high"]:
                self.walk.cancel_held(paths.item(key, in_hand))
            run.world.store.delete(at, as_it_was)

    # -------------------------------------------------------------------------------------------- forEach

    def _for_each(self, key: str, step: Step, item: Item, inner: str | None, pulse: Pulse) -> None:
        ends = bytearray(item["n"])
        for low in range(0, item["n"], paths.PAGE):
            for number in range(low, min(low + paths.PAGE, item["n"])):
                ends[number] = self._look(paths.item(key, number), step, inner, pulse)
            self.walk.forget(paths.item(key, low))
        if inner is None:
            self._go_on(key, step, item, pulse, ends)

    def _go_on(self, key: str, step: Step, item: Item, pulse: Pulse, ends: bytearray) -> None:
        """Hand out again what nobody works on."""
        is_begun = ends.count(UNBEGUN) < item["n"]
        if not self.walk.repair:
            if not (is_begun and item["lanes"] and not pulse.is_still) and (ends.count(UNBEGUN) or pulse.is_still):
                pulse.moves()
            return
        if self._finish_failures(key, step, item, ends):
            return
        if self._count_again(key, item, ends) or ends.count(LIVE) + ends.count(FAILED) == item["n"]:
            pulse.moves()
        elif item["lanes"]:
            if pulse.is_still or not is_begun:
                self.walk.ready.messages += loops.hand_out(self.walk.run, key, step, item["n"])
                pulse.moves()
        else:
            self._missing_chunks(key, item, pulse)

    def _finish_failures(self, key: str, step: Step, item: Item, ends: bytearray) -> bool:
        """Items that failed beyond the tolerance, and nobody said so."""
        if ends.count(FAILED) <= tolerance.most(step, item["n"]):
            return False
        error = self.last_failure.error if self.last_failure else None
        stop_container(self.walk.run, key, "cancel", (error or StepError("TaskFailed")).brief())
        self.walk.changed = True
        return True

    def _count_again(self, key: str, item: Item, ends: bytearray) -> bool:
        """Whoever ended them may have died before it counted them. True: that was the end of the loop."""
        if loops.is_tried_anew(self.walk.run, item) and ends.count(LIVE) + ends.count(FAILED) < item["n"]:
            return False  # a retried run's items are not counted but read
        for low in range(0, item["n"], paths.PAGE):
            numbers = enumerate(ends[low : low + paths.PAGE], low)
            members = {number: Edging.FAILED if end == FAILED else Edging.LIVE for number, end in numbers if end in (LIVE, FAILED)}
            failed = [number for number, how in members.items() if how is Edging.FAILED]
            error = self.last_failure.error if self.last_failure else None
            if failed and not tolerance.are_tolerated(self.walk.run, key, self.walk.run.step(key), item, failed, error):
                self.walk.changed = True
                return True
            found = loops.members_ended(self.walk.run, key, item, members, None)
            if found:
                self.walk.take(after(self.walk.run, *found))
                self.walk.changed = True
                return True
        return False

    def _chunks(self, key: str, item: Item) -> Iterator[Item]:
        run = self.walk.run
        for page in range(-(-item["n"] // paths.PAGE)):
            cursor = None
            while True:
                read = run.world.store.query(f"{run.id}#{key}#{page}", prefix="c#", after=cursor)
                yield from read.items
                cursor = read.after
                if cursor is None:
                    break

    def _missing_chunks(self, key: str, item: Item, pulse: Pulse) -> None:
        """Ranges that no chunk covers, and chunks whose worker is gone."""
        run, covered = self.walk.run, bytearray(item["n"])
        for chunk in self._chunks(key, item):
            low, high = chunk["low"], chunk["high"]
            covered[low:high] = b"\1" * (high - low)
            if chunk["state"] != State.CLAIMED:
                continue
            if chunk["lease"] > run.now:
                pulse.moves(chunk["lease"])
            else:
                self.walk.ready.messages.append(loops.chunk_message(run, key, low, high))
                pulse.moves()
        size = run.world.settings.chunk_size
        low = covered.find(0)
        while low >= 0:
            most = min(low + size, (low // paths.PAGE + 1) * paths.PAGE, item["n"])
            high = covered.find(1, low, most)
            high = most if high < 0 else high
            self.walk.ready.messages.append(loops.chunk_message(run, key, low, high))
            pulse.moves()
            low = covered.find(0, high)

    # -------------------------------------------------------------------------------------------- repeat

    def _repeat(self, key: str, step: Step, item: Item, inner: str | None, pulse: Pulse) -> None:
        last = self._last_number(key)
        if last >= 0:
            self._look(paths.item(key, last), step, inner, pulse)
        if inner is not None or not pulse.is_still:
            return
        if self.walk.repair:
            self._next_iteration(key, step, item, last, pulse)
        else:
            pulse.moves()

    def _last_number(self, key: str) -> int:
        """Of the iterations that have begun; -1: none has. One begins when that before it has ended."""
        number = 0
        while self.walk.item(paths.item(key, number)) is not None:
            number += 1
            if number % paths.PAGE == 0:
                self.walk.forget(paths.item(key, number - 1))
        return number - 1

    def _last_fact(self, key: str, number: int) -> Fact | None:
        last = self.walk.item(paths.item(key, number)) if number >= 0 else None
        return fact_of(last) if last is not None and is_fact(last) else None

    def _next_iteration(self, key: str, step: Step, item: Item, number: int, pulse: Pulse) -> None:
        last = self._last_fact(key, number)
        if last is None:
            self.walk.ready.starts.append((paths.item(key, 0), item.get("seq", 0) + 1))
        elif last.next is not None and (lease := (self.walk.item(last.key) or {}).get("lease", 0)) > self.walk.run.now:
            pulse.moves(lease)
            return
        elif last.next is not None:
            self.walk.ready.starts.append((last.next, last.seq + 1))
        elif not suspects.counts(self.walk.run, self.walk.item(last.key) or {}):
            self.walk.ready.starts.append((last.key, last.seq))
        else:
            found = loops.iteration_ended(self.walk.run, key, step, number, last, self.walk.ready)
            self.walk.take(after(self.walk.run, *found))
            self.walk.changed = self.walk.changed or bool(found)
        pulse.moves()
