"""What a generated definition calls: tasks that write down, fail, and end later, and workflows to be its children."""

from __future__ import annotations

from typing import Any

from ..core.errors import TaskError
from ..tasks import Task, TaskContext, task
from ..tasks.later import LATER, Later

Definition = dict[str, Any]

BIG = "grüße "  # of which `large` makes a text


class Notebook:
    """The tasks of generated definitions, and what `record` and `revert` wrote: labels by run, in order. `tokens`: of the latest
    attempt of each step that ends later, by (run, path)."""

    def __init__(self) -> None:
        self.labels: dict[str, list[Any]] = {}
        self.tokens: dict[tuple[str, str], str] = {}
        self._calls: dict[tuple[str, str], int] = {}

    def tasks(self) -> list[Task]:
        def record(given: Any, context: TaskContext) -> Any:
            """Writes the path of its step down, then returns its input."""
            self.labels.setdefault(context.run_id, []).append(context.step_id)
            return given

        def revert(given: Any, context: TaskContext) -> None:
            """Writes down of which step."""
            self.labels.setdefault(context.run_id, []).append(f"undo {given['step']}")

        def flaky(given: Any, context: TaskContext) -> Any:
            """Fails the first `fails` attempts with `error`, then returns `value`."""
            if context.attempt <= given["fails"]:
                raise _named(given["error"])
            return given["value"]

        def fail_first(given: Any, context: TaskContext) -> Any:
            """Fails the first `fails` calls of this run with this `key`, whatever the attempt; then returns the number of the call."""
            calls = self._calls[context.run_id, given["key"]] = self._calls.get((context.run_id, given["key"]), 0) + 1
            if calls <= given["fails"]:
                raise _named(given["error"])
            return calls

        def later(given: Any, context: TaskContext) -> Later:
            """Ends when somebody answers."""
            self.tokens[context.run_id, context.step_id] = context.callback().token
            return LATER

        def large(given: Any, context: TaskContext) -> Any:
            """More than an item of the table holds."""
            return {"text": BIG * given["times"]}

        return [task(record), task(revert), task(flaky), task(fail_first), task(later), task(large)]


def _named(name: str) -> TaskError:
    return TaskError(name, name.lower())


def _child(name: str, *steps: Definition, **more: Any) -> Definition:
    return {"id": name, "name": name, "version": "1.0.0", "steps": list(steps), **more}


CHILDREN: tuple[Definition, ...] = (
    _child("child-adds", {"id": "x", "set": "${input.n + 1}"}),
    _child("child-breaks", {"id": "w", "wait": "7m"}, {"id": "x", "after": ["w"], "fail": {"error": "Red"}}),
    _child("child-late", {"id": "w", "wait": "40m"}, timeout="5m"),
    _child("child-queues", {"id": "w", "wait": "11m"}, concurrency={"key": "input.n", "limit": 1}),
    _child("child-refuses", {"id": "w", "wait": "17m"}, concurrency={"key": "input.n", "limit": 1, "overflow": "reject"}),
    _child("child-ousts", {"id": "w", "wait": "13m"}, concurrency={"key": "input.n", "limit": 1, "overflow": "cancelOldest"}),
)
