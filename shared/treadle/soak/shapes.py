"""What is run: a workflow of each kind, what it is given, what is done to it on the way, and the end that it must come to.

The end is written down here beside each shape; nothing of it is asked of the engine.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.errors import TaskError, WrongState
from ..tasks import LATER, Task, TaskContext, task

if TYPE_CHECKING:
    from ..testing import LocalEngine

Given = dict[str, Any]
STEER_S = 300.0  # of real time, until a run has come to where it is steered; a busy machine is slow
LARGE = "a thread of the warp, " * 1000  # 22 KB: it lies in object storage


class Loom:
    """The tasks, and what those who steer runs know of them. By the name that each run is given."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.tokens: dict[str, list[str]] = defaultdict(list)
        self.mended: set[str] = set()

    def tasks(self) -> Sequence[Task]:
        def later(given: Given, context: TaskContext) -> Any:
            token = context.callback().token
            with self._lock:
                self.tokens[given["name"]].append(token)
            return LATER

        def mendable(given: Given) -> Any:
            if given["name"] not in self.mended:
                raise TaskError("Torn", "somebody has to mend it", permanent=True)
            return "mended"

        return [task(add), task(flaky), task(isolated=True)(apart), task(later), task(mendable)]


def add(given: Given) -> int:
    return int(given["n"]) + int(given.get("by", 1))


def flaky(given: Given, context: TaskContext) -> Any:
    """The first `fails` attempts fail."""
    if context.attempt <= given["fails"]:
        raise TaskError("Torn", f"attempt {context.attempt}")
    return given.get("out")


def apart(given: Given, context: TaskContext) -> Any:
    """In a process of its own, which is killed in the first `dies` attempts."""
    if context.attempt <= given["dies"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return given["out"]


@dataclass(frozen=True, slots=True)
class End:
    status: str
    output: Any = None
    error: str | None = None
    compensated: bool | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """`steer`: what somebody does to the run after it was started (engine, run, given, loom)."""

    name: str
    steps: Sequence[Mapping[str, Any]]
    given: Callable[[random.Random], Given]
    end: Callable[[Given], End]
    steer: Callable[[LocalEngine, str, Given, Loom], None] | None = None
    more: Mapping[str, Any] | None = None  # of the definition

    @property
    def definition(self) -> dict[str, Any]:
        return {"id": f"soak-{self.name}", "name": self.name, "version": "1.0.0", "steps": [*self.steps], **(self.more or {})}


def _nothing(draw: random.Random) -> Given:
    return {}


def _succeeds(output: Any) -> Callable[[Given], End]:
    return lambda given: End("succeeded", output)


def _number(draw: random.Random) -> Given:
    return {"n": draw.randrange(1000)}


def _await_step(engine: LocalEngine, run: str, step: str) -> None:
    """Until it waits for whoever steers the run."""

    def look() -> bool | None:
        found = engine.show(run).steps.get(step)
        return (found is not None and found.status == "waiting") or None

    if not engine.stack.pump.wait(look, STEER_S):
        raise TimeoutError(f"the step {step} does not wait after {STEER_S:g} s")


def _signal(engine: LocalEngine, run: str, given: Given, loom: Loom) -> None:
    """Some come before the run waits for them, some after."""
    if not given["early"]:
        _await_step(engine, run, "a")
    engine.signal(run, "paid", {"sum": given["n"]})


def _answer(engine: LocalEngine, run: str, given: Given, loom: Loom) -> None:
    _await_step(engine, run, "ask")
    (engine.approve if given["yes"] else engine.reject)(run, "ask", by="ann")


def _call_back(engine: LocalEngine, run: str, given: Given, loom: Loom) -> None:
    """A worker that died may have handed out a token before: only the last one counts, or they are as good as each other."""
    _await_step(engine, run, "a")
    engine.succeed(loom.tokens.pop(given["name"])[-1], given["n"])


def _cancel(engine: LocalEngine, run: str, given: Given, loom: Loom) -> None:
    _await_step(engine, run, "b")
    engine.cancel(run)


def _mend(engine: LocalEngine, run: str, given: Given, loom: Loom) -> None:
    engine.wait(run, "failed", timeout=STEER_S)
    loom.mended.add(given["name"])
    engine.retry(run)


def _pause(engine: LocalEngine, run: str, given: Given, loom: Loom) -> None:
    """It may have ended before."""
    with suppress(WrongState):
        engine.pause(run)
        engine.resume(run)


_N = {"n": "${input.n}"}

SHAPES: tuple[Shape, ...] = (
    Shape(
        "chain",
        [
            {"id": "a", "task": "add", "with": _N},
            {"id": "b", "task": "add", "after": ["a"], "with": {"n": "${steps.a.output}"}},
            {"id": "c", "task": "add", "after": ["b"], "with": {"n": "${steps.b.output}"}},
            {"id": "d", "task": "add", "after": ["c"], "with": {"n": "${steps.c.output}"}},
        ],
        _number,
        lambda given: End("succeeded", given["n"] + 4),
        more={"output": "${steps.d.output}"},
    ),
    Shape(
        "diamond",
        [
            {"id": "a", "task": "add", "with": _N},
            {"id": "b", "task": "add", "after": ["a"], "with": {"n": "${steps.a.output}", "by": 10}},
            {"id": "c", "task": "add", "after": ["a"], "with": {"n": "${steps.a.output}", "by": 20}},
            {"id": "d", "set": {"sum": "${steps.b.output + steps.c.output}"}, "after": ["b", "c"]},
        ],
        _number,
        lambda given: End("succeeded", 2 * given["n"] + 32),
        more={"output": "${steps.d.output.sum}"},
    ),
    Shape(
        "fan",
        [{"id": "each", "forEach": "input.items", "task": "add", "with": {"n": "${item}"}, "maxConcurrency": 5}],
        lambda draw: {"items": [draw.randrange(100) for _ in range(draw.randrange(1, 25))]},
        lambda given: End("succeeded", [item + 1 for item in given["items"]]),
        more={"output": "${steps.each.output}"},
    ),
    Shape(
        "loop",
        [{"id": "again", "task": "add", "with": {"n": "${iteration}"}, "repeat": {"until": "iteration >= input.n", "max": 20}}],
        lambda draw: {"n": draw.randrange(1, 12)},
        lambda given: End("succeeded", given["n"] + 1),
        more={"output": "${steps.again.output}"},
    ),
    Shape(
        "switch",
        [
            {"id": "choose", "switch": [{"when": "input.n > 500", "then": "much"}, {"else": "little"}]},
            {"id": "much", "task": "add", "with": _N},
            {"id": "little", "group": {"steps": [{"id": "inner", "task": "add", "with": _N}], "output": "${steps.inner.output}"}},
            {"id": "last", "after": ["much", "little"], "task": "add", "with": {"n": 1}, "join": "any"},
        ],
        _number,
        _succeeds(2),
        more={"output": "${steps.last.output}"},
    ),
    Shape(
        "timer",
        [
            {"id": "a", "wait": "10s"},
            {"id": "b", "after": ["a"], "task": "add", "with": {"n": 1}},
            {"id": "c", "after": ["b"], "wait": "6h"},
        ],
        _nothing,
        _succeeds(2),
        more={"output": "${steps.b.output}"},
    ),
    Shape(
        "retries",
        [
            {
                "id": "a",
                "task": "flaky",
                "with": {"fails": "${input.fails}", "out": 7},
                "retry": {"maxAttempts": 4, "delay": "1m", "backoff": "exponential"},
            },
            {"id": "b", "after": ["a"], "task": "add", "with": {"n": "${steps.a.output}"}},
        ],
        lambda draw: {"fails": draw.randrange(5)},
        lambda given: End("succeeded", 8) if given["fails"] < 4 else End("failed", error="Torn"),
        more={"output": "${steps.b.output}"},
    ),
    Shape(
        "caught",
        [
            {"id": "a", "task": "flaky", "with": {"fails": 9}, "catch": [{"errors": ["Torn"], "then": "b"}]},
            {"id": "b", "task": "add", "with": {"n": 1}},
        ],
        _nothing,
        _succeeds(2),
        more={"output": "${steps.b.output}"},
    ),
    Shape(
        "compensation",
        [
            {"id": "a", "task": "add", "with": {"n": 1}, "compensate": {"task": "add", "with": {"n": 1}}},
            {"id": "b", "after": ["a"], "task": "add", "with": {"n": 1}, "compensate": {"task": "flaky", "with": {"fails": 0}}},
            {"id": "c", "after": ["b"], "task": "flaky", "with": {"fails": 9}},
        ],
        _nothing,
        lambda given: End("failed", error="Torn", compensated=True),
        more={"errorHandling": {"onFailure": "compensate"}},
    ),
    Shape(
        "parent",
        [{"id": "child", "workflow": {"id": "soak-chain", "input": _N}}],
        _number,
        lambda given: End("succeeded", given["n"] + 4),
        more={"output": "${steps.child.output}"},
    ),
    Shape(
        "large",
        [
            {"id": "a", "set": {"text": "${input.text}"}},
            {"id": "b", "after": ["a"], "task": "flaky", "with": {"fails": 0, "out": "${steps.a.output.text}"}},
        ],
        lambda draw: {"text": f"{draw.random()} {LARGE}"},
        lambda given: End("succeeded", given["text"]),
        more={"output": "${steps.b.output}"},
    ),
    Shape(
        "signal",
        [
            {"id": "a", "signal": {"name": "paid", "timeout": "10d"}},
            {"id": "b", "after": ["a"], "task": "add", "with": {"n": "${steps.a.output.sum}"}},
        ],
        lambda draw: {"n": draw.randrange(1000), "early": draw.random() < 0.5},
        lambda given: End("succeeded", given["n"] + 1),
        _signal,
        more={"output": "${steps.b.output}"},
    ),
    Shape(
        "approval",
        [{"id": "ask", "approval": {}}],
        lambda draw: {"yes": draw.random() < 0.7},
        lambda given: End("succeeded", "ann") if given["yes"] else End("failed", error="Rejected"),
        _answer,
        more={"output": "${steps.ask.output.by}"},
    ),
    Shape(
        "callback",
        [{"id": "a", "task": "later", "with": {"name": "${input.name}"}}],
        lambda draw: {"n": draw.randrange(1000), "name": f"{draw.getrandbits(48):012x}"},
        lambda given: End("succeeded", given["n"]),
        _call_back,
        more={"output": "${steps.a.output}"},
    ),
    Shape(
        "cancelled",
        [{"id": "a", "task": "add", "with": {"n": 1}}, {"id": "b", "after": ["a"], "signal": {"name": "never"}}],
        _nothing,
        lambda given: End("cancelled", error="Cancelled"),
        _cancel,
    ),
    Shape(
        "mended",
        [{"id": "a", "task": "add", "with": {"n": 1}}, {"id": "b", "after": ["a"], "task": "mendable", "with": {"name": "${input.name}"}}],
        lambda draw: {"name": f"{draw.getrandbits(48):012x}"},
        _succeeds("mended"),
        _mend,
        more={"output": "${steps.b.output}"},
    ),
    Shape(
        "paused",
        [{"id": "a", "task": "add", "with": {"n": 1}}, {"id": "b", "after": ["a"], "task": "add", "with": {"n": "${steps.a.output}"}}],
        _nothing,
        _succeeds(3),
        _pause,
        more={"output": "${steps.b.output}"},
    ),
    Shape(
        "few-at-once",
        [{"id": "a", "task": "add", "with": _N, "concurrency": {"key": "'loom'", "limit": 3}}],
        _number,
        lambda given: End("succeeded", given["n"] + 1),
        more={"output": "${steps.a.output}", "concurrency": {"key": "string(input.n % 3)", "limit": 2, "overflow": "queue"}},
    ),
    Shape(
        "apart",
        [{"id": "a", "task": "apart", "with": {"dies": "${input.dies}", "out": 3}, "retry": {"maxAttempts": 3, "delay": "1s"}}],
        lambda draw: {"dies": draw.randrange(3)},
        _succeeds(3),
        more={"output": "${steps.a.output}"},
    ),
)
