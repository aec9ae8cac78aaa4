"""Poison hurts nobody beside it, becomes a dead letter, and the run that it belongs to is told; redrive is safe at any time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from treadle import TaskContext, task, topology
from treadle.core.errors import NotFound, Unavailable, WrongState
from treadle.core.model import SCHEMA
from treadle.engine.items import run_key
from treadle.ports import Message
from treadle.simulation.driver import TENANT
from treadle.testing import LocalEngine

from tests.faults.stand import Stand

RAN: list[str] = []


@task
def note(given: Any, context: TaskContext) -> Any:
    RAN.append(context.step_id)
    return given


STEPS = [{"id": "a", "task": "note", "with": 1}, {"id": "b", "after": ["a"], "approval": {}}]
WORK = {"id": "w", "name": "W", "version": "1.0.0", "steps": STEPS}
STEP = {"schema": SCHEMA, "kind": "step", "run": "RUN", "path": "b"}


@pytest.fixture
def stand() -> Stand:
    RAN.clear()
    return Stand([note])


def event(kind: str, **data: Any) -> dict[str, Any]:
    return {"detail-type": kind, "source": "treadle", "detail": {"type": kind, "data": data}}


POISON: list[tuple[str, Any, str]] = [
    ("lane-normal", "{", "not JSON"),
    ("lane-normal", "[]", "must be an object"),
    ("lane-normal", '"step"', "must be an object"),
    ("lane-normal", {"kind": "step", "run": "r", "path": "a"}, "schema"),
    ("lane-normal", {**STEP, "schema": "1"}, "schema"),
    ("lane-normal", {**STEP, "schema": SCHEMA - 2}, "too old"),
    ("lane-normal", {**STEP, "kind": "dance"}, "kind 'dance'"),
    ("lane-normal", {**STEP, "kind": None}, "kind None"),
    ("lane-normal", {"schema": SCHEMA, "kind": "step", "path": "a"}, "without run"),
    ("lane-normal", {"schema": SCHEMA, "kind": "step", "run": "r"}, "without path"),
    ("lane-normal", {**STEP, "run": 7}, "run is not a text"),
    ("lane-normal", {**STEP, "path": ""}, "whose it is"),
    ("lane-normal", {**STEP, "plan": "p"}, "whose it is"),
    ("lane-normal", {**STEP, "also": [1]}, "also is not a list"),
    ("lane-normal", {**STEP, "kind": "chunk"}, "without low, high"),
    ("lane-normal", {**STEP, "kind": "lane", "lane": "x"}, "lane is not a whole number"),
    ("lane-normal", {**STEP, "path": "nowhere"}, "no step nowhere"),
    ("completions", "no", "not JSON"),
    ("completions", {"detail": 1}, "no event"),
    ("completions", event("StepsCompleted", run="r"), "without keys"),
    ("errors", event("StepFailed", run="r", key="a"), "without attempt"),
    ("errors", event("StepFailed", run="r", key="a", attempt="1"), "attempt is not a whole number"),
    ("submissions", "<xml/>", "not JSON"),
    ("submissions", "[]", "no object"),
    ("submissions", {"kind": "schedule", "schema": SCHEMA, "tenant": TENANT}, "not whose"),
    ("submissions", {"source": "x"}, "no event"),
    ("outbox", {"schema": SCHEMA, "kind": "event"}, "without an event"),
    ("outbox", {"schema": SCHEMA, "kind": "event", "event": {"kind": "X", "id": "i", "run_id": "", "time": 0, "data": {}}}, "no source"),
]


@pytest.mark.parametrize(("queue", "message", "why"), POISON, ids=[f"{queue}: {why}" for queue, _, why in POISON])
def test_poison_becomes_a_dead_letter_that_says_why(stand: Stand, queue: str, message: Any, why: str) -> None:
    run_id = stand.start(WORK)
    text = (message if isinstance(message, str) else json.dumps(message)).replace("RUN", run_id)
    stand.cloud.lanes.deliver(queue, text)
    stand.rest()
    (letter,) = stand.letters()
    assert (letter["queue"], letter["receives"]) == (queue, next(it.max_receives for it in topology.QUEUES if it.name == queue))
    assert letter["why"].startswith("Corrupted: ")
    assert why in letter["why"]
    assert stand.operations.dead_letters.show(TENANT, letter["id"])["body"] == text
    assert stand.in_queues() == {}
    assert stand.show(run_id).status == "waiting"


def test_neighbours_in_the_batch_are_done_with_at_once(stand: Stand) -> None:
    run_id = stand.start(WORK)
    stand.rest()
    stand.operations.cancel(TENANT, run_id)
    good = event("StepFailed", run=run_id, key="b", attempt=1)
    bodies = ["{", json.dumps(good), json.dumps(event("StepFailed", run=1, key="b", attempt=1)), json.dumps(good)]
    records = [message.to_record() for message in _delivered(stand, "errors", bodies)]
    errors = next(queue for queue in topology.QUEUES if queue.name == "errors")
    answer = stand.handle(errors, records)
    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == [records[0]["messageId"], records[2]["messageId"]]


def _delivered(stand: Stand, queue: str, bodies: list[str]) -> list[Any]:
    for body in bodies:
        stand.cloud.lanes.deliver(queue, body)
    return stand.cloud.lanes.receive(queue, 10)


@pytest.mark.parametrize("queue", ["lane-normal", "submissions", "outbox"])
def test_a_message_of_a_newer_version_waits_for_a_worker_of_that_version(stand: Stand, queue: str) -> None:
    """It outlasts a deployment of an hour, and is no dead letter before that."""
    stand.cloud.lanes.deliver(queue, json.dumps({**STEP, "schema": SCHEMA + 1, "kind": "schedule" if queue == "submissions" else "leap"}))
    stand.rest(minutes=61)
    assert stand.letters() == []
    assert stand.in_queues() == {queue: 1}


# ------------------------------------------------------------------------------------------------ the run is told


def dies(stand: Stand, run_id: str, path: str = "b") -> dict[str, Any]:
    """A message of the run whose worker is gone each time."""
    stand.cloud.lanes.deliver("lane-normal", json.dumps({**STEP, "run": run_id, "path": path}))
    for _ in range(topology.MAX_RECEIVES):
        assert stand.cloud.lanes.receive("lane-normal", 1)
        stand.cloud.clock.advance(topology.VISIBILITY_S * 1000)
    stand.rest()
    return stand.letters()[0]


def test_the_run_of_a_dead_letter_is_told(stand: Stand) -> None:
    run_id = stand.start(WORK)
    stand.rest()
    letter = dies(stand, run_id)
    assert (letter["run"], letter["path"], letter["kind"], letter["what"]) == (run_id, "b", "step", "step b may begin")
    assert "worker was gone" in letter["why"]
    (seen,) = stand.show(run_id).dead_letters
    assert (seen.id, seen.path, seen.queue) == (letter["id"], "b", "lane-normal")
    assert [entry["id"] for entry in stand.history(run_id) if entry["what"] == "MessageGivenUp"] == [letter["id"]]
    assert [(told["run"], told["letter"]) for told in stand.told("MessageGivenUp")] == [(run_id, letter["id"])]


def test_a_dead_letter_that_is_delivered_twice_is_kept_once(stand: Stand) -> None:
    run_id = stand.start(WORK)
    stand.rest()
    stand.cloud.lanes.deliver("lane-normal-dlq", json.dumps({**STEP, "run": run_id}))
    (taken,) = stand.cloud.lanes.receive("lane-normal-dlq")
    dead = next(queue for queue in topology.DEAD_LETTERS if queue.name == "lane-normal-dlq")
    for _ in range(2):
        stand.handle(dead, [taken.to_record()])
    assert len(stand.letters()) == len(stand.show(run_id).dead_letters) == 1
    assert len({told["letter"] for told in stand.told("MessageGivenUp")}) == 1


def test_a_dead_letter_is_of_the_tenant_of_its_run(stand: Stand) -> None:
    stand.cloud.store.put({"pk": "r1", "sk": "!", "tenant": "acme"})
    stand.cloud.lanes.deliver("lane-normal-dlq", json.dumps({**STEP, "run": "r1"}))
    stand.rest()
    assert (len(stand.letters("acme")), stand.letters()) == (1, [])
    with pytest.raises(NotFound):
        stand.operations.dead_letters.show(TENANT, stand.letters("acme")[0]["id"])


def test_what_eventbridge_could_not_deliver_says_so(stand: Stand) -> None:
    (taken,) = _delivered(stand, "errors-dlq", [json.dumps(event("StepFailed", run="r", key="a", path="a", attempt=1))])
    record = taken.to_record() | {"messageAttributes": {"ERROR_MESSAGE": {"stringValue": "no permission", "dataType": "String"}}}
    stand.handle(next(queue for queue in topology.DEAD_LETTERS if queue.name == "errors-dlq"), [record])
    assert stand.letters()[0]["why"] == "EventBridge: no permission"


def test_what_cannot_be_kept_stays_in_its_queue(stand: Stand) -> None:
    def down(call: str, when: str) -> None:
        if when == "before" and call.startswith("store.put"):
            raise Unavailable("the table is away")

    stand.cloud.lanes.deliver("lane-normal-dlq", "{")
    stand.cloud.listen(down)
    stand.rest(minutes=20)
    stand.cloud.listen(None)
    assert stand.letters() == []
    stand.rest()
    assert len(stand.letters()) == 1


# ------------------------------------------------------------------------------------------------ what becomes of it


def test_redrive_sends_it_again_and_the_history_says_who(stand: Stand) -> None:
    run_id = stand.start(WORK)
    stand.rest()
    letter = dies(stand, run_id)
    done = stand.operations.dead_letters.redrive(TENANT, run=run_id, by="bob")
    assert (done["redriven"], done["kept"], done["next"]) == ([letter["id"]], [], None)
    assert [json.loads(body)["path"] for body in stand.cloud.lanes.bodies("lane-normal")] == ["b"]
    stand.rest()
    assert (stand.letters(), stand.show(run_id).dead_letters) == ([], [])
    assert [(entry["act"], entry["by"]) for entry in stand.history(run_id) if entry["what"] == "Acted"] == [("redrive", "bob")]


def test_what_is_no_object_is_kept_for_it_could_only_come_back(stand: Stand) -> None:
    stand.cloud.lanes.deliver("lane-normal-dlq", "{")
    stand.rest()
    (letter,) = stand.letters()
    (kept,) = stand.operations.dead_letters.redrive(TENANT)["kept"]
    assert "come back" in kept["why"]
    assert [again["id"] for again in stand.letters()] == [letter["id"]]


@pytest.mark.parametrize("chosen", [{"queue": "errors"}, {"run": "r2"}])
def test_only_what_is_asked_for_is_sent_again(stand: Stand, chosen: dict[str, Any]) -> None:
    stand.cloud.lanes.deliver("lane-normal-dlq", json.dumps({**STEP, "run": "r1"}))
    stand.cloud.lanes.deliver("errors-dlq", json.dumps(event("StepFailed", run="r2", key="a", attempt=1)))
    stand.rest()
    stand.operations.dead_letters.redrive(TENANT, **chosen)
    assert [letter["queue"] for letter in stand.letters()] == ["lane-normal"]


LOST = [
    ("submissions", {"detail-type": "RunRequested", "detail": {}}, "no run is started"),
    ("outbox", {"schema": SCHEMA, "kind": "event", "event": {}}, "never hears"),
    ("lane-normal", {**STEP, "run": "gone"}, "not there any more"),
    ("lane-normal", {**STEP}, "sweeper sends again"),
]


@pytest.mark.parametrize(("queue", "message", "lost"), LOST)
def test_dropping_says_what_is_lost(stand: Stand, queue: str, message: dict[str, Any], lost: str) -> None:
    run_id = stand.start(WORK)
    stand.cloud.lanes.deliver(f"{queue}-dlq", json.dumps(message).replace("RUN", run_id))
    stand.rest()
    (letter,) = stand.letters()
    assert lost in stand.operations.dead_letters.show(TENANT, letter["id"])["lost"]
    assert lost in stand.operations.dead_letters.drop(TENANT, letter["id"], by="bob", reason="old")["lost"]
    assert stand.letters() == []
    with pytest.raises(NotFound):
        stand.operations.dead_letters.drop(TENANT, letter["id"])


@pytest.mark.parametrize("verb", ["drop", "redrive"])
def test_a_letter_takes_its_message_with_it(stand: Stand, verb: str) -> None:
    """Where that is too large for an item; not that of another one, which said the same."""
    for _ in range(2):
        stand.cloud.lanes.deliver("outbox-dlq", json.dumps({"schema": SCHEMA, "kind": "event", "event": {"large": "x" * 20_000}}))
    stand.rest()
    letters = stand.letters()
    assert len(stand.cloud.blobs.under("dead/")) == 2
    first, second = (letter["id"] for letter in letters)
    if verb == "drop":
        stand.operations.dead_letters.drop(TENANT, first, by="bob")
    else:
        stand.operations.dead_letters.redrive(TENANT, only=[first])
    assert len(stand.cloud.blobs.under("dead/")) == 1
    assert "xxx" in json.dumps(stand.operations.dead_letters.show(TENANT, second))


def test_a_letter_that_nobody_has_is_not_sent_again(stand: Stand) -> None:
    with pytest.raises(NotFound, match="no dead letter x"):
        stand.operations.dead_letters.redrive(TENANT, only=["x"])


# ------------------------------------------------------------------------------------------------ redrive weeks later

KINDS: list[dict[str, Any]] = [
    {"kind": "step", "path": "a"},
    {"kind": "step", "path": "b"},
    {"kind": "step", "path": "a", "plan": "PLAN", "gen": 1},
    {"kind": "step", "path": "b", "plan": "PLAN", "gen": 1},
    {"kind": "wake", "path": "b"},
    {"kind": "settle", "path": ""},
    {"kind": "settle", "path": "", "plan": "PLAN", "gen": 1},
]


def ended(stand: Stand, run_id: str) -> None:
    stand.operations.approve(TENANT, run_id, "b", by="ann")


def cancelled(stand: Stand, run_id: str) -> None:
    stand.operations.cancel(TENANT, run_id)


def retried(stand: Stand, run_id: str) -> None:
    stand.operations.cancel(TENANT, run_id)
    stand.rest()
    stand.operations.retry(TENANT, run_id, from_step="a")


def expired(stand: Stand, run_id: str) -> None:
    """Its items are gone, all of them."""
    stand.operations.cancel(TENANT, run_id)
    stand.rest()
    for item in stand.cloud.store.items():
        if item["pk"].partition("#")[0] == run_id:
            stand.cloud.store.delete((item["pk"], item["sk"]))


@pytest.mark.parametrize("message", KINDS, ids=lambda message: "-".join(map(str, message.values())))
@pytest.mark.parametrize("meanwhile", [ended, cancelled, retried, expired])
def test_redrive_weeks_later_does_no_harm(stand: Stand, meanwhile: Any, message: dict[str, Any]) -> None:
    run_id = stand.start(WORK)
    stand.rest()
    plan = (stand.cloud.store.get(run_key(run_id)) or {})["plan"]
    stand.cloud.lanes.deliver("lane-normal-dlq", json.dumps({"schema": SCHEMA, "run": run_id, **message}).replace("PLAN", plan))
    stand.rest(minutes=1)
    meanwhile(stand, run_id)
    stand.rest()
    stand.cloud.clock.advance(30 * 86_400_000)
    before, ran = _items_of(stand, run_id), list(RAN)
    assert len(stand.operations.dead_letters.redrive(TENANT)["redriven"]) == 1
    stand.rest()
    assert (stand.in_queues(), stand.letters()) == ({}, [])
    assert ran == RAN
    assert _items_of(stand, run_id) == before


def _items_of(stand: Stand, run_id: str) -> dict[tuple[str, str], Any]:
    """What the run is made of; who redrove what is noted beside it."""
    kept = {}
    for item in stand.cloud.store.items():
        is_noted = item["sk"].startswith(("act#", "dead#"))
        if item["pk"].partition("#")[0] == run_id and not is_noted:
            kept[item["pk"], item["sk"]] = {name: value for name, value in item.items() if name not in ("due", "due_shard")}
    return kept


# ------------------------------------------------------------------------------------------------ on the local stack


def test_on_the_local_stack_poison_dies_is_told_and_its_neighbours_live() -> None:
    with LocalEngine([note], skip_time=True) as engine:
        run_id = engine.start(WORK)
        engine.wait(run_id, "waiting")
        stack = engine.stack
        lanes, letters = stack.wiring.engine.world.lanes, stack.operations.dead_letters
        with stack.pump.request():
            lanes.send([Message("lane-normal", {**STEP, "run": run_id, "kind": "dance"})])
        assert stack.pump.wait(lambda: letters.page("local")[0] or None, 30)
        ((letter,), _) = letters.page("local")
        assert (letter["kind"], letter["run"], letter["receives"]) == ("dance", run_id, topology.MAX_RECEIVES)
        assert "kind 'dance'" in letter["why"]
        assert engine.show(run_id).dead_letters[0].id == letter["id"]
        engine.approve(run_id, "b", by="ann")
        assert engine.wait(run_id).status == "succeeded"
        assert letters.drop("local", letter["id"])["lost"] == "nothing: the run is succeeded"
        assert stack.cloud.dead_letters() == {}


def test_wrong_state_is_what_a_letter_that_is_no_object_is_refused_with(stand: Stand) -> None:
    from treadle.engine import letters

    stand.cloud.lanes.deliver("lane-normal-dlq", "[1]")
    stand.rest()
    with pytest.raises(WrongState):
        letters.redrive(stand.world, TENANT, stand.letters()[0]["id"])
