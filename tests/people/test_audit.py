"""The audit trail: it has what was asked for, in a chain, and says which record was touched first."""

from __future__ import annotations

import random
from typing import Any

import pytest
from treadle import audit
from treadle.core.errors import Rejected, Unavailable
from treadle.engine.items import encode
from treadle.ports import Absent, Change
from treadle.simulation.driver import TENANT, MemoryEngine

STEPS = "id: w\nname: W\nversion: 1.0.0\nsteps: [{id: ok, approval: {}}, {id: b, after: [ok], set: 1}]\n"


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine()


def waiting(engine: MemoryEngine) -> str:
    run_id = engine.start(STEPS)
    engine.wait(run_id, "waiting")
    return run_id


def records(engine: MemoryEngine) -> list[dict[str, Any]]:
    return engine.operations.audit(TENANT)[0].records


def test_everything_that_somebody_asks_for_is_in_it(engine: MemoryEngine) -> None:
    operations, run_id = engine.operations, waiting(engine)
    operations.register(TENANT, STEPS, by="eve")
    operations.pause(TENANT, run_id, by="ann", reason="lunch")
    operations.resume(TENANT, run_id, by="ann")
    operations.update(TENANT, run_id, {"metadata": {"a": 1}}, by="ann")
    operations.amend(TENANT, run_id, STEPS.replace("set: 1", "set: 2"), by="eve")
    kept = operations.checkpoint(TENANT, run_id, by="ann")
    operations.reject(TENANT, run_id, "ok", by="bob", comment="no")
    engine.wait(run_id)
    operations.retry(TENANT, run_id, by="ann")
    operations.cancel(TENANT, run_id, by="ann")
    operations.rerun(TENANT, run_id, by="ann")
    operations.restore(TENANT, kept["id"], by="ann")
    wanted = ["register", "pause", "resume", "update", "amend", "checkpoint", "reject", "retry", "cancel", "rerun", "restore"]
    assert [record["what"] for record in records(engine)] == wanted
    assert [records(engine)[at]["by"] for at in (0, 1, 6)] == ["eve", "ann", "bob"]
    assert (records(engine)[1]["reason"], records(engine)[6]["comment"]) == ("lunch", "no")


def test_what_was_refused_is_a_further_record(engine: MemoryEngine) -> None:
    run_id = waiting(engine)
    with pytest.raises(Rejected):
        engine.operations.resume(TENANT, run_id, by="ann")
    asked, refused = records(engine)
    assert (asked["what"], refused["what"], refused["of"], refused["code"]) == ("resume", "refused", 1, "wrong-state")
    assert [entry for entry in engine.history(run_id) if entry["what"] == "Acted"] == []


def test_where_it_came_from(engine: MemoryEngine) -> None:
    run_id = waiting(engine)
    with audit.coming_from("192.0.2.1"):
        engine.operations.pause(TENANT, run_id, by="ann")
    engine.operations.resume(TENANT, run_id, by="ann")
    assert [record.get("from") for record in records(engine)] == ["192.0.2.1", None]


def test_each_tenant_has_its_own(engine: MemoryEngine) -> None:
    engine.operations.register(TENANT, STEPS)
    engine.operations.register("rival", STEPS)
    assert len(records(engine)) == 1
    assert engine.operations.audit("rival")[0].head.n == 1


def test_it_comes_in_pages(engine: MemoryEngine) -> None:
    for _ in range(5):
        audit.append(engine.world, TENANT, "pause", "ann", {})
    found, cursor = [], None
    while True:
        trail, cursor = engine.operations.audit(TENANT, limit=2, cursor=cursor)
        found += trail.records
        if cursor is None:
            break
    assert [record["n"] for record in found] == [1, 2, 3, 4, 5]
    assert audit.fault(found, trail.head) is None


@pytest.mark.parametrize("cursor", ["abc", "1", "00000000000x", "\u0660" * 12])
def test_a_cursor_that_is_none_is_refused(engine: MemoryEngine, cursor: str) -> None:
    audit.append(engine.world, TENANT, "pause", "ann", {})
    with pytest.raises(Rejected) as refused:
        engine.operations.audit(TENANT, cursor=cursor)
    assert refused.value.code == "bad-value"


def test_a_writer_that_died_before_the_head_was_moved_is_followed(engine: MemoryEngine) -> None:
    audit.append(engine.world, TENANT, "pause", "ann", {})
    audit.append(engine.world, TENANT, "pause", "bob", {})
    first = records(engine)[0]
    engine.world.store.update((f"audit#{TENANT}#head", "head"), Change(set={"n": 1, "hash": first["hash"]}))
    assert audit.append(engine.world, TENANT, "resume", "eve", {}) == 3
    trail, _ = engine.operations.audit(TENANT)
    assert (audit.fault(trail.records, trail.head), trail.head.n) == (None, 3)


def test_what_cannot_be_recorded_is_not_done(engine: MemoryEngine) -> None:
    run_id = waiting(engine)
    for number in range(1, audit.MAX_TRIES + 1):  # others are always one ahead
        body = {"n": number, "hash": "0"}
        pk = f"audit#{TENANT}"
        engine.world.store.put({"pk": pk, "sk": f"{number:012d}", "record": encode(body)}, Absent())
    with pytest.raises(Unavailable):
        engine.operations.pause(TENANT, run_id, by="ann")
    assert engine.show(run_id).status == "waiting"


# ------------------------------------------------------------------------------------------------ touched


def chain(count: int) -> tuple[list[dict[str, Any]], audit.Head]:
    engine = MemoryEngine()
    for number in range(count):
        audit.append(engine.world, TENANT, "pause", "ann", {"run": f"r{number}"})
    trail, _ = engine.operations.audit(TENANT)
    return trail.records, trail.head


def rehashed(record: dict[str, Any], **changed: Any) -> dict[str, Any]:
    body = {**record, **changed}
    return {**body, "hash": audit.hash_of(body)}


def test_an_untouched_trail_has_no_fault() -> None:
    assert audit.fault(*chain(5)) is None
    assert audit.fault([], audit.Head(0, audit.FIRST)) is None


@pytest.mark.parametrize(
    ("touch", "number", "what"),
    [
        pytest.param(lambda r: [r[0], {**r[1], "by": "eve"}, *r[2:]], 2, "changed", id="what it says"),
        pytest.param(lambda r: [r[0], rehashed(r[1], by="eve"), *r[2:]], 3, "changed", id="what it says, and its hash"),
        pytest.param(lambda r: [*r[:4], rehashed(r[4], by="eve")], 5, "changed", id="the last one, and its hash"),
        pytest.param(lambda r: [r[0], "nothing", *r[2:]], 2, "changed", id="it is no record any more"),
        pytest.param(lambda r: [r[0], *r[2:]], 2, "removed", id="one in the middle"),
        pytest.param(lambda r: r[1:], 1, "removed", id="the first one"),
        pytest.param(lambda r: r[:-1], 5, "removed", id="the last one"),
        pytest.param(lambda r: [], 1, "removed", id="all of them"),
        pytest.param(lambda r: [r[0], r[2], r[1], *r[3:]], 2, "moved", id="two that changed places"),
    ],
)
def test_the_first_record_that_was_touched_is_named(touch: Any, number: int, what: str) -> None:
    trail, head = chain(5)
    found = audit.fault(touch(trail), head)
    assert found is not None
    assert (found.n, found.what) == (number, what)


@pytest.mark.parametrize("seed", range(20))
def test_no_single_change_goes_unseen(seed: int) -> None:
    draw = random.Random(seed)
    trail, head = chain(6)
    at, name = draw.randrange(6), draw.choice(["n", "at", "what", "before", "by", "run", "hash"])
    touched = [dict(record) for record in trail]
    touched[at][name] = "another" if name != "n" else 99
    found = audit.fault(touched, head)
    assert found is not None
    assert found.n in (at + 1, 99)
