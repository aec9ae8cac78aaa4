"""Faults of the protocol, made by hand: what each rule of the engine guards against, taken away.

A rule about writes is taken away at the port (a condition dropped, an answer not looked at); a rule about what is done when is taken
away in the function that keeps it. A mutant that no invariant names would mean a rule without a reason, or a check without teeth.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from treadle.core.errors import Unavailable
from treadle.core.model import FINAL, State
from treadle.engine import (
    Engine,
    World,
    actions,
    branches,
    chunks,
    compensation,
    control,
    ending,
    failures,
    joins,
    progress,
    segment,
    tolerance,  # fmt: skip
    waits,
)
from treadle.engine.admission import give_place
from treadle.engine.claims import Claim
from treadle.engine.retrying import Reopening
from treadle.engine.run import Gate, Run
from treadle.engine.segment import Segment
from treadle.engine.semaphores import Semaphore
from treadle.engine.walk import Walk
from treadle.engine.walk_loops import LoopWalk
from treadle.ports import AllOf, AtMost, Change, Condition, Event, Item, Key, Message, Written

Rule = Callable[[Key, Mapping[str, Any], Condition | None], Condition | None]
Where = Callable[[Key, Mapping[str, Any]], bool]
Patch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Mutant:
    """`caught`: the invariants one of which has to name it. `shapes`: where it shows."""

    name: str
    caught: str
    shapes: str
    wrap: Callable[[World], World] | None = None
    patch: Patch | None = None
    rollouts: bool = False  # it shows where two versions of the engine meet


class Delegating:
    """Whatever is not said otherwise is left to the port itself."""

    def __init__(self, port: Any) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)


class RuleLess(Delegating):
    """A table that makes some conditions other ones. `written`: the item that is put, or what an update sets."""

    def __init__(self, store: Any, rule: Rule) -> None:
        super().__init__(store)
        self._rule = rule

    def put(self, item: Item, condition: Condition | None = None) -> Written:
        return self._port.put(item, self._rule((item["pk"], item["sk"]), item, condition))

    def update(self, key: Key, change: Change, condition: Condition | None = None) -> Written:
        return self._port.update(key, change, self._rule(key, {**change.set, "add": change.add}, condition))

    def delete(self, key: Key, condition: Condition | None = None) -> Written:
        return self._port.delete(key, self._rule(key, {}, condition))


def without_rule(rule: Rule) -> Callable[[World], World]:
    return lambda world: replace(world, store=RuleLess(world.store, rule))


def unconditional(where: Where) -> Callable[[World], World]:
    """The condition is dropped where `where` holds."""
    return without_rule(lambda key, written, condition: None if where(key, written) else condition)


def without(kind: type, condition: Condition | None) -> Condition | None:
    """The condition without its parts of that kind."""
    if isinstance(condition, AllOf):
        left = tuple(part for part in condition.parts if not isinstance(part, kind))
        return AllOf(left) if left else None
    return None if isinstance(condition, kind) else condition


class Stale(Delegating):
    """Facts are read as they were some writes ago, as eventually consistent reads may."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self._before: OrderedDict[Key, Item | None] = OrderedDict()

    def put(self, item: Item, condition: Condition | None = None) -> Written:
        key = (item["pk"], item["sk"])
        if key[1].startswith("s#") and item["state"] == State.ENDED:
            self._before[key] = self._port.peek(key)
            while len(self._before) > 3:
                self._before.popitem(last=False)
        return self._port.put(item, condition)

    def get(self, key: Key, *, consistent: bool = True) -> Item | None:
        return self.get_many([key]).get(key)

    def get_many(self, keys: Sequence[Key], *, consistent: bool = True) -> dict[Key, Item]:
        found = self._port.get_many(keys, consistent=consistent)
        for key in self._before.keys() & set(keys):
            found.pop(key, None)
            if (before := self._before[key]) is not None:
                found[key] = dict(before)
        return found


class Deaf(Delegating):
    """Answers are not looked at: a batch with refused entries counts as sent."""

    def send(self, messages: Sequence[Message]) -> None:
        try:
            self._port.send(messages)
        except Unavailable:
            return

    def put(self, events: Sequence[Event]) -> None:
        try:
            self._port.put(events)
        except Unavailable:
            return


class Forgetful(Delegating):
    """Messages of some kinds are never sent."""

    def __init__(self, lanes: Any, *kinds: str) -> None:
        super().__init__(lanes)
        self._kinds = kinds

    def send(self, messages: Sequence[Message]) -> None:
        self._port.send([message for message in messages if message.body["kind"] not in self._kinds])


def with_store(make: Callable[[Any], Any]) -> Callable[[World], World]:
    return lambda world: replace(world, store=make(world.store))


def with_lanes(make: Callable[[Any], Any]) -> Callable[[World], World]:
    return lambda world: replace(world, lanes=make(world.lanes))


def with_bus(make: Callable[[Any], Any]) -> Callable[[World], World]:
    return lambda world: replace(world, bus=make(world.bus))


def setting(owner: Any, name: str, value: Any) -> Patch:
    return lambda monkeypatch: monkeypatch.setattr(owner, name, value)


# ------------------------------------------------------------------------------------------------ which write is meant

ENDED, CLAIMED, WAITING, RETRY, OPEN, RELEASED = State.ENDED, State.CLAIMED, State.WAITING, State.RETRY, State.OPEN, State.RELEASED


def step_state(*states: State) -> Where:
    return lambda key, written: key[1].startswith("s#") and written.get("state") in states


def sets_status(*statuses: str) -> Where:
    return lambda key, written: key[1] == "!" and written.get("status") in statuses


def claims_of(prefix: str) -> Where:
    return lambda key, written: key[1].startswith(prefix) and written.get("state") == CLAIMED


def is_start(key: Key, written: Mapping[str, Any]) -> bool:
    return key[1] == "!" and written.get("gen") == 1


def is_mailbox(key: Key, written: Mapping[str, Any]) -> bool:
    return key[1].startswith("signal#")


def takes_lane(key: Key, written: Mapping[str, Any]) -> bool:
    return key[1] == "cursor" and any(name.startswith("l_") for name in written)


def claim_what_is_held(key: Key, written: Mapping[str, Any], condition: Condition | None) -> Condition | None:
    return without(AtMost, condition) if claims_of("s#")(key, written) else condition


# ------------------------------------------------------------------------------------------------ what is done when


def _sends_before_it_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = Segment.ended

    def early(self: Segment, claim: Claim, fact: Any, condition: Condition | None = None) -> Any:
        step = self.run.step(fact.key)
        self.run.send([branches.step_message(self.run, name) for name in step.targets])
        return ended(self, claim, fact, condition)

    monkeypatch.setattr(Segment, "ended", early)


def _counts_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """A join that counts how often it was told, and fires when the number is right."""

    def add(run: Run, container: str, name: str, width: int, members: Mapping[int, Any], *, early: bool = False) -> Any:
        key = (f"{run.id}#count#{container}#{name}", "join")
        written = run.world.store.update(key, Change(add={"n": len(members)}))
        return joins.Tally(live=width) if (written.item or {})["n"] >= width else None

    monkeypatch.setattr(joins, "add", add)


def _runs_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed condition is taken for a success."""
    real = segment.write_result
    monkeypatch.setattr(segment, "write_result", lambda *given: (Written(True, real(*given)[0].item), False))


def _reads_control_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the beginning of an invocation, and not after each claim."""

    def once(self: Segment, claim: Claim) -> None:
        if "status" not in self.run.control:
            self.run.read_control(claim.key)

    monkeypatch.setattr(Segment, "_read_control", once)


def _takes_what_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    meet = Segment.meet

    def impatient(self: Segment, key: str, standing: Item) -> None:
        if standing["state"] == CLAIMED:
            self._take(standing, standing["attempt"], 1)
        else:
            meet(self, key, standing)

    monkeypatch.setattr(Segment, "meet", impatient)


def _counts_losses_as_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    def take_lost(self: Segment, standing: Item) -> None:
        self._take(standing, standing["attempt"] + 1)

    monkeypatch.setattr(Segment, "_take_lost", take_lost)


def _retries_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    meet = Segment.meet

    def eager(self: Segment, key: str, standing: Item) -> None:
        if standing["state"] == RETRY and "until" in standing:
            self._take(standing, standing["attempt"] + 1)
        else:
            meet(self, key, standing)

    monkeypatch.setattr(Segment, "meet", eager)


def _timers_ring_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    look = waits.look

    def eager(self: Segment, item: Item) -> None:
        if item["wait"]["for"] == "timer" and not item["wait"].get("fails"):
            self.run.read_control(item["sk"][2:])
            waits.resolve(self, item, None)
        else:
            look(self, item)

    monkeypatch.setattr(waits, "look", eager)


def _forgets_who_took(monkeypatch: pytest.MonkeyPatch) -> None:
    def take(box: Item, key: str) -> str | None:
        return str(box["queue"].pop(0)) if box["queue"] else None

    monkeypatch.setattr(waits, "_take", take)


def _takes_facts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    left = chunks._left_behind
    facts_only = lambda run, keys: {key: item for key, item in left(run, keys).items() if item["state"] == ENDED}  # noqa: E731
    monkeypatch.setattr(chunks, "_left_behind", facts_only)


def _forgets_what_is_held(walk: Walk, key: str) -> None:
    walk.changed = True


def _sweeper_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes whatever is due for lost, and frees its claims."""
    sweep = Engine.sweep

    def deciding(self: Engine) -> int:
        store: Any = self.world.store
        for item in store.peek_all():
            if item["sk"].startswith("s#") and item["state"] == CLAIMED:
                store.put({**item, "state": RELEASED.value, "lease": 0})
        return sweep(self)

    monkeypatch.setattr(Engine, "sweep", deciding)


def _tells_nobody_in_line(monkeypatch: pytest.MonkeyPatch) -> None:
    release = Semaphore.release
    monkeypatch.setattr(Semaphore, "release", lambda self, *given: release(self, *given) and [])


# ------------------------------------------------------------------------------------------------ the mutants

WRITES = [
    Mutant("facts are written blindly", "I1", "stop-beside cancel signal chain", unconditional(step_state(ENDED))),
    Mutant("claims are written blindly", "I1 I12 I5", "diamond wide-join chain any", unconditional(claims_of("s#"))),
    Mutant(
        "a lease is not waited for",
        "I11 I12 I1",
        "diamond wide-join chain any",
        without_rule(claim_what_is_held),
        _takes_what_is_held,
    ),
    Mutant(
        "states on the way are written blindly",
        "I1 I5",
        "signal approval retry cancel-waiting wait",
        unconditional(step_state(WAITING, RETRY, OPEN, RELEASED)),
    ),
    Mutant(
        "a final status is written blindly",
        "I3",
        "cancel-early cancel run-timeout stop-beside",
        unconditional(sets_status(*(status.value for status in FINAL))),
    ),
    Mutant("a stop is written blindly", "I3", "cancel-early cancel chain stop", unconditional(sets_status("stopping"))),
    Mutant(
        "pause and resume are written blindly", "I3 I9 I8", "pause pause-wait", unconditional(sets_status("paused", "running", "waiting"))
    ),
    Mutant("a run is started blindly", "I3 I8 I1 I5 I11", "chain child", unconditional(is_start)),
    Mutant("a mailbox is written blindly", "I19", "two-signals", unconditional(is_mailbox)),
    Mutant("a compensation is begun blindly", "I12", "compensate compensate-group", unconditional(claims_of("undo#"))),
    Mutant("a chunk is claimed blindly", "I12", "for-each for-each-slow", unconditional(claims_of("c#"))),
    Mutant("a lane is taken blindly", "I12 I15", "for-each-lanes", unconditional(takes_lane)),
    Mutant("a retry of a run is written blindly", "I3 I1", "run-again run-again-group", unconditional(sets_status("retrying"))),
]

READS = [
    Mutant("siblings are read eventually consistent", "I9 I13 I11 I8", "diamond nested", with_store(Stale)),
    Mutant("refused messages are not looked at", "I8 I9 I11 I13", "stop", with_lanes(Deaf)),
    Mutant("refused events are not looked at", "I16 I13 I9", "chain catch-then", with_bus(Deaf)),
    Mutant("nothing is sent for a step", "I9 I13 I14", "wide-end", with_lanes(lambda lanes: Forgetful(lanes, "step"))),
    Mutant("nobody is woken", "I13", "wait signal", with_lanes(lambda lanes: Forgetful(lanes, "wake"))),
    Mutant("nothing is settled", "I9 I11 I13", "pause run-again", with_lanes(lambda lanes: Forgetful(lanes, "settle"))),
]

ORDER = [
    Mutant("a message is sent before the fact is written", "I2", "chain diamond", patch=_sends_before_it_writes),
    Mutant("a join counts and fires", "I2 I8", "wide-join for-each wide-end", patch=_counts_members),
    Mutant("a failed condition runs on", "I12 I2 I5", "slow-chain wait signal child", patch=_runs_on),
    Mutant("control is not read after the claim", "I5", "cancel cancel-early slow-chain-cancelled", patch=_reads_control_once),
    Mutant("a lost attempt counts as one", "I6", "chain retry", patch=_counts_losses_as_attempts),
    Mutant("a back-off is not waited for", "I7", "retry retry-late", patch=_retries_at_once),
    Mutant("a timer is not waited for", "I7", "wait wait-long", patch=_timers_ring_at_once),
    Mutant("nobody remembers who took a signal", "I19", "signal", patch=_forgets_who_took),
    Mutant("the sweeper decides", "I12", "slow-chain", patch=_sweeper_decides),
    Mutant(
        "a fact that is met is not followed",
        "I13 I9 I16",
        "chain wait diamond",
        patch=setting(Segment, "follow", lambda self, item: self.run.read_control()),
    ),
    Mutant("who backs off says nothing", "I9 I11 I13", "cancel pause", patch=setting(Segment, "_back_off", lambda self, claim, gate: None)),
    Mutant(
        "a failure is told and not decided",
        "I9 I11 I13",
        "catch-then stop",
        patch=setting(failures, "resolve_failure", lambda segment, item: None),
    ),
    Mutant(
        "a cancel cancels nothing that waits",
        "I8 I9",
        "cancel-waiting",
        patch=setting(control, "stop_run", lambda *given, **more: True),
    ),
    Mutant("events are dropped", "I16 I9 I13", "chain stop", patch=setting(Run, "publish", lambda self: None)),
    Mutant(
        "the gate is always open", "I5 I8 I10", "cancel stop group-cleanup pause", patch=setting(Run, "gate", lambda self, key: Gate.OPEN)
    ),
    Mutant(
        "a stop is forgotten",
        "I11",
        "for-each-fails group-retry",
        patch=setting(tolerance, "stop_container", lambda run, container, kind, error: None),
    ),
    Mutant("every failed item is tolerated", "I8", "for-each-fails", patch=setting(tolerance, "is_tolerated", lambda *given: True)),
    Mutant(
        "of many failed items the latest is counted alone",
        "I8",
        "for-each-fails-of-many",
        patch=setting(tolerance, "_count_of_many", lambda run, loop, header, number: 1),
    ),
    Mutant("a chunk's rest is forgotten", "I9 I13 I11", "for-each-slow", patch=setting(chunks, "_hand_on", lambda *given: None)),
    Mutant("a chunk that is taken over begins all of it again", "I12", "for-each-retry-late", patch=_takes_facts_only),
    Mutant(
        "what a lost worker has in hand is not ended",
        "I5",
        "for-each-beside-a-failure for-each-lanes-beside-a-failure",
        patch=setting(Walk, "cancel_held", _forgets_what_is_held),
    ),
    Mutant(
        "a stop does not wait for lanes",
        "I5",
        "for-each-lanes-beside-a-failure",
        patch=setting(LoopWalk, "_lanes_in_hand", lambda *given: None),
    ),
    Mutant(
        "a stop does not wait for chunks",
        "I5",
        "for-each-beside-a-failure",
        patch=setting(LoopWalk, "_chunks_in_hand", lambda *given: None),
    ),
    Mutant(
        "who retries late reopens what has gone on", "I8 I1", "undone-again", patch=setting(Reopening, "_is_of_before", lambda *given: True)
    ),
    Mutant("the parent is not told", "I9 I11 I13", "child", patch=setting(ending, "wake_parent", lambda run, ready: None)),
    Mutant("the end is not told", "I16", "chain", patch=setting(ending, "tell_end", lambda run: None)),
    Mutant("skips are not written", "I9 I11 I13", "switch skips", patch=setting(progress, "_skip", lambda *given: [])),
    Mutant(
        "a place is free while its callback is awaited",
        "I15",
        "callbacks-in-line",
        patch=setting(actions, "keep_while_it_waits", lambda run, claim, place: give_place(run, claim.key, claim.fence, place)),
    ),
    Mutant("who gives a place back tells nobody", "I11 I13", "one-at-a-time", patch=_tells_nobody_in_line),
    Mutant("nothing is undone", "I20", "compensate", patch=setting(compensation, "to_undo", lambda run: [])),
]

MUTANTS = [*WRITES, *READS, *ORDER]
