"""Thresholds are looked at seldom: a look says how many more failures cannot exceed them, and within that nobody looks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from treadle import TaskError, task
from treadle.engine.reading import Checked
from treadle.engine.thresholds import Limits
from treadle.ports import Page
from treadle.simulation.driver import MemoryEngine

WINDOW = 800  # ms


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    most = draw(st.none() | st.integers(0, 12))
    rate = draw(st.sampled_from([0.1, 0.25, 0.3, 0.5, 2 / 3, 0.9, 1]) | (st.none() if most is not None else st.nothing()))
    return Limits(most, rate, WINDOW)


def ended(outcome: str, at: int) -> dict[str, Any]:
    return {"outcome": outcome, "ended_at": at}


ENDS = st.lists(st.tuples(st.sampled_from(["succeeded", "failed", "caught"]), st.integers(0, 2000)), max_size=40)


@given(limits(), ENDS, ENDS, st.integers(900, 1500), st.integers(0, WINDOW))
def test_within_the_room_that_a_look_leaves_nothing_is_exceeded(limit: Limits, before: Any, after: Any, now: int, later: int) -> None:
    facts = [ended(outcome, min(at, now)) for outcome, at in before]
    seen = limit.see(facts, now)
    if limit.are_exceeded(seen):
        return
    more = [ended(outcome, now + at % (later + 1)) for outcome, at in after]
    failures = [fact for fact in more if fact["outcome"] != "succeeded"][: limit.room(seen)]
    facts += failures + [fact for fact in more if fact["outcome"] == "succeeded"]
    at = min(now + later, limit.until(now))
    assert not limit.are_exceeded(limit.see([fact for fact in facts if fact["ended_at"] <= at], at))


@pytest.mark.parametrize(
    ("limit", "failed", "succeeded", "room"),
    [
        pytest.param(Limits(3, None, WINDOW), 1, 0, 2, id="two more of three"),
        pytest.param(Limits(0, None, WINDOW), 0, 9, 0, id="none may fail"),
        pytest.param(Limits(None, 0.5, WINDOW), 0, 10, 10, id="ten of twenty"),
        pytest.param(Limits(None, 0.5, WINDOW), 5, 5, 0, id="half of them have"),
        pytest.param(Limits(None, 0.3, WINDOW), 1, 9, 2, id="three of twelve, not four of thirteen"),
        pytest.param(Limits(4, 0.5, WINDOW), 0, 10, 4, id="the smaller of both"),
        pytest.param(Limits(None, 1, WINDOW), 5, 0, 1 << 40, id="all of them may"),
    ],
)
def test_the_room_is_all_that_is_sure(limit: Limits, failed: int, succeeded: int, room: int) -> None:
    facts = [ended("failed", 1000)] * failed + [ended("succeeded", 1000)] * succeeded
    assert limit.room(limit.see(facts, 1000)) == room


@task
def one_of_ten(given: Any) -> Any:
    if given % 10 == 9:
        raise TaskError("Odd", permanent=True)
    return given


LOOP = """
id: w
name: W
version: 1.0.0
errorHandling: {onFailure: continue, thresholds: %s}
steps: [{id: f, forEach: input, tolerate: {percent: 100}, task: one_of_ten, with: "${item}"}]
"""


@pytest.mark.parametrize("thresholds", ["{failureRate: 0.5}", "{maxFailedSteps: 140}", "{failureRate: 0.5, maxFailedSteps: 140}"])
def test_a_large_loop_is_not_read_again_at_each_failure(thresholds: str) -> None:
    looks = 0

    class Counted(Checked):
        def query(self, pk: str, **more: Any) -> Page:
            nonlocal looks
            looks += more.get("prefix") == "s#" and "#" not in pk
            return super().query(pk, **more)

    engine = MemoryEngine([one_of_ten])
    engine.world.store = Counted(engine.cloud.store)
    run = engine.run(LOOP % thresholds, list(range(1000)))
    assert run.status == "succeeded"
    assert 0 < looks < 20  # of a hundred failures


@pytest.mark.parametrize(("most", "status"), [(99, "cancelled"), (100, "succeeded")])
def test_not_one_failure_is_overlooked(most: int, status: str) -> None:
    engine = MemoryEngine([one_of_ten])
    run = engine.run(LOOP % f"{{maxFailedSteps: {most}, action: cancel}}", list(range(1000)))
    assert run.status == status
