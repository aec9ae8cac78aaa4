"""The caches of workers, counted: compiled plans in the memory of each, results of tasks in the table that all of them share."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import replace
from typing import Any

import pytest
from treadle import task
from treadle.engine.caches import COUNTS, MAX_PLANS, Caches
from treadle.engine.world import World
from treadle.hooks import metrics
from treadle.simulation.driver import TENANT, MemoryEngine
from treadle.testing import LocalEngine

calls: list[Any] = []


@task
def dear(given: dict[str, Any]) -> Any:
    calls.append(given["of"])
    return given["of"]


CACHED = {"id": "a", "task": "dear", "with": {"of": "${input.of}"}, "cache": {"key": "string(input.of)", "ttl": "1h"}}


def definition(name: str = "cached") -> dict[str, Any]:
    return {"id": name, "name": name, "version": "1.0.0", "steps": [CACHED]}


def another_worker(world: World) -> World:
    """Of the same engine, in a process of its own."""
    return replace(world, plans=OrderedDict(), caches=Caches())


def test_two_workers_find_each_others_results_and_compile_each_plan_once() -> None:
    calls.clear()
    engine = MemoryEngine([dear])
    first, second = engine.world, another_worker(engine.world)
    engine.operations.register(TENANT, definition())
    for number in range(100):
        engine.engine.world = (first, second)[number % 2]
        engine.start(definition(), {"of": number // 4 % 10})
        engine.rest()
    hits, misses = (sum(each.caches.totals[what] for each in (first, second)) for what in ("resultHits", "resultMisses"))
    assert (hits, misses, len(calls)) == (90, 10, 10)
    assert second.caches.totals["planMisses"] == 1
    assert first.caches.totals["planEvictions"] == second.caches.totals["planEvictions"] == 0


def test_a_worker_keeps_the_plans_that_it_used_last() -> None:
    engine = MemoryEngine([dear])
    world = engine.world
    names = [engine.operations.register(TENANT, definition(f"w{number}")).plan for number in range(MAX_PLANS)]
    world.plan(names[0])
    more = engine.operations.register(TENANT, definition("one-more")).plan
    assert len(world.plans) == MAX_PLANS
    assert names[0] in world.plans
    assert names[1] not in world.plans
    assert world.caches.totals["planEvictions"] == 1
    before = world.caches.totals["planMisses"]
    for name in (names[1], more, names[0]):
        world.plan(name)
    assert world.caches.totals["planMisses"] - before == 1


def test_what_was_told_is_not_told_again() -> None:
    caches = Caches()
    caches.count("planHits")
    caches.count("planHits")
    assert caches.untold() == {"planHits": 2}
    assert caches.untold() == {}
    assert caches.totals == {"planHits": 2}


@pytest.mark.parametrize(("groups", "told"), [(["caching"], True), (["latency"], False)], ids=["asked for", "not asked for"])
def test_they_are_metrics(groups: list[str], told: bool) -> None:
    config = {"workflow_engine": {"initialization": {"monitoring": {"metrics": groups}}}}
    with LocalEngine(tasks=[dear], config=config) as engine:
        for _ in range(3):
            engine.run(definition(), {"of": 1})
        assert engine.stack.pump.quiet()
        lines = [json.loads(line) for line in engine.stack.metrics]
    sums = {name: sum(line.get(name, 0) for line in lines) for name in ("ResultHits", "ResultMisses", "PlanMisses", "PlanEvictions")}
    assert sums == ({"ResultHits": 2, "ResultMisses": 1, "PlanMisses": 0, "PlanEvictions": 0} if told else dict.fromkeys(sums, 0))


def test_the_metrics_are_of_all_that_is_counted() -> None:
    assert metrics.COUNTS == COUNTS
