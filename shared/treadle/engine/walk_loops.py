"""The part of a pass that goes over an open loop: its items, its chunks and lanes, its next iteration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import paths
from ..core.advance import Edging, Fact
from ..core.model import Outcome, State, StepError
from ..core.plan import Step
from ..ports import Item
from . import loops
from .claims import is_unbegun
from .items import fact_of, is_fact
from .progress import after
from .pulse import Pulse
from .stopping import stop_container

if TYPE_CHECKING:
    from .walk import Walk


def is_failure(item: Item) -> bool:
    return is_fact(item) and item["outcome"] == Outcome.FAILED


class LoopWalk:
    def __init__(self, walk: Walk) -> None:
        self.walk = walk

    def loop(self, key: str, step: Step, item: Item, closing: str | None) -> Pulse:
        run = self.walk.run
        stop = None if closing else self.walk.stop_of(key)
        inner = "cancel" if closing or stop else None
        pulse = Pulse()
        run.headers[key] = item
        begun = False
        for number in self._numbers(key, step, item):
            item_key = paths.item(key, number)
            child = self.walk.item(item_key)
            if child is None:
                continue
            begun = True
            if is_unbegun(child, inner):
                self._released(item_key, inner, pulse)
            elif not is_fact(child):
                pulse += self.walk.begun(item_key, step, child, inner)
        if inner is None:
            self._go_on(key, step, item, pulse, begun)
        elif pulse.is_still and not self.walk.changed and not self._held_chunks(key, step, item, pulse):
            self.walk.end_open(item, closing, stop)
        return pulse

    def _released(self, key: str, inner: str | None, pulse: Pulse) -> None:
        """Backed off, when the run was paused or had no place for it."""
        if inner is None:
            pulse.moves()
            if self.walk.repair:
                self.walk.ready.starts.append((key, 0))

    def _numbers(self, key: str, step: Step, item: Item) -> range:
        if step.for_each is not None:
            return range(item["n"])
        number = 0
        while self.walk.item(paths.item(key, number)) is not None:
            number += 1
        return range(number)

    def _held_chunks(self, key: str, step: Step, item: Item, pulse: Pulse) -> bool:
        """A worker is still in the middle of a chunk: it sees the stop within a second, and then comes by here."""
        if step.repeat is not None:
            last = self._last_fact(key, step, item)
            lease = (self.walk.item(last.key) or {}).get("lease", 0) if last else 0
            if last and last.next and lease > self.walk.run.now:
                pulse.moves(lease)
            elif last and last.next:
                self.walk.cancel_held(last.next)
                return True
            return not pulse.is_still
        for chunk in self._chunks(key, item):
            if chunk["state"] == State.CLAIMED and chunk["lease"] > self.walk.run.now:
                pulse.moves(chunk["lease"])
        return not pulse.is_still

    def _chunks(self, key: str, item: Item) -> list[Item]:
        found: list[Item] = []
        for page in range(-(-item["n"] // paths.PAGE)):
            cursor = None
            while True:
                read = self.walk.run.world.store.query(f"{self.walk.run.id}#{key}#{page}", prefix="c#", after=cursor)
                found += read.items
                cursor = read.after
                if cursor is None:
                    break
        return found

    def _last_fact(self, key: str, step: Step, item: Item) -> Fact | None:
        numbers = self._numbers(key, step, item)
        last = self.walk.item(paths.item(key, numbers[-1])) if numbers else None
        return fact_of(last) if last is not None and is_fact(last) else None

    def _go_on(self, key: str, step: Step, item: Item, pulse: Pulse, begun: bool) -> None:
        """Hand out again what nobody works on."""
        if step.repeat is not None:
            if pulse.is_still and self.walk.repair:
                self._next_iteration(key, step, item, pulse)
            elif pulse.is_still:
                pulse.moves()
            return
        if not self.walk.repair:
            in_sight = [number for number in range(item["n"]) if self.walk.item(paths.item(key, number))]
            if not (begun and item["lanes"] and not pulse.is_still) and (len(in_sight) < item["n"] or pulse.is_still):
                pulse.moves()
            return
        if self._finish_failures(key, step, item):
            return
        facts = {number: child for number in range(item["n"]) if is_fact(child := self.walk.item(paths.item(key, number)) or {})}
        if len(facts) == item["n"]:
            self._count_again(key, item, facts)
            pulse.moves()
        elif facts and self._count_again(key, item, facts):
            pulse.moves()
        elif item["lanes"]:
            if pulse.is_still or not begun:
                self.walk.ready.messages += loops.hand_out(self.walk.run, key, step, item["n"])
                pulse.moves()
        else:
            self._missing_chunks(key, step, item, pulse)

    def _finish_failures(self, key: str, step: Step, item: Item) -> bool:
        """Items that failed beyond the tolerance, and nobody said so."""
        failed = [child for number in range(item["n"]) if (child := self.walk.item(paths.item(key, number))) and is_failure(child)]
        if len(failed) <= loops.tolerance(step, item["n"]):
            return False
        last = max((fact_of(child) for child in failed), key=lambda fact: (fact.ended_at, fact.key))
        stop_container(self.walk.run, key, "cancel", (last.error or StepError("TaskFailed")).brief())
        self.walk.changed = True
        return True

    def _next_iteration(self, key: str, step: Step, item: Item, pulse: Pulse) -> None:
        last = self._last_fact(key, step, item)
        if last is None:
            self.walk.ready.starts.append((paths.item(key, 0), item.get("seq", 0) + 1))
        elif last.next is not None and (lease := (self.walk.item(last.key) or {}).get("lease", 0)) > self.walk.run.now:
            pulse.moves(lease)
            return
        elif last.next is not None:
            self.walk.ready.starts.append((last.next, last.seq + 1))
        else:
            found = loops.iteration_ended(self.walk.run, key, step, paths.index(last.key) or 0, last, self.walk.ready)
            self.walk.take(after(self.walk.run, *found))
            self.walk.changed = self.walk.changed or bool(found)
        pulse.moves()

    def _count_again(self, key: str, item: Item, facts: dict[int, Item]) -> bool:
        """Whoever ended them may have died before it counted them. True: that was the end of the loop."""
        failed = {number for number, child in facts.items() if child["outcome"] == Outcome.FAILED}
        members = {number: Edging.FAILED if number in failed else Edging.LIVE for number in facts}
        found = loops.members_ended(self.walk.run, key, item, members, None)
        self.walk.take(after(self.walk.run, *found))
        self.walk.changed = self.walk.changed or bool(found)
        return bool(found)

    def _missing_chunks(self, key: str, step: Step, item: Item, pulse: Pulse) -> None:
        """Ranges that no chunk covers, and chunks whose worker is gone."""
        covered: set[int] = set()
        for chunk in self._chunks(key, item):
            if chunk["state"] == State.CLAIMED and chunk["lease"] > self.walk.run.now:
                pulse.moves(chunk["lease"])
                covered |= set(range(chunk["low"], chunk["high"]))
            elif chunk["state"] == State.CLAIMED:
                self.walk.ready.messages.append(loops.chunk_message(self.walk.run, key, chunk["low"], chunk["high"]))
                covered |= set(range(chunk["low"], chunk["high"]))
                pulse.moves()
            else:
                covered |= set(range(chunk["low"], chunk["high"]))
        low = 0
        size = self.walk.run.world.settings.chunk_size
        while low < item["n"]:
            if low in covered:
                low += 1
                continue
            high = low
            while high < item["n"] and high not in covered and high - low < size and high // paths.PAGE == low // paths.PAGE:
                high += 1
            self.walk.ready.messages.append(loops.chunk_message(self.walk.run, key, low, high))
            pulse.moves()
            low = high
