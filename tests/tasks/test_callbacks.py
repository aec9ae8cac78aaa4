"""Steps that end by a callback: on the whole local stack, with Lambdas that are functions of this test."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from treadle import TaskContext, TaskError, task
from treadle.core.errors import Rejected
from treadle.simulation.driver import MemoryEngine
from treadle.tasks import LATER, Allowed, Outside
from treadle.tasks.lambda_ import Invoked
from treadle.testing import LocalEngine
from treadle.views import RunView


def workflow(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "w", "name": "W", "version": "1.0.0", "steps": list(steps), **more}


@dataclass
class Lambdas:
    """Notes what it was asked to invoke; `does` is called with each event meanwhile."""

    events: list[Any] = field(default_factory=list)
    does: Callable[[Any], None] = lambda event: None

    def __call__(self, function: str, event: bytes, *, waits: bool, about: Mapping[str, Any]) -> Invoked:
        asked = json.loads(event)
        self.events.append(asked)
        self.does(asked)
        return Invoked(b"null" if waits else b"")

    def token(self, number: int = -1) -> str:
        return str(self.events[number]["treadle"]["token"])


@pytest.fixture(scope="module")
def started() -> Iterator[tuple[LocalEngine, Lambdas]]:
    lambdas = Lambdas()
    with LocalEngine(skip_time=True, outside=Outside(Allowed(functions=("ship",)), invoke=lambdas)) as engine:
        yield engine, lambdas


@pytest.fixture
def engine(started: tuple[LocalEngine, Lambdas]) -> LocalEngine:
    return started[0]


@pytest.fixture
def lambdas(started: tuple[LocalEngine, Lambdas]) -> Lambdas:
    started[1].events.clear()
    started[1].does = lambda event: None
    return started[1]


def shipping(**more: Any) -> dict[str, Any]:
    return {"id": "ship", "task": "lambda", "with": {"function": "ship", "payload": {"n": 1}, "mode": "callback"}, "timeout": "1h", **more}


def waiting(engine: LocalEngine, lambdas: Lambdas, *steps: dict[str, Any], invoked: int = 1, **more: Any) -> str:
    """A run whose step has handed on its token and waits."""
    with engine.stack.pump.request():  # no time is skipped meanwhile
        run_id = engine.start(workflow(*(steps or (shipping(),)), **more))
        engine.stack.pump.wait(lambda: _waits(engine, run_id, invoked), 20)
    assert len(lambdas.events) >= invoked
    return run_id


def _waits(engine: LocalEngine, run_id: str, number: int) -> bool | None:
    steps = engine.show(run_id).steps.values()
    return True if sum(bool(step.why and "callback" in step.why) for step in steps) >= number else None


def refused(act: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(Rejected) as caught:
        act()
    return caught.value.code, caught.value.status


# ------------------------------------------------------------------------------------------------ how a step ends


def test_a_callback_ends_the_step(engine: LocalEngine, lambdas: Lambdas) -> None:
    after = {"id": "after", "after": ["ship"], "set": "${steps.ship.output.parcel}"}
    run_id = waiting(engine, lambdas, shipping(output={"parcel": "${result.id}"}), after)
    (asked,) = lambdas.events
    assert asked["payload"] == {"n": 1}
    assert {name: asked["treadle"][name] for name in ("run", "step", "attempt")} == {"run": run_id, "step": "ship", "attempt": 1}
    assert (engine.show(run_id).status, engine.show(run_id).steps["ship"].status) == ("running", "waiting")
    engine.succeed(lambdas.token(), {"id": "p1"})
    run = engine.wait(run_id)
    assert (run.status, run.output) == ("succeeded", {"after": "p1"})


def test_a_failure_is_an_attempt_that_failed(engine: LocalEngine, lambdas: Lambdas) -> None:
    run_id = waiting(engine, lambdas)
    engine.fail(
        lambdas.token(),
        "AddressUnknown",
        "no such street",
        {"street": "x"},
    )
    run = engine.wait(run_id)
    assert run.status == "failed"
    error = {"name": "AddressUnknown", "message": "no such street", "details": {"street": "x"}}
    assert run.steps["ship"].error == {**error, "input": f"/v1/tasks/{run.id}/ship/input"}


def test_each_attempt_has_a_token_of_its_own(engine: LocalEngine, lambdas: Lambdas) -> None:
    lambdas.does = lambda asked: engine.fail(lambdas.token(), "Busy") if len(lambdas.events) == 1 else None
    run_id = waiting(engine, lambdas, shipping(retry={"maxAttempts": 2, "delay": "5s"}))
    one, two = lambdas.token(0), lambdas.token(1)
    assert one != two
    assert refused(lambda: engine.succeed(one, 1)) == ("already-used", 409)
    engine.succeed(two, 2)
    run = engine.wait(run_id)
    assert (run.output, run.steps["ship"].attempts) == ({"ship": 2}, 2)


def test_an_answer_that_comes_before_the_step_waits_is_kept_for_it(engine: LocalEngine, lambdas: Lambdas) -> None:
    """The Lambda may be quicker than the worker that asked it."""
    lambdas.does = lambda asked: engine.succeed(asked["treadle"]["token"], "quick")
    run = engine.run(workflow(shipping()))
    assert (run.status, run.output) == ("succeeded", {"ship": "quick"})


def test_every_item_of_a_loop_has_its_own(engine: LocalEngine, lambdas: Lambdas) -> None:
    step = shipping(forEach=[1, 2, 3], **{"with": {"function": "ship", "payload": "${item}", "mode": "callback"}})
    run_id = waiting(engine, lambdas, step, invoked=3)
    for asked in reversed(lambdas.events):
        engine.succeed(asked["treadle"]["token"], asked["payload"] * 10)
    assert engine.wait(run_id).output == {"ship": [10, 20, 30]}


def test_large_results(engine: LocalEngine, lambdas: Lambdas) -> None:
    run_id = waiting(engine, lambdas)
    engine.succeed(lambdas.token(), "x" * 100_000)
    assert engine.wait(run_id).output == {"ship": "x" * 100_000}


def test_nobody_answers_in_time(engine: LocalEngine, lambdas: Lambdas) -> None:
    run = engine.run(workflow(shipping(timeout="20m")))
    assert run.steps["ship"].error is not None
    assert run.steps["ship"].error["name"] == "Timeout"
    assert refused(lambda: engine.succeed(lambdas.token())) == ("too-late", 410)


def test_silence_is_not_patience(engine: LocalEngine, lambdas: Lambdas) -> None:
    run = engine.run(workflow(shipping(heartbeat="1m")))
    assert run.steps["ship"].error is not None
    assert run.steps["ship"].error["name"] == "HeartbeatTimeout"


def test_a_heartbeat_gives_time(engine: LocalEngine, lambdas: Lambdas) -> None:
    clock = engine.stack.cloud.clock
    run_id = waiting(engine, lambdas, shipping(heartbeat="1m"), {"id": "other", "wait": "45s"})
    began = clock.now()
    engine.stack.pump.wait(lambda: True if engine.show(run_id).steps["other"].status == "succeeded" else None, 20)
    engine.heartbeat(lambdas.token())
    run = engine.wait(run_id)
    ended = clock.now()
    assert run.steps["ship"].error is not None
    assert run.steps["ship"].error["name"] == "HeartbeatTimeout"
    assert ended - began >= 100_000


# ------------------------------------------------------------------------------------------------ who may answer


def test_the_same_answer_again_is_as_good_as_the_first(engine: LocalEngine, lambdas: Lambdas) -> None:
    run_id = waiting(engine, lambdas)
    token = lambdas.token()
    engine.succeed(token, {"a": 1, "b": 2})
    engine.succeed(token, {"b": 2, "a": 1})
    assert engine.wait(run_id).output == {"ship": {"a": 1, "b": 2}}
    engine.succeed(token, {"a": 1, "b": 2})
    assert refused(lambda: engine.succeed(token, {"a": 2})) == ("already-used", 409)
    assert refused(lambda: engine.fail(token, "Oops")) == ("already-used", 409)
    assert refused(lambda: engine.heartbeat(token)) == ("too-late", 410)


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "../../etc", "é", "a" * 10_000])
def test_a_token_that_nobody_gave(engine: LocalEngine, token: str) -> None:
    for act in (engine.succeed, engine.heartbeat, lambda token: engine.fail(token, "Oops")):
        assert refused(lambda act=act: act(token)) == ("not-found", 404)


def test_a_run_that_was_cancelled(engine: LocalEngine, lambdas: Lambdas) -> None:
    run_id = waiting(engine, lambdas)
    engine.cancel(run_id)
    assert engine.wait(run_id).steps["ship"].status == "cancelled"
    assert refused(lambda: engine.succeed(lambdas.token(), 1)) == ("too-late", 410)


def test_a_paused_run_takes_answers(engine: LocalEngine, lambdas: Lambdas) -> None:
    run_id = waiting(engine, lambdas, shipping(), {"id": "after", "after": ["ship"], "set": 1})
    engine.pause(run_id)
    engine.succeed(lambdas.token(), 1)
    engine.resume(run_id)
    assert engine.wait(run_id).output == {"after": 1}


def test_the_token_is_nowhere(engine: LocalEngine, lambdas: Lambdas) -> None:
    run_id = waiting(engine, lambdas)
    token = lambdas.token()
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
    engine.succeed(token, 1)
    run: RunView = engine.wait(run_id)
    table = engine.stack.cloud.clients.dynamodb.scan(TableName=engine.stack.cloud.names.table)["Items"]
    assert token not in json.dumps([run.model_dump(mode="json"), engine.history(run_id), table], default=str)


# ------------------------------------------------------------------------------------------------ a worker that dies


def test_a_worker_that_died_after_handing_on_the_token(engine: LocalEngine, lambdas: Lambdas) -> None:
    """The attempt is taken over, and finds the answer that came for it: nothing is invoked a second time."""
    lambdas.does = lambda asked: engine.succeed(asked["treadle"]["token"], "once")
    engine.stack.pump.kill(calls=_calls_until_waiting(), function="dispatcher")
    step = shipping()
    del step["timeout"]  # its attempts then run in the worker's own thread
    run = engine.run(workflow(step))
    assert (run.output, len(lambdas.events), engine.stack.pump.counts.killed) == ({"ship": "once"}, 1, 1)


def _calls_until_waiting() -> int:
    """Claim, control, no answer yet, token; and those of the answer, which this test gives in the worker's own thread:
    token, control, no answer, step, answer, step."""
    return 4 + 6


# ------------------------------------------------------------------------------------------------ tasks in Python


def test_a_task_of_ones_own_may_end_later() -> None:
    tokens: list[str] = []

    @task
    def ask(given: Any, context: TaskContext) -> Any:
        callback = context.callback()
        assert callback.token not in repr(callback)
        tokens.append(callback.token)
        return LATER

    with LocalEngine(tasks=[ask], skip_time=True) as engine:
        run_id = engine.start(workflow({"id": "a", "task": "ask"}))
        engine.stack.pump.wait(lambda: tokens or None, 60)
        engine.succeed(tokens[0], "done")
        assert engine.wait(run_id).output == {"a": "done"}


def test_later_without_a_callback_would_be_never() -> None:
    @task
    def ask(given: Any) -> Any:
        return LATER

    with LocalEngine(tasks=[ask], skip_time=True) as engine:
        error = engine.run(workflow({"id": "a", "task": "ask"})).error
    assert error is not None
    assert error["name"] == "OutputInvalid"


def test_a_compensation_cannot_end_later(lambdas: Lambdas) -> None:
    @task
    def broken(given: Any) -> Any:
        raise TaskError("Broken", permanent=True)

    undo = {"task": "lambda", "with": {"function": "ship", "mode": "callback"}}
    steps = ({"id": "a", "set": 1, "compensate": undo}, {"id": "b", "after": ["a"], "task": "broken"})
    with LocalEngine(tasks=[broken], skip_time=True, outside=Outside(Allowed(functions=("ship",)), invoke=lambdas)) as engine:
        run = engine.run(workflow(*steps, errorHandling={"onFailure": "compensate"}))
    assert (run.status, run.compensated, lambdas.events) == ("failed", False, [])


# ------------------------------------------------------------------------------------------------ what is kept


@dataclass
class Desk:
    """An engine in memory with the task `ask`, which ends later; `tokens` in the order in which it was asked."""

    tokens: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        @task
        def ask(given: Any, context: TaskContext) -> Any:
            self.tokens.append(context.callback().token)
            return LATER

        self.engine = MemoryEngine([ask])

    def asks(self, **more: Any) -> str:
        run_id = self.engine.start(workflow({"id": "a", "task": "ask", "timeout": "4h", **more}))
        self.engine.pass_time("5m")
        return run_id


def test_what_comes_later_is_cached_as_well() -> None:
    desk, cache = Desk(), {"key": "'answer'", "ttl": "1d"}
    first = desk.asks(cache=cache, output="${result + 1}")
    desk.engine.operations.succeed(desk.tokens[0], 41)
    assert desk.engine.wait(first).output == {"a": 42}
    assert desk.engine.wait(desk.asks(cache=cache)).output == {"a": 41}
    assert len(desk.tokens) == 1
