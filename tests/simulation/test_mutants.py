"""The invariants have teeth: each rule that is taken away is missed, by name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from treadle.simulation.explore import Case, Explorer, unchanged
from treadle.simulation.shapes import catalogue
from treadle.simulation.world import prepare

from .mutants import MUTANTS, Mutant

SEEDS = 150  # of random schedules per shape, until one shows it


def cases_of(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> Iterator[Case]:
    sound = [Explorer(prepare(catalogue()[name])) for name in mutant.shapes]
    if mutant.patch is not None:
        mutant.patch(monkeypatch)
    for explorer in sound:
        explorer.wrap = mutant.wrap or unchanged
        yield explorer.with_faults()
        for fault in explorer.singles():
            yield explorer.with_faults(fault)
    for seed in range(SEEDS):
        for explorer in sound:
            yield explorer.at_random(seed)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_rule_taken_away_is_missed(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    for case in cases_of(mutant, monkeypatch):
        seen |= {violation.invariant for violation in case.violations}
        if seen & set(mutant.caught_by):
            return
    pytest.fail(f"no invariant of {mutant.caught_by} names it; seen: {sorted(seen) or 'nothing'}")


def test_there_are_at_least_forty() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 40
