"""Who runs out of memory goes up a pool; how much an attempt had, and who cannot know."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from treadle import TaskContext, task
from treadle.engine import Engine, Settings
from treadle.engine.gauge import KILLED, Measure, ProcessGauge
from treadle.simulation.driver import MemoryEngine
from treadle.simulation.faults import Crash
from treadle.testing import LocalEngine

from tests.pools.ran import GIVEN, OPTIMISES, Ran, Told, workflow

# ------------------------------------------------------------------------------------------------ out of memory


@pytest.mark.parametrize(
    "more", [{}, {"forEach": "[1, 2]"}, {"forEach": "[1, 2]", "maxConcurrency": 1}, {"repeat": {"until": "true", "max": 2}}]
)
def test_an_attempt_that_runs_out_of_memory_is_made_again_with_more(more: dict[str, Any]) -> None:
    ran = Ran(needs=1000)
    run = ran.run({"id": "a", "task": "work", **more})
    assert run.status == "succeeded"
    assert {step.attempts for step in run.steps.values()} == {1}, "it did not fail"
    assert {512, 3008} == set(ran.sizes)
    before = len(ran.sizes)
    ran.engine.pass_time("10m")
    ran.run()
    assert ran.sizes[before:] == [3008], "the next one is sent there at once"


def test_it_fails_where_there_is_no_more_memory() -> None:
    ran = Ran(needs=100_000)
    run = ran.run()
    assert (run.status, run.error and run.error["name"]) == ("failed", "MemoryError")
    assert ran.sizes == [512, 3008, 10_240]


@pytest.mark.parametrize(
    ("step", "settings"),
    [
        pytest.param({"retry": {"except": ["Interrupted"], "maxAttempts": 1}}, OPTIMISES, id="a step that is to run at most once"),
        pytest.param({}, Settings(pools=GIVEN, optimises=True, recovery="manual"), id="what is lost is a person's to decide"),
        pytest.param({}, Settings(pools=GIVEN), id="nobody looks at what tasks need"),
    ],
)
def test_it_is_not_made_again_where_nothing_may_be(step: dict[str, Any], settings: Settings) -> None:
    it = Needy(90_000, settings, MemoryError)
    run = it.run(workflow({"id": "a", "task": "work", **step}))
    assert (run.status, run.error and run.error["name"], it.sizes) == ("failed", "MemoryError", [512])


def test_what_fails_for_another_reason_is_not_made_again() -> None:
    it = Needy(90_000, OPTIMISES, ValueError)
    run = it.run(workflow({"id": "a", "task": "work"}))
    assert (run.status, it.sizes) == ("failed", [512])


SHAPES = (
    pytest.param([{"id": "a", "task": "note"}], id="a step"),
    pytest.param([{"id": "a", "task": "note"}, {"id": "b", "after": ["a"], "task": "note"}], id="and one after it"),
    pytest.param([{"id": "a", "forEach": "[1, 2, 3]", "task": "note"}], id="items"),
    pytest.param([{"id": "a", "forEach": "[1, 2, 3]", "maxConcurrency": 1, "task": "note"}], id="items one by one"),
)


@pytest.mark.parametrize("calls", range(2, 9))
@pytest.mark.parametrize("steps", SHAPES)
def test_what_is_lost_with_its_worker_goes_up_a_pool(steps: list[dict[str, Any]], calls: int) -> None:
    @task
    def note(given: Any, context: TaskContext) -> str:
        return context.step_id

    config = {"pools": GIVEN, "optimises": True}
    with LocalEngine([note], skip_time=True, config=config) as engine:
        engine.stack.pump.kill(calls=calls)
        run = engine.run(workflow(*steps))
        killed, invoked = engine.stack.pump.counts.killed, engine.stack.pump.counts.invocations
    assert run.status == "succeeded"
    if killed and calls == 2:  # it had the claim, and control
        assert invoked["dispatcher-large"] >= 1


def test_a_process_that_the_kernel_killed_ran_out_of_memory(tmp_path: Path) -> None:
    tried = tmp_path / "tried"

    @task(isolated=True)
    def work(given: Any) -> str:
        if not tried.exists():
            tried.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return "done"

    with LocalEngine([work], config={"pools": GIVEN, "optimises": True}) as engine:
        run = engine.run(workflow({"id": "a", "task": "work"}))
        assert engine.stack.pump.counts.invocations["dispatcher-large"] == 1
    assert (run.status, run.steps["a"].attempts) == ("succeeded", 1)
    tried.unlink()
    with LocalEngine([work]) as engine:
        run = engine.run(workflow({"id": "a", "task": "work"}))
    error = run.steps["a"].error or {}
    assert (error["name"], error["details"]) == ("TaskFailed", KILLED), "without another pool it has failed"


# ------------------------------------------------------------------------------------------------ looking


class Noting(ProcessGauge):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[int] = []

    def end(self, measure: Measure) -> int | None:
        mb = super().end(measure)
        self.told.append(mb or 0)
        return mb


def filled(mb: int) -> int:
    return len(b"x" * (mb * 1024 * 1024))


@pytest.mark.parametrize("isolated", [False, True])
def test_the_memory_of_an_attempt_is_that_of_this_attempt(isolated: bool) -> None:
    """Not what an earlier one had."""

    @task(isolated=isolated)
    def work(given: int) -> int:
        return filled(given)

    gauge = Noting()
    with LocalEngine([work], config={"optimises": True}) as engine:
        observed = engine.stack.wiring.engine.world.observed
        assert observed is not None
        observed._gauge = gauge
        for mb in (1, 200, 2):
            engine.run(workflow({"id": "a", "task": "work", "with": mb}))
    before, large, after = gauge.told
    assert large - max(before, after) > 150


def test_of_attempts_beside_one_another_nobody_knows_the_memory() -> None:
    gauge = ProcessGauge()
    first = gauge.begin()
    second = gauge.begin()
    assert (gauge.end(first), gauge.end(second)) == (None, None)
    assert gauge.end(gauge.begin()) is not None or not os.path.exists("/proc/self/clear_refs")


# ------------------------------------------------------------------------------------------------ compensations


def undone(**undo: Any) -> dict[str, Any]:
    fails = {"id": "b", "after": ["a"], "fail": {"error": "No", "message": "no"}}
    return workflow({"id": "a", "set": 1, "compensate": {"task": "work", **undo}}, fails, errorHandling={"onFailure": "compensate"})


@dataclass
class InPool:
    """The engine of one pool's workers; `sizes` has the memory of each that began."""

    engine: Engine
    began: Callable[[int], None]

    def work(self, body: dict[str, Any], deadline: int) -> int | None:
        self.began(self.engine.world.own_pool.memory_mb)
        return self.engine.work(body, deadline)


class Needy:
    """The task `work` ends in `ends` where its worker has less memory than it needs; `sizes`: of the workers that it ran in."""

    def __init__(self, needs: int, settings: Settings, ends: type[BaseException]) -> None:
        self.needs, self.ends, self.size = needs, ends, 0
        self.sizes: list[int] = []
        self.engine = MemoryEngine([task(self.work)], settings=settings, gauge=Told())
        engines: dict[str, Any] = self.engine._engines
        for name, engine in engines.items():
            engines[name] = InPool(engine, self.began)

    def began(self, size: int) -> None:
        self.size = size

    def work(self, given: Any) -> None:
        self.sizes.append(self.size)
        if self.size < self.needs:
            raise self.ends

    def run(self, definition: dict[str, Any]) -> Any:
        run = self.engine.start(definition)
        for _ in range(20):
            try:
                return self.engine.wait(run)
            except Crash:
                continue
        raise AssertionError("it does not end")


ONCE = {"retry": {"except": ["Interrupted"], "maxAttempts": 1}}
MANUAL, NONE, UP_TO_4 = (
    replace(OPTIMISES, **more) for more in ({"recovery": "manual"}, {"recovery": "none"}, {"largest": {"memory": 4096}})
)


@pytest.mark.parametrize(
    ("needs", "undo", "settings", "sizes"),
    [
        pytest.param(5000, {}, OPTIMISES, [512, 3008, 10_240], id="it goes up"),
        pytest.param(90_000, {}, OPTIMISES, [512, 3008, 10_240], id="there is no more"),
        pytest.param(90_000, {"resources": {"memory": "300MB"}}, OPTIMISES, [512], id="it may have no more than it says"),
        pytest.param(90_000, ONCE, OPTIMISES, [512], id="it is to run at most once"),
        pytest.param(90_000, {}, MANUAL, [512], id="what is lost is a person's to decide"),
        pytest.param(90_000, {}, UP_TO_4, [512, 3008], id="nobody may have more"),
        pytest.param(90_000, {}, Settings(pools=GIVEN), [512], id="nobody looks at what tasks need"),
    ],
)
def test_a_compensation_that_runs_out_of_memory(needs: int, undo: dict[str, Any], settings: Settings, sizes: list[int]) -> None:
    it = Needy(needs, settings, MemoryError)
    run = it.run(undone(**undo))
    assert (run.status, run.compensated, it.sizes) == ("failed", needs < 10_240, sizes)


@pytest.mark.parametrize(
    ("needs", "undo", "settings", "sizes"),
    [
        pytest.param(5000, {}, OPTIMISES, [512, 3008, 10_240], id="it goes up"),
        pytest.param(90_000, {}, OPTIMISES, [512, 3008, *[10_240] * 4], id="it is begun four times where there is no more"),
        pytest.param(90_000, {}, Settings(pools=GIVEN), [512] * 4, id="four times where nobody looks at what tasks need"),
        pytest.param(90_000, ONCE, OPTIMISES, [512], id="once where it is to run at most once"),
        pytest.param(90_000, {}, NONE, [512], id="once where what is lost has failed"),
        pytest.param(90_000, {}, MANUAL, [512], id="once where a person decides"),
        pytest.param(90_000, {"retry": {"maxAttempts": 2}}, NONE, [512] * 2, id="once for each attempt"),
    ],
)
def test_a_compensation_that_is_lost_with_its_worker(needs: int, undo: dict[str, Any], settings: Settings, sizes: list[int]) -> None:
    it = Needy(needs, settings, Crash)
    run = it.run(undone(**undo))
    assert (run.status, run.compensated, it.sizes) == ("failed", needs < 10_240, sizes)
