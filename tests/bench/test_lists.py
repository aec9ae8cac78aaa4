"""A forEach of any length fits one worker, and costs the same for each item."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from click.testing import CliRunner
from treadle import task
from treadle.bench.lists import measure
from treadle.cli.benching import bench
from treadle.core.model import Json
from treadle.engine import outputs
from treadle.engine.outputs import collect
from treadle.engine.run import Run
from treadle.simulation.driver import MemoryEngine

SMALL, LARGE = 256, 4096


@pytest.fixture(scope="module")
def measured() -> dict[int, Any]:
    return {items: measure(items) for items in (1024, 4096)}


def test_an_item_costs_the_same_in_a_list_of_any_length(measured: dict[int, Any]) -> None:
    small, large = (found.as_json()["per_item"] for found in measured.values())
    assert large["aws_calls"] <= 1.05 * small["aws_calls"]
    assert large["dynamodb_wru"] <= 1.05 * small["dynamodb_wru"]


def test_a_worker_needs_no_more_for_a_longer_list_than_the_list_itself(measured: dict[int, Any]) -> None:
    small, large = (found.peak_mb for found in measured.values())
    for kind in ("chunk", "sweeper", "step"):
        assert large[kind] <= small[kind] + 8, f"{kind}: {small} and {large}"


def test_the_command_tells_both() -> None:
    done = CliRunner().invoke(bench, ["--items", "200", "-o", "json"], standalone_mode=False)
    assert done.return_value == 0, done.stderr
    (row,) = json.loads(done.stdout)["lists"]
    assert (row["n"], {"start", "step", "chunk", "sweeper"} <= row["peak_mb"].keys()) == (200, True)


# ------------------------------------------------------------------------------------------------ what is joined


@task
def wide(given: Any) -> Json:
    return {"n": given, "is": [True, None, {"a": given}]}


@task
def large(given: Any) -> Json:
    return "x" * (20_000 if given % 100 == 7 else 1)


@pytest.mark.parametrize("known", [wide, large], ids=["values of several parts", "some lie in objects"])
@pytest.mark.parametrize("more", [{}, {"maxConcurrency": 3}, {"retry": {"maxAttempts": 2}}], ids=["in chunks", "in lanes", "with retries"])
def test_outputs_are_joined_in_the_order_of_the_items(known: Any, more: dict[str, Any]) -> None:
    numbers = list(range(300))
    engine = MemoryEngine([known], seed=3)
    step = {"id": "f", "forEach": "input.n", "task": known.name, "with": "${item}", **more}
    run = engine.run({"id": "w", "name": "W", "version": "1.0.0", "steps": [step]}, {"n": numbers})
    assert run.output == {"f": [known(number) for number in numbers]}


def test_more_than_a_worker_can_hold_fails_the_loop_with_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "MOST_BYTES", 1000)
    step = {"id": "f", "forEach": "input.n", "task": "wide", "with": "${item}"}
    run = MemoryEngine([wide]).run({"id": "w", "name": "W", "version": "1.0.0", "steps": [step]}, {"n": list(range(200))})
    assert run.error is not None
    assert (run.status, run.error["name"]) == ("failed", "PayloadTooLarge")


def test_joining_holds_the_text_and_no_objects() -> None:
    """As objects the outputs take twenty times what their text does."""
    peaks = {}
    for items in (SMALL, LARGE):
        engine = MemoryEngine([wide])
        step = {"id": "f", "forEach": "input.n", "task": "wide", "with": "${item}"}
        run_id = engine.start({"id": "w", "name": "W", "version": "1.0.0", "steps": [step]}, {"n": list(range(items))})
        while engine.step():
            pass
        run = Run(engine.world, run_id)
        run.read_control()
        tracemalloc.start()
        text = collect(run, "f", {"n": items, "lanes": 0}, in_chunks=True)
        peaks[items] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert json.loads(text) == [wide(number) for number in range(items)]
    size = len(json.dumps([wide(number) for number in range(LARGE)]))
    assert peaks[LARGE] - peaks[SMALL] <= 6 * size, f"{peaks} for {size} characters"
