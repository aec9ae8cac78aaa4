"""The simulation is what it says: the same choices give the same trace, and each fault happens, at every call site."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from click.testing import CliRunner
from treadle.cli import treadle
from treadle.core.errors import Rejected
from treadle.simulation.campaign import Orders, OwnWorkflow, reproduce, simulate, simulate_definition, sites
from treadle.simulation.explore import Explorer
from treadle.simulation.faults import Fault, Kind
from treadle.simulation.shapes import Shape, catalogue, shape_of
from treadle.simulation.world import prepare

SHAPES = list(catalogue().values())
SMALL = [shape for shape in SHAPES if shape.is_small]
QUICK = 20  # schedules of each shape in this suite; `make simulate` does more


def told(case_lines: list[str]) -> str:
    return "\n".join(case_lines)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_shape_survives(shape: Shape) -> None:
    """Nothing going wrong, any order, and every third single fault (all of them: `make simulate`)."""
    explorer = Explorer(prepare(shape))
    lines = list(explorer.calm.lines())
    for fault in list(explorer.singles())[::3]:
        lines += explorer.with_faults(fault).lines()
    for seed in range(QUICK):
        lines += explorer.at_random(seed).lines()
    assert not lines, told(lines[:10])


@pytest.mark.parametrize("shape", SMALL, ids=lambda shape: shape.name)
def test_a_small_shape_survives_two_faults(shape: Shape) -> None:
    explorer = Explorer(prepare(shape))
    lines: list[str] = []
    for first in list(explorer.singles())[::11]:
        after_one = explorer.with_faults(first)
        for second in list(explorer.seconds(first, after_one))[::13]:
            lines += explorer.with_faults(first, second).lines()
    assert not lines, told(lines[:10])


def test_the_same_seed_gives_the_same_trace() -> None:
    for name in ("diamond", "for-each-lanes", "compensate", "signal", "cancel"):
        one, again = (Explorer(prepare(catalogue()[name]), keeps_trace=True) for _ in range(2))
        assert [one.at_random(seed).trace for seed in range(5)] == [again.at_random(seed).trace for seed in range(5)]


def test_another_seed_gives_another_trace() -> None:
    explorer = Explorer(prepare(catalogue()["diamond"]), keeps_trace=True)
    assert len({explorer.at_random(seed).trace for seed in range(10)}) > 5


def test_every_planned_fault_happens() -> None:
    explorer = Explorer(prepare(catalogue()["group"]))
    assert all(explorer.with_faults(fault).fired.total() == 1 for fault in explorer.singles())


def test_faults_reach_every_call_site_in_every_way_that_is_possible() -> None:
    """Over all shapes: what the engine calls when nothing goes wrong is where things go wrong."""
    called: Counter[str] = Counter()
    fired: set[tuple[str, Kind]] = set()
    for shape in SHAPES:
        explorer = Explorer(prepare(shape))
        called.update(explorer.calm.calls)
        fired |= {(explorer.calm.calls[fault.call - 1], fault.kind) for fault in explorer.singles()}
    assert fired == {(site, kind) for site in called for kind in Kind if kind.is_possible(site)}
    assert len(SHAPES) >= 24


def test_what_is_lost_goes_up_a_pool_and_finds_its_way_whatever_happens() -> None:
    """The shapes with pools are about something: workers of each of them have something to do."""
    who: dict[str, Counter[str]] = {}
    for name in ("pools", "pools-wide", "pools-undo", "pools-grow", "pools-grow-lanes"):
        explorer = Explorer(prepare(catalogue()[name]))
        calls = [call for fault in list(explorer.singles())[::5] for call in explorer.with_faults(fault).calls]
        who[name] = Counter(call.partition(" ")[0] for call in calls)
    assert all(found["dispatcher-large"] > 0 for found in who.values())
    assert who["pools"]["dispatcher-vast"] > 0


@pytest.mark.parametrize("text", ["17:after", "1:partial", "250:frozen"])
def test_a_fault_is_written_as_it_is_read(text: str) -> None:
    assert str(Fault.parse(text)) == text


@pytest.mark.parametrize("text", ["17", "x:after", "17:never"])
def test_what_is_no_fault_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Fault.parse(text)


# ------------------------------------------------------------------------------------------------ the command

OWN = {
    "id": "own",
    "name": "own",
    "version": "1.0.0",
    "input": {"type": "object", "required": ["who"]},
    "steps": [
        {"id": "greet", "task": "greet", "with": "${input.who}"},
        {"id": "ok", "after": ["greet"], "approval": {"by": ["ann"]}},
        {"id": "all", "after": ["ok"], "forEach": [1, 2, 3], "task": "tell", "with": {"n": "${item}"}},
    ],
}


def test_a_users_own_workflow_is_simulated_with_stand_ins_for_its_tasks() -> None:
    report = simulate_definition(OwnWorkflow(shape_of(OWN, {"who": "ann"})), Orders(seeds=20, seconds=None))
    assert report.violations == []
    assert report.crash_points > 100
    assert {kind for _, kind in sites(report)} >= set(Kind) - {Kind.SKEWED}


def test_what_a_deployment_of_hours_keeps_waiting_is_not_taken_for_endless() -> None:
    """Five items are due in each minute of the nine hours in which nobody can read them."""
    waits = {"id": "waits", "name": "Waits", "version": "1.0.0", "steps": [{"id": "w", "forEach": [1, 2, 3, 4], "wait": "20m"}]}
    case = reproduce(OwnWorkflow(shape_of(waits, {})).explorer(), [], None, 2)
    assert (case.violations, case.result.status) == ((), "succeeded")


def test_an_input_that_does_not_fit_is_refused() -> None:
    with pytest.raises(Rejected, match="who"):
        simulate_definition(OwnWorkflow(shape_of(OWN, {})), Orders())


def test_the_report_counts_what_was_done() -> None:
    report = simulate(["chain"], Orders(seeds=7, seconds=None, pairs=0), jobs=1)
    explorer = Explorer(prepare(catalogue()["chain"]))
    assert (report.shapes, report.schedules, report.crash_points, report.pairs) == (1, 7, len(list(explorer.singles())), 0)
    assert report.is_complete


def test_what_only_the_sweeper_mends_is_counted() -> None:
    told = simulate(["chain"], Orders(seeds=0, rollouts=0, seconds=None, pairs=0), jobs=1).to_json()
    assert told["swept"] == {"faults": 0, "places": {}}
    explorer = Explorer(prepare(catalogue()["for-each-lane-groups"]))
    lies = [fault for fault in explorer.singles() if fault.kind is Kind.AMBIGUOUS]
    swept = [case for fault in lies if (case := explorer.with_faults(fault)).only_swept]
    assert swept
    assert all(case.sweeps and case.result.status == explorer.calm.result.status for case in swept)


def test_a_report_says_when_the_time_was_over() -> None:
    report = simulate(["chain"], Orders(seeds=10_000, seconds=0.2), jobs=1)
    assert not report.is_complete
    assert report.schedules < 10_000


def simulated(*arguments: str) -> Any:
    return json.loads(CliRunner().invoke(treadle, ["simulate", *arguments, "-o", "json"], standalone_mode=False).stdout)


def test_the_command_tells_in_json() -> None:
    done = CliRunner().invoke(
        treadle, ["simulate", "--shape", "chain", "--seeds", "3", "--seconds", "5", "--jobs", "1", "-o", "json"], standalone_mode=False
    )
    report = json.loads(done.stdout)
    assert {"shapes", "schedules", "crash_points", "pairs", "faults_fired", "violations", "seed"} <= report.keys()
    assert (report["shapes"], report["violations"]) == (1, [])


def test_the_command_has_one_case_again() -> None:
    again = simulated("--shape", "chain", "--fault", "call=9:after")
    assert again["status"] == "succeeded"
    assert len(again["trace"]) > 14
