"""Limits hold whatever a task does, and whoever is cancelled hears of it: in threads, and in processes of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from treadle import LATER, TaskContext, TaskError, task
from treadle.engine.attempts import Attempts
from treadle.engine.results import Failed
from treadle.engine.secrecy import Given
from treadle.engine.watch import limit_of
from treadle.testing import LocalEngine
from treadle.views import RunView

from .attempts import context

LIMIT_S = 1  # of a step without a timeout


class Spinner:
    """A task that computes until it is let go."""

    def __init__(self) -> None:
        self.is_let_go = False
        self.heard: list[tuple[bool, bool]] = []

    def task(self) -> Any:
        @task(name="spin")
        def spin(_: Any, context: TaskContext) -> str:
            while not self.is_let_go:
                pass
            self.heard.append((context.is_cancelled(), context.heartbeat()))
            return "too late"

        return spin


@task(isolated=True)
def spin_apart(given: Any) -> None:
    Path(given["pid"]).write_text(str(os.getpid()))
    while True:
        pass


@task(isolated=True)
def hold_the_interpreter(given: Any) -> None:
    """One call into C that never lets go of the interpreter: no other thread of its process would run."""
    Path(given["pid"]).write_text(str(os.getpid()))
    re.match(r"(a+)+$", "a" * 64 + "b")


@task(isolated=True)
def start_another(given: Any) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(given["pid"]).write_text(str(other.pid))
    other.wait()


@task(isolated=True)
def ignore_signals(given: Any) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    Path(given["pid"]).write_text(str(os.getpid()))
    threading.Event().wait()


@task(isolated=True)
def beat(given: Any, context: TaskContext) -> int:
    for _ in range(given["beats"]):
        time.sleep(0.1)
        context.heartbeat("on")
    time.sleep(given.get("then", 0))
    return int(given["beats"])


@task(isolated=True)
def die(given: Any) -> None:
    if given["how"] == "exit":
        os._exit(3)
    os.kill(os.getpid(), signal.SIGUSR1)


@task(isolated=True, permanent=("Declined",))
def decline(given: Any) -> None:
    raise TaskError("Declined", "no", {"n": 1})


@task(isolated=True)
def leave(given: Any) -> None:
    sys.exit("gone")


@task
def leave_here(given: Any) -> None:
    sys.exit("gone")


@task(isolated=True)
def large(given: Any) -> str:
    return "x" * given["size"]


@task(isolated=True)
def about(given: Any, context: TaskContext) -> Any:
    score = Path("/proc/self/oom_score_adj").read_text().strip() if sys.platform == "linux" else "1000"
    kept = Path(tempfile.mkstemp()[1])
    kept.write_text("left here")
    return {"pid": os.getpid(), "attempt": context.attempt, "key": bool(context.idempotency_key), "oom": score, "file": str(kept)}


class Size(BaseModel):
    n: int


@task(isolated=True)
def double(size: Size) -> Size:
    return Size(n=size.n * 2)


@task(isolated=True)
def hand_on(given: Any, context: TaskContext) -> Any:
    Path(given["token"]).write_text(context.callback().token)
    return LATER


@task(isolated=True)
def no_json(given: Any) -> Any:
    return object()


@task
def wait_here(given: Any, context: TaskContext) -> str:
    return wait_for_cancel(given, context)


@task(isolated=True)
def wait_apart(given: Any, context: TaskContext) -> str:
    return wait_for_cancel(given, context)


def wait_for_cancel(given: Any, context: TaskContext) -> str:
    Path(given["began"]).write_text("yes")
    while context.heartbeat() if given["by"] == "heartbeat" else not context.is_cancelled():
        threading.Event().wait(0.02)
    Path(given["heard"]).write_text("yes")
    return "heard"


APART = [spin_apart, hold_the_interpreter, start_another, ignore_signals, beat, die, decline, leave, leave_here, large, about, double]
TASKS = [*APART, hand_on, no_json, wait_here, wait_apart]


@pytest.fixture(scope="module")
def spinner() -> Iterator[Spinner]:
    it = Spinner()
    yield it
    it.is_let_go = True


@pytest.fixture(scope="module")
def engine(spinner: Spinner) -> Iterator[LocalEngine]:
    with LocalEngine(tasks=[*TASKS, spinner.task()], config={"attempt_timeout_s": LIMIT_S}) as engine:
        yield engine


def workflow(**step: Any) -> dict[str, Any]:
    return {"id": "w", "name": "W", "version": "1.0.0", "steps": [{"id": "a", **step}]}


def failed(run: RunView) -> tuple[str, str]:
    error = run.steps["a"].error
    assert error is not None, run
    return error["name"], error["message"]


def comes(look: Callable[[], bool]) -> bool:
    """Whether it is so within a minute: on a machine with nothing else to do, at once."""
    until = time.monotonic() + 60
    while not look() and time.monotonic() < until:
        threading.Event().wait(0.01)
    return look()


def is_there(pid: int) -> bool:
    """A process that has ended may stay listed until it is asked for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


# ------------------------------------------------------------------------------------------------ in threads


def test_a_task_that_never_returns_fails_at_the_usual_limit_and_is_told(engine: LocalEngine, spinner: Spinner) -> None:
    name, message = failed(engine.run(workflow(task="spin")))
    assert (name, message) == ("Timeout", f"the attempt took more than {LIMIT_S} s, the limit of a step without a timeout of its own")
    attempts = engine.stack.wiring.engine.world.attempts
    assert attempts.runaways() == 1
    spinner.is_let_go = True
    assert comes(lambda: attempts.runaways() == 0)
    assert spinner.heard == [(True, False)]


def test_an_attempt_without_any_time_left_does_not_begin() -> None:
    begun: list[str] = []

    @task
    def begin(given: Any) -> None:
        begun.append("yes")

    attempts = Attempts()
    result = attempts.call(begin, Given({}, {}), context(), limit_of(None, 60, left_ms=1_000))
    assert isinstance(result, Failed)
    assert (result.error.name, begun, attempts.runaways()) == ("Timeout", [], 0)


def test_exit_is_a_failure_like_any_other(engine: LocalEngine) -> None:
    assert failed(engine.run(workflow(task="leave_here"))) == ("SystemExit", "gone")


@pytest.mark.parametrize(
    ("timeout_ms", "left_ms", "ms", "told"),
    [
        pytest.param(5_000, 110_000, 5_000, "", id="the step's own"),
        pytest.param(None, 110_000, 60_000, "without a timeout", id="the usual one"),
        pytest.param(600_000, 110_000, 108_000, "left of its worker", id="no attempt outlives its worker"),
        pytest.param(None, 1_000, 0, "left of its worker", id="at the very end"),
    ],
)
def test_the_least_limit_holds(timeout_ms: int | None, left_ms: int, ms: int, told: str) -> None:
    limit = limit_of(timeout_ms, 60, left_ms)
    assert limit.ms == ms
    assert told in limit.told


# ------------------------------------------------------------------------------------------------ in processes of their own


@pytest.mark.parametrize("name", ["spin_apart", "hold_the_interpreter", "start_another", "ignore_signals"])
def test_whatever_it_does_it_is_killed_with_all_that_it_started(engine: LocalEngine, tmp_path: Path, name: str) -> None:
    """The timeout leaves time to begin, however busy the machine is."""
    seen = engine.run(workflow(task=name, timeout="6s", **{"with": {"pid": str(tmp_path / "pid")}}))
    assert failed(seen) == ("Timeout", "the attempt took more than 6 s")
    assert not is_there(int((tmp_path / "pid").read_text()))
    assert engine.stack.wiring.engine.world.attempts.runaways() == 0


def test_silence_is_told_by_the_heartbeat(engine: LocalEngine) -> None:
    seen = engine.run(workflow(task="beat", timeout="40s", heartbeat="4s", **{"with": {"beats": 1, "then": 30}}))
    assert failed(seen)[0] == "HeartbeatTimeout"


def test_who_beats_lives_longer_than_its_heartbeat(engine: LocalEngine) -> None:
    seen = engine.run(workflow(task="beat", timeout="60s", heartbeat="4s", **{"with": {"beats": 45}}))
    assert seen.output == {"a": 45}


@pytest.mark.parametrize(
    ("step", "name", "told"),
    [
        pytest.param({"task": "die", "with": {"how": "exit"}}, "TaskFailed", "exit code 3", id="it ended its process"),
        pytest.param({"task": "die", "with": {"how": "signal"}}, "TaskFailed", "SIGUSR1", id="a signal ended it"),
        pytest.param({"task": "decline"}, "Declined", "no", id="it raised"),
        pytest.param({"task": "leave"}, "SystemExit", "gone", id="it exited"),
        pytest.param({"task": "no_json"}, "OutputInvalid", "no JSON", id="its result is no JSON"),
        pytest.param({"task": "double", "with": {"n": "x"}}, "InputInvalid", "/n", id="its input is not what it takes"),
    ],
)
def test_how_it_fails(engine: LocalEngine, step: dict[str, Any], name: str, told: str) -> None:
    found = failed(engine.run(workflow(**step, timeout="60s")))
    assert found[0] == name
    assert told in found[1]


def test_its_error_arrives_whole(engine: LocalEngine) -> None:
    seen = engine.run(workflow(task="decline", timeout="60s", retry={"maxAttempts": 3}))
    error = seen.steps["a"].error or {}
    assert (error["name"], error["message"], error["details"], seen.steps["a"].attempts) == ("Declined", "no", {"n": 1}, 1)


def test_results_of_any_size(engine: LocalEngine) -> None:
    assert len(engine.run(workflow(task="large", timeout="60s", **{"with": {"size": 3_000_000}})).output["a"]) == 3_000_000


def test_models_work_as_well(engine: LocalEngine) -> None:
    assert engine.run(workflow(task="double", timeout="60s", **{"with": {"n": 4}})).output == {"a": {"n": 8}}


def test_it_is_set_apart(engine: LocalEngine) -> None:
    found = engine.run(workflow(task="about", timeout="60s")).output["a"]
    assert found["pid"] != os.getpid()
    assert (found["attempt"], found["key"], found["oom"]) == (1, True, "1000")
    assert not Path(found["file"]).exists()


def test_it_may_end_later(engine: LocalEngine, tmp_path: Path) -> None:
    run_id = engine.start(workflow(task="hand_on", timeout="1m", **{"with": {"token": str(tmp_path / "token")}}))
    assert comes(lambda: engine.show(run_id).steps["a"].status == "waiting")
    engine.succeed((tmp_path / "token").read_text(), 7)
    assert engine.wait(run_id).output == {"a": 7}


# ------------------------------------------------------------------------------------------------ cancelled


@pytest.mark.parametrize("by", ["is_cancelled", "heartbeat"])
@pytest.mark.parametrize("name", ["wait_here", "wait_apart"])
def test_who_asks_hears_of_a_cancel(engine: LocalEngine, tmp_path: Path, name: str, by: str) -> None:
    given = {"began": str(tmp_path / "began"), "heard": str(tmp_path / "heard"), "by": by}
    run_id = engine.start(workflow(task=name, timeout="60s", **{"with": given}))
    assert comes((tmp_path / "began").exists)
    engine.cancel(run_id)
    assert engine.wait(run_id, "cancelled").status == "cancelled"
    assert comes((tmp_path / "heard").exists)


# ------------------------------------------------------------------------------------------------ the worker's end


def test_a_worker_with_a_task_left_behind_ends_and_what_it_was_given_is_not_lost() -> None:
    left: list[int] = []
    spinner = Spinner()
    with LocalEngine(tasks=[spinner.task()], config={"attempt_timeout_s": LIMIT_S}) as engine:
        its = engine.stack.wiring
        its.leave = lambda: left.append(its.engine.world.attempts.runaways())
        retried = workflow(task="spin", retry={"maxAttempts": 2, "delay": "10ms"})
        seen = engine.run(retried)
        spinner.is_let_go = True
    assert (failed(seen)[0], seen.steps["a"].attempts) == ("Timeout", 2)
    assert left[0] == 1


def test_a_worker_that_left_nothing_behind_stays() -> None:
    left: list[int] = []
    with LocalEngine() as engine:
        engine.stack.wiring.leave = lambda: left.append(1)
        assert engine.run(workflow(task="echo")).status == "succeeded"
    assert left == []
