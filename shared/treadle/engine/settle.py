"""Putting a run in order: read what is there, compute the frontier, send what is missing.

The one way in which everything that went wrong is mended (lost messages, dead workers, a resumed or stopped run), and how
a scope that stops is brought to its end: what waits in it is cancelled, what runs may end, clean-up steps run, and when
nothing of it is under way its end is written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..core import paths
from ..core.advance import Edging, Fact, Verdict, cleanup, frontier
from ..core.model import Outcome, RunStatus, State, StepError
from ..core.plan import Scope, Step
from ..ports import AtMost, Change, Condition, Equals, Item, OneOf, all_of
from ..topology import DUE_SHARDS
from . import compensation, ending, loops, retrying

from .claims import claim_of, stands, write_fact
from .failures import resolve_failure, stop_run
from .items import fact_of, is_fact, run_key, step_key, stop_key
from .progress import Ready, after
from .run import Run
from .schedule import wake
from .waits import PEOPLE

if TYPE_CHECKING:
    from .segment import Segment

OVERDUE_MS = 90_000  # a message this late is taken for lost
LOOK_AGAIN_MS = 15 * 60_000


@dataclass
class Pulse:
    """What is under way in a part of the run. `moving`: ends by itself; `people`: waits for somebody; `due`: when to look again."""

    moving: int = 0
    people: int = 0
    due: list[int] = field(default_factory=list)

    def __iadd__(self, other: Pulse) -> Pulse:
        self.moving += other.moving
        self.people += other.people
        self.due += other.due
        return self

    @property
    def is_still(self) -> bool:
        return not self.moving and not self.people

    def moves(self, at: int | None = None) -> None:
        self.moving += 1
        if at is not None:
            self.due.append(at)


def settle(run: Run, segment: Segment, *, repair: bool) -> None:
    """Until nothing changes any more: each pass may write facts and ends that call for another.

    `repair`: also send again what should be under way and shows no sign of it. Not done on every look, because a message that
    is still in its lane shows no sign either.
    """
    for _ in range(100):
        run.must_settle = False
        run.read_control()
        if run.status.is_final:
            return
        if run.status is RunStatus.RETRYING:
            retrying.go_on(run)
            return
        _check_timeout(run)
        settler = Settler(run, segment, repair)
        pulse = settler.scope("", run.plan.root, _closing(run))
        segment.send(settler.ready)
        if settler.changed or run.must_settle:
            continue
        if run.status in (RunStatus.STOPPING, RunStatus.COMPENSATING):
            if pulse.is_still and not settler.ready.starts:
                _finish(run, segment)
        else:
            _show_rest(run, pulse)
        if not run.status.is_final:
            _look_again(run, pulse)
        if not run.must_settle:
            return


def _closing(run: Run) -> str | None:
    if run.status is RunStatus.COMPENSATING:
        return "cancel"
    if run.status is not RunStatus.STOPPING:
        return None
    return "stop" if run.control["stop"] == "stop" else "cancel"


def _check_timeout(run: Run) -> None:
    limit = run.control.get("timeout_at")
    alive = run.status in (RunStatus.PENDING, RunStatus.RUNNING, RunStatus.WAITING, RunStatus.PAUSED)
    if limit is not None and run.now >= limit and alive:
        stop_run(run, "timeout", {"name": "Timeout", "message": "the run took longer than its timeout"})


def _finish(run: Run, segment: Segment) -> None:
    """A stopping run in which nothing is under way."""
    ready = Ready()
    reason = run.control["stop"]
    if reason == "cancel":
        ending.close(run, ready, RunStatus.CANCELLED)
    elif reason == "timeout":
        ending.close(run, ready, RunStatus.TIMED_OUT)
    elif run.plan.on_failure != "compensate":
        ending.close(run, ready, RunStatus.FAILED)
    else:
        compensation.go_on(run, segment, ready)
    segment.send(ready)


def _show_rest(run: Run, pulse: Pulse) -> None:
    """`waiting` while only people can act, else `running`."""
    wanted = RunStatus.WAITING if pulse.people and not pulse.moving else RunStatus.RUNNING
    other = RunStatus.RUNNING if wanted is RunStatus.WAITING else RunStatus.WAITING
    if run.status is not other or wanted is run.status:
        return
    unchanged = all_of(Equals("rev", run.control["rev"]), Equals("status", other.value))
    written = run.world.store.update(run_key(run.id), Change(set={"status": wanted.value}, add={"rev": 1}), unchanged)
    run.control = written.item or run.control
    if not written.ok:
        run.must_settle = True  # something moved meanwhile
    elif wanted is RunStatus.WAITING:
        run.event("RunWaiting", "", int(run.control["rev"]))


def _look_again(run: Run, pulse: Pulse) -> None:
    """When the sweeper is to come by: at the earliest time something is due, or not at all while only people are awaited."""
    times = [*pulse.due, *([run.control["timeout_at"]] if "timeout_at" in run.control else [])]
    if pulse.moving and not pulse.due:
        times.append(run.now + LOOK_AGAIN_MS)
    at = max(min(times), run.now + 1000) if times else None
    if at == run.control.get("due"):
        return
    change = Change(remove=("due", "due_shard")) if at is None else Change(set={"due": at, "due_shard": shard_of(run.id)})
    alive = OneOf("status", tuple(status.value for status in RunStatus if not status.is_final))
    written = run.world.store.update(run_key(run.id), change, alive)
    run.control = written.item or run.control


def shard_of(run_id: str) -> int:
    return int(run_id[-1], 36) % DUE_SHARDS


class Settler:
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
            items: dict[str, Item] = {}
            cursor = None
            while True:
                page = self.run.world.store.query(pk, prefix="s#", after=cursor)
                items |= {item["sk"]: item for item in page.items}
                cursor = page.after
                if cursor is None:
                    break
            self.partitions[pk] = items
        return self.partitions[pk].get(f"s#{key}")

    # -------------------------------------------------------------------------------------------- walking

    def scope(self, scope_key: str, scope: Scope, closing: str | None) -> Pulse:
        """`closing`: None, `stop` (of itself: clean-up steps still run) or `cancel` (from outside)."""
        pulse = Pulse()
        facts: dict[str, Fact] = {}
        begun: dict[str, Item] = {}
        for step in scope.steps.values():
            item = self.item(paths.join(scope_key, step.id))
            if item is None or item["state"] == State.RELEASED and "until" not in item:
                continue
            if is_fact(item):
                facts[step.id] = self.run.note(item)
            else:
                begun[step.id] = item
        for step_id, item in begun.items():
            spared = closing == "stop" and scope.steps[step_id].join == "done"
            pulse += self.begun(paths.join(scope_key, step_id), scope.steps[step_id], item, None if spared else closing)
        fused = self._fused(scope_key, scope, facts, begun, pulse)
        self._start(scope_key, scope, facts, frozenset(begun) | fused, closing, pulse)
        if closing is None and len(facts) == len(scope.steps):
            pulse.moves()
            if self.repair and not self.changed:
                self._tell_end(scope_key, scope, facts)
        return pulse

    def _fused(self, scope_key: str, scope: Scope, facts: dict[str, Fact], begun: dict[str, Item], pulse: Pulse) -> frozenset[str]:
        """Successors that a fact names and holds: nobody else may begin them before the lease is over."""
        held = set()
        for fact in facts.values():
            if fact.next is None:
                continue
            name = paths.step_id(fact.next)
            lease = (self.item(fact.key) or {}).get("lease", 0)
            if name not in facts and name not in begun and self.item(fact.next) is None:
                if lease > self.run.now:
                    held.add(name)
                    pulse.moves(lease)
        return frozenset(held)

    def _start(self, scope_key: str, scope: Scope, facts: dict[str, Fact], under_way: frozenset[str], closing: str | None, pulse: Pulse) -> None:
        if closing == "cancel":
            return
        if closing == "stop":
            found = dict.fromkeys(cleanup(scope, facts, under_way), Verdict.START)
        else:
            found = {name: verdict for name, verdict in frontier(scope, facts).items() if name not in under_way}
        seq = max((fact.seq for fact in facts.values()), default=-1) + 1
        for name, verdict in found.items():
            pulse.moves()
            if not self.repair and closing is None:
                continue
            if verdict is Verdict.START:
                self.ready.starts.append((paths.join(scope_key, name), seq))
            else:
                self._skip_again(scope, name, facts)

    def _skip_again(self, scope: Scope, name: str, facts: dict[str, Fact]) -> None:
        """A skip that nobody wrote: whoever wrote the last fact before it died first."""
        last = max((facts[edge.source] for edge in scope.steps[name].edges if edge.source in facts), key=lambda fact: fact.ended_at)
        self._take(after(self.run, last))
        self.changed = True

    def _tell_end(self, scope_key: str, scope: Scope, facts: dict[str, Fact]) -> None:
        """Every step has ended and yet the scope is open: its end was lost."""
        last = max((facts[name] for name in scope.last), key=lambda fact: (fact.ended_at, fact.key))
        found = ending.scope_ended(self.run, scope_key, last, self.ready)
        if found:
            self._take(after(self.run, *found))
            self.changed = True

    def _take(self, ready: Ready) -> None:
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
            case State.OPEN:
                pulse += self.open(key, step, item, closing)
            case _ if closing:
                self._cancel(item)
            case State.WAITING:
                self._waiting(key, item, pulse)
            case State.RETRY if "until" not in item:
                pulse.moves()
                if now - item.get("attempt_at", now) > OVERDUE_MS:
                    resolve_failure(self.segment, item)
                    self.changed = True
            case _:
                self._timed(key, item["until"], pulse)
        return pulse

    def _send(self, key: str, pulse: Pulse) -> None:
        self.ready.starts.append((key, 0))
        pulse.moves()

    def _timed(self, key: str, until: int, pulse: Pulse) -> None:
        pulse.moves(max(until, self.run.now) + OVERDUE_MS)
        if self.run.now - until > OVERDUE_MS:
            self.ready.messages += wake(self.run, key, self.run.now)

    def _waiting(self, key: str, item: Item, pulse: Pulse) -> None:
        if item["wait"]["for"] in PEOPLE:
            pulse.people += 1
            if "until" in item:
                pulse.due.append(item["until"] + OVERDUE_MS)
                if self.run.now - item["until"] > OVERDUE_MS:
                    self.ready.messages += wake(self.run, key, self.run.now)
        elif "until" in item:
            self._timed(key, item["until"], pulse)
        else:
            pulse.moves(self.run.now + LOOK_AGAIN_MS)  # a child: it wakes its parent, this look is for the case that it could not
            if self.run.now - item["attempt_at"] > LOOK_AGAIN_MS - 1000:
                self.ready.messages += wake(self.run, key, self.run.now)

    def _cancel(self, item: Item, *more: Condition) -> None:
        """Was begun and stopped before it ended by itself."""
        claim = claim_of(item)
        fact = Fact(
            claim.key, Outcome.CANCELLED, error=StepError("Cancelled", "stopped before it ended"), attempts=claim.attempt,
            started_at=claim.started_at, ended_at=max(self.run.now, claim.started_at), why=self._why(),
        )  # fmt: skip
        if write_fact(self.run, fact, claim, all_of(stands(item), *more)).ok:
            self.run.has_ended(fact)
        self.changed = True

    def _why(self) -> str:
        reasons = {"cancel": "the run was cancelled", "timeout": "the run timed out", "stop": "the run stopped"}
        return reasons.get(str(self.run.control.get("stop")), "its group or loop stopped")

    # -------------------------------------------------------------------------------------------- what is open

    def open(self, key: str, step: Step, item: Item, closing: str | None) -> Pulse:
        if paths.index(key) is None and step.is_loop:
            return self.loop(key, step, item, closing)
        return self.group(key, step, item, closing)

    def group(self, key: str, step: Step, item: Item, closing: str | None) -> Pulse:
        run, scope_key = self.run, paths.inside(key, item["attempt"])
        stop = None if closing else self._stop_of(scope_key)
        until = item.get("until")
        if stop is None and not closing and until is not None and until <= run.now:
            loops.stop_container(run, scope_key, "cancel", StepError("Timeout", "the group took longer than its timeout").to_json())
            stop = run.stops[scope_key]
        inner = "cancel" if closing else stop["kind"] if stop and stop["kind"] != "continue" else None
        started = len(self.ready.starts)
        pulse = self.scope(scope_key, run.plan.scopes[step.id], inner)
        if until is not None and not closing:
            pulse.due.append(until)
        if inner and pulse.is_still and len(self.ready.starts) == started:
            self._end_open(item, closing, stop)
        return pulse

    def loop(self, key: str, step: Step, item: Item, closing: str | None) -> Pulse:
        run = self.run
        stop = None if closing else self._stop_of(key)
        inner = "cancel" if closing or stop else None
        pulse = Pulse()
        run.headers[key] = item
        begun = False
        for number in self._numbers(key, step, item):
            item_key = paths.item(key, number)
            child = self.item(item_key)
            if child is None:
                continue
            begun = True
            if not is_fact(child) and not (child["state"] == State.RELEASED and "until" not in child):
                pulse += self.begun(item_key, step, child, inner)
        if inner is None:
            self._go_on(key, step, item, pulse, begun)
        elif pulse.is_still and not self._held_chunks(key, step, item, pulse):
            self._end_open(item, closing, stop)
        return pulse

    def _numbers(self, key: str, step: Step, item: Item) -> range:
        if step.for_each is not None:
            return range(item["n"])
        number = 0
        while self.item(paths.item(key, number)) is not None:
            number += 1
        return range(number)

    def _held_chunks(self, key: str, step: Step, item: Item, pulse: Pulse) -> bool:
        """A worker is still in the middle of a chunk: it sees the stop within a second, and then comes by here."""
        if step.repeat is not None:
            last = self._last_fact(key, step, item)
            if last and last.next and (lease := (self.item(last.key) or {}).get("lease", 0)) > self.run.now:
                pulse.moves(lease)
            return not pulse.is_still
        for chunk in self._chunks(key, item):
            if chunk["state"] == State.CLAIMED and chunk["lease"] > self.run.now:
                pulse.moves(chunk["lease"])
        return not pulse.is_still

    def _chunks(self, key: str, item: Item) -> list[Item]:
        found: list[Item] = []
        for page in range(-(-item["n"] // paths.PAGE)):
            cursor = None
            while True:
                read = self.run.world.store.query(f"{self.run.id}#{key}#{page}", prefix="c#", after=cursor)
                found += read.items
                cursor = read.after
                if cursor is None:
                    break
        return found

    def _last_fact(self, key: str, step: Step, item: Item) -> Fact | None:
        numbers = self._numbers(key, step, item)
        last = self.item(paths.item(key, numbers[-1])) if numbers else None
        return fact_of(last) if last is not None and is_fact(last) else None

    def _go_on(self, key: str, step: Step, item: Item, pulse: Pulse, begun: bool) -> None:
        """Hand out again what nobody works on."""
        if step.repeat is not None:
            if pulse.is_still and self.repair:
                self._next_iteration(key, step, item, pulse)
            elif pulse.is_still:
                pulse.moves()
            return
        if not self.repair:
            in_sight = [number for number in range(item["n"]) if self.item(paths.item(key, number))]
            if not (begun and item["lanes"] and not pulse.is_still) and (len(in_sight) < item["n"] or pulse.is_still):
                pulse.moves()
            return
        facts = {number: child for number in range(item["n"]) if is_fact(child := self.item(paths.item(key, number)) or {})}
        if len(facts) == item["n"]:
            self._count_again(key, item, facts)
            pulse.moves()
        elif item["lanes"]:
            if pulse.is_still or not begun:
                self.ready.messages += loops.hand_out(self.run, key, step, item["n"])
                pulse.moves()
        else:
            self._missing_chunks(key, step, item, pulse)

    def _next_iteration(self, key: str, step: Step, item: Item, pulse: Pulse) -> None:
        last = self._last_fact(key, step, item)
        if last is None:
            self.ready.starts.append((paths.item(key, 0), 0))
        elif last.next is not None and (lease := (self.item(last.key) or {}).get("lease", 0)) > self.run.now:
            pulse.moves(lease)
            return
        elif last.next is not None:
            self.ready.starts.append((last.next, last.seq + 1))
        else:
            found = loops.iteration_ended(self.run, key, step, paths.index(last.key) or 0, last, self.ready)
            self._take(after(self.run, *found))
            self.changed = self.changed or bool(found)
        pulse.moves()

    def _count_again(self, key: str, item: Item, facts: dict[int, Item]) -> None:
        failed = {number for number, child in facts.items() if child["outcome"] == Outcome.FAILED}
        members = {number: Edging.FAILED if number in failed else Edging.LIVE for number in facts}
        found = loops.members_ended(self.run, key, item, members, None)
        self._take(after(self.run, *found))
        self.changed = self.changed or bool(found)

    def _missing_chunks(self, key: str, step: Step, item: Item, pulse: Pulse) -> None:
        """Ranges that no chunk covers, and chunks whose worker is gone."""
        covered: set[int] = set()
        for chunk in self._chunks(key, item):
            if chunk["state"] == State.CLAIMED and chunk["lease"] > self.run.now:
                pulse.moves(chunk["lease"])
                covered |= set(range(chunk["low"], chunk["high"]))
            elif chunk["state"] == State.CLAIMED:
                self.ready.messages.append(loops.chunk_message(self.run, key, chunk["low"], chunk["high"]))
                covered |= set(range(chunk["low"], chunk["high"]))
                pulse.moves()
            else:
                covered |= set(range(chunk["low"], chunk["high"]))
        low = 0
        size = self.run.world.settings.chunk_size
        while low < item["n"]:
            if low in covered:
                low += 1
                continue
            high = low
            while high < item["n"] and high not in covered and high - low < size and high // paths.PAGE == low // paths.PAGE:
                high += 1
            self.ready.messages.append(loops.chunk_message(self.run, key, low, high))
            pulse.moves()
            low = high

    def _stop_of(self, container: str) -> Item | None:
        if container not in self.run.stops:
            item = self.run.world.store.get(stop_key(self.run.id, self.run.generation, container))
            if item is not None:
                self.run.stops[container] = item
        return self.run.stops.get(container)

    def _end_open(self, item: Item, closing: str | None, stop: Item | None) -> None:
        """Nothing is under way inside: cancelled from outside, or an attempt that failed of itself."""
        if closing or stop is None:
            self._cancel(item)
            return
        if ending.fail_attempt(self.run, claim_of(item), ending.error_in(stop), stands(item)):
            self.segment.has_sent = True
        self.changed = True


