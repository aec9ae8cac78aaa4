"""One pass over the open parts of a run: what is under way, what is to be sent, what a stopping scope still needs.

Only open parts are read: a step that has ended is not looked into again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core import paths
from ..core.advance import Fact, Verdict, cleanup, frontier
from ..core.model import Outcome, State, StepError
from ..core.plan import Scope, Step
from ..ports import Absent, AtMost, Condition, Item, all_of
from . import ending
from .admission import come_back_later, waits_no_more
from .claims import Claim, claim_of, is_unbegun, stands, write_fact
from .failures import failed_for_good, last_attempt_failed
from .items import is_fact, step_key, stop_key
from .progress import Ready, after
from .pulse import LOOK_AGAIN_MS, OVERDUE_MS, Pulse
from .run import Run
from .schedule import wake
from .snapshot import read_partition
from .stopping import WHY, WHY_INSIDE, stop_container
from .waits import PEOPLE, give_up_child
from .walk_loops import LoopWalk

if TYPE_CHECKING:
    from .segment import Segment

_ENTERED_IN_TWO = ("signal", "child")  # its worker may have died before the step was known to the mailbox, or the child was started


class Walk:
    """One pass over the open parts of a run. `ready` is what is to be sent; `changed`: facts were written that call for another pass."""

    def __init__(self, run: Run, segment: Segment, repair: bool) -> None:
        self.run = run
        self.repair = repair
        self.segment = segment
        self.ready = Ready()
        self.changed = False
        self.partitions: dict[str, dict[str, Item]] = {}

    # -------------------------------------------------------------------------------------------- reading

    def item(self, key: str) -> Item | None:
        """From the partition of the key, which is read once, whole."""
        pk = step_key(self.run.id, key)[0]
        if pk not in self.partitions:
            self.partitions[pk] = read_partition(self.run, pk)
        return self.partitions[pk].get(key)

    def forget(self, key: str) -> None:
        """The partition of a loop's page, once it was gone over: it is read again should it be asked for."""
        self.partitions.pop(step_key(self.run.id, key)[0], None)

    # -------------------------------------------------------------------------------------------- walking

    def scope(self, scope_key: str, scope: Scope, closing: str | None) -> Pulse:
        """`closing`: None, `stop` (of itself: clean-up steps still run) or `cancel` (from outside)."""
        pulse = Pulse()
        facts: dict[str, Fact] = {}
        begun: dict[str, Item] = {}
        for step in scope.steps.values():
            item = self.item(paths.join(scope_key, step.id))
            if item is None or is_unbegun(item, closing):
                continue
            if is_fact(item):
                facts[step.id] = self.run.note(item)
            else:
                begun[step.id] = item
        for step_id, item in begun.items():
            spared = closing == "stop" and scope.steps[step_id].join == "done"
            pulse += self.begun(paths.join(scope_key, step_id), scope.steps[step_id], item, None if spared else closing)
        if closing is None and self._finish_failures(scope_key, scope, facts):
            self.changed = True
            return pulse
        fused = self._fused(scope, facts, begun, closing, pulse)
        self._start(scope_key, scope, facts, frozenset(begun) | fused, closing, pulse)
        if closing is None and len(facts) == len(scope.steps):
            pulse.moves()
            if self.repair and not self.changed:
                self._tell_end(scope_key, scope, facts)
        return pulse

    def _finish_failures(self, scope_key: str, scope: Scope, facts: dict[str, Fact]) -> bool:
        """A failure whose worker died before it said what that means for the scope."""
        known = self.stop_of(scope_key) is not None if scope_key else "error" in self.run.control
        unsaid = [fact for fact in facts.values() if fact.outcome is Outcome.FAILED and paths.step_id(fact.key) not in scope.handled]
        if known or not unsaid:
            return False
        failed_for_good(self.run, min(unsaid, key=lambda fact: (fact.ended_at, fact.key)), self.segment)
        return True

    def _fused(self, scope: Scope, facts: dict[str, Fact], begun: dict[str, Item], closing: str | None, pulse: Pulse) -> frozenset[str]:
        """Successors that a fact names and holds: nobody else may begin them before the lease is over."""
        held = set()
        for fact in facts.values():
            if fact.next is None:
                continue
            name = paths.step_id(fact.next)
            lease = (self.item(fact.key) or {}).get("lease", 0)
            if (self.item(fact.key) or {}).get("gen", 1) < self.run.generation:
                continue  # of before the run was retried: its worker is gone
            is_untouched = name not in facts and name not in begun and self.item(fact.next) is None
            if is_untouched and lease > self.run.now:
                held.add(name)
                pulse.moves(lease)
            elif is_untouched and closing and not (closing == "stop" and scope.steps[name].join == "done"):
                self.cancel_held(fact.next)
        return frozenset(held)

    def _start(
        self, scope_key: str, scope: Scope, facts: dict[str, Fact], under_way: frozenset[str], closing: str | None, pulse: Pulse
    ) -> None:
        if closing == "cancel":
            return
        if closing == "stop":
            found = dict.fromkeys(cleanup(scope, facts, under_way), Verdict.START)
        else:
            found = {name: verdict for name, verdict in frontier(scope, facts).items() if name not in under_way}
        seq = max((fact.seq for fact in facts.values()), default=self._seq_around(scope_key)) + 1
        for name, verdict in found.items():
            pulse.moves()
            if not self.repair and closing is None:
                continue
            if verdict is Verdict.START:
                self.ready.starts.append((paths.join(scope_key, name), seq))
            else:
                self._skip_again(scope, name, facts)

    def _seq_around(self, scope_key: str) -> int:
        """Of the group: what is in it comes after all that the group came after."""
        around = self.item(paths.owner(scope_key)[0]) if scope_key else None
        return -1 if around is None else int(around.get("seq", 0))

    def _skip_again(self, scope: Scope, name: str, facts: dict[str, Fact]) -> None:
        """A skip that nobody wrote: whoever wrote the last fact before it died first."""
        last = max((facts[edge.source] for edge in scope.steps[name].edges if edge.source in facts), key=lambda fact: fact.ended_at)
        self.take(after(self.run, last))
        self.changed = True

    def _tell_end(self, scope_key: str, scope: Scope, facts: dict[str, Fact]) -> None:
        """Every step has ended and yet the scope is open: its end was lost."""
        last = max((facts[name] for name in scope.last), key=lambda fact: (fact.ended_at, fact.key))
        found = ending.scope_ended(self.run, scope_key, last, self.ready)
        if found:
            self.take(after(self.run, *found))
            self.changed = True

    def take(self, ready: Ready) -> None:
        self.ready.starts += ready.starts
        self.ready.messages += ready.messages

    # -------------------------------------------------------------------------------------------- one begun step

    def begun(self, key: str, step: Step, item: Item, closing: str | None) -> Pulse:
        pulse, now = Pulse(), self.run.now
        match State(item["state"]):
            case State.CLAIMED if item["lease"] > now:
                pulse.moves(item["lease"])
            case State.CLAIMED if closing:
                self._cancel(item, AtMost("lease", now))
            case State.CLAIMED:
                self._send(key, pulse)
            case State.RELEASED if "until" not in item and not closing:
                self._send(key, pulse)  # a clean-up step that was given back behind its first attempt
            case State.OPEN:
                pulse += self.open(key, step, item, closing)
            case State.RETRY if "until" not in item and closing == "stop":
                last_attempt_failed(self.segment, item)  # what the scope stops for: it failed, and is not cancelled
                self.changed = True
            case _ if closing:
                self._cancel(item)
            case State.WAITING:
                self._waiting(key, item, pulse)
            case State.RETRY if "until" not in item:
                pulse.moves(now + OVERDUE_MS)
                if self.repair:
                    ending.tell_again(self.run, item)
                failed_at: Any = item.get("failed_at", item.get("attempt_at", now))
                if now - failed_at > OVERDUE_MS:
                    last_attempt_failed(self.segment, item)
                    self.changed = True
            case State.RELEASED if "look" in item:
                self._looked_at(key, item, pulse)
            case _:
                self._timed(key, item, pulse)
        return pulse

    def _send(self, key: str, pulse: Pulse) -> None:
        self.ready.starts.append((key, 0))
        pulse.moves()

    def _timed(self, key: str, item: Item, pulse: Pulse) -> None:
        pulse.moves(max(item["until"], self.run.now) + OVERDUE_MS)
        if self.segment.tells_again:
            ending.tell_again(self.run, item)
        elif self.run.now - item["until"] > OVERDUE_MS:
            self.ready.messages += wake(self.run, key, self.run.now)

    def _looked_at(self, key: str, item: Item, pulse: Pulse) -> None:
        """It cannot run yet. The message of its next look is sent again when it is lost: the same one, so that it has no second."""
        pulse.moves()
        if self.run.now - item["look"] > OVERDUE_MS:
            self.ready.messages += come_back_later(self.run, key, 0, item["look"])

    def _waiting(self, key: str, item: Item, pulse: Pulse) -> None:
        if self.repair and item["wait"]["for"] in _ENTERED_IN_TWO:
            self.ready.messages += wake(self.run, key, self.run.now)
        if item["wait"]["for"] in PEOPLE:
            pulse.people += 1
            if "until" in item:
                pulse.due.append(item["until"] + OVERDUE_MS)
                if self.run.now - item["until"] > OVERDUE_MS:
                    self.ready.messages += wake(self.run, key, self.run.now)
        elif "until" in item:
            self._timed(key, item, pulse)
        else:
            pulse.moves(self.run.now + LOOK_AGAIN_MS)  # a child: it wakes its parent, this look is for the case that it could not
            if not self.repair and self.run.now - item["attempt_at"] > LOOK_AGAIN_MS - 1000:
                self.ready.messages += wake(self.run, key, self.run.now)

    def cancel_held(self, key: str) -> None:
        """A step that was held through `next` by a worker that is gone, or only slow: with a fact in its place that worker
        cannot write any more."""
        now = self.run.now
        claim = Claim(key, self.run.world.new_fence(), 0, 1, now, now)
        error = StepError("Cancelled", "stopped before it ended")
        fact = Fact(key, Outcome.CANCELLED, error=error, attempts=1, started_at=now, ended_at=now, why=self._why())
        if write_fact(self.run, fact, claim, Absent()).ok:
            self.run.has_ended(fact)
        self.changed = True

    def _cancel(self, item: Item, *more: Condition) -> None:
        """Was begun and stopped before it ended by itself."""
        claim = claim_of(item)
        give_up_child(self.run, item)
        fact = Fact(
            claim.key,
            Outcome.CANCELLED,
            error=StepError("Cancelled", "stopped before it ended"),
            attempts=claim.number,
            started_at=claim.started_at,
            ended_at=max(self.run.now, claim.started_at),
            why=self._why(),
        )
        if write_fact(self.run, fact, claim, all_of(stands(item), *more)).ok:
            self.run.has_ended(fact)
        if "wait" in item:
            waits_no_more(self.run, item)
        self.changed = True

    def _why(self) -> str:
        return WHY.get(str(self.run.control.get("stop")), WHY_INSIDE)

    # -------------------------------------------------------------------------------------------- what is open

    def open(self, key: str, step: Step, item: Item, closing: str | None) -> Pulse:
        if paths.index(key) is None and step.is_loop:
            return LoopWalk(self).loop(key, step, item, closing)
        return self.group(key, step, item, closing)

    def group(self, key: str, step: Step, item: Item, closing: str | None) -> Pulse:
        run, scope_key = self.run, paths.inside(key, item["attempt"])
        stop = None if closing else self.stop_of(scope_key)
        until = item.get("until")
        is_late = not closing and until is not None and until <= run.now
        if is_late and (stop is None or stop["kind"] != "cancel"):
            stop_container(run, scope_key, "cancel", StepError("Timeout", "the group took longer than its timeout").to_json())
            stop = run.stops[scope_key]
        inner = "cancel" if closing or is_late else stop["kind"] if stop and stop["kind"] != "continue" else None
        started = len(self.ready.starts)
        pulse = self.scope(scope_key, run.plan.scopes[step.id], inner)
        if until is not None and not closing:
            pulse.due.append(until)
        if inner and pulse.is_still and len(self.ready.starts) == started and not self.changed:
            self.end_open(item, closing, stop)
        return pulse

    def stop_of(self, container: str) -> Item | None:
        if container not in self.run.stops:
            item = self.run.world.store.get(stop_key(self.run.id, self.run.generation, container))
            if item is not None:
                self.run.stops[container] = item
        return self.run.stops.get(container)

    def end_open(self, item: Item, closing: str | None, stop: Item | None) -> None:
        """Nothing is under way inside: cancelled from outside, or an attempt that failed of itself."""
        if closing or stop is None:
            self._cancel(item)
            return
        ending.fail_attempt(self.run, claim_of(item), ending.error_in(stop), stands(item))
        self.changed = True
