"""The invariants have teeth: each rule that is taken away is missed, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
from treadle.engine.items import step_key
from treadle.simulation.explore import Case, Explorer, unchanged
from treadle.simulation.faults import Planned
from treadle.simulation.invariants import INVARIANTS, Watch
from treadle.simulation.rest import check, result_of
from treadle.simulation.schedules import InOrder
from treadle.simulation.shapes import catalogue
from treadle.simulation.simulator import Simulation
from treadle.simulation.world import prepare

from . import more_mutants
from .mutants import MUTANTS, Mutant

ALL = [*MUTANTS, *more_mutants.MORE, *more_mutants.VERSIONS]

SEEDS = 150  # of random schedules per shape, until one shows it

Trial = tuple[Explorer, Callable[[Explorer], Case]]


def trials(explorers: Sequence[Explorer], *, rollouts: bool = False) -> Iterator[Trial]:
    """Without faults, with each single one, and in any order; or beside another version."""
    if rollouts:
        for seed in range(SEEDS):
            yield from ((explorer, lambda it, seed=seed: it.in_rollout(seed)) for explorer in explorers)
        return
    for explorer in explorers:
        yield explorer, Explorer.with_faults
        for fault in explorer.singles():
            yield explorer, lambda it, fault=fault: it.with_faults(fault)
    for seed in range(SEEDS):
        for explorer in explorers:
            yield explorer, lambda it, seed=seed: it.at_random(seed)


def invariants_in(case: Case) -> set[str]:
    return {violation.invariant for violation in case.violations}


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.name)
def test_a_rule_taken_away_is_missed(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    explorers = [Explorer(prepare(catalogue()[name])) for name in mutant.shapes.split()]
    seen: set[str] = set()
    for explorer, trial in trials(explorers, rollouts=mutant.rollouts):
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
    assert len({mutant.name for mutant in ALL}) == len(ALL) >= 40


def test_each_invariant_catches_a_mutant_that_is_named_for_it_alone() -> None:
    assert set(INVARIANTS) - {mutant.caught for mutant in ALL} == {"I14"}  # which has a test of its own, below


def test_a_step_that_could_start_while_others_are_waited_for_is_missed() -> None:
    """I14. What would leave one so is mended by whoever comes by next: it is taken out of the table."""
    watch, shape = Watch(), replace(catalogue()["two-signals"], acts=())
    simulation = Simulation(prepare(shape), InOrder(), Planned(), watch)
    simulation.run()
    check(simulation, watch, None, result_of(simulation, simulation.now), 0)
    assert watch.violations == []
    simulation.cloud.store.delete(step_key(simulation.run_id, "s"))
    check(simulation, watch, None, result_of(simulation, simulation.now), 0)
    assert {violation.invariant for violation in watch.violations} == {"I14"}
