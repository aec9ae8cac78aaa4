"""What `make demo` shows: an order on the whole local stack, and a worker that dies with a card half charged.

The engine is the one that is deployed: the same handlers behind the same queues, rules and table, with moto in the place of AWS.
Time is logical: what nobody has to wait for is skipped.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import tasks as order
from treadle.cel import Cel
from treadle.definition import Checker
from treadle.drawing import draw
from treadle.tasks import Task
from treadle.testing import LocalEngine
from treadle.views import RunView, StepView

HERE = Path(__file__).resolve().parent
WORKFLOW = HERE / "workflow.yaml"
PICTURE = Path("demo.html")
MARKS = {"running": ">", "succeeded": "+", "failed": "x", "skipped": "-", "waiting": ".", "cancelled": "x"}
COLOURS = {"running": "36", "succeeded": "32", "failed": "31", "skipped": "90", "waiting": "33"}

# The worker that takes this step is killed after so many calls to AWS: claimed, read, the task has run, nothing recorded.
VICTIM, ITS_TASK = "charge", "charge_card"
CALLS_BEFORE_DEATH = 4


def main() -> int:
    is_watched = sys.stdout.isatty() and "CI" not in os.environ
    calls: Counter[str] = Counter()
    say("An order, on the real engine: moto stands in for DynamoDB, SQS, EventBridge and S3.\n")
    with LocalEngine(tasks=[watched(each, calls, pace_s=0.4 if is_watched else 0.0) for each in all_tasks()], skip_time=True) as engine:
        kill_one_worker(engine)
        began = time.perf_counter()
        run_id = engine.start(WORKFLOW, input=json.loads((HERE / "input.json").read_text()))
        run = engine.stack.pump.wait(Follower(engine, run_id, in_colour=is_watched), timeout_s=60)
        took = time.perf_counter() - began
        killed, handled = engine.stack.pump.counts.killed, sum(engine.stack.pump.counts.invocations.values())
    if run is None:
        say("the run did not end within a minute")
        return 1
    conclude(run, calls, killed, handled, took)
    is_as_promised = run.status == "succeeded" and killed == 1 and calls[ITS_TASK] == 2
    return 0 if is_as_promised else 1


def all_tasks() -> list[Task]:
    return [value for value in vars(order).values() if isinstance(value, Task)]


def watched(task: Task, calls: Counter[str], pace_s: float) -> Task:
    """The same task, counted, and slow enough to be watched."""
    lock = threading.Lock()

    def function(*given: Any) -> Any:
        with lock:
            calls[task.name] += 1
        time.sleep(pace_s)
        return task.function(*given)

    return replace(task, function=function)


def kill_one_worker(engine: LocalEngine) -> None:
    def is_the_victims(queue: str, bodies: list[str]) -> bool:
        return any(json.loads(body).get("path") == VICTIM for body in bodies)

    engine.stack.pump.kill(is_the_victims, calls=CALLS_BEFORE_DEATH)


class Follower:
    """Called whenever something may have changed: says what did, and returns the run once it has ended."""

    def __init__(self, engine: LocalEngine, run_id: str, *, in_colour: bool) -> None:
        self.engine = engine
        self.run_id = run_id
        self.paint: Callable[[str, str], str] = coloured if in_colour else lambda text, colour: text
        self.seen: dict[str, tuple[str, int]] = {}
        self.deaths = 0

    def __call__(self) -> RunView | None:
        run = self.engine.show(self.run_id)
        if self.engine.stack.pump.counts.killed > self.deaths:
            self.deaths += 1
            self.tell(run, self.paint(f"! the worker of {VICTIM} is gone: the card was charged, and nobody wrote it down", "31"))
        for path, step in run.steps.items():
            if self.seen.get(path) != (step.status, step.attempts):
                self.seen[path] = (step.status, step.attempts)
                self.show(run, path, step)
        return run if run.ended_at else None

    def show(self, run: RunView, path: str, step: StepView) -> None:
        if step.status not in MARKS:
            return
        self.tell(run, self.paint(f"{MARKS[step.status]} {path:12} {step.status:10}", COLOURS[step.status]) + f" {note_on(step)}")

    def tell(self, run: RunView, line: str) -> None:
        now_s = self.engine.stack.cloud.clock.now() / 1000
        since = now_s - datetime.fromisoformat(run.started_at).timestamp() if run.started_at else 0.0
        say(f"  {since:6.1f} s  {line.rstrip()}")


def note_on(step: StepView) -> str:
    if step.error:
        return f"{step.error['name']}: {step.error['message']}; {step.why or ''}"
    output = "" if step.output is None else json.dumps(step.output, ensure_ascii=False)[:70]
    return "  ".join(filter(None, [step.why, f"attempt {step.attempts}" if step.attempts > 1 else "", output]))


def conclude(run: RunView, calls: Counter[str], killed: int, handled: int, took: float) -> None:
    say(f"\nThe order {run.status}: {json.dumps(run.output, ensure_ascii=False)}\n")
    say(f"  {killed} worker was killed, and its step taken over: the task ran {calls[ITS_TASK]} times, and has one recorded result.")
    say(f"  {handled} invocations in {took:.1f} s of real time. On AWS it would have cost about ${run.cost.usd:.6f}.")
    document = Checker(None, Cel()).check(WORKFLOW).document
    if document is not None:
        PICTURE.write_text(draw("html", document, run.model_dump(mode="json", by_alias=True)), encoding="utf-8")
        say(f"  What happened, drawn: {PICTURE.resolve()}")


def coloured(text: str, colour: str) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m"


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
