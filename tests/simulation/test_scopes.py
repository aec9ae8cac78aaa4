"""Small scopes are explored completely: nothing that can happen is left out, and no invariant breaks in any of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from math import comb, factorial
from typing import Any

import pytest
from click.testing import CliRunner
from treadle.cli import treadle
from treadle.simulation.choices import Chosen, Moment, Scoped
from treadle.simulation.exhaustive import Exploration, Search
from treadle.simulation.explore import unchanged
from treadle.simulation.exploring import explore
from treadle.simulation.invariants import Watch
from treadle.simulation.rest import Result
from treadle.simulation.schedules import InOrder
from treadle.simulation.scopes import Race, Scope, Small, scopes
from treadle.simulation.shapes import Act, catalogue
from treadle.simulation.world import prepare

from .mutants import MUTANTS

SCOPES = scopes()

# ------------------------------------------------------------------------------------------------ a toy, counted by hand

Work = Callable[[Any], None]  # given a table


def toy(*works: Work, reduced: bool) -> tuple[Exploration, set[str]]:
    """So many workers, each doing its work; what came of it, and what was in the table in the end."""
    prepared = prepare(catalogue()["chain"])
    left: set[str] = set()

    def begins(moment: Moment | None) -> tuple[Scoped, Watch]:
        watch = Watch()
        simulation = Scoped(prepared, InOrder(), Chosen(), watch)
        simulation.acts = []
        table = simulation.wiring.engine.world.store
        for number, work in enumerate(works):
            simulation.begin_at(Act(f"worker {number}"), lambda work=work: work(table))
        return simulation, watch

    def judge(simulation: Scoped, watch: Watch) -> Result:
        left.add(json.dumps([item for item in simulation.cloud.store.items() if item["sk"].startswith("toy")]))
        return Result("over", None, None, None, {}, 0)

    return Search(begins, judge, reduced=reduced).run(), left


def reading(name: str, times: int) -> Work:
    def work(table: Any) -> None:
        for _ in range(times):
            table.get((name, "toy"))

    return work


def counting(table: Any) -> None:
    """Without a condition: of two that do this at once, one may be lost."""
    n = (table.get(("shared", "toy")) or {"n": 0})["n"]
    table.put({"pk": "shared", "sk": "toy", "n": n + 1})


@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 3), (4, 4), (6, 2)])
def test_all_orders_of_two_workers_are_there(n: int, m: int) -> None:
    found, _ = toy(reading("a", n), reading("b", m), reduced=False)
    assert (found.orders, found.states) == (comb(n + m, n), (n + 1) * (m + 1))


def test_all_orders_of_three_workers_are_there() -> None:
    found, _ = toy(reading("a", 2), reading("b", 2), reading("c", 2), reduced=False)
    assert found.orders == factorial(6) // factorial(2) ** 3


def test_of_calls_that_commute_one_order_is_tried() -> None:
    found, _ = toy(reading("a", 4), reading("b", 4), reduced=True)
    assert (found.states, found.transitions) == (25, 24)  # each state is come to once


def test_what_depends_on_the_order_is_found_in_the_reduced_search_as_well() -> None:
    whole, reduced = toy(counting, counting, counting, reduced=False), toy(counting, counting, counting, reduced=True)
    assert whole[1] == reduced[1]
    assert len(reduced[1]) == 3  # 1, 2 or 3 were counted
    assert reduced[0].transitions < whole[0].transitions


@pytest.mark.timeout(600)
def test_a_reduced_search_comes_to_the_same_last_states() -> None:
    small = Small(SCOPES["duplicate-meets-fused-successor"])
    whole, reduced = small.explore(reduced=False), small.explore()
    assert whole.is_complete
    assert whole.last == reduced.last
    assert reduced.transitions < whole.transitions


# ------------------------------------------------------------------------------------------------ the scopes


@pytest.mark.timeout(600)
@pytest.mark.parametrize("scope", SCOPES.values(), ids=lambda scope: scope.name)
def test_a_scope_is_explored_completely(scope: Scope) -> None:
    """No invariant breaks, each race of the scope happened, and the run ended in each way in which it may, and in no other."""
    found = explore(scope)
    assert found.violations == []
    assert found.unmet == []
    assert found.is_complete
    assert found.ends.keys() == set(scope.shape.ends)


NAMED = """
duplicate-meets-fused-successor zombie-fact-then-both-continue pause-release-vs-resume-frontier
amend-hold-vs-stale-plan-claim crash-between-last-sibling-fact-and-join-send
crash-between-last-sibling-fact-and-join-send-tree task-failed-and-PutEvents-failed
cancel-meets-complete timeout-meets-complete approve-meets-timeout
threshold-meets-success signal-meets-cancel amend-meets-start
pause-meets-dispatch resume-meets-sweeper succeed-meets-fail late-answer-meets-timeout retry-timer join wide-join lanes
"""


def test_each_race_is_there_by_its_name() -> None:
    assert set(NAMED.split()) <= SCOPES.keys()
    assert all(scope.races for scope in SCOPES.values())


@pytest.mark.parametrize(
    ("happened", "is_met"),
    [
        ([("a", "x opens"), ("b", "x meets"), ("a", "x closes")], True),
        ([("a", "x opens"), ("a", "x meets"), ("a", "x closes")], False),  # by itself
        ([("b", "x meets"), ("a", "x opens"), ("a", "x closes")], False),  # before
        ([("a", "x opens"), ("b", "x meets"), ("b", "x closes")], False),  # another one's window
        ([("a", "x opens"), ("b", "x meets"), ("a", "x opens"), ("a", "x closes")], False),  # in the one before
    ],
)
def test_a_race_is_met_when_both_were_in_the_window(happened: list[tuple[str, str]], is_met: bool) -> None:
    assert Race("x opens", "x meets", "x closes").is_met(happened) is is_met


# ------------------------------------------------------------------------------------------------ whether it would notice

CAUGHT = {
    "claims are written blindly": "duplicate-meets-fused-successor",
    "a final status is written blindly": "cancel-meets-complete",
    "states on the way are written blindly": "approve-meets-timeout",
    "a message is sent before the fact is written": "join",
    "a join counts and fires": "wide-join",
    "who backs off says nothing": "pause-release-vs-resume-frontier",
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", CAUGHT)
def test_a_rule_taken_away_is_missed_in_its_scope(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == name)
    small = Small(SCOPES[CAUGHT[name]])
    if mutant.patch is not None:
        mutant.patch(monkeypatch)
    small.wrap = mutant.wrap or unchanged
    assert small.explore().breaches


def test_a_breach_is_had_again_by_its_schedule() -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == "claims are written blindly")
    small = Small(SCOPES["duplicate-meets-fused-successor"], mutant.wrap or unchanged)
    breach = small.explore().breaches[0]
    _, watch = small.follow(breach.path)
    assert [violation.invariant for violation in watch.violations] == [violation.invariant for violation in breach.violations]


# ------------------------------------------------------------------------------------------------ the command


def simulated(*arguments: str) -> Iterator[str]:
    done = CliRunner().invoke(treadle, ["simulate", *arguments], standalone_mode=False)
    assert done.exception is None, done.exception
    return iter(done.stdout.splitlines())


def test_the_command_counts_in_json() -> None:
    told = json.loads("".join(simulated("--exhaustive", "--scope", "task-failed-and-PutEvents-failed", "-o", "json")))
    scope = told["scopes"][0]
    assert (told["complete"], told["violations"], scope["name"]) == (True, [], "task-failed-and-PutEvents-failed")
    assert scope["states"] > 50
    assert all(scope["races"].values())


def test_the_command_shows_one_schedule() -> None:
    lines = list(simulated("--scope", "join", "--schedule", "0"))
    assert lines[-1].strip().endswith("bus.put StepsCompleted RunSucceeded")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--scope", "nothing"), "there is no scope nothing"),
        (("--scope", "join", "--schedule", "9"), "no schedule of join"),
        (("--exhaustive", "--schedule", "0"), "needs one --scope"),
    ],
)
def test_what_cannot_be_explored_is_refused(arguments: tuple[str, ...], told: str) -> None:
    done = CliRunner().invoke(treadle, ["simulate", *arguments])
    assert done.exit_code != 0
    assert told in done.output
