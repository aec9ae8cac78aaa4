"""How the two are compared: what counts as the same, and how a difference is made small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from treadle.engine.semaphores import Semaphore
from treadle.ports import Item
from treadle.simulation.compare import SLACK_MS, Difference, checker, compare, is_same
from treadle.simulation.generate import Case, case
from treadle.simulation.notebook import CHILDREN
from treadle.simulation.reference_values import ANY_TEXT
from treadle.simulation.shrinking import shrunk, smaller_ones


@pytest.mark.parametrize(
    ("name", "expected", "got", "same"),
    [
        pytest.param("a.output", {"x": [1, None]}, {"x": [1, None]}, True, id="equal JSON"),
        pytest.param("a.output", {"x": 1}, {"x": 1, "y": 2}, False, id="a member more"),
        pytest.param("a.output", True, 1, False, id="true is not one"),
        pytest.param("a.output", [ANY_TEXT], ["run-1"], True, id="an id that the engine makes up"),
        pytest.param("a.output", ANY_TEXT, 5, False, id="an id is text"),
        pytest.param("a.ended", 1000, 1000 + SLACK_MS, True, id="a timer may be late"),
        pytest.param("a.ended", 1000, 999, False, id="a timer is never early"),
        pytest.param("a.ended", None, None, True, id="neither ended"),
        pytest.param("a.ended", None, 5, False, id="only one ended"),
        pytest.param("a.attempts", 0, 1, True, id="failed before its action"),
        pytest.param("a.attempts", 2, 1, False, id="an attempt less"),
    ],
)
def test_what_is_the_same(name: str, expected: Any, got: Any, same: bool) -> None:
    assert is_same(name, expected, got) is same


RED = {"error": "Red"}
AT_ONE_INSTANT = {
    "a group's time is over as its items end": [
        {"id": "a", "group": {"steps": [{"id": "b", "forEach": [1, 2, 3, 4], "wait": "2m"}]}, "timeout": "2m"}
    ],
    "items that fail together": [{"id": "a", "forEach": [1, 2, 3, 4], "tolerate": {"failures": 1}, "wait": "5m", "timeout": "1m"}],
    "a clean-up step without edges beside a failure": [{"id": "a", "join": "done", "wait": "5m"}, {"id": "b", "fail": {"error": "Boom"}}],
}


@pytest.mark.parametrize("steps", AT_ONE_INSTANT.values(), ids=AT_ONE_INSTANT)
def test_what_an_order_leads_to_is_followed(steps: list[dict[str, Any]]) -> None:
    given = Case({"id": "w", "name": "W", "version": "1.0.0", "steps": steps}, {})
    assert [str(one) for number in range(20) if (one := compare(number, given)).differs] == []


TOO_MUCH = {
    "what is cancelled counts once it has ended": (
        {"failureRate": 0.4, "window": "7d"},
        [
            {"id": "w", "forEach": [1, 2], "set": 1},
            {
                "id": "a",
                "forEach": [1, 2, 3],
                "group": {
                    "steps": [
                        {"id": "b", "forEach": [5, 6, 7, 8], "fail": RED, "retry": {"maxAttempts": 3, "delay": "23m", "jitter": "none"}}
                    ]
                },
            },
        ],
    ),
    "a group whose only step was the last straw": (
        {"maxFailedSteps": 1},
        [
            {"id": "a", "forEach": [1], "tolerate": {"failures": 1}, "fail": RED},
            {"id": "c", "group": {"steps": [{"id": "d", "fail": RED}]}, "catch": [{"errors": ["*"], "output": "caught"}]},
        ],
    ),
}


@pytest.mark.parametrize("action", ["fail", "cancel"])
@pytest.mark.parametrize(("rule", "steps"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_ends_as_too_much_has_failed_is_followed(rule: dict[str, Any], steps: list[dict[str, Any]], action: str) -> None:
    handling = {"onFailure": "continue", "thresholds": {**rule, "action": action}}
    given = Case({"id": "w", "name": "W", "version": "1.0.0", "errorHandling": handling, "steps": steps}, {})
    assert [str(one) for number in range(30) if (one := compare(number, given)).differs] == []


UNDOES = {"compensate": {"task": "revert", "with": {"step": "a"}}}
LATER = {"task": "later", "timeout": "1h", "heartbeat": "3m", "retry": {"maxAttempts": 2, "delay": "30m", "jitter": "none"}}
NOTED_FIRST = {
    "what was undone before a retry tells nothing of the order after it": Case(
        {
            "errorHandling": {"onFailure": "compensate"},
            "steps": [
                {"id": "a", "set": 1, **UNDOES},
                {"id": "b", "after": ["a"], "task": "flaky", "with": {"fails": 9, "error": "Red", "value": 1}},
                {"id": "c", "set": 1, "priority": "high", "compensate": {"task": "revert", "with": {"step": "c"}}},
            ],
        },
        {},
        ({"at": "60m", "do": "retry"},),
    ),
    "a loop begins, and others move before its first iteration does": Case(
        {
            "steps": [
                {"id": "w", "wait": "5m"},
                {
                    "id": "a",
                    "after": ["w"],
                    "repeat": {"until": False, "max": 2},
                    "task": "record",
                    "catch": [{"errors": ["*"], "output": 0}],
                },
                {"id": "b", "after": ["w"], "join": "any", "set": 1},
                {"id": "c", "after": ["b"], "task": "record"},
            ]
        },
        {},
    ),
    "an attempt fails, and is tried again, before somebody acts at that instant": Case(
        {"steps": [{"id": "a", **LATER}]}, {}, ({"at": "3m", "do": "beat", "step": "a"},)
    ),
    "a run that goes on is paused again before all of it went on": Case(
        {
            "errorHandling": {"onFailure": "continue", "thresholds": {"failureRate": 0.4, "window": "7d", "action": "pause"}},
            "steps": [
                {"id": "a", "fail": {"error": "Red"}},
                {
                    "id": "b",
                    "forEach": [9, 0],
                    "tolerate": {"failures": 1},
                    "task": "flaky",
                    "with": {"fails": "${item}", "error": "Red", "value": 1},
                },
            ],
        },
        {},
        ({"at": "11m", "do": "resume"},),
    ),
}


def beside_notes(given: Case) -> Case:
    """In so many orders that none is found by chance."""
    steps = [*given.definition["steps"], *({"id": f"n{n}", "task": "record"} for n in range(7))]
    return replace(given, definition={"id": "w", "name": "W", "version": "1.0.0", **given.definition, "steps": steps})


@pytest.mark.parametrize("given", [*map(beside_notes, NOTED_FIRST.values())], ids=NOTED_FIRST)
def test_what_the_engine_did_first_is_first(given: Case) -> None:
    assert [str(one) for number in range(40) if (one := compare(number, given)).differs] == []


def noted(name: str, *after: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "after": list(after), "task": "record", "compensate": {"task": "revert", "with": {"step": name}}, **more}


@pytest.mark.parametrize("join", ["all", "done", 2])
@pytest.mark.parametrize("wide", [0, 6], ids=["few sources", "many sources"])
def test_what_came_after_a_step_at_its_very_instant_is_undone_before_it(join: Any, wide: int) -> None:
    """`b` may be the last that ends, and is the first of its chain; `c` comes after all the same."""
    others = [noted(f"w{n}") for n in range(wide)]
    join = len(others) + 2 if join == 2 else join
    sources = [step["id"] for step in others]
    chain = [noted("a1"), noted("a2", "a1"), noted("a3", "a2"), noted("b"), *others, noted("c", "a3", "b", *sources, join=join)]
    steps = [*chain, {"id": "f", "after": ["c"], "fail": {"error": "Boom"}}]
    given = Case({"id": "w", "name": "W", "version": "1.0.0", "errorHandling": {"onFailure": "compensate"}, "steps": steps}, {})
    assert [str(one) for number in range(20) if (one := compare(number, given)).differs] == []


def queueing(name: str, **more: Any) -> dict[str, Any]:
    """A run of eleven minutes, of which one is live at a time."""
    return {"id": name, "workflow": {"id": "child-queues", "input": {"n": 1}, **more}}


def queued(*steps: dict[str, Any]) -> Case:
    return Case({"id": "w", "name": "W", "version": "1.0.0", "steps": [*steps]}, {}, workflows=CHILDREN)


def at_minute(minute: int, step: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"id": f"w{minute}", "wait": f"{minute}m"}, {**step, "after": [f"w{minute}"]}]


ASKED_AT_ONCE = {
    "all of them waited for": queued(queueing("a"), queueing("b"), queueing("c")),
    "one of them not waited for": queued(queueing("a", wait=False), {"id": "g", "group": {"steps": [queueing("b"), queueing("c")]}}),
    "only the last of them waited for": queued(queueing("a", wait=False), queueing("b", wait=False), queueing("c")),
    "behind one that came before": queued(queueing("a"), *at_minute(1, queueing("b", wait=False)), {**queueing("c"), "after": ["w1"]}),
}


def let_the_latest_in_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's lines are stacks."""
    of_the_engine = Semaphore._change

    def change(semaphore: Semaphore, wanted: Callable[[Item], Any]) -> Any:
        def changed(item: Item) -> Any:
            before = len(item["waiting"])
            result = wanted(item)
            if len(item["waiting"]) > before:
                item["waiting"].insert(0, item["waiting"].pop())
            return result

        return of_the_engine(semaphore, changed)

    monkeypatch.setattr(Semaphore, "_change", change)


@pytest.mark.parametrize("latest_first", [False, True], ids=["in turn", "the latest first"])
@pytest.mark.parametrize("given", [*map(beside_notes, ASKED_AT_ONCE.values())], ids=ASKED_AT_ONCE)
def test_of_runs_that_ask_for_a_place_at_one_instant_any_is_the_first_in_line(
    given: Case, latest_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if latest_first:
        let_the_latest_in_first(monkeypatch)
    assert [str(one) for number in range(20) if (one := compare(number, given)).differs] == []


@pytest.mark.parametrize("is_awaited", [True, False], ids=["waited for", "not waited for"])
def test_runs_that_ask_one_after_another_go_in_that_order(is_awaited: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last of three tells by its end whether the one before it, which may not be waited for, was let in first."""
    given = queued(queueing("a"), *at_minute(1, queueing("b", wait=is_awaited)), *at_minute(2, queueing("c")))
    assert [str(one) for number in range(10) if (one := compare(number, given)).differs] == []
    let_the_latest_in_first(monkeypatch)
    differing = [compare(number, given).things for number in range(10)]
    assert all("ended" in things for things in differing)


def test_a_difference_names_what_is_allowed() -> None:
    assert str(Difference("a.status", "failed", "succeeded")) == 'a.status: expected "failed", got "succeeded"'


def test_any_order_of_what_happens_at_one_instant_is_followed() -> None:
    """Nine notes at once can be written in 362,880 orders: more than could be tried."""
    steps = [{"id": f"s{n}", "task": "record"} for n in range(9)]
    given = Case({"id": "w", "name": "W", "version": "1.0.0", "steps": steps}, {})
    assert [str(one) for number in range(20) if (one := compare(number, given)).differs] == []


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        pytest.param(200_000, 400_000, True, id="noticed when the run went on"),
        pytest.param(400_000, 200_000, True, id="noticed at once"),
        pytest.param(200_000, 600_000, False, id="after it"),
        pytest.param(50_000, 200_000, False, id="before the pause"),
    ],
)
def test_what_ends_in_a_pause_may_be_noticed_until_the_run_goes_on(expected: int, got: int, same: bool) -> None:
    assert is_same("a.ended", expected, got, [(100_000, 400_000)]) is same


def actions_of(steps: list[dict[str, Any]]) -> set[str]:
    inner = [found for step in steps if "group" in step for found in actions_of(step["group"]["steps"])]
    return {*inner, *(name for step in steps for name in ("fail", "wait", "switch") if name in step)}


def test_the_smallest_case_has_nothing_that_could_be_left_out() -> None:
    valid = checker()
    given = next(one for number in range(1000) if "fail" in actions_of((one := case(number)).definition["steps"]))

    def has_a_failure(smaller: Case) -> bool:
        return "fail" in actions_of(smaller.definition["steps"])

    small = shrunk(given, valid, has_a_failure)
    assert has_a_failure(small)
    assert not small.script
    assert not any(has_a_failure(one) and valid.check(one.definition).is_valid for one in smaller_ones(small))


def test_smaller_cases_leave_the_case_alone() -> None:
    given = case(4)
    before = repr(given)
    assert list(smaller_ones(given))
    assert repr(given) == before
