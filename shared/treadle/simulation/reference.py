"""The reference interpreter, part three: runs. What a run must come to, by the language page and nothing else.

    result = Reference(tasks).run(definition, {"n": 1}, seed=3)

It knows no lanes, no facts, no workers: a scope is a process that starts its steps and waits for their ends. What the page
leaves open (who of two steps that are ready at one instant moves first) the seed decides, so the results of many seeds are
the results that are allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..cel import Cel
from ..core.durations import parse_duration
from ..core.expressions import Expressions
from ..core.moments import rfc3339
from .processes import Future, Kernel, Process
from .reference_scopes import Scope
from .reference_steps import unit
from .reference_values import Choices, Definition, Env, Failure, Json, Record

START_MS = 1_800_000_000_000


class Signals:
    """What arrives is kept until somebody waits for it, first in first out."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._kept: dict[str, list[Json]] = {}
        self._waiting: list[tuple[str, Future[Json]]] = []

    def wait_for(self, name: str) -> Future[Json]:
        future: Future[Json] = Future(self._kernel)
        if self._kept.get(name):
            future.succeed(self._kept[name].pop(0))
        else:
            self._waiting.append((name, future))
        return future

    def give_up(self, future: Future[Json]) -> None:
        self._waiting = [(name, waiting) for name, waiting in self._waiting if waiting is not future]

    def arrive(self, name: str, payload: Json) -> None:
        for wanted, future in self._waiting:
            if wanted == name and not future.is_done:
                future.succeed(payload)
                return
        self._kept.setdefault(name, []).append(payload)


class RunOf:
    """One run of one definition. `status` is `running` until it has ended."""

    def __init__(self, reference: Reference, kernel: Kernel, definition: Definition, input: Json, run_id: str, called_by: str = "") -> None:
        """`called_by`: the label of the step that called it."""
        self.reference, self.kernel, self.definition, self.id = reference, kernel, definition, run_id
        self.choices = reference.choices
        self._called_by = f"{called_by}/" if called_by else ""
        errors = definition.get("errorHandling", {})
        self.on_failure: str = errors.get("onFailure", "stop")
        self.default_retry: Definition | None = errors.get("retry")
        self.env = Env(reference.expressions, {"input": input, "run": self._shown(definition)})
        self.records: dict[str, Record] = {}
        self.replaced: list[tuple[str, Record]] = []
        self.signals = Signals(kernel)
        self.approvals: dict[str, Future[Json]] = {}
        self.decisions: dict[str, Future[tuple[str, Json]]] = {}
        self.cancelled: Future[None] = Future(kernel)
        self.resumed: Future[None] = Future(kernel)  # ends when a pause does
        self.resumed.succeed(None)
        self.top: Scope | None = None
        self.status = "running"
        self.output: Json = None
        self.failure: Failure | None = None
        self.compensated: bool | None = None
        self.ended_at = kernel.now
        self._order = 0

    def _shown(self, definition: Definition) -> Json:
        return {"id": self.id, "workflow": definition["id"], "version": definition["version"], "startedAt": rfc3339(self.kernel.now)}

    async def go(self) -> None:
        top = self.top = self.scope(self.definition, "", self.env)
        steps = self.kernel.spawn(top.go())
        enders: list[Future[Any]] = [steps, self.cancelled]
        if "timeout" in self.definition:
            enders.append(self.kernel.sleep(parse_duration(self.definition["timeout"])))
        first = self.kernel.first(*enders)
        first.is_urgent = True
        winner = await first
        if winner is not steps:
            steps.cancel()
            self.status = "cancelled" if winner is self.cancelled else "timedOut"
            self.failure = None if winner is self.cancelled else Failure("Timeout", "the run took too long")
        else:
            await self._finish(top, steps)
        for name in top.steps:
            self.records.setdefault(name, Record("skipped"))
        self.ended_at = self.kernel.now

    async def _finish(self, top: Scope, steps: Process[None]) -> None:
        try:
            steps.result()
            self.output = top.output()
            self.status = "succeeded"
        except Failure as failure:
            self.failure = failure
            if self.on_failure == "compensate":
                await self._compensate(failure)
            self.status = "failed"

    async def _compensate(self, failure: Failure) -> None:
        self.compensated = True
        for path, record in self._backwards():
            undo = record.undo
            if undo is None:
                continue
            at = f"undo {record.order} {path}"
            self.records[at] = Record()
            error = {"name": failure.name, "message": failure.message, "step": None}
            try:
                await unit(self, undo.step["compensate"], at, undo.env.having(error=error))
            except Failure:
                self.compensated = False
            del self.records[at]

    def _backwards(self) -> list[tuple[str, Record]]:
        """What is to be undone, last ended first. What ended at one instant, and not one after another, is in any order."""
        done = [(path, it) for path, it in (*self.replaced, *self.records.items()) if it.undo is not None and not it.undo.is_covered]
        backwards = sorted(done, key=lambda entry: -entry[1].order)
        choices = self.choices
        if choices is None:
            return backwards
        told = sorted(backwards, key=lambda entry: (-(entry[1].ended_at or 0), choices.undone(self.label(entry[0]))))
        is_allowed = not any(self.comes_before(path, later) for at, (path, _) in enumerate(told) for later, _ in told[at + 1 :])
        return told if is_allowed else backwards

    def comes_before(self, path: str, later: str) -> bool:
        """Whether an edge, or several, lead from one to the other; a group ends after all that is in it."""
        if path.startswith((f"{later}.", f"{later}[")):
            return True
        todo, seen = [later], {later}
        while todo:
            record = self.records.get(todo.pop())
            for source in record.before if record else ():
                if path == source or path.startswith((f"{source}.", f"{source}[")):
                    return True
                if source not in seen:
                    seen.add(source)
                    todo.append(source)
        return False

    def label(self, path: str = "") -> str:
        """For `choices`: the path, behind that of the step that called this run."""
        return self._called_by + path

    def is_stopping(self) -> bool:
        return self.compensated is not None or (self.top is not None and self.top.is_stopping)

    # ---------------------------------------------------------------------------------------- what steps ask of it

    def scope(self, definition: Definition, prefix: str, env: Env) -> Scope:
        return Scope(self, definition, prefix, env)

    def note_end(self, record: Record, status: str, failure: Failure | None = None) -> None:
        self._order += 1
        record.status, record.order, record.ended_at = status, self._order, self.kernel.now
        record.error = failure.name if failure else None

    def forget_inside(self, path: str) -> None:
        """A new attempt of a group replaces the states inside it."""
        for inner in [name for name in self.records if name.startswith(path + ".")]:
            record = self.records.pop(inner)
            if record.undo is not None:  # it succeeded all the same
                self.replaced.append((inner, record))

    async def decision(self, path: str) -> tuple[str, Json]:
        """Of a person, about a step that failed under `onFailure: wait`."""
        future: Future[tuple[str, Json]] = Future(self.kernel)
        self.decisions[path] = future
        try:
            return await future
        finally:
            del self.decisions[path]

    # ------------------------------------------------------------------------------------------- what people ask

    def act(self, entry: Mapping[str, Json]) -> bool:
        """An entry of a script, now. False: it is refused, for the run or step is not in a state that allows it."""
        if self.status != "running":
            return False
        match entry["do"]:
            case "signal":
                self.signals.arrive(entry["name"], entry.get("payload"))
            case "approve" | "reject":
                return self._judge(entry)
            case "decide":
                future = self.decisions.get(entry["step"])
                if future is None or future.is_done:
                    return False
                future.succeed((entry["choice"], entry.get("output")))
            case "cancel":
                if self.compensated is not None:
                    return False
                self.cancelled.succeed(None)
            case "pause" | "resume":
                return self._hold(entry["do"] == "pause")
            case unknown:
                raise ValueError(f"no such act: {unknown}")
        return True

    def _hold(self, is_pause: bool) -> bool:
        if self.is_stopping():
            return False
        is_paused = not self.resumed.is_done
        if is_pause == is_paused:
            return False
        if is_pause:
            self.resumed = Future(self.kernel)
        else:
            self.resumed.succeed(None)
        return True

    def _judge(self, entry: Mapping[str, Json]) -> bool:
        future = self.approvals.get(entry["step"])
        if future is None or future.is_done:
            return False
        if entry["do"] == "approve":
            future.succeed({"decision": "approved", "by": entry["by"], "comment": entry.get("comment")})
        else:
            future.fail(Failure("Rejected", entry.get("comment") or ""))
        return True


class Tasks(Protocol):
    def find(self, name: str) -> Any: ...


@dataclass(frozen=True)
class Result:
    """`steps` by path, those that never started as `skipped` or not at all. `refused`: indexes of the script's entries that were
    refused."""

    status: str
    output: Json
    error: str | None
    compensated: bool | None
    steps: Mapping[str, Record]
    elapsed_ms: int
    ended_at: int
    refused: tuple[int, ...] = ()


@dataclass
class Reference:
    """`tasks` finds tasks by name; `workflows` are the definitions that steps may call."""

    tasks: Tasks
    workflows: Sequence[Definition] = ()
    expressions: Expressions = field(default_factory=Cel)
    cache: dict[tuple[str, str], tuple[int, Json]] = field(default_factory=dict)  # (task, key) -> (good until, result)
    choices: Choices | None = None
    _kernel: Kernel = field(init=False)
    _children: int = field(init=False, default=0)

    def run(
        self, definition: Definition, input: Json = None, *, seed: int = 0, script: Iterable[Mapping[str, Json]] = (),
        idle: Callable[[RunOf], bool] | None = None, run_id: str = "run", choices: Choices | None = None,
    ) -> Result:  # fmt: skip
        """`script`: what people do, `{at: duration since the start, do: ...}`. `idle` is asked before time moves on, and tells
        whether it did something. A run that waits for ever is `waiting` or `paused`. `choices`: made instead of by chance."""
        self.choices = choices
        self._kernel = Kernel(START_MS, seed, choices)
        run = RunOf(self, self._kernel, definition, {} if input is None else input, run_id)
        taken: dict[int, bool] = {}
        for number, entry in enumerate(script):
            taken[number] = False  # what comes after the end is refused
            self._kernel.call_at(START_MS + parse_duration(entry["at"]), _entry(run, entry, number, taken), f"!{number}")
        process = self._kernel.spawn(run.go(), run.label())
        is_over = self._kernel.run(process, idle=(lambda: idle(run)) if idle else lambda: False)
        if is_over:
            process.result()
        status = run.status if is_over else "waiting" if run.resumed.is_done else "paused"
        self._kernel.close()
        error = run.failure.name if run.failure else None
        elapsed_ms = run.ended_at - START_MS
        refused = tuple(number for number, is_taken in taken.items() if not is_taken)
        return Result(status, run.output, error, run.compensated, run.records, elapsed_ms, run.ended_at, refused)

    def child(self, workflow_id: str, input: Json, called_by: str) -> RunOf:
        definition = next(workflow for workflow in self.workflows if workflow["id"] == workflow_id)
        self._children += 1
        return RunOf(self, self._kernel, definition, input, f"child-{self._children}", called_by)


def _entry(run: RunOf, entry: Mapping[str, Json], number: int, taken: dict[int, bool]) -> Callable[[], None]:
    def act() -> None:
        taken[number] = run.act(entry)

    return act
