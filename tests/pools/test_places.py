"""Places of a step's `concurrency` across runs: never more holders than places, and none left behind, wherever a holder dies."""

from __future__ import annotations

from typing import Any

import pytest
from treadle import LATER, TaskContext, task, topology
from treadle.engine.admission import give_place
from treadle.engine.run import Run
from treadle.engine.semaphores import Place, of_tasks
from treadle.simulation.driver import TENANT, MemoryEngine
from treadle.simulation.faults import Crash

LIMIT, RUNS = 2, 5
STEP = {"id": "a", "task": "work", "concurrency": {"key": "'k'", "limit": LIMIT}}
DEFINITION = {"id": "made", "name": "made", "version": "1.0.0", "steps": [STEP, {"id": "b", "after": ["a"], "task": "work"}]}


class Deadly:
    """An engine whose workers die once: at the `number`th call of a store, a lane or the bus, before or after it."""

    def __init__(self, number: int, when: str) -> None:
        self.number, self.when, self.calls, self.died, self.most = number, when, 0, False, 0

        @task
        def work(given: Any) -> None:
            self.most = max(self.most, len(self.holders()))

        self.engine = MemoryEngine([work], seed=number)
        self.runs = [self.engine.start(DEFINITION) for _ in range(RUNS)]
        self.engine.cloud.listen(self._call)

    def _call(self, call: str, when: str) -> None:
        if when == self.when and not self.died:
            self.calls += 1
            if self.calls == self.number:
                self.died = True
                raise Crash

    def holders(self) -> list[str]:
        calls, self.engine.cloud.store.calls = self.engine.cloud.store.calls, None
        try:
            return of_tasks(self.engine.world, "local", '"k"').everybody()
        finally:
            self.engine.cloud.store.calls = calls

    def end(self) -> set[str]:
        found = set()
        for run in self.runs:
            for _ in range(3):
                try:
                    found.add(self.engine.wait(run).status)
                    break
                except Crash:
                    continue
        return found


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_holder_that_dies_anywhere_leaves_no_place_taken(when: str) -> None:
    """Each call of the whole course is a place to die at; the next one that asks finds the lease over."""
    began = MemoryEngine().now()
    number, longest_ms = 1, 0
    while True:
        it = Deadly(number, when)
        assert it.end() == {"succeeded"}, f"{when} call {number}"
        assert it.most <= LIMIT
        it.engine.cloud.listen(None)
        it.engine.pass_time("10m")
        waits = it.engine.start({**DEFINITION, "id": "last"})
        before = it.engine.now()
        assert it.engine.wait(waits).status == "succeeded"
        assert it.engine.now() - before <= topology.VISIBILITY_S * 1000, f"a place has leaked {when} call {number}"
        assert it.holders() == []
        longest_ms = max(longest_ms, before - began)
        if not it.died:
            break
        number += 1
    assert number > 50, "every call was one to die at"


# ------------------------------------------------------------------------------------------------ standing in line


def workflow(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "made", "name": "made", "version": "1.0.0", "steps": list(steps), **more}


ONE = {"concurrency": {"key": "'k'", "limit": 1}}
WORK = {"id": "a", "task": "work", **ONE}


class Line:
    """An engine whose one place another one has."""

    def __init__(self) -> None:
        self.began: list[str] = []

        @task
        def work(given: Any, context: TaskContext) -> None:
            self.began.append(context.run_id)

        @task
        def fails(given: Any) -> None:
            raise ValueError("no")

        self.engine = MemoryEngine([work, fails])
        self.places = of_tasks(self.engine.world, "local", '"k"')
        self.places.acquire("other/x", 1, until=self.engine.now() + 10 * 3_600_000)

    def stands(self, definition: dict[str, Any] | None = None) -> str:
        run = self.engine.start(definition or workflow(WORK))
        self.engine.pass_time("1m")
        return run

    def give_back(self) -> None:
        """As another run's worker does."""
        other = Run(self.engine.world, "other", {"plan": "", "gen": 1, "tenant": "local"})
        give_place(other, "x", 0, Place(self.places.name, 1))


def test_a_place_that_is_given_back_goes_to_the_first_in_line_at_once() -> None:
    line = Line()
    runs = [line.stands() for _ in range(3)]
    line.engine.pass_time("3h")
    line.give_back()
    line.engine.pass_time("1s")
    assert line.began == runs


def cancelled(line: Line, run: str) -> None:
    line.engine.cancel(run)


def paused(line: Line, run: str) -> None:
    line.engine.pause(run)


def gone(line: Line, run: str) -> None:
    """Removed, with all that it had."""
    store = line.engine.cloud.store
    for item in list(store.items()):
        if item["pk"].startswith(run):
            store.delete((item["pk"], item["sk"]))


def its_time_is_over(line: Line, run: str) -> None:
    line.engine.pass_time("30m")


BESIDE = {"id": "b", "wait": "5m"}


@pytest.mark.parametrize(
    ("definition", "leaves"),
    [
        pytest.param(workflow(WORK), cancelled, id="its run is cancelled"),
        pytest.param(workflow(WORK), paused, id="its run is paused"),
        pytest.param(workflow(WORK), gone, id="its run is no more"),
        pytest.param(workflow(WORK, timeout="10m"), its_time_is_over, id="its run took too long"),
        pytest.param(workflow(WORK, BESIDE, {"id": "c", "after": ["b"], "task": "fails"}), its_time_is_over, id="its run failed"),
        pytest.param(
            workflow(
                {"id": "g", "group": {"steps": [WORK]}, "timeout": "5m", "catch": [{"errors": ["*"], "output": 1}]},
                {**BESIDE, "wait": "9h"},
            ),
            its_time_is_over,
            id="its group took too long, and its run goes on",
        ),
        pytest.param(workflow({"id": "f", "forEach": [1, 2], "task": "work", **ONE}, timeout="10m"), its_time_is_over, id="items"),
    ],
)
@pytest.mark.parametrize("long_before", [True, False], ids=["long before", "just before the place is given back"])
def test_who_waits_no_more_stands_in_nobodys_way(definition: dict[str, Any], leaves: Any, long_before: bool) -> None:
    line = Line()
    first = line.stands(definition)
    second = line.stands()
    leaves(line, first)
    if long_before:
        line.engine.pass_time("20m")
    line.give_back()
    line.engine.pass_time("6m")
    assert line.began == [second]
    assert line.places.everybody() == []


def test_it_is_seen_that_a_step_stands_in_line() -> None:
    line = Line()
    step = line.engine.show(line.stands()).steps["a"]
    assert (step.status, step.why) == ("pending", "stands in line for a place of its concurrency")


def test_who_was_paused_asks_again() -> None:
    line = Line()
    first, second = line.stands(), line.stands()
    line.engine.pause(first)
    line.engine.pass_time("20m")
    line.give_back()
    line.engine.pass_time("6m")
    line.engine.resume(first)
    line.engine.wait(first)
    assert line.began == [second, first]


def test_a_place_given_back_while_the_next_one_is_being_looked_at_is_not_missed() -> None:
    """It is told of it while a worker has it in hand that has just looked in vain."""
    line = Line()
    run = line.engine.start(workflow(WORK))

    def call(name: str, when: str) -> None:
        if name == "lanes.send" and when == "before" and not line.gave and line.places.everybody()[1:]:
            line.gave = True
            line.places.release("other/x", 1)  # whoever does this dies before he tells anybody

    line.gave = False  # type: ignore[attr-defined]
    line.engine.cloud.listen(call)
    line.engine.pass_time("2s")
    assert line.began == [run]


def test_a_worker_that_comes_back_late_gives_nobody_elses_place_away() -> None:
    """Its step was taken over, and runs under the same name."""
    line = Line()
    line.places.release("other/x", 1)
    line.places.acquire("r/a", 1, until=line.engine.now() + 1000, fence=1)
    line.engine.cloud.clock.advance(2000)
    line.places.acquire("r/a", 1, until=line.engine.now() + 1000, fence=2)
    assert line.places.release("r/a", 1, 1) == []
    assert line.places.everybody() == ["r/a"]
    assert not line.places.acquire("other/y", 1, until=line.engine.now() + 1000, fence=3)
    line.places.release("r/a", 1, 2)
    assert line.places.everybody() == []


# ------------------------------------------------------------------------------------------------ what ends later


class Desk:
    """Two runs whose task ends later, by a callback, and one place."""

    def __init__(self, **more: Any) -> None:
        self.tokens: list[str] = []

        @task
        def ask(given: Any, context: TaskContext) -> Any:
            self.tokens.append(context.callback().token)
            return LATER

        self.engine = MemoryEngine([ask])
        step = {"id": "a", "task": "ask", "timeout": "4h", **ONE, **more}
        self.runs = [self.engine.start(workflow(step)) for _ in range(2)]
        self.engine.pass_time("1h")


def succeeds(desk: Desk) -> None:
    desk.engine.operations.succeed(desk.tokens[0], 1)


def fails(desk: Desk) -> None:
    desk.engine.operations.fail(desk.tokens[0], "Refused", "no")


def is_cancelled(desk: Desk) -> None:
    desk.engine.cancel(desk.runs[0])


def its_step_is_cancelled(desk: Desk) -> None:
    desk.engine.operations.cancel_step(TENANT, desk.runs[0], "a")


def beats(desk: Desk) -> None:
    for _ in range(4):
        desk.engine.operations.heartbeat(desk.tokens[0])
        desk.engine.pass_time("45m")
        assert len(desk.tokens) == 1, "it goes on"


def nobody_answers(desk: Desk) -> None:
    desk.engine.pass_time("3h")


@pytest.mark.parametrize(
    ("how", "more"),
    [
        pytest.param(succeeds, {}, id="succeeds"),
        pytest.param(succeeds, {"output": "${result.x}"}, id="succeeds, and its output fails"),
        pytest.param(fails, {}, id="fails"),
        pytest.param(fails, {"retry": {"maxAttempts": 2, "delay": "2h", "jitter": "none"}}, id="fails, and is tried again"),
        pytest.param(is_cancelled, {}, id="is cancelled"),
        pytest.param(its_step_is_cancelled, {}, id="its step is cancelled"),
        pytest.param(nobody_answers, {}, id="times out"),
        pytest.param(nobody_answers, {"heartbeat": "90m"}, id="falls silent"),
    ],
)
def test_a_place_is_held_until_the_callback(how: Any, more: dict[str, Any]) -> None:
    """What a task has set going elsewhere counts for as long as it goes on; then the next one begins at once."""
    desk = Desk(**more)
    assert len(desk.tokens) == 1
    how(desk)
    desk.engine.pass_time("1s")
    assert len(desk.tokens) == 2


def test_heartbeats_keep_the_place() -> None:
    beats(Desk(heartbeat="90m", timeout="12h"))


def test_a_callback_that_was_faster_than_its_task_gives_the_place_back() -> None:
    @task
    def ask(given: Any, context: TaskContext) -> Any:
        engine.operations.succeed(context.callback().token, 1)
        return LATER

    engine = MemoryEngine([ask])
    runs = [engine.start(workflow({"id": "a", "task": "ask", **ONE})) for _ in range(3)]
    assert {engine.wait(run).status for run in runs} == {"succeeded"}
    assert of_tasks(engine.world, "local", '"k"').everybody() == []
