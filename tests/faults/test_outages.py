"""AWS services that are away, for seconds or for an hour: nothing is lost, no attempt is taken for lost, and what can goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from treadle import TaskContext, task
from treadle.core.errors import Unavailable
from treadle.engine.outbox import PAUSE_MS
from treadle.ports import Bus, Event
from treadle.simulation.explore import Explorer
from treadle.simulation.faults import Kind
from treadle.simulation.outages import PORTS, Outage
from treadle.simulation.shapes import Shape, catalogue, shape_of
from treadle.simulation.world import prepare
from treadle.testing import LocalEngine

HOUR_S = 3600
SHAPES = list(catalogue().values())


def first(explorer: Explorer, function: str) -> int:
    return next((number for number, call in enumerate(explorer.calm.calls, 1) if call.startswith(function)), 1)


def outages(explorer: Explorer, port: str) -> list[Outage]:
    calls = len(explorer.calm.calls)
    return [Outage(port, begins, seconds * 1000) for begins in {first(explorer, "dispatcher"), calls * 2 // 3} for seconds in (20, HOUR_S)]


@pytest.mark.parametrize("port", [port for port in PORTS if port != "blobs"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_shape_survives_an_outage(shape: Shape, port: str) -> None:
    explorer = Explorer(prepare(shape))
    lines: list[str] = []
    for outage in outages(explorer, port)[:: 1 if shape.is_small else 3]:
        lines += explorer.with_outage(outage).lines()
    if "timeout" in shape.definition:  # which goes on while the world stands still
        lines = [line for line in lines if not line.startswith("I8")]
    assert lines == []


@pytest.mark.parametrize("name", ["chain", "diamond", "wide-fan", "nested"])
def test_while_the_bus_is_away_a_run_goes_on_as_if_it_were_not(name: str) -> None:
    explorer = Explorer(prepare(catalogue()[name]))
    case = explorer.with_outage(Outage("bus", 1, HOUR_S * 1000))
    assert case.result == explorer.calm.result
    assert sum(count for (site, _), count in case.fired.items() if site == "dispatcher bus.put") <= 2, "a bus that is away is left alone"


def test_what_waited_for_the_bus_is_told_when_it_is_back() -> None:
    explorer = Explorer(prepare(catalogue()["chain"]), keeps_trace=True)
    case = explorer.with_outage(Outage("bus", 1, HOUR_S * 1000))
    began = case.trace[0][0]
    relayed = [at - began for at, _, function, call in case.trace if (function, call) == ("outbox", "bus.put")]
    assert HOUR_S * 1000 <= relayed[-1] <= (HOUR_S + 600) * 1000
    assert case.fired["outbox bus.put", Kind.THROTTLED] > 5


# ------------------------------------------------------------------------------------------------ without object storage

LARGE = {
    "id": "large",
    "name": "Large",
    "version": "1.0.0",
    "steps": [
        {"id": "a", "task": "echo", "with": {"text": "${input.text}"}},
        {"id": "small", "task": "echo", "with": 1},
        {"id": "b", "after": ["a"], "task": "echo", "with": "${steps.a.output.text}"},
        {"id": "each", "after": ["b"], "forEach": [1, 2, 3], "task": "echo", "with": "${steps.b.output}"},
        {"id": "all", "after": ["each", "small"], "set": "${size(steps.each.output)}"},
    ],
    "output": "${steps.all.output}",
}


@pytest.mark.parametrize("seconds", [20, 600, HOUR_S])
@pytest.mark.parametrize("size", [9_000, 150_000, 300_000], ids=lambda size: f"{size} bytes")
def test_large_payloads_survive_an_outage_of_the_object_storage(size: int, seconds: int) -> None:
    explorer = Explorer(prepare(shape_of(LARGE, {"text": "x" * size})))
    blobs = [number for number, call in enumerate(explorer.calm.calls, 1) if "blobs." in call]
    lines: list[str] = []
    for begins in blobs[1::3]:
        lines += explorer.with_outage(Outage("blobs", begins, seconds * 1000)).lines()
    assert blobs
    assert lines == []


def test_payloads_that_an_item_has_room_for_do_without_object_storage() -> None:
    """Only what was stored before the outage has to be waited for."""
    steps = [{"id": "a", "task": "echo", "with": {"text": "${'x' + input.letter}"}}, {"id": "b", "after": ["a"], "task": "echo", "with": 1}]
    definition = {"id": "w", "name": "W", "version": "1.0.0", "steps": steps}
    explorer = Explorer(prepare(shape_of(definition, {"letter": "y" * 7_000})))
    stored = explorer.with_outage(Outage("blobs", 1, HOUR_S * 1000))
    assert stored.result == explorer.calm.result


# ------------------------------------------------------------------------------------------------ on the local stack


class Away:
    """A bus that cannot be reached until some time of the engine's clock."""

    def __init__(self, bus: Bus, now: Any, until: int) -> None:
        self.bus, self.now, self.until, self.refused = bus, now, until, 0

    def put(self, events: Sequence[Event]) -> None:
        if self.now() < self.until:
            self.refused += 1
            raise Unavailable("the bus is away")
        self.bus.put(events)


@task
def shaky(given: Any, context: TaskContext) -> Any:
    if context.attempt == 1:
        raise RuntimeError("not yet")
    return given


@task
def plain(given: Any) -> Any:
    return given


WORK = {
    "id": "w",
    "name": "W",
    "version": "1.0.0",
    "steps": [
        {"id": "a", "task": "plain", "with": 1},
        {"id": "b", "after": ["a"], "task": "plain", "with": 2},
        {"id": "c", "after": ["a"], "task": "shaky", "with": 3, "retry": {"maxAttempts": 2, "delay": "1s"}},
    ],
}


def test_on_the_local_stack_a_bus_that_is_away_for_an_hour_costs_no_step_and_no_event() -> None:
    with LocalEngine([plain, shaky], skip_time=True) as engine:
        stack = engine.stack
        world, clock = stack.wiring.engine.world, stack.cloud.clock
        began = clock.now()
        away = Away(world.bus, clock.now, began + HOUR_S * 1000)
        world.bus = away
        run = engine.run(WORK)
        assert (run.status, run.steps["c"].attempts) == ("succeeded", 2)
        assert clock.now() - began < HOUR_S * 1000, "a failed attempt does not wait for the bus: the sweeper sees to it"
        assert len(stack.cloud.queues["outbox"]) > 0
        engine.pass_time("2h")
        assert len(stack.cloud.queues["outbox"]) == 0
        assert away.refused > 0
        assert stack.cloud.dead_letters() == {}
        assert stack.operations.dead_letters.page("local") == ([], None)


def test_a_bus_that_failed_is_not_asked_for_some_seconds() -> None:
    assert 5_000 <= PAUSE_MS <= 60_000
