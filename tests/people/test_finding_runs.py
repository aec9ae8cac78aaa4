"""Runs are found by their search attributes, and served in the lane of their priority."""

from __future__ import annotations

from typing import Any

import pytest
from treadle.core.errors import Rejected
from treadle.simulation.driver import TENANT, MemoryEngine
from treadle.topology import LANES, lane

ORDER = """
id: order
name: Order
version: 1.0.0
metadata:
  attributes: {customer: "${input.customer}", total: "${input.total}", urgent: "${input.total > 100}", shop: eu}
steps: [{id: a, wait: 1h}, {id: b, after: [a], task: echo}]
"""


@pytest.fixture
def engine() -> MemoryEngine:
    made = MemoryEngine()
    made.register(ORDER)
    return made


def start(engine: MemoryEngine, customer: str, total: int, **more: Any) -> str:
    return engine.operations.start(TENANT, "order", {"customer": customer, "total": total}, **more).id


def test_of_a_workflow_without_a_name_there_are_no_runs(engine: MemoryEngine) -> None:
    start(engine, "ann", 12)
    assert engine.operations.runs(TENANT, workflow="") == ([], None)


@pytest.mark.parametrize("cursor", ["abc", "9", "0000000000000-", "0000000000000-0123456789abcdefghjkmnpqrs2"])
def test_a_cursor_of_dead_letters_that_is_none_is_refused(engine: MemoryEngine, cursor: str) -> None:
    for ask in (engine.operations.dead_letters.page, engine.operations.dead_letters.redrive):
        with pytest.raises(Rejected) as refused:
            ask(TENANT, cursor=cursor)
        assert refused.value.code == "bad-value"
    assert engine.operations.dead_letters.page(TENANT, cursor="0000000000000-0123456789abcdefghjkmnpqrs") == ([], None)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param({"customer": "ann"}, ["small", "large"], id="a text"),
        pytest.param({"total": "12"}, ["small"], id="a number, as an address has it"),
        pytest.param({"total": 12}, ["small"], id="a number"),
        pytest.param({"urgent": "true"}, ["large", "other"], id="a boolean"),
        pytest.param({"customer": "ann", "urgent": True}, ["large"], id="both"),
        pytest.param({"shop": "us"}, ["other"], id="what the start said stands above the template"),
        pytest.param({"colour": "red"}, [], id="one that nobody has"),
    ],
)
def test_runs_are_found_by_their_attributes(engine: MemoryEngine, wanted: dict[str, Any], found: list[str]) -> None:
    runs = {start(engine, "ann", 12): "small", start(engine, "ann", 900): "large"}
    runs |= {start(engine, "bob", 900, attributes={"shop": "us"}): "other"}
    listed, _ = engine.operations.runs(TENANT, workflow="order", attributes=wanted)
    assert sorted(runs[run.id] for run in listed) == sorted(found)


def test_a_page_is_as_long_as_it_was_asked_to_be_although_most_do_not_match(engine: MemoryEngine) -> None:
    wanted = [start(engine, "ann" if number % 5 == 0 else "bob", number) for number in range(30)][::5]
    seen: list[str] = []
    cursor = None
    while True:
        page, cursor = engine.operations.runs(TENANT, workflow="order", attributes={"customer": "ann"}, limit=2, cursor=cursor)
        seen += [run.id for run in page]
        if cursor is None:
            break
        assert len(page) == 2
    assert sorted(seen) == sorted(wanted)


def test_an_attribute_that_was_changed_is_found_as_it_is_now(engine: MemoryEngine) -> None:
    run_id = start(engine, "ann", 12)
    engine.operations.update(TENANT, run_id, {"attributes": {"customer": "eve", "shop": None}})
    assert [run.id for run in engine.operations.runs(TENANT, attributes={"customer": "eve"})[0]] == [run_id]
    assert engine.operations.runs(TENANT, attributes={"customer": "ann"})[0] == []
    assert engine.operations.runs(TENANT, attributes={"shop": "eu"})[0] == []


def test_attributes_that_fail_for_the_input_refuse_the_run(engine: MemoryEngine) -> None:
    with pytest.raises(Rejected, match=r"metadata\.attributes fails for this input") as refused:
        engine.operations.start(TENANT, "order", {"customer": "ann"})
    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("step", "run", "expected"),
    [
        (None, None, "normal"),
        (None, "low", "low"),
        (None, "critical", "critical"),
        ("high", None, "high"),
        ("high", "low", "high"),
    ],
)
def test_a_step_waits_in_its_own_lane_or_else_in_its_runs(step: str | None, run: str | None, expected: str) -> None:
    engine = MemoryEngine()
    own = f", priority: {step}" if step else ""
    engine.register(f"id: w\nname: W\nversion: 1.0.0\nsteps: [{{id: a, task: echo{own}}}]\n")
    engine.operations.start(TENANT, "w", {}, priority=run)
    waiting = {name: len(engine.cloud.lanes.visible(lane(name))) for name in LANES}
    assert waiting == dict.fromkeys(LANES, 0) | {expected: 1}
