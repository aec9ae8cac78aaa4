"""Every place of the engine from which AWS is called is reached, and at each of them everything goes wrong that can."""

from __future__ import annotations

from functools import cache

import pytest
from treadle.simulation.coverage import EXEMPT, SOURCES, Coverage, is_exempt, place_of, possible
from treadle.simulation.explore import Case, Explorer
from treadle.simulation.faults import Fault, Kind, Planned
from treadle.simulation.places import all_places
from treadle.simulation.shapes import catalogue
from treadle.simulation.world import prepare

# Reached only once something has gone wrong: the shape, and the kind of fault that leads there.
WAYS = {
    "deliveries.py:defer lanes.defer": ("chain", Kind.AMBIGUOUS),
    "engine/amending.py:remove_stale_hold store.update": ("amend", Kind.AMBIGUOUS),
    "engine/chunks.py:_give_back store.delete": ("for-each", Kind.FROZEN),
    "engine/chunks.py:_give_back store.put": ("for-each-beside-a-failure", Kind.AMBIGUOUS),
    "engine/chunks.py:_lane store.get": ("for-each-lanes-beside-a-failure", Kind.AMBIGUOUS),
    "engine/compensation.py:_held store.put": ("compensate", Kind.AMBIGUOUS),
    "engine/outbox.py:relay bus.put": ("chain", Kind.AMBIGUOUS),
    "engine/semaphores.py:Semaphore._waits_still store.get": ("one-at-a-time", Kind.TWICE),
    "engine/suspects.py:given_back store.update": ("for-each", Kind.THROTTLED),
    "engine/suspects.py:remember store.put": ("for-each", Kind.AFTER),
    "engine/waits.py:_has_come store.get": ("signal", Kind.TWICE),
    "engine/walk_loops.py:LoopWalk._chunks_in_hand store.delete": ("for-each-beside-a-failure", Kind.FROZEN),
    "engine/walk_loops.py:LoopWalk._chunks_in_hand store.update": ("for-each-beside-a-failure", Kind.FROZEN),
    "engine/walk_loops.py:LoopWalk._lanes_in_hand store.update": ("for-each-lanes-beside-a-failure", Kind.FROZEN),
    "engine/world.py:World.tell lanes.send": ("chain", Kind.AMBIGUOUS),
}


@cache
def calm() -> dict[str, Case]:
    """Each shape without faults."""
    return {name: Explorer(prepare(shape)).calm for name, shape in catalogue().items()}


def reached() -> set[str]:
    return {place_of(site) for case in calm().values() for site in case.places}


def test_every_place_is_reached_or_it_is_said_why_not() -> None:
    """A single fault at each call of the calm run is tried (`make simulate`, CI): there everything goes wrong that can."""
    there = all_places(*SOURCES)
    exempt = {place for place in there if is_exempt(place)}
    assert there - reached() == WAYS.keys() | exempt
    assert {place if place in EXEMPT else place.partition(":")[0] for place in exempt} == EXEMPT.keys()
    assert len(there) > 100


def test_no_place_is_overlooked_where_the_source_is_read() -> None:
    called = {place for place in reached() if place.startswith(SOURCES)}
    assert called <= all_places(*SOURCES)


@pytest.mark.parametrize("place", WAYS)
def test_what_is_reached_by_a_fault_has_each_fault_too(place: str) -> None:
    shape, leading = WAYS[place]
    explorer = Explorer(prepare(catalogue()[shape]))
    tried = ((fault, explorer.with_faults(fault)) for fault in explorer.singles() if fault.kind is leading)
    first, after_one = next((fault, case) for fault, case in tried if place in map(place_of, case.places))
    at = next(number for number, site in enumerate(after_one.places, 1) if place_of(site) == place)
    site, coverage = after_one.places[at - 1], Coverage()
    for kind in possible(site):
        case = explorer.with_faults(first, Fault(at, kind))
        assert list(case.lines()) == []
        coverage.add(case)
    assert {kind for where, kind in coverage.fired if where == site} == set(possible(site))


def test_what_never_went_wrong_is_told() -> None:
    explorer, coverage = Explorer(prepare(catalogue()["chain"])), Coverage()
    coverage.add(explorer.calm)
    assert len(coverage.unfired) == sum(len(possible(site)) for site in coverage.reached)
    for fault in explorer.singles():
        coverage.add(explorer.with_faults(fault))
    calm_sites = set(explorer.calm.places)
    assert not [line for line in coverage.unfired if line.rpartition(" ")[0] in calm_sites]
    told = coverage.to_json()
    assert (told["places"], told["exempt"]) == (len(all_places(*SOURCES)), dict(EXEMPT))
    assert "engine/walk_loops.py:LoopWalk._chunks store.query" in told["unreached"]


def test_a_planned_fault_that_never_happens_is_a_failure() -> None:
    explorer = Explorer(prepare(catalogue()["chain"]))
    beyond = explorer.with_faults(Fault(len(explorer.calm.calls) + 1, Kind.AFTER))
    assert [line.partition(":")[0] for line in beyond.lines()] == ["1 of 1 planned faults never happened"]
    impossible = Planned.of([Fault(1, Kind.PARTIAL)])
    assert impossible.at(1, "api store.put") is None
