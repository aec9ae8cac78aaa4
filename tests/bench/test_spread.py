"""How the engine shares work out, and what it loses when workers die: with many workers at once, in the simulation."""

from __future__ import annotations

from typing import Any

import pytest
from treadle.bench.spread import LIMIT, WORKERS, each, loss, side_by_side, spread

PLACES: dict[str, Any] = {"concurrency": {"key": "'k'", "limit": LIMIT}}


@pytest.mark.parametrize(
    ("definition", "task_ms", "at_once", "busy", "most"),
    [
        pytest.param(each(300, 1000), 1000, WORKERS, 0.6, 1, id="slow items"),
        pytest.param(each(300, 100), 100, 30, 0.4, 12, id="quick ones"),
        pytest.param(each(300, 100, maxConcurrency=50), 100, 50, 1.0, 6, id="in lanes"),
        pytest.param(side_by_side(200, 1000), 1000, WORKERS, 0.6, 1, id="slow steps"),
    ],
)
def test_work_is_with_many_workers_and_with_none_for_long(definition: Any, task_ms: int, at_once: int, busy: float, most: int) -> None:
    found = spread("it", definition, task_ms)
    assert found["at_once"] >= at_once
    assert found["busy"] >= busy
    assert found["each"][2] <= most, "of one delivery"


def test_places_do_not_leak_when_workers_die() -> None:
    found = loss("it", each(100, 100, **PLACES), 11)
    assert found["died"] >= 3
    assert found["attempts"] == 100 + found["died"]
    assert (found["status"], found["ended"], found["held"]) == ("succeeded", 101, 0)
    assert found["at_once"] <= LIMIT


@pytest.mark.parametrize(
    ("definition", "status"),
    [
        pytest.param(side_by_side(30, 100, 7), "failed", id="a step"),
        pytest.param(each(30, 100, 7, tolerate={"failures": 1}), "succeeded", id="an item"),
        pytest.param(each(30, 100, 7, tolerate={"failures": 1}, maxConcurrency=3), "succeeded", id="an item in a lane"),
        pytest.param(
            each(30, 100, 7, tolerate={"failures": 1}, retry={"except": ["Interrupted"]}), "succeeded", id="one that is to run once"
        ),
    ],
)
def test_what_outlasts_every_worker_is_given_up_and_takes_nothing_with_it(definition: Any, status: str) -> None:
    found = loss("it", definition)
    times = 1 if "retry" in definition["steps"][0] else 4
    assert (found["status"], found["failed"], found["attempts"]) == (status, 1, 29 + times)
