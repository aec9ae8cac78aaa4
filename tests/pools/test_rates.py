"""How often a task begins: never more often than its rate, whatever comes twice, late or dies, and nearly as often as it may."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from treadle import TaskContext, task
from treadle.core.resources import parse_rate
from treadle.engine import Settings
from treadle.engine.rates import BURST_MS
from treadle.simulation.driver import MemoryEngine
from treadle.simulation.faults import Crash
from treadle.testing import LocalEngine

COUNT = 60


def workflow(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"id": "made", "name": "made", "version": "1.0.0", "steps": list(steps)}


def fan(**more: Any) -> dict[str, Any]:
    return workflow({"id": "each", "forEach": f"[{', '.join(map(str, range(COUNT)))}]", "task": "charge", **more})


class Began:
    """When the task began, by the engine's clock."""

    def __init__(self, rate: str, *, seed: int | None = None, dies_at: Sequence[int] = ()) -> None:
        self.at: list[int] = []
        self.attempts: set[int] = set()
        self.dies_at = set(dies_at)

        @task
        def charge(given: Any, context: TaskContext) -> None:
            self.at.append(self.engine.now())
            self.attempts.add(context.attempt)
            if len(self.at) in self.dies_at:
                raise Crash

        self.engine = MemoryEngine([charge], seed=seed, settings=Settings(rates={"charge": parse_rate(rate)}))

    def most_in(self, window_ms: int) -> int:
        return max(sum(began <= other < began + window_ms for other in self.at) for began in self.at)

    def end(self, run: str) -> str:
        for _ in range(10_000):
            try:
                return self.engine.wait(run).status
            except Crash:
                continue  # the worker is gone: its message comes back
        raise AssertionError("it does not end")


@pytest.mark.parametrize(
    "definition",
    [
        pytest.param(fan(), id="items of a forEach"),
        pytest.param(fan(maxConcurrency=7), id="with lanes"),
        pytest.param(workflow(*({"id": f"s{n}", "task": "charge"} for n in range(COUNT))), id="steps side by side"),
        pytest.param(fan(concurrency={"key": "'k'", "limit": 50}), id="with places"),
    ],
)
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_no_more_begin_than_the_rate_allows_and_nearly_as_many(definition: dict[str, Any], seed: int | None) -> None:
    began = Began("5/s", seed=seed)
    assert began.end(began.engine.start(definition)) == "succeeded"
    assert len(began.at) == COUNT
    assert began.attempts == {1}, "waiting uses no attempt"
    for window_s in (1, 3, 10):
        assert began.most_in(window_s * 1000) <= 5 * (window_s + 2), "a second's worth at once, and a second that SQS rounds up to"
    assert began.at[-1] - began.at[0] <= 2 * COUNT / 5 * 1000, "nobody waits for longer than it takes"


def test_whoever_dies_gives_nothing_back_and_holds_nobody_up() -> None:
    began = Began("5/s", seed=3, dies_at=(3, 10, 11, 30))
    assert began.end(began.engine.start(fan())) == "succeeded"
    assert len(began.at) == COUNT + 4
    assert began.most_in(1000) <= 15


def test_what_comes_much_too_late_asks_anew() -> None:
    """An outage of an hour: all that it held up is there at once, and begins by and by."""
    began = Began("5/s")
    run = began.engine.start(fan())
    while began.engine.cloud.lanes.visible("lane-normal"):
        began.engine.step()
    before = len(began.at)
    began.engine.cloud.clock.advance(3_600_000)
    assert began.end(run) == "succeeded"
    assert len(began.at) == COUNT > before
    late = [at for at in began.at if at >= 3_600_000 + began.at[0]]
    assert max(sum(one <= other < one + 1000 for other in late) for one in late) <= 15


def test_a_fast_task_has_several_items_each_with_its_part() -> None:
    began = Began("1000/s", seed=4)
    assert began.end(began.engine.start(fan())) == "succeeded"
    shards = {f"rate#charge#{n}" for n in range(5)}
    found = [shard for shard in shards if began.engine.world.store.get((shard, "rate"))]
    assert set(found) == shards
    assert BURST_MS == 1000


def test_a_task_without_a_rate_writes_nothing_for_it() -> None:
    began = Began("5/s")
    began.engine.deploy(Settings())
    assert began.end(began.engine.start(fan())) == "succeeded"
    assert began.engine.world.store.get(("rate#charge#0", "rate")) is None


def test_the_rate_of_a_configuration_holds_on_the_local_stack() -> None:
    at: list[int] = []

    @task
    def charge(given: Any) -> None:
        at.append(engine.stack.cloud.clock.now())

    config = {"workflow_engine": {"tasks": {"charge": {"rate": "2/s"}}}}
    steps = [{"id": f"s{n}", "task": "charge"} for n in range(8)]
    with LocalEngine([charge], skip_time=True, config=config) as engine:
        assert engine.run(workflow(*steps)).status == "succeeded"
    assert max(at) - min(at) >= 1500, "eight at two a second, with a second's worth at once"
