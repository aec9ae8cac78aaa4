"""What may run now: the edge table, the joins, and the law that ties `advance` to `frontier`.

`make plans COUNT=50000` tries the laws on more random plans.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from treadle.core.advance import (
    Edging,
    Fact,
    Tally,
    Verdict,
    advance,
    cleanup,
    decide,
    edging,
    first_live,
    verdict,
)
from treadle.core.model import Outcome
from treadle.core.plan import CHOSEN, Edge

from tests.core.laws import LAWS, ByChance, Pick, advance_starts_what_frontier_would
from tests.core.plans import fact, scope

PLANS = 400

LIVE, DEAD, FAILED, OPEN = Edging.LIVE, Edging.DEAD, Edging.FAILED, Edging.OPEN

# The table of the language page, row by row, written again by hand: plain, succeeded, failed, skipped, done.
EDGES = {
    Outcome.SUCCEEDED: (LIVE, LIVE, DEAD, DEAD, LIVE),
    Outcome.FAILED: (FAILED, DEAD, LIVE, DEAD, LIVE),
    Outcome.BYPASSED: (LIVE, DEAD, DEAD, LIVE, LIVE),
    Outcome.DEAD: (DEAD, DEAD, DEAD, LIVE, DEAD),
    Outcome.BLOCKED: (FAILED, DEAD, DEAD, LIVE, LIVE),
    Outcome.CAUGHT: (DEAD, DEAD, LIVE, DEAD, LIVE),
    Outcome.CANCELLED: (DEAD, DEAD, DEAD, DEAD, LIVE),
}
ON = ("plain", "succeeded", "failed", "skipped", "done")


@pytest.mark.parametrize(
    ("outcome", "on", "expected"),
    [pytest.param(o, on, row[i], id=f"{o} -> {on}") for o, row in EDGES.items() for i, on in enumerate(ON)],
)
def test_an_edge_resolves_as_the_table_says(outcome: Outcome, on: str, expected: Edging) -> None:
    assert edging(Edge("a", on), "b", fact("a", outcome)) is expected


def test_an_edge_is_open_until_its_source_has_ended() -> None:
    assert edging(Edge("a"), "b", None) is OPEN


@pytest.mark.parametrize(
    ("outcome", "chosen", "expected"),
    [
        pytest.param(Outcome.SUCCEEDED, ("b",), LIVE, id="chosen by a switch"),
        pytest.param(Outcome.SUCCEEDED, ("c",), DEAD, id="not chosen"),
        pytest.param(Outcome.CAUGHT, ("b",), LIVE, id="chosen by a catch"),
        pytest.param(Outcome.FAILED, (), FAILED, id="the switch itself failed"),
        pytest.param(Outcome.BYPASSED, (), DEAD, id="a bypassed switch chooses nothing"),
        pytest.param(Outcome.DEAD, (), DEAD, id="a dead switch"),
    ],
)
def test_a_choice_is_an_edge_that_lives_only_when_chosen(outcome: Outcome, chosen: tuple[str, ...], expected: Edging) -> None:
    assert edging(Edge("a", CHOSEN), "b", fact("a", outcome, chosen=chosen)) is expected


START, BLOCKED = Verdict.START, Verdict.BLOCKED


@pytest.mark.parametrize(
    ("join", "width", "tally", "expected"),
    [
        pytest.param("all", 0, Tally(), START, id="a root starts"),
        pytest.param("all", 2, Tally(live=1), None, id="all waits for every edge"),
        pytest.param("all", 2, Tally(live=2), START, id="all live"),
        pytest.param("all", 2, Tally(live=1, dead=1), START, id="one live edge is enough once all are resolved"),
        pytest.param("all", 2, Tally(dead=2), Verdict.DEAD, id="all dead"),
        pytest.param("all", 2, Tally(live=1, failed=1), BLOCKED, id="a failed edge blocks"),
        pytest.param("all", 2, Tally(failed=1), None, id="blocked only when all are resolved"),
        pytest.param("all", 2, Tally(dead=1, failed=1), BLOCKED, id="failed beats dead"),
        pytest.param("any", 3, Tally(live=1), START, id="any at the first"),
        pytest.param("any", 3, Tally(dead=2), None, id="any while one can still live"),
        pytest.param("any", 3, Tally(dead=2, failed=1), Verdict.DEAD, id="any that no edge can start"),
        pytest.param(2, 3, Tally(live=1, dead=1), None, id="two of three, one to come"),
        pytest.param(2, 3, Tally(live=2), START, id="two of three"),
        pytest.param(2, 3, Tally(dead=2), Verdict.DEAD, id="two of three cannot come any more"),
        pytest.param("done", 2, Tally(dead=1), None, id="done waits"),
        pytest.param("done", 2, Tally(dead=1, failed=1), START, id="done runs whatever the outcomes"),
    ],
)
def test_joins(join: str | int, width: int, tally: Tally, expected: Verdict | None) -> None:
    assert decide(join, width, tally) is expected


@pytest.mark.parametrize("join", ["all", "any", "done", 2, 3])
def test_a_join_once_decided_to_start_never_changes_its_mind(join: str | int) -> None:
    width = 3
    for counts in product(range(width + 1), repeat=3):
        tally = Tally(*counts)
        if tally.resolved >= width or decide(join, width, tally) is not START:
            continue
        for more in (Tally(tally.live + 1, tally.dead, tally.failed), Tally(tally.live, tally.dead + 1, tally.failed)):
            assert decide(join, width, more) is START


# ------------------------------------------------------------------------------------------------ the law


@dataclass(frozen=True)
class Drawn:
    """`laws.Pick`, by Hypothesis: what breaks a law is made small."""

    draw: Callable[[st.SearchStrategy[Any]], Any]

    def number(self, least: int, most: int) -> int:
        return int(self.draw(st.integers(least, most)))

    def one_of(self, choices: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(choices))

    def some(self, choices: Sequence[Any], most: int) -> list[Any]:
        return list(self.draw(st.lists(st.sampled_from(choices), unique=True, max_size=most))) if choices else []


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_the_laws_of_advance_and_frontier(law: Callable[[Pick], None]) -> None:
    @given(st.data())
    @settings(max_examples=PLANS)
    def holds(data: st.DataObject) -> None:
        law(Drawn(data.draw))

    holds()


def for_many(law: Callable[[Pick], None]) -> None:
    for number in range(200):
        law(ByChance(Random(number)))


def test_an_advance_that_forgets_skips_is_seen() -> None:
    def forgetful(*of: Any) -> dict[str, Verdict]:
        return {name: found for name, found in advance(*of).items() if found is START}

    with pytest.raises(AssertionError, match=r"unwritten|decided"):
        for_many(lambda pick: advance_starts_what_frontier_would(pick, forgetful))


# ------------------------------------------------------------------------------------------------ details


def test_the_first_live_source_of_a_join_any_is_the_earliest() -> None:
    plan = scope({"id": "a"}, {"id": "b"}, {"id": "c", "after": ["a", "b"], "join": "any"})
    assert first_live(plan.steps["c"], {"a": fact("a", at=7), "b": fact("b", at=3)}) == ("b",)


def test_a_tie_is_broken_by_the_path_so_that_everybody_sees_the_same() -> None:
    plan = scope({"id": "a"}, {"id": "b"}, {"id": "c", "after": ["b", "a"], "join": "any"})
    assert first_live(plan.steps["c"], {"a": fact("a", at=3), "b": fact("b", at=3)}) == ("a",)


def test_of_a_tie_the_first_is_never_one_that_came_after_another() -> None:
    plan = scope({"id": "b"}, {"id": "a", "after": ["b"]}, {"id": "c", "after": ["b", "a"], "join": "any"})
    facts = {"a": replace(fact("a", at=3), seq=1), "b": replace(fact("b", at=3), seq=0)}
    assert first_live(plan.steps["c"], facts) == ("b",)


def test_a_join_n_saw_every_source_that_had_ended() -> None:
    plan = scope({"id": "a"}, {"id": "b"}, {"id": "c"}, {"id": "d", "after": ["a", "b", "c"], "join": 2})
    assert first_live(plan.steps["d"], {"a": fact("a"), "c": fact("c", Outcome.FAILED)}) == ("a", "c")


CLEANING = (
    {"id": "a"},
    {"id": "b", "after": ["a"]},
    {"id": "tidy", "after": ["b"], "join": "done"},
    {"id": "last", "after": ["tidy"], "join": "done"},
)


@pytest.mark.parametrize(
    ("facts", "under_way", "expected"),
    [
        pytest.param({"a": fact("a", Outcome.FAILED)}, set(), {"tidy"}, id="a source that never starts counts as ended"),
        pytest.param({}, {"a"}, {"tidy"}, id="whatever runs elsewhere does not hold it up"),
        pytest.param({"a": fact("a")}, {"b"}, set(), id="a source that is under way does"),
        pytest.param({"a": fact("a", Outcome.FAILED)}, {"tidy"}, set(), id="the clean-up after a clean-up waits for it"),
        pytest.param({"a": fact("a", Outcome.FAILED), "tidy": fact("tidy")}, set(), {"last"}, id="and follows it"),
    ],
)
def test_clean_up_steps_of_a_stopping_scope(facts: dict[str, Fact], under_way: set[str], expected: set[str]) -> None:
    assert cleanup(scope(*CLEANING), facts, frozenset(under_way)) == expected


def test_verdict_reads_only_the_sources() -> None:
    plan = scope({"id": "a"}, {"id": "b", "after": ["a"]})
    assert verdict(plan.steps["b"], {}) is None
    assert verdict(plan.steps["b"], {"a": fact("a")}) is START
