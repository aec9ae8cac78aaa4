"""Small scopes are explored completely: nothing that can happen is left out, and no invariant breaks in any of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from math import comb, factorial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from treadle.cli import treadle
from treadle.engine import waits
from treadle.engine.retrying import Reopening
from treadle.engine.run import Run
from treadle.ports import Equals
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
    told = next(states for name, states in races_on_the_page().values() if name == scope.name)
    assert told == pytest.approx(found.states, rel=0.3)  # the page is counted again when the engine makes other calls


PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "reliability.md"
ROW = re.compile(r"^\| ([^|]+) \| `([\w-]+)` \| ([\d,]+) \|$", re.MULTILINE)


@cache
def races_on_the_page() -> dict[str, tuple[str, int]]:
    """By race: its scope, and how many states of it were explored."""
    return {race: (scope, int(states.replace(",", ""))) for race, scope, states in ROW.findall(PAGE.read_text(encoding="utf-8"))}


NAMED = """
duplicate-meets-fused-successor; zombie-fact-then-both-continue; stop-between-fact-and-fused-start; pause-release-vs-resume-frontier;
amend-hold-vs-stale-plan-claim; retry-while-old-generation-runs; crash-between-last-sibling-fact-and-join-send (reads);
crash-between-last-sibling-fact-and-join-send (tree); lane-overrun-and-cursor-ambiguous-write; task-failed-and-PutEvents-failed;
signal-take-vs-timeout-vs-second-waiter; cancel x complete; timeout x complete; approve x timeout; signal x cancel; amend x start;
retry x late result; pause x dispatch; resume x sweeper; compensate x late success; threshold x success
"""


def test_each_race_has_its_row_on_the_page_and_its_scope() -> None:
    page = races_on_the_page()
    assert [race.strip() for race in NAMED.split(";") if race.strip() not in page] == []
    assert {scope for scope, _ in page.values()} == SCOPES.keys()
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


def _relies_on_what_was_read_before(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Run, "still_stands", lambda self, item: True)


def _leaves_nothing_where_it_reopens(patch: pytest.MonkeyPatch) -> None:
    def archive(self: Reopening, key: str) -> None:
        item = self.items[key]
        self.run.world.store.put({**item, "sk": f"a#{self.run.generation - 1}#{key}", "archived": self.run.generation - 1})
        self.run.world.store.delete((item["pk"], item["sk"]), Equals("fence", item["fence"]))

    patch.setattr(Reopening, "archive", archive)


def _gives_a_signal_back_in_silence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(waits, "give_back", lambda run, name, item: waits._change_mailbox(run, name, lambda box: waits._give_back(box, item)))


def _keeps_the_signal_that_it_took(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(waits, "give_back", lambda run, name, item: None)


@pytest.mark.parametrize(
    ("rule", "scope", "invariant"),
    [
        pytest.param(_relies_on_what_was_read_before, "retry-while-old-generation-runs", "I8", id="what was read before a retry"),
        pytest.param(_leaves_nothing_where_it_reopens, "retry-while-old-generation-runs-fused", "I2", id="who held a step by a fact"),
        pytest.param(
            _gives_a_signal_back_in_silence, "signal-take-vs-timeout-vs-second-waiter", "I19", id="a signal given back in silence"
        ),
        pytest.param(_keeps_the_signal_that_it_took, "signal-take-vs-timeout-vs-second-waiter", "I19", id="a signal kept for nothing"),
    ],
)
def test_a_rule_of_one_race_taken_away_is_missed_by_name(
    rule: Callable[[pytest.MonkeyPatch], None], scope: str, invariant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Small(SCOPES[scope])
    rule(monkeypatch)
    assert invariant in {violation.invariant for breach in small.explore().breaches for violation in breach.violations}


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
