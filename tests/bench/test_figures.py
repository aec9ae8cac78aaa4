"""The figures: the same each time, within their gates, and flat at any size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from treadle import TaskError, task, topology
from treadle.bench import gates, report
from treadle.bench.meter import RUNS, Tally
from treadle.bench.prices import LIST
from treadle.bench.rig import Rig, Stuck
from treadle.bench.workloads import WORKLOADS, Workload, scaled

QUICK = ("chain10", "chain100", "fan100", "fan1000", "diamond", "montage", "loop100", "branches100", "mixed")


@pytest.mark.parametrize("name", QUICK)
def test_no_figure_is_worse_than_its_gate_or_than_it_was(name: str) -> None:
    assert gates.faults([report.count(WORKLOADS[name])]) == []


def test_counting_again_counts_the_same() -> None:
    assert report.count(WORKLOADS["mixed"]).as_json() == report.count(WORKLOADS["mixed"]).as_json()


def test_a_step_costs_no_more_in_a_larger_run() -> None:
    assert gates.faults_of_scale(report.scale((100, 1000))) == []


def test_the_cost_of_one_more_step_does_not_grow() -> None:
    """Between sizes, so that the run's own start and end play no part."""
    for kind in ("fan", "loop"):
        small, middle, large = (report.count(scaled(kind, n)) for n in (128, 256, 1024))
        first = (middle.used.wru - small.used.wru) / 128
        later = (large.used.wru - middle.used.wru) / 768
        assert later <= first * 1.05, kind


@pytest.mark.parametrize("name", ["chain10", "diamond", "loop100", "mixed", "fan100"])
def test_the_steps_that_figures_are_divided_by_are_those_that_run(name: str) -> None:
    workload = WORKLOADS[name]
    with Rig() as rig:
        run = rig.start(rig.register(workload.define()), workload.given)
        rig.drain()
        view = rig.wiring.operations.show("bench", run)
    whole = {path.rpartition("[")[0] for path in view.steps if path.endswith("]")}
    groups = {path.partition(".")[0] for path in view.steps if "." in path}
    ran = [path for path, step in view.steps.items() if step.status == "succeeded" and path not in whole | groups]
    assert len(ran) == workload.steps


@task
def flaky(given: Any, context: Any) -> None:
    if context.attempt == 1:
        raise TaskError("Flaky")


def _used(steps: list[dict[str, Any]]) -> Tally:
    with Rig(tasks=[flaky]) as rig:
        workflow = rig.register({"id": "once", "name": "once", "version": "1.0.0", "steps": steps, "output": {}})
        rig.meter.reset()
        run = rig.start(workflow, {})
        rig.drain()
        used = rig.meter.tallies[RUNS]
        rig.must_have_succeeded(run)
    return used


def test_a_retry_writes_at_most_two_units_more() -> None:
    retry = {"maxAttempts": 2, "delay": "0s"}
    smooth, with_retry = _used([{"id": "a", "task": "echo", "retry": retry}]), _used([{"id": "a", "task": "flaky", "retry": retry}])
    assert with_retry.wru - smooth.wru <= 2


def test_a_run_that_waits_makes_no_call() -> None:
    with Rig() as rig:
        steps = [{"id": "ask", "approval": {}}]
        run = rig.start(rig.register({"id": "asks", "name": "asks", "version": "1.0.0", "steps": steps}), {})
        rig.drain()
        before = rig.meter.tallies[RUNS].calls.total()
        rig.clock.pass_by(86_400_000)
        rig.drain()
        assert rig.meter.tallies[RUNS].calls.total() == before
        assert rig.wiring.operations.show("bench", run).status == "waiting"


def test_a_worse_figure_is_told_with_what_it_was() -> None:
    good = report.count(WORKLOADS["chain10"])
    bad = replace(good, used=replace(good.used, wru=good.used.wru * 2))
    told = gates.faults([bad])
    assert any("dynamodb_wru" in fault and "gate" in fault for fault in told)
    assert any("dynamodb_wru" in fault and "it was" in fault for fault in told)


def test_a_workload_that_fails_has_no_figures() -> None:
    steps = [{"id": "a", "fail": {"error": "No"}}]
    failing = Workload("fails", lambda: {"id": "fails", "name": "fails", "version": "1.0.0", "steps": steps}, 1)
    with pytest.raises(Stuck, match="failed"):
        report.count(failing)


def test_money_is_counted_by_the_list() -> None:
    used = Tally(wru=1_000_000, rru=2_000_000, sqs_requests=1_000_000, events=1_000_000, gb_s=1000, s3_puts=1000)
    used.invocations["dispatcher"] = 1_000_000
    assert report.bill(used) == pytest.approx({"dynamodb": 0.875, "sqs": 0.4, "events": 1.0, "lambda": 0.2133334, "s3": 0.005})


def test_what_an_idle_deployment_costs_is_what_the_page_says() -> None:
    """Five long polls of 20 s for each mapping, all month."""
    page = (Path(__file__).resolve().parents[2] / "docs/explanation/cost.md").read_text(encoding="utf-8")
    a_queue = 5 * 30 * 86_400 // 20
    usual = [queue for queue in topology.CONSUMED if not queue.name.startswith("notifications")]
    for count, usd in ((len(usual), "4.15"), (len(topology.CONSUMED) - len(usual), "0.52"), (2 * len(topology.LANES), "2.07")):
        assert f"{count * a_queue * LIST.sqs_requests_million / 1e6:.2f}" == usd
        assert f"| {usd} |" in page
    assert f"{len(usual)} queues" in page
    assert f"{a_queue:,} requests" in page
