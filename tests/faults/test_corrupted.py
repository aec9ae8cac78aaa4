"""Whatever of a run cannot be read sets that run aside, with a sentence that names it; nothing goes round in circles, and others go on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from treadle import task
from treadle.core.errors import Newer, TreadleError
from treadle.core.model import SCHEMA
from treadle.engine.items import plan_key, run_key
from treadle.engine.reading import fault_of
from treadle.ports import Item, Key
from treadle.simulation.driver import TENANT

from tests.faults.stand import Stand

LARGE = "x" * 9_000


@task
def give(given: Any) -> Any:
    return given


@task
def fails(given: Any) -> Any:
    raise RuntimeError("as it was told to")


CAUGHT = {"errors": ["*"], "output": 0}
STEPS = [
    {"id": "a", "task": "give", "with": {"large": LARGE}},
    {"id": "ask", "after": ["a"], "approval": {}},
    {"id": "again", "task": "fails", "retry": {"maxAttempts": 2, "delay": "2h", "jitter": "none"}, "catch": [CAUGHT]},
    {"id": "each", "forEach": [1, 2], "task": "give", "with": "${item}"},
    {"id": "held", "group": {"steps": [{"id": "inner", "wait": "3h"}]}},
    {"id": "later", "wait": "1h"},
    {"id": "end", "after": ["ask", "again", "each", "held", "later"], "join": "done", "set": "${size(steps.a.output.large)}"},
]
WORK = {"id": "w", "name": "W", "version": "1.0.0", "steps": STEPS, "output": "${steps.end.output}"}
INDEXED = frozenset({"due", "due_shard", "list_pk", "list_sk"})  # keys of an index: the table itself refuses another type


def under_way() -> tuple[Stand, str, str]:
    """Two runs of the same workflow, with steps in every state: (the engine, one, the other)."""
    stand = Stand([give, fails])
    one, other = stand.start(WORK), stand.start(WORK)
    stand.rest(minutes=1)
    return stand, one, other


def items_of(stand: Stand, run_id: str) -> list[Item]:
    return [item for item in stand.cloud.store.items() if item["pk"].partition("#")[0] == run_id]


def go_on(stand: Stand, *runs: str) -> None:
    """A day passes; whoever is asked approves."""
    for run_id in runs:
        control = stand.cloud.store.get(run_key(run_id)) or {}
        if control.get("status") == "waiting" or "quarantine" not in control:
            with suppress(TreadleError):  # of the run that is broken
                stand.operations.approve(TENANT, run_id, "ask", by="ann")
    stand.rest()


def breaks() -> Iterator[tuple[str, str, Any]]:
    """(sk of the item, attribute, what becomes of it)"""
    stand, one, _ = under_way()
    for item in items_of(stand, one):
        if fault_of({**item, "schema": None}) is None:  # of a kind that is not looked at
            continue
        for name in sorted(item.keys() - {"pk", "sk"}):
            yield item["sk"], name, None
            if name not in INDEXED:
                yield item["sk"], name, {"nonsense": [None]}
            if isinstance(item[name], str):
                yield item["sk"], name, "{"


def broken(stand: Stand, run_id: str, sk: str, name: str, value: Any) -> None:
    (item,) = [item for item in items_of(stand, run_id) if item["sk"] == sk]
    kept = {attribute: held for attribute, held in item.items() if attribute != name}
    stand.cloud.store.put(kept if value is None else kept | {name: value})


@pytest.mark.parametrize("case", list(breaks()), ids=lambda case: f"{case[0]} {case[1]} {'gone' if case[2] is None else str(case[2])[:3]}")
def test_a_run_with_a_broken_item_ends_or_is_set_aside_and_the_other_one_ends(case: tuple[str, str, Any]) -> None:
    sk, name, value = case
    stand, one, other = under_way()
    broken(stand, one, sk, name, value)
    before = stand.delivered
    go_on(stand, one, other)
    assert stand.show(other).status == "succeeded"
    assert stand.in_queues() == {}
    assert stand.delivered - before < 300, "no crash loop"
    control = stand.cloud.store.get(run_key(one)) or {}
    if "quarantine" in control:
        told = control["quarantine"]["message"]
        assert (sk in told and name in told) or told.startswith(f"there is no {name}")
        assert [event["error"]["message"] for event in stand.told("RunQuarantined")].count(told) >= 1
    else:
        assert stand.letters() == [] or control.get("status") == "succeeded"


def test_a_run_that_is_set_aside_says_so_and_goes_on_when_it_is_mended() -> None:
    stand, one, _ = under_way()
    (whole,) = [item for item in items_of(stand, one) if item["sk"] == "s#later"]
    broken(stand, one, "s#later", "fence", None)
    stand.rest(minutes=120)
    run = stand.show(one)
    assert (run.status, run.error and run.error["name"]) == ("paused", "Corrupted")
    assert run.error is not None
    assert run.error["message"] == f"item {one} / s#later: fence is missing"
    assert run.steps["later"].why == "what is stored of it cannot be read: fence is missing"
    assert run.steps["a"].status == "succeeded"
    assert stand.history(one)
    stand.cloud.store.put(whole)
    stand.operations.resume(TENANT, one)
    go_on(stand, one)
    run = stand.show(one)
    assert (run.status, run.error, run.output) == ("succeeded", None, len(LARGE))


@pytest.mark.parametrize("gives_up", [False, True])
def test_a_run_that_is_set_aside_while_it_is_being_retried_is_retried_once_it_is_mended(gives_up: bool) -> None:
    stand = Stand()
    steps = [{"id": "a", "set": "${input.x}"}, {"id": "b", "after": ["a"], "fail": {"error": "X"}, "when": "input.x == 1"}]
    run = stand.start({**WORK, "steps": steps, "timeout": "1m", "output": "${steps.a.output}"}, {"x": 1})
    stand.rest()
    (whole,) = [item for item in items_of(stand, run) if item["sk"] == "s#b"]
    broken(stand, run, "s#b", "outcome", None)
    with suppress(TreadleError):
        stand.operations.retry(TENANT, run, from_step="a", input={"x": 2})
    stand.rest()
    seen = stand.show(run)
    assert (seen.status, seen.error and seen.error["name"]) == ("paused", "Corrupted")
    stand.cloud.store.put(whole)
    if gives_up:
        stand.operations.cancel(TENANT, run)
        stand.rest()
        assert stand.show(run).status == "cancelled"
        stand.operations.retry(TENANT, run)
        stand.rest()
        assert (stand.show(run).status, stand.show(run).output) == ("succeeded", 1), "not from `a` on: another retry was"
        return
    stand.operations.resume(TENANT, run)
    stand.rest()
    assert (stand.show(run).status, stand.show(run).output) == ("succeeded", 2)


def test_a_run_that_is_set_aside_can_be_cancelled() -> None:
    stand, one, _ = under_way()
    broken(stand, one, "s#later", "state", "dancing")
    stand.rest(minutes=120)
    assert stand.show(one).status == "paused"
    assert stand.operations.cancel(TENANT, one, by="ann").status == "cancelled"
    stand.rest()
    assert (stand.show(one).status, stand.in_queues()) == ("cancelled", {})
    assert {told["run"] for told in stand.told("RunCancelled")} == {one}


def test_an_object_that_is_gone_is_named() -> None:
    stand, one, other = under_way()
    (item,) = [item for item in items_of(stand, one) if item["sk"] == "s#a"]
    name = json.loads(item["output"])["$ref"].removeprefix("blob:")
    stand.cloud.blobs._contents.pop(name)
    go_on(stand, one, other)
    told = stand.show(one).error
    assert told is not None
    assert told["message"] == f"there is no object {name}, although the run refers to it"
    assert stand.in_queues() == {}


def test_a_plan_that_is_gone_is_named() -> None:
    stand, one, _ = under_way()
    plan = (stand.cloud.store.get(run_key(one)) or {})["plan"]
    stand.cloud.store.delete(plan_key(plan))
    stand.world.plans.clear()
    stand.rest()
    told = stand.show(one).error
    assert told is not None
    assert told["message"] == f"there is no plan {plan}, although the run refers to it"
    assert (stand.show(one).status, stand.show(one).steps, stand.in_queues()) == ("paused", {}, {})


def test_an_item_of_a_newer_version_waits_for_a_worker_of_that_version() -> None:
    stand, one, _ = under_way()
    broken(stand, one, "s#later", "schema", SCHEMA + 1)
    stand.rest(minutes=130)
    assert (stand.show(one).status, stand.letters()) == ("running", [])
    with pytest.raises(Newer):
        stand.world.store.get((one, "s#later"))


KEY: Key = ("r", "s#a")
FACT: Item = {"pk": "r", "sk": "s#a", "schema": SCHEMA, "state": "ended", "outcome": "succeeded", "ended_at": 1, "fence": 2}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, None),
        ({"something": "newer"}, None),
        ({"state": "dancing"}, "state is 'dancing', which is none of claimed, released, retry, waiting, open, ended"),
        ({"outcome": "lost"}, "outcome is 'lost', which is none of"),
        ({"ended_at": "1"}, "ended_at is str, not a whole number"),
        ({"ended_at": True}, "ended_at is bool, not a whole number"),
        ({"output": "{"}, "output is not JSON"),
        ({"error": '{"message": 1}'}, "error is no error: it has no name"),
        ({"schema": SCHEMA - 2}, "too old"),
        ({"schema": SCHEMA - 1}, None),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], fault: str | None) -> None:
    found = fault_of({**FACT, **change})
    assert (found is None) == (fault is None)
    assert fault is None or fault in (found or "")
