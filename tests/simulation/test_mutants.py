"""The invariants have teeth: each rule that is taken away is missed, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from treadle.simulation.explore import Case, Explorer, unchanged
from treadle.simulation.shapes import catalogue
from treadle.simulation.world import prepare

from .mutants import MUTANTS, Mutant

SEEDS = 150  # of random schedules per shape, until one shows it

Trial = tuple[Explorer, Callable[[Explorer], Case]]


def trials(explorers: Sequence[Explorer]) -> Iterator[Trial]:
    """Without faults, with each single one, and in any order."""
    for explorer in explorers:
        yield explorer, Explorer.with_faults
        for fault in explorer.singles():
            yield explorer, lambda it, fault=fault: it.with_faults(fault)
    for seed in range(SEEDS):
        for explorer in explorers:
            yield explorer, lambda it, seed=seed: it.at_random(seed)


def invariants_in(case: Case) -> set[str]:
    return {violation.invariant for violation in case.violations}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_rule_taken_away_is_missed(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    explorers = [Explorer(prepare(catalogue()[name])) for name in mutant.shapes.split()]
    seen: set[str] = set()
    for explorer, trial in trials(explorers):
        with monkeypatch.context() as patching:
            if mutant.patch is not None:
                mutant.patch(patching)
            explorer.wrap = mutant.wrap or unchanged
            found = invariants_in(trial(explorer)) & set(mutant.caught.split())
        seen |= found
        explorer.wrap = unchanged
        if found and not invariants_in(trial(explorer)):  # and the sound engine does not break it
            return
    pytest.fail(f"none of {mutant.caught} names it; seen: {sorted(seen) or 'nothing'}")


def test_there_are_at_least_forty() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 40
