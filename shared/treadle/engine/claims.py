"""Claims: a worker's fenced lease on a step, and the conditional writes that change the one item of a step.

absent -> claimed -> ended; on the way released, retry, waiting or open. Every write names the state and the fence it replaces,
so exactly one of several that try succeeds; the others get the item that stands, send what it calls for, and stop.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from ..core.advance import Fact
from ..core.errors import Newer, NotFound, Unavailable
from ..core.model import SCHEMA, State, StepError
from ..ports import Absent, AtMost, Change, Condition, Equals, Item, Key, OneOf, Present, Written, all_of, any_of
from ..topology import MAX_DELAY_S
from .items import error_text, fact_item, is_fact, shard_of, step_key
from .run import Run
from .semaphores import Place
from .tries import remembered

NOBODY_BEGAN_IT = Absent()
AMENDED = "amended"  # on an item that is somebody's, since the plan was changed meanwhile (`amending`)
UNENDED = tuple(state.value for state in State if state is not State.ENDED)


@dataclass(frozen=True, slots=True)
class Hold:
    """Where a lease lies that is not on the step's own item: that of a chunk, or of a lane's cursor."""

    at: Key
    fence: str = "fence"
    lease: str = "lease"


@dataclass(frozen=True, slots=True)
class Claim:
    """`is_fused`: held through the predecessor's `next`; no item of its own yet. Times in ms."""

    key: str
    fence: int
    lease: int
    attempt: int
    started_at: int  # of the first attempt
    attempt_at: int  # of this one
    losses: int = 0
    seq: int = 0  # greater than that of every step it came after
    base: int = 0  # attempts before a person had the step tried anew: they count no more
    n: int | None = None  # of a loop: how many items it has
    saw: tuple[str, ...] | None = None  # sources that a join `any` / N saw when it was decided
    values: str | None = None  # of a loop: its items, where they lie in the header
    given: str | None = None  # JSON text of an input that a person gave in place of the step's own
    failed: str | None = None  # JSON text of earlier attempts that failed (`tries`)
    of: str | None = None  # begun by whoever ended this step, without a message of its own
    is_fused: bool = False
    turn: int | None = None  # ms: when it may begin, by the task's rate
    looks: int = 0  # that were in vain: it could not run yet
    place: Place | None = None  # what it stood in line for
    hold: Hold | None = None  # None: its lease lies on its own item
    amended: int = 0  # the mark on its item of an amendment that its holder knows of

    @property
    def number(self) -> int:
        """The attempt as users and retry policies count it; `attempt` itself never comes twice."""
        return self.attempt - self.base

    @property
    def is_mine(self) -> Condition:
        """The item is still this claim's, and no fact: one that was written for a lost worker keeps its fence.

        A fused claim may have no item yet.
        """
        still_mine = all_of(Equals("fence", self.fence), OneOf("state", UNENDED), knows_of(self.amended))
        return any_of(Absent(), still_mine) if self.is_fused else still_mine

    @property
    def is_mine_still(self) -> Condition:
        """As `is_mine`, and nothing has come of it yet: no loop or group that is open, nothing that is waited for."""
        still_claimed = all_of(Equals("fence", self.fence), Equals("state", State.CLAIMED.value))
        return any_of(Absent(), still_claimed) if self.is_fused else still_claimed

    def item(self, run: Run) -> Item:
        pk, sk = step_key(run.id, self.key)
        item: Item = {
            "pk": pk,
            "sk": sk,
            "schema": SCHEMA,
            "state": State.CLAIMED.value,
            "fence": self.fence,
            "lease": self.lease,
            "attempt": self.attempt,
            "started_at": self.started_at,
            "attempt_at": self.attempt_at,
            "gen": run.generation,
        }
        optional = {
            "losses": self.losses,
            "base": self.base,
            "seq": self.seq,
            "n": self.n,
            "given": self.given,
            "failed": self.failed,
            "list": self.values,
            "of": self.of,
            "saw": [*self.saw] if self.saw is not None else None,
            "expires": run.control.get("expires"),
        }
        return item | {name: value for name, value in optional.items() if value}


def take(run: Run, key: str, saw: tuple[str, ...] | None = None, of: str | None = None, seq: int = 0) -> Claim | Item:
    """Claim a step that nobody began; the item that stands if somebody did, as it is to be taken over."""
    now = run.now
    claim = Claim(key, run.world.new_fence(), now + run.world.settings.lease_s * 1000, 1, now, now, seq=seq, saw=saw, of=of)
    written = run.world.store.put(claim.item(run), NOBODY_BEGAN_IT)
    standing = written.item or {}
    if standing.get("state") == State.RELEASED:  # nobody may have had it before, though it has an item
        known: Item = {"seq": seq, **({"saw": [*saw]} if saw else {})}
        standing = known | standing | ({"of": of} if of else {})
    return claim if written.ok else standing


def take_over(run: Run, standing: Item, *, attempt: int, losses: int = 0) -> Claim | Item:
    """Claim a step whose item is free again: released, due for its next attempt, or lost with its worker."""
    now = run.now
    before = remembered(claim_of(standing), standing)
    begins_now = standing["state"] == State.RELEASED  # this attempt: others may have been before it
    claim = replace(
        before,
        fence=run.world.new_fence(),
        lease=now + run.world.settings.lease_s * 1000,
        attempt=attempt,
        started_at=now if begins_now and attempt == before.base + 1 else before.started_at,
        attempt_at=now if begins_now or attempt > before.attempt else before.attempt_at,
        losses=losses,
    )
    as_it_was: list[Condition] = [Equals("state", standing["state"]), Equals("fence", standing["fence"])]
    if standing["state"] == State.CLAIMED:
        as_it_was.append(AtMost("lease", now))
    marked = {AMENDED: claim.amended} if claim.amended else {}
    written = run.world.store.put(claim.item(run) | marked, all_of(*as_it_was))
    return claim if written.ok else written.item or {}


def as_unbegun(run: Run, key: str) -> Item:
    """In the place of no item: nobody has begun the step. Who decided before a retry, or an amendment, that it is skipped, or held it
    through the `next` of the one before it, would need nothing but that there is none."""
    pk, sk = step_key(run.id, key)
    item: Item = {"pk": pk, "sk": sk, "schema": SCHEMA, "state": State.RELEASED.value, "fence": run.world.new_fence(), "attempt": 1}
    return item | {"gen": run.generation} | ({"expires": run.control["expires"]} if "expires" in run.control else {})


def fused(previous: Claim, key: str, now: int, seq: int) -> Claim:
    """The successor that a fact names in `next` is held by the same fence and lease."""
    return Claim(key, previous.fence, previous.lease, 1, now, now, seq=seq, is_fused=True)


def renew(run: Run, claim: Claim, until: int) -> bool:
    """Hold it for longer. False: it is somebody else's by now, or over."""
    hold = claim.hold or Hold(step_key(run.id, claim.key))
    still_mine = all_of(Present(hold.lease), Equals(hold.fence, claim.fence))
    return run.world.store.update(hold.at, Change(set={hold.lease: until}), still_mine).ok


def write_fact(run: Run, fact: Fact, claim: Claim, condition: Condition | None = None) -> Written:
    kept: Item = {"of": claim.of, "base": claim.base, "saw": [*claim.saw] if claim.saw else None, "n": claim.n, "failed": claim.failed}
    kept["given"] = claim.given  # for whoever asks what it ran with
    if run.plan.compensates:
        kept["list"] = claim.values  # what is undone inside of a loop may name its item
    item = fact_item(
        run.id,
        fact,
        fence=claim.fence,
        lease=claim.lease,
        generation=run.generation,
        expires=run.control.get("expires"),
        kept=kept,
    )
    return run.world.store.put(item, condition or claim.is_mine)


def write_result(run: Run, fact: Fact, claim: Claim, condition: Condition | None = None) -> tuple[Written, bool]:
    """A fact, and whether the plan was amended while its claim's holder was at work. No successor is held then: it may be another one."""
    written, was_amended = write_fact(run, fact, claim, condition), False
    while condition is None and (known := after_amendment(run, written, claim)) is not None:
        claim, was_amended, run.must_settle = known, True, True
        written = write_fact(run, replace(fact, next=None), claim)
    return written, was_amended


def write_state(
    run: Run, claim: Claim, state: State, condition: Condition | None = None, *, until: int | None = None, **more: Any
) -> Written:
    """The step's item in a state on the way to its fact. `until`: when something is to happen to it (ms)."""
    told = {**more, "until": until, **due_at(run, until)}
    told |= {AMENDED: claim.amended} if state is State.RELEASED and claim.amended else {}  # else it may be skipped by a plan of before
    item = claim.item(run) | {"state": state.value} | {name: value for name, value in told.items() if value is not None}
    item.pop("lease", None)
    written = run.world.store.put(item, condition or claim.is_mine)
    if condition is None and (known := after_amendment(run, written, claim)) is not None:
        return write_state(run, known, state, until=until, **more)
    return written


def write_failed_attempt(run: Run, claim: Claim, error: StepError, until: int | None, condition: Condition | None = None) -> Written:
    """`until`: when the next attempt may begin; None: there is none, the errors handler decides what becomes of the step."""
    return write_state(run, claim, State.RETRY, condition, error=error_text(error), failed_at=run.now, until=until)


@contextmanager
def given_back(run: Run, claim: Claim, **told: int) -> Iterator[None]:
    """Around what is done under a claim: where an AWS service is missing, or something is met that a newer version wrote, the step is
    given back. It is not left to its lease, and not taken for an attempt that was lost with its worker: there may be three of these,
    and an outage, or a deployment, is longer than three leases."""
    try:
        yield
    except (Unavailable, Newer):
        with suppress(Unavailable):
            write_state(run, claim, State.RELEASED, claim.is_mine_still, **told)
        raise
    except NotFound as gone:
        if gone.what == "run":  # it has expired: nothing of it is to be left
            run.world.store.delete(step_key(run.id, claim.key), claim.is_mine_still)
        raise


def due_at(run: Run, until: int | None) -> dict[str, int]:
    """Attributes that put an item into the due index, for times beyond the longest delay of a message."""
    if until is None or until - run.now <= MAX_DELAY_S * 1000:
        return {}
    return {"due": until, "due_shard": shard_of(run.id)}


def claim_of(item: Item) -> Claim:
    """The claim that an item still carries (waiting, open and retry items keep the fence of who wrote them)."""
    return Claim(
        key=item["sk"][2:],
        fence=item["fence"],
        lease=item.get("lease", 0),
        attempt=item.get("attempt", 1),
        started_at=item.get("started_at", 0),
        attempt_at=item.get("attempt_at", 0),
        losses=item.get("losses", 0),
        seq=item.get("seq", 0),
        base=item.get("base", 0),
        n=item.get("n"),
        saw=tuple(item["saw"]) if "saw" in item else None,
        values=item.get("list"),
        given=item.get("given"),
        failed=item.get("failed"),
        of=item.get("of"),
        turn=item.get("turn"),
        looks=item.get("looks", 0),
        place=Place(*item["place"]) if "place" in item else None,
        amended=item.get(AMENDED, 0),
    )


def stands(item: Item) -> Condition:
    """The item is as it was read."""
    return all_of(Equals("state", item["state"]), Equals("fence", item["fence"]), knows_of(item.get(AMENDED, 0)))


def knows_of(mark: int) -> Condition:
    return Equals(AMENDED, mark) if mark else Absent(AMENDED)


def after_amendment(run: Run, written: Written, claim: Claim) -> Claim | None:
    """Nothing was written because the plan was amended while the claim's holder was at work: the claim that knows of it, with control
    read anew. None: it was written, or the claim is lost."""
    standing = written.item or {}
    mark = standing.get(AMENDED, 0)
    if written.ok or mark == claim.amended or standing.get("fence") != claim.fence or is_fact(standing):
        return None
    run.read_control(claim.key)
    return replace(claim, amended=mark)


def is_unbegun(item: Item, closing: str | None) -> bool:
    """Given back, as if nobody had taken it. In a scope that stops a step of which an attempt has run counts as begun (also one that a
    person is having tried anew), and in one that goes on a step that cannot run yet: it is looked at again."""
    has_run = item.get("attempt", 1) > 1 or "ran" in item
    counts = has_run if closing else "look" in item
    return item["state"] == State.RELEASED and "until" not in item and not counts
