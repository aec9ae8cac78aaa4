"""What waits costs little, and ever the same: deliveries an hour of everything that looks again, or is sent again, by itself.

Each case waits for longer than it is looked at. In the tenth hour no more may be delivered than in the first, and what is sent twice, by
sweepers or by SQS, may not leave a second look behind it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from treadle import LATER, TaskContext, task
from treadle.core.errors import Unavailable
from treadle.core.model import SCHEMA
from treadle.core.resources import parse_rate
from treadle.engine import Settings
from treadle.engine.semaphores import of_tasks
from treadle.simulation.driver import MemoryEngine

HOUR_MS = 3_600_000
HOURS = 10
MOST = 20  # deliveries an hour of one thing that waits: four looks of its run by the sweeper, and one at it every five minutes
PLACE = {"concurrency": {"key": "'k'", "limit": 1}}
UNDO = {"errorHandling": {"onFailure": "compensate"}}
SIGNAL = {"id": "s", "signal": {"name": "go"}}


def workflow(*steps: dict[str, Any], id: str = "made", **more: Any) -> dict[str, Any]:
    return {"id": id, "name": id, "version": "1.0.0", "steps": list(steps), **more}


KID = workflow(SIGNAL, id="kid")
ONE_KID = workflow(SIGNAL, id="kid", **PLACE)
CALLS_KID = {"workflow": {"id": "kid", "input": {}}}


def nothing(engine: MemoryEngine) -> None:
    pass


def place_taken(engine: MemoryEngine) -> None:
    of_tasks(engine.world, "local", '"k"').acquire("other/x", 1, until=engine.now() + 100 * HOUR_MS)


def full(engine: MemoryEngine) -> None:
    engine.start(workflow(SIGNAL, id="first"))


def kid(engine: MemoryEngine) -> None:
    engine.register(KID)


def kid_is_there(engine: MemoryEngine) -> None:
    engine.register(ONE_KID)
    engine.start(ONE_KID)


def no_secrets(engine: MemoryEngine) -> None:
    class Away:
        def get(self, *_: Any, **__: Any) -> str:
            raise Unavailable("Secrets Manager is away")

    engine.world.secrets = Away()  # type: ignore[assignment]


@task
def work(given: Any) -> None:
    return None


@task
def fails(given: Any) -> None:
    raise ValueError("no")


@task
def ask(given: Any, context: TaskContext) -> Any:
    context.callback()
    return LATER


@dataclass(frozen=True)
class Waiting:
    name: str
    definition: dict[str, Any]
    before: Callable[[MemoryEngine], None] = nothing
    things: int = 1  # that wait
    settings: dict[str, Any] = field(default_factory=dict)
    pauses: bool = True  # may be paused


def again(delay: str) -> dict[str, Any]:
    return {"retry": {"maxAttempts": 9, "delay": delay, "backoff": "fixed", "jitter": "none"}}


def undone_by(**action: Any) -> dict[str, Any]:
    return workflow({"id": "a", "task": "work", "compensate": action}, {"id": "b", "after": ["a"], "task": "fails"}, **UNDO)


WAITING = (
    Waiting("a place", workflow({"id": "a", "task": "work", **PLACE}), place_taken),
    Waiting("a place, items", workflow({"id": "a", "forEach": [1, 2, 3], "task": "work", **PLACE}), place_taken, 3),
    Waiting("a place, lanes", workflow({"id": "a", "forEach": [1, 2, 3], "maxConcurrency": 2, "task": "work", **PLACE}), place_taken, 2),
    Waiting("a place, an iteration", workflow({"id": "a", "repeat": {"max": 3, "until": "false"}, "task": "work", **PLACE}), place_taken),
    Waiting("a place, a fan", workflow(*({"id": f"a{n}", "task": "work", **PLACE} for n in range(15))), place_taken, 15),
    Waiting("a place, in a group", workflow({"id": "g", "timeout": "20h", "group": {"steps": [{"id": "a", "task": "work", **PLACE}]}}),
            place_taken),
    Waiting("a place, in a clean-up", workflow({"id": "a", "task": "fails"}, {"id": "z", "after": ["a"], "join": "done", "task": "work",
            **PLACE}), place_taken, pauses=False),
    Waiting("a place beside others", workflow({"id": "a", "task": "work", **PLACE}, {"id": "b", "wait": "20h"}, SIGNAL), place_taken, 3),
    Waiting("a place that a callback holds", workflow({"id": "a", "forEach": [1, 2], "task": "ask", "timeout": "40h", **PLACE}), things=2),
    Waiting("a secret", workflow({"id": "a", "task": "work", "with": "${secrets.API}"}), no_secrets),
    Waiting("a rate", workflow({"id": "a", "forEach": [*range(30)], "task": "work"}), settings={"rates": {"work": parse_rate("1/h")}}),
    Waiting("a timer", workflow({"id": "a", "wait": "20h"})),
    Waiting("a delay of a loop", workflow({"id": "a", "repeat": {"max": 3, "until": "false", "delay": "20h"}, "task": "work"})),
    Waiting("a back-off", workflow({"id": "a", "task": "fails", **again("20h")})),
    Waiting("a signal", workflow(SIGNAL)),
    Waiting("a signal, or its time", workflow({"id": "s", "signal": {"name": "go", "timeout": "20h"}})),
    Waiting("two for one signal", workflow(SIGNAL, {"id": "t", "signal": {"name": "go", "timeout": "20h"}}), things=2),
    Waiting("an approval", workflow({"id": "a", "approval": {"by": ["x"], "timeout": "20h"}})),
    Waiting("a person", workflow({"id": "a", "task": "fails"}, errorHandling={"onFailure": "wait"})),
    Waiting("a person, with a ladder", workflow({"id": "a", "task": "fails"}, errorHandling={"onFailure": "wait", "escalation": [
            {"afterFailure": "1h", "notify": "x"}, {"afterFailure": "20h", "notify": "y"}]})),
    Waiting("a callback", workflow({"id": "a", "task": "ask"})),
    Waiting("a callback with heartbeats", workflow({"id": "a", "task": "ask", "timeout": "40h", "heartbeat": "20h"})),
    Waiting("a child", workflow({"id": "a", **CALLS_KID}), kid),
    Waiting("children", workflow({"id": "a", "forEach": [1, 2, 3], **CALLS_KID}), kid, 3),
    Waiting("a child in line", workflow({"id": "a", **CALLS_KID}), kid_is_there),
    Waiting("a run in line", ONE_KID, kid_is_there, pauses=False),
    Waiting("a run, the engine being full", KID, full, settings={"max_runs": 1}, pauses=False),
    Waiting("a group's time", workflow({"id": "g", "timeout": "20h", "group": {"steps": [SIGNAL]}})),
    Waiting("a run's time", workflow(SIGNAL, timeout="20h")),
    Waiting("a rung that pauses", workflow({"id": "a", "task": "fails", "retry": {"maxAttempts": 9}}, errorHandling={"onFailure": "wait",
            "escalation": [{"afterAttempts": 2, "action": "pause"}]})),
    Waiting("a threshold that pauses", workflow({"id": "a", "task": "fails"}, {"id": "b", "task": "fails"}, {"id": "c", "wait": "30m"},
            {"id": "d", "after": ["c"], "task": "work"}, errorHandling={"onFailure": "continue", "thresholds": {"maxFailedSteps": 1}})),
    Waiting("a compensation by a child", undone_by(**CALLS_KID), kid, pauses=False),
    Waiting("a compensation that waits", undone_by(wait="20h"), pauses=False),
    Waiting("a compensation that backs off", undone_by(task="fails", **again("20h")), pauses=False),
)  # fmt: skip


class Watched:
    def __init__(self, it: Waiting, seed: int | None = None) -> None:
        self.engine = MemoryEngine([work, fails, ask], seed=seed, settings=Settings(**it.settings))
        it.before(self.engine)
        self.run = self.engine.start(it.definition)

    def hours(self, disturb: Callable[[], None] = lambda: None) -> list[int]:
        """Deliveries in each; what disturbs it does so in the middle of the first."""
        found = []
        for hour in range(HOURS):
            before, ends = self.engine.delivered, self.engine.now() + HOUR_MS
            if hour == 0:
                self.engine.advance(ends - HOUR_MS // 2)
                disturb()
            self.engine.advance(ends)
            found.append(self.engine.delivered - before)
        assert self.engine.show(self.run).status in ("pending", "running", "waiting", "paused", "compensating"), "it waits still"
        return found

    def everything_comes_again(self) -> None:
        """Each message that there is, three times; and sweepers who find the run five times over."""
        lanes = self.engine.cloud.lanes
        for queue in self.engine.queues:
            for body in lanes.bodies(queue.name) * 3:
                lanes.deliver(queue.name, body)
        for _ in range(5):
            lanes.deliver("lane-normal", json.dumps({"schema": SCHEMA, "kind": "settle", "run": self.run, "path": ""}))


@pytest.mark.parametrize("it", WAITING, ids=lambda it: it.name)
def test_who_waits_is_not_looked_at_more_often_as_time_goes_by(it: Waiting) -> None:
    first, *others = Watched(it).hours()
    assert max(others) <= first
    assert max(others) <= MOST * it.things


@pytest.mark.parametrize("it", WAITING, ids=lambda it: it.name)
def test_what_comes_twice_leaves_no_second_look_behind(it: Waiting) -> None:
    quiet, watched = Watched(it).hours(), Watched(it, seed=5)
    disturbed = watched.hours(watched.everything_comes_again)
    may_come = 4 if it.settings.get("rates") else 1  # each of what waits for its own turn has its message, and each copy comes once
    assert sum(disturbed[1:]) <= sum(quiet[1:]) * may_come


@pytest.mark.parametrize("it", [it for it in WAITING if it.pauses], ids=lambda it: it.name)
def test_who_waits_in_a_run_that_is_paused_is_not_looked_at_more_often_either(it: Waiting) -> None:
    watched = Watched(it)
    watched.engine.pass_time("1m")
    if watched.engine.show(watched.run).status != "paused":
        watched.engine.pause(watched.run)
    first, second, *others = watched.hours()
    assert max(others) <= max(first, second)
