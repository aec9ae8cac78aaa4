"""Runs that are removed some time after their end, and those that somebody holds: on the AWS in memory and on the local stack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from treadle import TaskError, task, topology
from treadle.bench.rig import Rig
from treadle.bench.workloads import WORKLOADS
from treadle.core.errors import NotFound, Unavailable, WrongState
from treadle.engine.checkpoints import Why, drop, kept_by_itself, take
from treadle.engine.control import open_run
from treadle.engine.removal import remove
from treadle.engine.retention import MARK
from treadle.engine.run import blobs_of
from treadle.engine.sweeping import over
from treadle.engine.world import Settings
from treadle.simulation.driver import TENANT
from treadle.soak.leftovers import owner
from treadle.testing import LocalEngine

from tests.faults.stand import Stand

DAY_MS = 86_400_000
NEVER = 1 << 62
LARGE = "weft " * 4000
WIDE = 8  # joins of so many are counted in nodes


@task
def give(given: dict[str, Any]) -> Any:
    if given.get("fails"):
        raise TaskError("Torn", permanent=True)
    return given.get("out")


def definition(name: str, *steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": name, "name": name, "version": "1.0.0", "steps": [*steps], **more}


WIDE_STEPS = [{"id": f"b{number}", "task": "give"} for number in range(WIDE)]
UNDO = {"compensate": {"task": "give"}}
SHAPES: dict[str, dict[str, Any]] = {
    "chain": definition("chain", {"id": "a", "task": "give", "with": {"out": LARGE}}, {"id": "b", "after": ["a"], "task": "give"}),
    "a wide join": definition("wide", *WIDE_STEPS, {"id": "z", "after": [step["id"] for step in WIDE_STEPS], "task": "give"}),
    "a wide end in a group": definition("group", {"id": "g", "group": {"steps": WIDE_STEPS}}),
    "a long loop": definition("long", {"id": "f", "forEach": "input.items", "task": "give", "with": {"out": "${item}"}}),
    "a loop with lanes": definition("lanes", {"id": "f", "forEach": "input.items", "maxConcurrency": 70, "task": "give"}),
    "a loop of groups": definition(
        "nested", {"id": "f", "forEach": "[1, 2]", "group": {"steps": [{"id": "g", "forEach": "[1, 2]", "task": "give"}]}}
    ),
    "a repeat": definition("again", {"id": "r", "task": "give", "repeat": {"until": "iteration >= 300", "max": 400}}),
    "compensation": definition(
        "undone",
        {"id": "a", "task": "give", **UNDO},
        {"id": "b", "after": ["a"], "task": "give", "with": {"fails": True}},
        errorHandling={"onFailure": "compensate"},
    ),
    "tolerated failures": definition(
        "torn", {"id": "f", "forEach": "input.items", "task": "give", "with": {"fails": True}, "tolerate": {"failures": 40}}
    ),
}
APART = {"a wide join": "#join#", "a wide end in a group": "#join#", "a loop with lanes": "#cursor#", "a long loop": "#f#2",
         "compensation": "#undo#", "tolerated failures": "#failed#", "a repeat": "#r#1", "a loop of groups": "#f[1].g#0"}  # fmt: skip
ITEMS = {"a long loop": 600, "a loop with lanes": 300, "tolerated failures": 40}


def stand(**kept: int) -> Stand:
    it = Stand([give])
    it.world.settings = replace(it.world.settings, retention=kept or {"*": 30 * DAY_MS}, tally=10)
    return it


def given_to(name: str) -> dict[str, Any]:
    return {"text": LARGE, "items": list(range(ITEMS.get(name, 0)))}


def ended(it: Stand, shape: dict[str, Any], given: Any = None) -> str:
    run_id = it.start(shape, given or {})
    it.rest(minutes=60)
    assert open_run(it.world, run_id, TENANT).status.is_final
    return run_id


def pass_days(it: Stand, days: float) -> None:
    it.cloud.clock.advance(int(days * DAY_MS))
    it.world.lanes.send(over(it.world, it.now()))
    it.rest(minutes=60)


def left(it: Stand, run_id: str) -> list[Any]:
    items = [(item["pk"], item["sk"]) for item in it.cloud.store.items() if owner(item) == run_id or item.get("run") == run_id]
    return [*items, *it.cloud.blobs.under(blobs_of(run_id))]


@pytest.mark.parametrize("name", SHAPES)
def test_nothing_is_left_of_a_run_whose_time_is_over(name: str) -> None:
    it = stand()
    run_id = ended(it, SHAPES[name], given_to(name))
    pass_days(it, 29)
    there = left(it, run_id)
    assert len(there) > 2
    assert any(APART.get(name, run_id) in str(key) for key in there), "what is to be found apart from the steps is there"
    pass_days(it, 2)
    assert left(it, run_id) == []
    with pytest.raises(NotFound):
        it.operations.show(TENANT, run_id)


def test_the_blobs_of_a_run_are_its_own_and_go_with_it() -> None:
    it = stand()
    first, second = (ended(it, SHAPES["chain"], {"text": LARGE}) for _ in range(2))
    assert len(it.cloud.blobs.under(blobs_of(first))) == len(it.cloud.blobs.under(blobs_of(second))) == 2
    assert remove(it.world, first, NEVER) is None
    assert it.cloud.blobs.under(blobs_of(first)) != [], "its time is not over"
    it.cloud.clock.advance(31 * DAY_MS)
    remove(it.world, first, NEVER)
    assert it.cloud.blobs.under(blobs_of(first)) == []
    assert it.operations.show(TENANT, second).steps["a"].output == LARGE


def test_a_time_to_go_at_costs_one_write_unit_at_the_end_and_no_call() -> None:
    def cost(kept: dict[str, int]) -> tuple[float, int]:
        workload = WORKLOADS["chain10"]
        with Rig(settings=Settings(retention=kept)) as rig:
            workflow = rig.register(workload.define())
            with rig.meter.during("working"):
                rig.start(workflow, workload.given)
                rig.drain()
            tally = rig.meter.tallies["working"]
            return tally.wru, tally.calls.total()

    (usual, calls), (kept, calls_kept) = cost({}), cost({"*": DAY_MS})
    assert (kept - usual, calls_kept) == (1, calls)


def test_without_retention_a_run_ends_as_it_always_did() -> None:
    it = Stand([give])
    run_id = ended(it, SHAPES["chain"])
    control = open_run(it.world, run_id, TENANT).control
    assert not control.keys() & {"due", "due_shard"}
    assert over(it.world, it.now() + 1000 * DAY_MS) == []
    assert it.cloud.blobs.under("runs/") == []


KEPT = [
    pytest.param({"*": 30 * DAY_MS, "chain": 2 * DAY_MS}, 3, False, id="a time of its own"),
    pytest.param({"*": 30 * DAY_MS, "chain": 0}, 4000, True, id="kept for ever"),
    pytest.param({"other": 30 * DAY_MS}, 4000, True, id="nothing is said of it"),
]


@pytest.mark.parametrize(("kept", "days", "stays"), KEPT)
def test_each_workflow_may_have_its_own_time(kept: dict[str, int], days: int, stays: bool) -> None:
    it = stand(**kept)
    run_id = ended(it, SHAPES["chain"])
    pass_days(it, days)
    assert (left(it, run_id) != []) is stays


def test_a_run_that_is_under_way_is_never_removed_however_long_it_takes() -> None:
    it = stand()
    run_id = it.start(definition("waits", {"id": "a", "signal": {"name": "go"}}, {"id": "b", "after": ["a"], "task": "give"}))
    it.rest(minutes=60)
    pass_days(it, 400)
    assert remove(it.world, run_id, NEVER) is None
    it.operations.signal(TENANT, run_id, "go", None)
    it.rest(minutes=60)
    assert it.operations.show(TENANT, run_id).status == "succeeded"
    pass_days(it, 29)
    assert left(it, run_id) != []
    pass_days(it, 2)
    assert left(it, run_id) == []


def test_a_child_is_kept_until_its_parent_has_read_what_came_of_it() -> None:
    it = stand(chain=DAY_MS)
    it.operations.register(TENANT, SHAPES["chain"])
    steps: list[dict[str, Any]] = [{"id": "c", "workflow": {"id": "chain"}}, {"id": "s", "after": ["c"], "signal": {"name": "go"}}]
    parent = it.start(definition("parent", *steps))
    it.rest(minutes=60)
    child = next(item["pk"] for item in it.cloud.store.items() if item["sk"] == "!" and item["pk"] != parent)
    pass_days(it, 3)
    assert left(it, child) != []
    it.operations.signal(TENANT, parent, "go", None)
    it.rest(minutes=60)
    pass_days(it, 2)
    assert left(it, child) == []


# ------------------------------------------------------------------------------------------------ whoever dies, and whoever meets


class Dies(Exception):
    """The worker is gone before its next call."""


def dying(it: Stand, calls: int) -> Any:
    """The world of a worker that dies after so many calls."""
    left_over = [calls]

    def counted(port: Any) -> Any:
        class Port:
            def __getattr__(self, name: str) -> Any:
                what = getattr(port, name)

                def call(*given: Any, **more: Any) -> Any:
                    if left_over[0] == 0:
                        raise Dies
                    left_over[0] -= 1
                    return what(*given, **more)

                return call

        return Port()

    return replace(it.world, store=counted(it.cloud.store), blobs=counted(it.cloud.blobs))


@pytest.mark.parametrize("name", ["chain", "a wide join", "a loop of groups", "compensation", "a loop with lanes"])
def test_whoever_removes_a_run_may_die_after_each_call(name: str) -> None:
    it = stand()
    run_id = ended(it, SHAPES[name], given_to(name))
    it.cloud.clock.advance(31 * DAY_MS)
    for calls in range(1, 5000, 7 if ITEMS.get(name) else 1):
        try:
            remove(dying(it, calls), run_id, NEVER)
            break
        except Dies:
            assert it.cloud.store.get((run_id, "!")) is not None, "the control item goes last"
    assert left(it, run_id) == []


def test_what_an_invocation_has_no_time_for_is_done_by_the_next() -> None:
    it = stand()
    run_id = ended(it, SHAPES["a long loop"], given_to("a long loop"))
    it.cloud.clock.advance(31 * DAY_MS)
    assert remove(it.world, run_id, it.now() + 1) == it.now()
    assert MARK in (it.cloud.store.get((run_id, "!")) or {})
    assert remove(it.world, run_id, NEVER) is None
    assert left(it, run_id) == []


def test_a_retry_and_a_removal_that_meet_are_not_both_done() -> None:
    it = stand()
    run_id = ended(it, definition("torn", {"id": "a", "task": "give", "with": {"fails": True}}))
    it.cloud.clock.advance(31 * DAY_MS)
    stale = open_run(it.world, run_id, TENANT)
    remove(it.world, run_id, it.now() + 1)  # marked, and no more
    from treadle.engine.retrying import retry

    with pytest.raises(WrongState):
        retry(stale, None, None)
    with pytest.raises(NotFound):
        it.operations.retry(TENANT, run_id)
    again = ended(it, definition("torn2", {"id": "a", "task": "give", "with": {"fails": True}}))
    it.cloud.clock.advance(31 * DAY_MS)
    it.operations.retry(TENANT, again)
    assert remove(it.world, again, NEVER) is None
    assert left(it, again) != [], "it goes on"


# ------------------------------------------------------------------------------------------------ holds


def test_a_run_that_is_held_stays_until_it_is_released() -> None:
    it = stand()
    run_id = ended(it, SHAPES["chain"])
    held = it.operations.holds.hold(TENANT, run_id, reason="claim 7", by="ann")
    assert held.legal_hold is not None
    assert (held.legal_hold["by"], held.legal_hold["reason"]) == ("ann", "claim 7")
    pass_days(it, 400)
    assert remove(it.world, run_id, NEVER) is None
    assert it.operations.show(TENANT, run_id).steps["a"].output == LARGE
    released = it.operations.holds.release(TENANT, run_id, reason="settled", by="ann")
    assert released.legal_hold is None
    pass_days(it, 0.01)
    assert left(it, run_id) == []


def test_a_run_that_ended_before_there_was_a_time_is_given_it_by_a_hold_that_is_released() -> None:
    it = stand()
    it.world.settings = replace(it.world.settings, retention={})
    run_id = ended(it, SHAPES["chain"])
    it.world.settings = replace(it.world.settings, retention={"*": 30 * DAY_MS})
    pass_days(it, 20)
    it.operations.holds.hold(TENANT, run_id, reason="of before", by="ann")
    it.operations.holds.release(TENANT, run_id, by="ann")
    pass_days(it, 9)
    assert it.operations.show(TENANT, run_id).status == "succeeded"
    pass_days(it, 1.1)
    assert left(it, run_id) == []


def test_a_hold_on_a_run_under_way_holds_when_it_has_ended() -> None:
    it = stand()
    run_id = it.start(definition("waits", {"id": "a", "signal": {"name": "go"}}))
    it.rest(minutes=60)
    it.operations.holds.hold(TENANT, run_id, reason="claim 7")
    it.operations.signal(TENANT, run_id, "go", None)
    it.rest(minutes=60)
    pass_days(it, 400)
    assert left(it, run_id) != []
    it.operations.holds.release(TENANT, run_id)
    pass_days(it, 0.01)
    assert left(it, run_id) == []


def test_who_held_it_and_why_outlives_the_run_in_the_audit_trail() -> None:
    it = stand()
    run_id = ended(it, SHAPES["chain"])
    it.operations.holds.hold(TENANT, run_id, reason="claim 7", by="ann")
    assert next(entry for entry in it.operations.history(TENANT, run_id) if entry.get("act") == "hold")["reason"] == "claim 7"
    it.operations.holds.release(TENANT, run_id, reason="settled", by="bob")
    pass_days(it, 31)
    records = [str(item) for item in it.cloud.store.items() if item["pk"].startswith(f"audit#{TENANT}")]
    for said in ("hold", "claim 7", "ann", "release", "settled", "bob"):
        assert any(said in record and run_id in record for record in records), said


REFUSED: list[tuple[Callable[[Stand, str], Any], type[Exception]]] = [
    (lambda it, run: it.operations.holds.release(TENANT, run), WrongState),
    (lambda it, run: it.operations.holds.hold("other", run, reason="x"), NotFound),
    (lambda it, run: it.operations.holds.hold(TENANT, "nothing", reason="x"), NotFound),
]


@pytest.mark.parametrize(("ask", "refusal"), REFUSED, ids=["nobody holds it", "another tenant's", "no such run"])
def test_holds_that_are_refused(ask: Callable[[Stand, str], Any], refusal: type[Exception]) -> None:
    it = stand()
    with pytest.raises(refusal):
        ask(it, ended(it, SHAPES["chain"]))


def test_a_hold_comes_too_late_for_a_run_that_is_being_removed() -> None:
    it = stand()
    run_id = ended(it, SHAPES["chain"])
    it.cloud.clock.advance(31 * DAY_MS)
    remove(it.world, run_id, it.now() + 1)
    with pytest.raises(NotFound):
        it.operations.holds.hold(TENANT, run_id, reason="x")


# ------------------------------------------------------------------------------------------------ checkpoints


def test_a_checkpoint_that_is_dropped_takes_its_blob_with_it() -> None:
    it = Stand([give])
    run_id = ended(it, SHAPES["a long loop"], given_to("a long loop"))
    run = open_run(it.world, run_id, TENANT)
    take(run, Why.INTERVAL, it.now())
    assert len(it.cloud.blobs.under("checkpoints/")) == 1
    (line,) = kept_by_itself(run)
    drop(run, line)
    assert it.cloud.blobs.under("checkpoints/") == []
    assert kept_by_itself(run) == []


def test_the_checkpoints_of_a_run_go_with_it_and_a_run_restored_from_one_stays_whole() -> None:
    it = stand(chain=DAY_MS, waits=1000 * DAY_MS)
    run_id = ended(it, SHAPES["chain"], {"text": LARGE})
    checkpoint = it.operations.checkpoint(TENANT, run_id)["id"]
    again = it.operations.restore(TENANT, checkpoint).id
    it.rest(minutes=60)
    it.operations.holds.hold(TENANT, again, reason="to look at")
    pass_days(it, 2)
    assert left(it, run_id) == []
    assert it.cloud.blobs.under("checkpoints/") == []
    shown = it.operations.show(TENANT, again)
    assert (shown.status, shown.steps["a"].output, shown.input) == ("succeeded", LARGE, {"text": LARGE})


def test_a_result_from_the_cache_outlives_the_run_that_it_came_from() -> None:
    it = stand(cached=DAY_MS)
    cached = definition("cached", {"id": "a", "task": "give", "with": {"out": LARGE}, "cache": {"key": "'k'", "ttl": "30d"}})
    first = ended(it, cached)
    pass_days(it, 2)
    assert left(it, first) == []
    assert it.operations.show(TENANT, ended(it, cached)).steps["a"].output == LARGE
    assert len(it.cloud.blobs.under("cached/32/")) == 1, "S3 removes it when it cannot be asked for any more"


@pytest.mark.parametrize(
    ("ttl_ms", "begins"),
    [(1, "cached/2/"), (2 * DAY_MS - 1, "cached/2/"), (2 * DAY_MS, "cached/8/"), (399 * DAY_MS, "cached/400/"), (400 * DAY_MS, "")],
)
def test_an_object_of_a_cached_result_outlasts_its_ttl(ttl_ms: int, begins: str) -> None:
    assert topology.cached(ttl_ms) == begins


# ------------------------------------------------------------------------------------------------ on the local stack


def test_on_the_local_stack_a_run_is_removed_when_time_has_passed() -> None:
    config = {"workflow_engine": {"data_retention": {"runs": "30d", "workflows": {"short": "1h"}, "keep": ["long"]}}}
    with LocalEngine(tasks=[give], skip_time=True, config=config) as engine:
        runs = {
            name: engine.run(definition(name, {"id": "a", "task": "give", "with": {"out": LARGE}})).id
            for name in ("short", "usual", "long")
        }
        held = engine.run(definition("short", {"id": "a", "task": "give"})).id
        engine.stack.operations.holds.hold("local", held, reason="claim 7")
        engine.pass_time("2h")
        there = {item["pk"] for item in engine.stack.cloud.items() if item["sk"] == "!"}
        assert there == {runs["usual"], runs["long"], held}
        engine.pass_time("31d")
        there = {item["pk"] for item in engine.stack.cloud.items() if item["sk"] == "!"}
        assert there == {runs["long"], held}
        assert not [item for item in engine.stack.cloud.items() if owner(item) in (runs["short"], runs["usual"])]
        objects = engine.stack.operations.world.blobs.under("runs/")
        assert {name.split("/")[1] for name in objects} <= {runs["long"], held}


def test_time_is_not_skipped_for_the_sake_of_a_removal() -> None:
    with LocalEngine(tasks=[give], skip_time=True, config={"workflow_engine": {"data_retention": {"runs": "30d"}}}) as engine:
        engine.run(definition("a", {"id": "a", "task": "give"}))
        began = engine.stack.cloud.clock.now()
        engine.run(definition("b", {"id": "a", "wait": "1h"}))
        assert engine.stack.cloud.clock.now() - began < 2 * 3_600_000


def test_the_table_that_is_away_is_no_reason_to_lose_count() -> None:
    it = stand()
    run_id = ended(it, SHAPES["chain"])
    it.cloud.clock.advance(31 * DAY_MS)

    class Away:
        def __getattr__(self, name: str) -> Any:
            def fails(*_: Any, **__: Any) -> Any:
                raise Unavailable("away")

            return fails

    with pytest.raises(Unavailable):
        remove(replace(it.world, blobs=Away()), run_id, NEVER)  # type: ignore[arg-type]
    assert remove(it.world, run_id, NEVER) is None
    assert left(it, run_id) == []
