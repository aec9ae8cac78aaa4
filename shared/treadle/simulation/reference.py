"""The reference interpreter, part two: scopes and runs. What a run must come to, by the language page and nothing else.

    result = Reference(tasks).run(definition, {"n": 1}, seed=3)

It knows no lanes, no facts, no workers: a scope is a process that starts its steps and waits for their ends. What the page
leaves open (who of two steps that are ready at one instant moves first) the seed decides, so the results of many seeds are
the results that are allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ..cel import Cel
from ..core.durations import parse_duration
from ..core.expressions import Expressions
from ..core.moments import rfc3339
from .processes import Cancelled, Future, Kernel, Mailbox, Process
from .reference_steps import perform, unit
from .reference_values import STATUS, Definition, End, Env, Failure, How, Json, Record, Undo

START_MS = 1_800_000_000_000

# Section 3, row by row. A plain edge that is live for the source is dead for a step that a `switch` or `catch.then` did not choose.
_LIVE, _DEAD, _FAILED = "live", "dead", "failed"
_KINDS = ("plain", "succeeded", "failed", "skipped", "done")
_TABLE = {
    How.SUCCEEDED: (_LIVE, _LIVE, _DEAD, _DEAD, _LIVE),
    How.FAILED: (_FAILED, _DEAD, _LIVE, _DEAD, _LIVE),
    How.BYPASSED: (_LIVE, _DEAD, _DEAD, _LIVE, _LIVE),
    How.DEAD: (_DEAD, _DEAD, _DEAD, _LIVE, _DEAD),
    How.BLOCKED: (_FAILED, _DEAD, _DEAD, _LIVE, _LIVE),
    How.CAUGHT: (_DEAD, _DEAD, _LIVE, _DEAD, _LIVE),
    How.CANCELLED: (_DEAD, _DEAD, _DEAD, _DEAD, _LIVE),
    How.UNSTARTED: (_DEAD, _DEAD, _DEAD, _LIVE, _DEAD),  # only clean-up steps still look, and they take any outcome
}


@dataclass(frozen=True)
class Edge:
    """`kind`: a column of the table, or `chosen`."""

    source: str
    target: str
    kind: str

    def resolved(self, end: End) -> str:
        if self.kind != "chosen":
            return _TABLE[end.how][_KINDS.index(self.kind)]
        if self.target in end.chosen:
            return _LIVE
        plain = _TABLE[end.how][0]
        return _DEAD if plain == _LIVE else plain


def edges_of(scope: Definition) -> list[Edge]:
    found: dict[Edge, None] = {}
    for step in scope["steps"]:
        for source in step.get("after", []):
            is_plain = isinstance(source, str) or "on" not in source
            name = source if isinstance(source, str) else source["step"]
            found[Edge(name, step["id"], "plain" if is_plain else source["on"])] = None
        for case in step.get("switch", []):
            targets = case["else"] if "else" in case else case["then"]
            found.update((Edge(step["id"], target, "chosen"), None) for target in _listed(targets))
        for entry in step.get("catch", []):
            if "then" in entry:
                found[Edge(step["id"], entry["then"], "chosen")] = None
    for target, sources in scope.get("dependencies", {}).items():
        found.update((Edge(source, target, "plain"), None) for source in sources)
    return list(found)


def _listed(targets: str | list[str]) -> list[str]:
    return [targets] if isinstance(targets, str) else targets


class Scope:
    """The steps of a workflow or a group, from the first that starts to the last that ends."""

    def __init__(self, run: RunOf, definition: Definition, prefix: str, outer: Env) -> None:
        self.run = run
        self.definition = definition
        self.prefix = prefix
        self.steps = {step["id"]: step for step in definition["steps"]}
        self.into: dict[str, list[Edge]] = {name: [] for name in self.steps}
        self.out_of: dict[str, list[Edge]] = {name: [] for name in self.steps}
        for edge in edges_of(definition):
            self.into[edge.target].append(edge)
            self.out_of[edge.source].append(edge)
        self.seen: dict[str, Json] = {}  # `steps`, from the moment that each ends
        self.env = replace(outer, seen=lambda: {**outer.seen(), **self.seen}, hidden=frozenset())
        self.ends: dict[str, End] = {}  # known to the steps that come after
        self.running: dict[str, Process[None]] = {}
        self.letters: Mailbox[tuple[str, End]] = Mailbox(run.kernel)
        self.failure: Failure | None = None
        self.is_stopping = False

    async def go(self) -> None:
        """Raises the Failure of the first step whose failure nobody handled."""
        for name in self.steps:
            if not self.into[name]:
                self._start(name)
        while self.running:
            name, end = await self.letters.get()
            del self.running[name]
            self._ended(name, end)
        if self.failure is not None:
            raise self.failure

    def output(self) -> Json:
        if "output" in self.definition:
            return self.env.render(self.definition["output"])
        return {name: self.seen[name]["output"] for name in self.steps if not self.out_of[name]}

    # ---------------------------------------------------------------------------------------------------- decisions

    def _ended(self, name: str, end: End) -> None:
        self.ends[name] = end
        if end.how is How.FAILED and not self._is_handled(name):
            self.failure = self.failure or end.failure
            if self.run.on_failure != "continue":
                self._stop()
        for target in dict.fromkeys(edge.target for edge in self.out_of[name]):
            self._decide(target, name)

    def _is_handled(self, name: str) -> bool:
        """By an edge; a `catch` that matches makes it another end."""
        return any(edge.kind in ("failed", "done") for edge in self.out_of[name])

    def _decide(self, name: str, cause: str) -> None:
        if name in self.ends or name in self.running:
            return
        is_cleanup = self._is_cleanup(name)
        match self._verdict(name):
            case "run" if is_cleanup or not self.is_stopping:
                self._start(name, cause)
            case "run" | None:
                return
            case How() as how:
                self._skip(name, how)

    def _verdict(self, name: str) -> How | str | None:
        """`run`, why it never will, or None: not decided yet."""
        edges = self.into[name]
        states = [edge.resolved(self.ends[edge.source]) for edge in edges if edge.source in self.ends]
        missing = len(edges) - len(states)
        live = states.count(_LIVE)
        match self.steps[name].get("join", "all"):
            case "done":
                return None if missing else "run"
            case "all":
                if missing:
                    return None
                return How.BLOCKED if _FAILED in states else "run" if live else How.DEAD
            case wanted:
                needed = 1 if wanted == "any" else int(wanted)
                return "run" if live >= needed else How.DEAD if live + missing < needed else None

    def _is_cleanup(self, name: str) -> bool:
        return bool(self.steps[name].get("join") == "done")

    def _skip(self, name: str, how: How) -> None:
        self._fact(name, End(how), Record())
        self._ended(name, End(how))

    def _stop(self) -> None:
        """Nothing new starts but clean-up steps; what runs is cancelled, but they are left to end."""
        if self.is_stopping:
            return
        self.is_stopping = True
        stopped = []
        for name, process in list(self.running.items()):
            if not self._is_cleanup(name) and name not in self.seen:
                how = How.CANCELLED if process.has_begun else How.UNSTARTED
                process.cancel()
                del self.running[name]
                stopped.append((name, how))
        stopped += [(n, How.UNSTARTED) for n in self.steps if n not in self.ends and n not in self.running and not self._is_cleanup(n)]
        for name, how in dict(reversed(stopped)).items():
            if how is How.UNSTARTED:
                self._fact(name, End(how), Record())
            self.ends[name] = End(how)
        for name in self.steps:
            if self._is_cleanup(name):
                self._decide(name, "")

    # ------------------------------------------------------------------------------------------------------ a step

    def _start(self, name: str, cause: str = "") -> None:
        self.running[name] = self.run.kernel.spawn(self._step(name, cause))

    async def _step(self, name: str, cause: str) -> None:
        step, path = self.steps[name], self.prefix + name
        record = self.run.records[path] = Record()
        env = replace(self.env, hidden=self._hidden(name, cause))
        try:
            end = await self._performed(step, path, env)
        except Cancelled:
            self._fact(name, End(How.CANCELLED), record)
            raise
        if end.how is How.SUCCEEDED and "compensate" in step:
            record.undo = Undo(step, env.having(output=end.output))
        self._fact(name, end, record)
        self.letters.put((name, end))

    async def _performed(self, step: Definition, path: str, env: Env) -> End:
        while True:
            end = await perform(self.run, step, path, env)
            if end.how is not How.FAILED or self.run.on_failure != "wait" or self._is_handled(step["id"]):
                return end
            choice, output = await self.run.decision(path)
            if choice == "skip":
                return End(How.SUCCEEDED, output)
            if choice == "fail":
                return end

    def _hidden(self, name: str, cause: str) -> frozenset[str]:
        """`join: any` and N: the sources that are not there for it."""
        sources = frozenset(edge.source for edge in self.into[name])
        match self.steps[name].get("join", "all"):
            case "all" | "done":
                return frozenset()
            case "any":
                return sources - {cause}
            case _:
                return sources - self.seen.keys()

    def _fact(self, name: str, end: End, record: Record) -> None:
        self.run.records[self.prefix + name] = record
        record.output = end.output
        self.run.note_end(record, STATUS[end.how], end.failure if end.how in (How.FAILED, How.CAUGHT) else None)
        self.seen[name] = end.seen(record.attempts)


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

    def __init__(self, reference: Reference, kernel: Kernel, definition: Definition, input: Json, run_id: str) -> None:
        self.reference, self.kernel, self.definition, self.id = reference, kernel, definition, run_id
        errors = definition.get("errorHandling", {})
        self.on_failure: str = errors.get("onFailure", "stop")
        self.default_retry: Definition | None = errors.get("retry")
        self.env = Env(reference.expressions, {"input": input, "run": self._shown(definition)})
        self.records: dict[str, Record] = {}
        self.signals = Signals(kernel)
        self.approvals: dict[str, Future[Json]] = {}
        self.decisions: dict[str, Future[tuple[str, Json]]] = {}
        self.cancelled: Future[None] = Future(kernel)
        self.status = "running"
        self.output: Json = None
        self.failure: Failure | None = None
        self.compensated: bool | None = None
        self.doubts: list[str] = []
        self.ended_at = kernel.now
        self._order = 0

    def _shown(self, definition: Definition) -> Json:
        return {"id": self.id, "workflow": definition["id"], "version": definition["version"], "startedAt": rfc3339(self.kernel.now)}

    async def go(self) -> None:
        top = self.scope(self.definition, "", self.env)
        steps = self.kernel.spawn(top.go())
        enders: list[Future[Any]] = [steps, self.cancelled]
        if "timeout" in self.definition:
            enders.append(self.kernel.sleep(parse_duration(self.definition["timeout"])))
        winner = await self.kernel.first(*enders)
        if winner is not steps:
            if top.failure is not None:
                self.doubts.append("cancelled or timed out while it was failing")
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
        done = [(record.order, path, record.undo) for path, record in self.records.items() if record.undo is not None]
        for order, path, undo in sorted(done, key=lambda entry: -entry[0]):
            if any(self.records[group].status == "succeeded" for group in undo.env.covers):
                continue
            at = f"undo {order} {path}"
            self.records[at] = Record()
            error = {"name": failure.name, "message": failure.message, "step": None}
            try:
                await unit(self, undo.step["compensate"], at, undo.env.having(error=error))
            except Failure:
                self.compensated = False
            del self.records[at]

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
            del self.records[inner]

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
                self.cancelled.succeed(None)
            case unknown:
                raise ValueError(f"no such act: {unknown}")
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
    refused. `doubts`: why the page does not settle this one."""

    status: str
    output: Json
    error: str | None
    compensated: bool | None
    steps: Mapping[str, Record]
    elapsed_ms: int
    ended_at: int
    refused: tuple[int, ...] = ()
    doubts: tuple[str, ...] = ()


@dataclass
class Reference:
    """`tasks` finds tasks by name; `workflows` are the definitions that steps may call."""

    tasks: Tasks
    workflows: Sequence[Definition] = ()
    expressions: Expressions = field(default_factory=Cel)
    cache: dict[tuple[str, str], tuple[int, Json]] = field(default_factory=dict)  # (task, key) -> (good until, result)
    _kernel: Kernel = field(init=False)
    _children: int = field(init=False, default=0)

    def run(
        self, definition: Definition, input: Json = None, *, seed: int = 0, script: Iterable[Mapping[str, Json]] = (),
        idle: Callable[[RunOf], bool] | None = None, run_id: str = "run",
    ) -> Result:  # fmt: skip
        """`script`: what people do, `{at: duration since the start, do: ...}`. `idle` is asked before time moves on, and tells
        whether it did something. A run that waits for ever is `waiting`."""
        self._kernel = Kernel(START_MS, seed)
        run = RunOf(self, self._kernel, definition, {} if input is None else input, run_id)
        taken: dict[int, bool] = {}
        for number, entry in enumerate(script):
            taken[number] = False  # what comes after the end is refused
            self._kernel.call_at(START_MS + parse_duration(entry["at"]), _entry(run, entry, number, taken))
        process = self._kernel.spawn(run.go())
        is_over = self._kernel.run(process, idle=(lambda: idle(run)) if idle else lambda: False)
        if is_over:
            process.result()
        status = run.status if is_over else "waiting"
        error = run.failure.name if run.failure else None
        elapsed_ms = run.ended_at - START_MS
        refused = tuple(number for number, is_taken in taken.items() if not is_taken)
        return Result(status, run.output, error, run.compensated, run.records, elapsed_ms, run.ended_at, refused, tuple(run.doubts))

    def child(self, workflow_id: str, input: Json) -> RunOf:
        definition = next(workflow for workflow in self.workflows if workflow["id"] == workflow_id)
        self._children += 1
        return RunOf(self, self._kernel, definition, input, f"child-{self._children}")


def _entry(run: RunOf, entry: Mapping[str, Json], number: int, taken: dict[int, bool]) -> Callable[[], None]:
    def act() -> None:
        taken[number] = run.act(entry)

    return act
