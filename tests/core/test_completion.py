"""The order in which steps ended, where clocks do not tell it."""

from __future__ import annotations

from typing import Any

import pytest
from treadle.engine.completion import places
from treadle.ports import Item

from tests.core.plans import plan

STEPS = [
    {"id": "a"},
    {"id": "b", "after": ["a"]},
    {"id": "any", "after": ["a", "late"], "join": "any"},
    {"id": "late"},
    {"id": "two", "after": [{"step": "a", "on": "failed"}, "late"], "join": 2},
    {"id": "tidy", "after": ["two"], "join": "done"},
    {"id": "g", "after": ["b"], "group": {"steps": [{"id": "x", "set": 1}, {"id": "y", "after": ["x"], "set": 1}]}},
    {"id": "after", "after": ["g"]},
    {"id": "r", "repeat": {"while": "true", "max": 3}, "group": {"steps": [{"id": "z", "set": 1}]}},
]


def ended(key: str, at: int, **more: Any) -> dict[str, Item]:
    return {key: {"sk": f"s#{key}", "state": "ended", "outcome": "succeeded", "ended_at": at, **more}}


@pytest.mark.parametrize(
    ("items", "order"),
    [
        pytest.param(ended("a", 5) | ended("late", 3), ["late", "a"], id="by their times"),
        pytest.param(ended("a", 500) | ended("b", 3), ["a", "b"], id="an edge is stronger than two clocks"),
        pytest.param(ended("a", 5) | ended("b", 5), ["a", "b"], id="an edge at one instant"),
        pytest.param(ended("late", 9) | ended("any", 7, saw=["a"]) | ended("a", 5), ["a", "any", "late"], id="a join that did not wait"),
        pytest.param(
            ended("a", 5) | ended("late", 9) | ended("two", 4, outcome="dead") | ended("tidy", 6),
            ["a", "two", "tidy", "late"],
            id="a join that could not come about any more",
        ),
        pytest.param(ended("g.y", 1) | ended("g.x", 2) | ended("b", 3) | ended("g", 1), ["b", "g.x", "g.y", "g"], id="what a group holds"),
        pytest.param(ended("after", 1) | ended("g.x", 9) | ended("g", 2), ["g.x", "g", "after"], id="behind a group"),
        pytest.param(ended("g~2.x", 1) | ended("g.y", 9) | ended("g", 2), ["g.y", "g~2.x", "g"], id="attempts of a group"),
        pytest.param(
            ended("r[1].z", 1) | ended("r[0].z", 9) | ended("r[0]", 9) | ended("r[1]", 1) | ended("r", 0),
            ["r[0].z", "r[0]", "r[1].z", "r[1]", "r"],
            id="iterations",
        ),
    ],
)
def test_nothing_ended_before_what_it_came_after(items: dict[str, Item], order: list[str]) -> None:
    found = places(plan(*STEPS), items)
    assert sorted(items, key=lambda key: found[key]) == order
