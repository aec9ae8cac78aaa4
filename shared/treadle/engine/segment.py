"""A segment: what one worker runs in one go.

Claim a step, read control, run it, write its fact, ask what is ready, and go on: with one successor under the same claim
(fused, one write per step), with whatever takes no time, and at the end with one step that became ready. All else goes to the lanes.

A failed condition ends the chain: somebody, perhaps an earlier delivery of this message, did this already. What the standing
facts call for is sent again, and nothing runs on.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from ..core import paths
from ..core.advance import Fact, first_live
from ..core.errors import ExpressionFault
from ..core.expressions import evaluate
from ..core.model import Json, Outcome, State, StepError
from ..core.plan import INSTANT
from ..core.retry import MAX_LOSSES
from ..ports import Condition, Item
from . import branches, ending, hooking, looks, opening, outgrown, stale, suspects, waits
from .actions import act, boolean, expression_error
from .admission import give_place
from .claims import Claim, fused, given_back, take, take_over, write_result, write_state
from .failures import ask_a_person, climb_ladder, failed_for_good
from .fusion import successor
from .groups import open_group
from .items import error_text, is_fact, step_key
from .names import names
from .progress import Ready, after
from .results import LOST, Done, Failed, Held, Result, Waits
from .run import Gate, Run

MAX_LOCAL = 16  # instant steps that a segment keeps for itself at a time


class Segment:
    """`deadline`: ms by the run's clock when this invocation must be over. `again_at`: when the message should come back, if it should."""

    def __init__(self, run: Run, deadline: int) -> None:
        self.run = run
        self.plan = run.control.get("plan")  # by which it was decided what begins here
        run.deadline = deadline
        self._deadline = deadline
        self.local: deque[tuple[str, int, str | None]] = deque()  # (key, seq, the step it comes after: no message of its own)
        self.again_at: int | None = None
        self.loose: dict[str, None] = {}  # keys of what came to rest here without handing on
        self.seq = 0
        self.only_sends = False  # in a request: what becomes ready goes to the lanes
        self.runs_tasks = False  # only a worker of the lanes may do what tasks do; elsewhere they go to the lanes
        self.collected: list[Fact] | None = None  # of a batch: facts whose joins are counted together
        self.lost: int | None = None  # fence of a claim that was lost in a smaller pool
        self.look: int | None = None  # of a message that has a step looked at again: the time that the step's item names
        self.recorded: set[str] = set()  # keys whose facts were written here
        self.repair = False  # send again what shows no sign of being under way
        self.tells_again = False  # and of what waits for its time

    @property
    def deadline(self) -> int:
        return min(self._deadline, self.run.world.stops_at)

    # -------------------------------------------------------------------------------------------- beginning

    def begin(self, key: str, seq: int = 0) -> None:
        """A message says that the step may start."""
        self.local.append((key, seq, None))
        self.drain()

    def drain(self) -> None:
        while self.local:
            key, self.seq, of = self.local.popleft()
            claim = take(self.run, key, self._seen(key), of, self.seq)
            if isinstance(claim, Claim):
                self.chain(claim)
            else:
                self.meet(key, claim)

    def _seen(self, key: str) -> tuple[str, ...] | None:
        step = self.run.step(key)
        if step.join in ("all", "done") or paths.index(key) is not None:
            return None
        return first_live(step, self.run.sources(paths.scope(key), step))

    def meet(self, key: str, standing: Item) -> None:
        """Somebody began the step before: go on from where its item stands."""
        now = self.run.now
        match State(standing["state"]):
            case State.ENDED:
                self.follow(standing)
            case State.CLAIMED if standing["lease"] > now:
                self.come_back(standing["lease"])
            case State.CLAIMED:
                self._take_lost(standing)
            case State.RELEASED | State.RETRY if standing.get("until", 0) > now:
                self.come_back(standing["until"])
            case State.RELEASED if looks.is_repeat(standing, self.look, now):
                return
            case State.RELEASED:
                self._take(standing, standing["attempt"])
            case State.RETRY if "until" in standing:
                self._take(standing, standing["attempt"] + 1)
            case State.RETRY:
                self.run.read_control()
                ending.tell_again(self.run, standing)
            case State.WAITING if standing["wait"]["for"] == "person" and 0 < standing.get("until", 0) <= now:
                self.run.read_control(key)
                climb_ladder(self, standing)
            case State.WAITING:
                waits.look(self, standing)
            case State.OPEN:  # its worker may have died before it sent what is in it
                self.run.must_settle = self.repair = self.tells_again = True

    def come_back(self, at: int) -> None:
        self.again_at = at if self.again_at is None else min(at, self.again_at)

    def _take(self, standing: Item, attempt: int, losses: int = 0) -> None:
        claim = take_over(self.run, standing, attempt=attempt, losses=losses)
        if isinstance(claim, Claim):
            self.chain(claim)
        elif claim.get("state") == State.CLAIMED:
            self.come_back(claim["lease"])

    def _take_lost(self, standing: Item) -> None:
        """The worker is gone, or has overrun its lease. The attempt runs again under its number, but not for ever."""
        losses = standing.get("losses", 0) + 1
        key = standing["sk"][2:]
        step = self.run.step(key)
        recovery = self.run.world.settings.recovery if step.action == "task" else "automatic"  # nothing else can be lost half done
        if recovery == "manual":
            self._ask_about_lost(standing)
            return
        if recovery == "automatic" and losses <= MAX_LOSSES and not outgrown.is_at_most_once(step):
            if self._went_up(key, standing["fence"]):
                return
            self._take(standing, standing["attempt"], losses)
            return
        claim = take_over(self.run, standing, attempt=standing["attempt"], losses=losses)
        if isinstance(claim, Claim):
            self.run.read_control(claim.key)
            ending.fail_attempt(self.run, claim, LOST)

    def _went_up(self, key: str, fence: int, seq: int = 0) -> bool:
        message = outgrown.lost(self.run, "step", key, fence, self.lost, seq=seq)
        if message is not None:
            self.run.send([message])
        return message is not None

    def _ask_about_lost(self, standing: Item) -> None:
        self.run.read_control(standing["sk"][2:])
        ask_a_person(self, {**standing, "error": error_text(LOST)}, LOST)

    def follow(self, item: Item) -> None:
        """A fact is met: send again what it calls for, and follow `next` to its end before anything is taken."""
        self.run.read_control()
        if self.run.is_over:
            self.send(ending.tell(self.run, Ready()))
        if self.run.is_over or not self.run.still_stands(item) or suspects.is_sent_again(self.run, item):
            return
        while True:
            fact = self.run.note(item)
            self.run.has_ended(fact)
            if fact.outcome is Outcome.FAILED and paths.index(fact.key) is None:
                failed_for_good(self.run, fact, self)
            else:
                ready = after(self.run, fact)
                if fact.next is None and (not ready or self.run.is_stopping(fact.key)):
                    self.loose[fact.key] = None
                self.send_missing(ready)
            if fact.next is None:
                return
            standing = self.run.world.store.get(step_key(self.run.id, fact.next))
            if standing is None:
                self._take_dangling(fact, item)
                return
            if not is_fact(standing):
                self.meet(fact.next, standing)
                return
            item = standing

    def _take_dangling(self, fact: Fact, item: Item) -> None:
        """`next` was claimed with the fact, and nothing came of it yet."""
        is_held = item.get("gen", 1) == self.run.generation  # else of before the run was retried: that worker is gone
        if is_held and item["lease"] > self.run.now:
            self.come_back(item["lease"])
            return
        if is_held and self._went_up(str(fact.next), item["fence"], fact.seq + 1):
            return
        claim = take(self.run, str(fact.next))
        if isinstance(claim, Claim):
            self.seq = fact.seq + 1
            is_task = self.run.step(claim.key).action == "task"
            match self.run.world.settings.recovery if is_task else "automatic":
                case "manual":
                    self._ask_about_lost(claim.item(self.run))
                case kind if kind == "none" or (is_held and outgrown.is_at_most_once(self.run.step(claim.key))):
                    ending.fail_attempt(self.run, claim, LOST)
                case _:
                    self.chain(replace(claim, losses=1))

    # -------------------------------------------------------------------------------------------- going on

    def run_claimed(self, claim: Claim) -> None:  # control was read for it
        self.chain(self._step(claim))

    def chain(self, claim: Claim | None) -> None:
        while claim is not None:
            hinted = self.run.generation
            self._read_control(claim)
            if (self.run.generation != hinted and stale.given_up(self.run, claim)) or stale.given_back(self, claim):
                return
            gate = self.run.gate(claim.key)
            if gate is Gate.OPEN and self.may_run(claim.key, claim) and self.has_time(claim.key):
                claim = self._step(claim)
            else:
                self._back_off(claim, gate)
                return

    def _read_control(self, claim: Claim) -> None:
        with given_back(self.run, claim):
            self.run.read_control(claim.key)

    def may_run(self, key: str, claim: Claim | None = None) -> bool:
        """Tasks run in a worker of their pool; who has a claim already may be one that has enough for it."""
        if self.run.step(key).action != "task":
            return True
        here = self.run.pool_of(key) == self.run.world.pool if claim is None else not self.run.is_elsewhere(key)
        return self.runs_tasks and here

    def has_time(self, key: str) -> bool:
        step, settings = self.run.step(key), self.run.world.settings
        needed_ms = 0
        if step.action == "task":
            needed_ms = min(step.timeout or settings.attempt_timeout_s * 1000, settings.attempt_timeout_s * 1000)
        return self.run.now + needed_ms + settings.begin_margin_s * 1000 <= self.deadline

    def _back_off(self, claim: Claim, gate: Gate) -> None:
        """Release, read control again, and send if it is open after all (it may have been opened in between)."""
        if not write_state(self.run, claim, State.RELEASED).ok:
            return
        self.run.read_control(claim.key)
        gate = self.run.gate(claim.key)
        if gate is Gate.OPEN:
            self.run.send([branches.step_message(self.run, claim.key, self.seq)])
        elif claim.place is not None:
            give_place(self.run, claim.key, claim.fence, claim.place)  # it stands in nobody's way
        if gate is Gate.CLOSED:
            self.run.must_settle = True

    def _step(self, claim: Claim) -> Claim | None:
        """Run one claimed step; the claim of the successor to go on with, if there is one."""
        with given_back(self.run, claim, ran=1):
            return self._run_step(claim)

    def _run_step(self, claim: Claim) -> Claim | None:
        run, key, step = self.run, claim.key, self.run.step(claim.key)
        is_whole = paths.index(key) is None
        if is_whole and step.when is not None:
            try:
                if not boolean(evaluate(step.when, run.world.expressions, names(run, key, seen=claim.saw)), "when"):
                    return self.ended(claim, self.fact(claim, Outcome.BYPASSED, why="when was false"))
            except ExpressionFault as fault:
                self.failed(claim, expression_error(fault))
                return None
        hooking.step_begins(run, claim)
        if is_whole and step.is_loop:
            return opening.open_loop(self, claim, step)
        if step.action == "group":
            open_group(self, claim, step)
            return None
        return self.record(claim, act(run, claim, self.deadline))

    def record(self, claim: Claim, result: Result, condition: Condition | None = None) -> Claim | None:
        """Record what an attempt came to."""
        match result:
            case Done(output, chosen):
                return self.ended(claim, self.fact(claim, Outcome.SUCCEEDED, self.run.kept(output), chosen=chosen), condition)
            case Failed(error):
                self.failed(claim, error, condition)
                return None
            case Waits():
                waits.enter(self, claim, result)
            case Held():
                looks.hold(self.run, claim, result)
        return None

    def fact(self, claim: Claim, outcome: Outcome, output: Json = None, *, chosen: tuple[str, ...] = (), why: str | None = None) -> Fact:
        ran = outcome is not Outcome.BYPASSED
        return Fact(
            claim.key,
            outcome,
            output,
            attempts=claim.number if ran else 0,
            started_at=claim.started_at if ran else None,
            ended_at=max(self.run.now, claim.started_at),
            chosen=chosen,
            why=why,
            seq=max(self.seq, claim.seq),
        )

    def failed(self, claim: Claim, error: StepError, condition: Condition | None = None) -> bool:
        """An attempt failed: written on the item, told on the bus; the errors handler takes it from there. False: somebody was faster."""
        return ending.fail_attempt(self.run, claim, error, condition)

    def ended(self, claim: Claim, fact: Fact, condition: Condition | None = None) -> Claim | None:
        """Write the fact and do what follows. The claim of the fused successor, if there is one."""
        run = self.run
        inline = run.world.settings.advance == "inline"
        following = successor(run, fact, self.may_run) if inline and not self.only_sends and self.has_time(claim.key) else None
        if following is not None:
            fact = replace(fact, next=following)
            if claim.lease <= run.now + 1000:
                claim = replace(claim, lease=run.now + run.world.settings.lease_s * 1000)
        written, was_amended = write_result(run, fact, claim, condition)
        if not written.ok:
            if is_fact(written.item):
                self.follow(written.item or {})
            return None
        self.recorded.add(fact.key)
        run.has_ended(fact)
        if was_amended:  # what follows is told by the new plan, once it is there
            self.repair = True
            return None
        if inline and following is None and self.collected is not None:
            self.collected.append(fact)
            return None
        if not inline:
            run.needs_advance = True
            run.to_advance.append(fact.key)
            return None
        ready = after(run, fact)
        if following is None and (not ready or run.is_stopping(fact.key)):
            self.loose[fact.key] = None
        self.share(ready, following, fact.key)
        self.seq = fact.seq + 1
        return None if following is None else fused(claim, following, run.now, self.seq)

    # -------------------------------------------------------------------------------------------- sharing

    def share(self, ready: Ready, following: str | None, of: str) -> None:
        """What step `of` made ready: keep what takes no time and, with nothing else to do, one step; send the rest first."""
        others: list[tuple[str, int]] = []
        priority = self.run.step(of).priority
        for key, seq in ready.starts:
            if self._keeps(key, following, priority):
                self.local.append((key, seq, of))
            else:
                others.append((key, seq))
        self.send(Ready(others, ready.messages))

    def _keeps(self, key: str, following: str | None, priority: str) -> bool:
        step = self.run.step(key)
        if self.only_sends:
            return False
        if step.action in INSTANT and not step.is_loop:
            return len(self.local) < MAX_LOCAL
        return following is None and not self.local and step.priority == priority and self.may_run(key)

    def go_on_from(self, facts: list[Fact]) -> None:
        """Something open has ended here: what follows may be kept as after any fact."""
        ready = after(self.run, *facts)
        if not ready or self.run.is_stopping(*(fact.key for fact in facts)):  # what cleans up next, a look at the whole scope tells
            self.loose |= dict.fromkeys(fact.key for fact in facts)
        self.share(ready, None, facts[0].key)

    def send_missing(self, ready: Ready) -> None:
        """What somebody should have sent before. What was begun had its message, unless it was kept by a worker that may be gone."""
        store, run = self.run.world.store, self.run
        keys = {step_key(run.id, key): (key, seq) for key, seq in ready.starts}
        found = store.get_many(list(keys)) if keys else {}
        begun = {at for at, item in found.items() if item["state"] != State.RELEASED and "of" not in item}
        self.send(Ready([start for at, start in keys.items() if at not in begun], ready.messages))

    def send(self, ready: Ready) -> None:
        """All of it to the lanes."""
        self.run.send(ready.messages + branches.messages(self.run, ready.starts))

    def share_collected(self) -> None:
        facts, self.collected = self.collected or [], None
        if facts:
            self.go_on_from(facts)

    def finish(self) -> None:
        """The last look, and telling what happened.

        Whoever ends without handing on reads control once more: a stop that was written meanwhile waits for just this claim,
        and a run in which only people can act now is shown as waiting.
        """
        run = self.run
        self.drain()
        if self.loose and not run.must_settle and not run.is_over:
            run.read_control(*self.loose)
            run.must_settle = ("people" in run.control or run.is_stopping(*self.loose)) and not run.is_over
        if run.must_settle:
            from .settle import settle  # on demand: with its walk, checkpoints and compensation it is a third of the engine

            settle(run, self, repair=self.repair)
            self.drain()
        run.publish()
