"""Steps that wait for something outside: a timer, a signal, an approval, a child run, a person.

The waiting item says what for and until when. A fact of something outside is written only where that item still stands, so
of a result, a timeout and a cancel exactly one wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..core import paths
from ..core.errors import ExpressionFault, NotFound, Rejected, Unavailable, WrongState
from ..core.model import SCHEMA, Json, Outcome, RunStatus, State, StepError
from ..ports import Absent, Change, Equals, Item, OneOf, all_of
from . import ending
from .actions import expression_error, remember, reshape
from .admission import waits_no_more
from .asking import asks
from .callbacks import answer_to
from .claims import Claim, claim_of, stands, write_state
from .items import INLINE_LIMIT, decode, encode, error_of, is_fact, mailbox_key, output_key, run_key, step_key
from .names import names
from .results import Waits
from .run import Run
from .schedule import wake
from .stopping import stop_run
from .tries import tries_of

if TYPE_CHECKING:
    from .segment import Segment

PEOPLE = ("approval", "signal", "person")  # nothing goes on by itself while only these are waited for
OPENING_MS = 60_000  # after its start a child may still lack its first messages
MAX_TRIES = 20  # of a write that lost to another one
KNOWN_POSTS = 8  # signals of a name that are known by their numbers: so many may come while one is being written
_OF_MAILBOX = ("queue", "taken", "by", "waiters")
CROWDED = 64 * 1024  # bytes of a mailbox: from there on what comes is kept beside it, and what has reached its step is let go
IN_A_CROWD = 256  # bytes of a payload that lies in a crowded one
MOST_BYTES = 300 * 1024  # an item has at most 400 KB
NOTHING = "null"
MOST_LET_GO = 200  # at a time

__all__ = ["enter", "look", "resolve", "wake"]


def enter(segment: Segment, claim: Claim, waits: Waits) -> None:
    """The step begins to wait."""
    run = segment.run
    kind = waits.wait["for"]
    listed: Item = asks(run, claim.key, run.now) if kind == "approval" else {}
    if not write_state(run, claim, State.WAITING, wait=waits.wait, until=waits.until, **listed).ok:
        return
    item = claim.item(run) | {"state": State.WAITING.value, "wait": waits.wait}
    if waits.until is not None:
        item["until"] = waits.until
    segment.loose[claim.key] = None
    if waits.until is not None:
        run.send(wake(run, claim.key, waits.until))
    if kind in PEOPLE:
        mark_people(run)
    if kind == "signal":
        _try_signal(segment, item)
    elif kind == "callback":
        _try_answer(segment, item)
    elif kind == "child":
        _start_child(segment, item)


def mark_people(run: Run) -> None:
    """From now on whoever has nothing to hand on looks whether only people can act."""
    if "people" not in run.control:
        alive = OneOf("status", (RunStatus.RUNNING.value, RunStatus.WAITING.value, RunStatus.PAUSED.value))
        written = run.world.store.update(run_key(run.id), Change(set={"people": True}, add={"rev": 1}), alive)
        run.control = written.item or run.control


def look(segment: Segment, item: Item) -> None:
    """A message about a waiting step: has what it waits for come, or is its time over?"""
    run, wait = segment.run, item["wait"]
    run.read_control(item["sk"][2:])
    if wait["for"] == "signal" and _try_signal(segment, item):
        return
    if wait["for"] == "child" and _look_at_child(segment, item):
        return
    if wait["for"] == "callback" and _try_answer(segment, item):
        return
    until = item.get("until")
    if until is None or wait["for"] == "person":
        return
    if until > run.now:
        segment.run.send(wake(run, item["sk"][2:], until))
    elif wait["for"] == "timer" and not wait.get("fails"):
        resolve(segment, item, None)
    elif wait.get("ends", until) > run.now:
        told = f"nobody who has the callback's token was heard of for {wait['heartbeat'] / 1000:g} s"
        nobody_was_heard_of = all_of(stands(item), Equals("until", until))
        if segment.failed(claim_of(item), StepError("HeartbeatTimeout", told), nobody_was_heard_of):
            waits_no_more(run, item)
        else:
            _comes_by_later(run, item)
    else:
        give_up_child(run, item)
        segment.failed(claim_of(item), StepError("Timeout", f"the {wait['for']} did not come in time"), stands(item))
        waits_no_more(run, item)


def _comes_by_later(run: Run, item: Item) -> None:
    """Somebody was heard of meanwhile: the message that would have looked then is this one."""
    standing = run.world.store.get((item["pk"], item["sk"])) or {}
    if standing.get("state") == State.WAITING and "until" in standing:
        run.send(wake(run, item["sk"][2:], standing["until"]))


def resolve(segment: Segment, item: Item, result: Json) -> bool:
    """What was waited for has come. False: the step no longer waits."""
    run, claim = segment.run, claim_of(item)
    step = run.step(claim.key)
    try:
        done = reshape(run, step, names(run, claim.key, seen=claim.saw), result)
    except ExpressionFault as fault:
        is_mine = segment.failed(claim, expression_error(fault), stands(item))
        waits_no_more(run, item)
        return is_mine
    following = segment.record(claim, done, stands(item))
    waits_no_more(run, item)
    segment.chain(following)
    return claim.key in segment.recorded


# ------------------------------------------------------------------------------------------------ callbacks


def _try_answer(segment: Segment, item: Item) -> bool:
    """Somebody answered. False: not yet."""
    run, claim = segment.run, claim_of(item)
    told = answer_to(run, item)
    if told is None:
        return False
    if "error" in told:
        segment.failed(claim, StepError(**told["error"]), stands(item))
        waits_no_more(run, item)
        return True
    step = run.step(claim.key)
    if step.cache is not None and claim.given is None:
        remember(run, step, names(run, claim.key, seen=claim.saw), told["output"])
    resolve(segment, item, told["output"])
    return True


# ------------------------------------------------------------------------------------------------ signals


def _try_signal(segment: Segment, item: Item) -> bool:
    """Take the oldest signal of the name, write the fact, and give back if another fact stands. False: none is there."""
    run, name = segment.run, item["wait"]["name"]
    taken = _change_mailbox(run, name, lambda box: _take(box, item))
    if taken is None:
        return False
    payload = run.world.load(decode(taken))
    if not resolve(segment, item, payload) and not _has_come(run, item):
        give_back(run, name, item)
    return True


def _has_come(run: Run, item: Item) -> bool:
    """Another message about the step was faster, and the step has ended with what both took: it is not the next one's."""
    standing = run.world.store.get((item["pk"], item["sk"]))
    return standing is not None and _came(standing)


def give_back(run: Run, name: str, item: Item) -> None:
    """The step ended otherwise. What it had taken is the next one's, who may have looked in vain meanwhile. Safe to repeat.

    Those that have ended are not told: each of them would tell all others again, and so for ever.
    """
    waiters: list[str] = _change_mailbox(run, name, lambda box: _give_back(box, item))
    ended = run.find_facts(waiters)
    tell(run, [key for key in waiters if key not in ended])


def tell(run: Run, waiters: list[str]) -> None:
    """Steps that stand in line are to look. What waited before the run was retried may have been amended away since."""
    known = [key for key in waiters if paths.step_id(key) in run.plan.steps]
    run.send([run.message("wake", key, plan=run.control["plan"], gen=run.generation) for key in known])


def ended_otherwise(run: Run, fact: Item) -> None:
    """A message about a step that has ended: whoever took a signal for it may have died before he gave it back."""
    step = run.plan.steps.get(paths.step_id(fact["sk"][2:]))
    if step is not None and step.action == "signal" and not (run.is_over or _came(fact)):
        give_back(run, str(step.spec["name"]), fact)


def forget(run: Run, item: Item) -> None:
    """The step is to run again: what it ended with before is not taken once more. Safe to repeat."""
    if is_fact(item) and _came(item):
        _change_mailbox(run, str(run.step(item["sk"][2:]).spec["name"]), lambda box: _drop(box, item["sk"][2:], item["fence"]))


def _drop(box: Item, key: str, fence: int) -> None:
    if box["by"].get(key) == fence:
        del box["taken"][key], box["by"][key]


def _came(item: Item) -> bool:
    """The step ended with what it waited for, or what it makes of it failed: an expression. Not by another failure, even where `catch`
    gave it an output."""
    error, number = error_of(item.get("error")), item.get("attempt", 0) - item.get("base", 0)
    failed = error.name if error is not None else next((it.name for it in tries_of(item) if it.number == number), None)
    return failed == "ExpressionError" if failed is not None else is_fact(item) and item["outcome"] == Outcome.SUCCEEDED


def _was_of_no_use(item: Item) -> bool:
    """The last attempt took a payload of which `output` could make nothing: a waiting step fails so in no other way."""
    error = error_of(item.get("error"))
    name = error.name if error is not None else next((each.name for each in reversed(tries_of(item))), None)
    return name == "ExpressionError"


def _take(box: Item, item: Item) -> str | None:
    """The payload that the step took before and that did not reach it, in whichever attempt, or the oldest; None: it waits in line."""
    key = item["sk"][2:]
    if key in box["taken"] and box["by"].get(key, item["fence"]) != item["fence"] and _was_of_no_use(item):
        _drop(box, key, box["by"][key])
    if key in box["taken"]:
        box["by"][key] = item["fence"]
        return str(box["taken"][key])
    if box["queue"]:
        payload = str(box["queue"].pop(0))
        box["taken"][key], box["by"][key] = payload, item["fence"]
        if key in box["waiters"]:
            box["waiters"].remove(key)
        return payload
    if key not in box["waiters"]:
        box["waiters"].append(key)
    return None


def _give_back(box: Item, item: Item) -> list[str]:
    """Whom it may concern. Another attempt of the step may have it by now: then it stays there."""
    key = item["sk"][2:]
    if key in box["taken"] and box["by"].get(key, item["fence"]) == item["fence"]:
        box["queue"].insert(0, box["taken"].pop(key))
        box["by"].pop(key, None)
    return [waiter for waiter in box["waiters"] if waiter != key] if box["queue"] else []


def post(run: Run, name: str, payload: Json) -> list[str]:
    """Keep a signal; the steps that wait for its name. Its number says that it is there already, and may have been taken, where the
    answer to the write was lost and the client made it once more."""
    number = run.world.new_fence()

    def put(box: Item) -> list[str]:
        posts, size = box.get("posts", []), len(_text_of(box).encode())
        if number not in posts:
            if size > MOST_BYTES:
                told = f"run {run.id} keeps {len(box['queue'])} signals {name}: there is room for more once steps have taken some"
                raise WrongState(told)
            box["queue"].append(encode(run.kept(payload, IN_A_CROWD if size > CROWDED else INLINE_LIMIT)))
            box["posts"] = [*posts, number][-KNOWN_POSTS:]
        return list(box["waiters"])

    waiters: list[str] = _change_mailbox(run, name, put)
    return waiters


def _change_mailbox(run: Run, name: str, change: Any) -> Any:
    """One mailbox per run and name, changed by version: in the order of the writes, first in first out."""
    pk, sk = mailbox_key(run.id, name)
    for _ in range(MAX_TRIES):
        standing = run.world.store.get((pk, sk))
        box = standing or {"pk": pk, "sk": sk, "schema": SCHEMA, "rev": 0, "queue": [], "taken": {}, "waiters": []}
        box.setdefault("by", {})  # the fences of those who took
        before = _text_of(box)
        result = change(box)
        if (after := _text_of(box)) == before:
            return result
        if len(after) > CROWDED:
            _let_go(run, box)
        condition = Equals("rev", box["rev"]) if standing else Absent()
        if run.world.store.put({**box, "rev": box["rev"] + 1}, condition).ok:
            return result
    raise Unavailable(f"the mailbox of signal {name} is changing too fast")


def _text_of(box: Item) -> str:
    return encode({name: box[name] for name in _OF_MAILBOX})


def _let_go(run: Run, box: Item) -> None:
    """Of a step that has ended with what it took nobody asks for that any more, only that it took something."""
    keys = {step_key(run.id, key): key for key, payload in box["taken"].items() if payload != NOTHING}
    for at, item in run.world.store.get_many([*keys][:MOST_LET_GO]).items():
        if is_fact(item) and _came(item) and box["by"].get(keys[at]) == item["fence"]:
            box["taken"][keys[at]] = NOTHING


# ------------------------------------------------------------------------------------------------ children


def _start_child(segment: Segment, item: Item) -> None:
    wait = item["wait"]
    given = segment.run.world.load(decode(wait["input"]))
    error = begin_child(segment.run, {**wait, "input": given}, item["sk"][2:])
    if error is not None:
        segment.failed(claim_of(item), error, stands(item))
    elif wait["detached"]:
        resolve(segment, item, wait["child"])


def begin_child(run: Run, wait: Mapping[str, Any], key: str) -> StepError | None:
    """Start the run that is waited for by the step at `key` ("": that undoes one). None, or why it cannot be."""
    from .starting import StartRequest, latest_plan, start  # on demand: few runs start others

    try:
        plan = latest_plan(run.world, run.tenant, wait["workflow"], wait["version"])
    except NotFound:
        told = f"there is no workflow {wait['workflow']}" + (f" {wait['version']}" if wait["version"] else "")
        return StepError("InputInvalid", told, permanent=True)
    faults = _misfits(run, plan, wait["input"])
    if faults:
        at, why = faults[0]
        told = f"the input does not fit the schema of {wait['workflow']}: {why}" + (f" (at {at})" if at else "")
        return StepError("InputInvalid", told, [{"path": at, "message": what} for at, what in faults[:5]], permanent=True)
    parent = None if wait["detached"] else {"run": run.id, "path": key, "plan": run.control["plan"], "gen": run.generation}
    try:
        start(run.world, StartRequest(run.tenant, plan, wait["input"], run_id=wait["child"], parent=parent))
    except Rejected as refusal:
        return _refused(refusal)
    return None


def _refused(refusal: Rejected) -> StepError | None:
    """Of a child run: an input that can never do, or no place for it now (`overflow: reject`)."""
    if refusal.code == "idempotency-conflict":
        return None  # somebody else was faster, before a newer version was registered
    if refusal.code == "concurrency-limit":
        return StepError("Throttled", refusal.message)
    return StepError("InputInvalid", refusal.message, permanent=True)


def give_up_child(run: Run, item: Item) -> None:
    """Nobody waits for the child any more: it is cancelled."""
    wait = item.get("wait", {})
    if wait.get("for") == "child" and not wait["detached"]:
        cancel_child(run, wait["child"])


def cancel_child(run: Run, child_id: str) -> None:
    child = Run(run.world, child_id)
    with suppress(NotFound):
        child.read_control()
        error = {"name": "Cancelled", "message": f"run {run.id} no longer waits for it"}
        stop_run(child, "cancel", error, while_cleaning_up=True)
        child.send([child.message("settle", "", plan=child.control["plan"], gen=child.generation)])


def _misfits(run: Run, plan: str, given: Json) -> list[tuple[str, str]]:
    schema = run.world.plan(plan).source.get("input")
    return run.world.violations(schema, given) if schema is not None and run.world.violations else []


def _look_at_child(segment: Segment, item: Item) -> bool:
    run, wait = segment.run, item["wait"]
    control = run.world.store.get(run_key(wait["child"]))
    if control is None:
        _start_child(segment, item)
        return True
    status = RunStatus(control["status"])
    if not status.is_final and run.now - control["started_at"] < OPENING_MS:
        from .starting import send_again

        send_again(Run(run.world, wait["child"], control))  # by its own plan: a newer version may have been registered since
    if wait["detached"]:
        resolve(segment, item, wait["child"])  # it was started: that is all that was waited for
        return True
    if not status.is_final:
        return False
    if status is RunStatus.SUCCEEDED:
        resolve(segment, item, output_of_run(run.world, control))
    else:
        segment.failed(claim_of(item), error_of_child(control, wait["child"]), stands(item))
    return True


def error_of_child(control: Item, child_id: str) -> StepError:
    """Of a run that ended otherwise than well: one that failed passes its own on."""
    status = RunStatus(control["status"])
    return ending.error_in(control) if status is RunStatus.FAILED else StepError("ChildFailed", f"the child run {child_id} ended {status}")


def output_of_run(world: Any, control: Item) -> Json:
    """A run's output: in its control item when it is small, else in an item of its own."""
    if "output" in control:
        return decode(control["output"])
    item = world.store.get(output_key(control["pk"]))
    return world.load(decode(item["output"])) if item else None
