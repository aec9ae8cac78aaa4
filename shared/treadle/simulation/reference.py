"""The reference interpreter, part three: runs. What a run must come to, by the language page and nothing else.

    result = Reference(tasks).run(definition, {"n": 1}, seed=3)

It knows no lanes, no facts, no workers: a scope is a process that starts its steps and waits for their ends. What the page
leaves open (who of two steps that are ready at one instant moves first) the seed decides, so the results of many seeds are
the results that are allowed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..cel import Cel
from ..core.durations import parse_duration
from ..core.expressions import Expressions
from ..core.moments import rfc3339
from ..definition.schemas import violations
from .processes import Future, Kernel, Process
from .reference_again import preset, reopen
from .reference_outside import Answers, Limits, Places, Signals, decided, modern
from .reference_scopes import Scope, every_step
from .reference_steps import unit
from .reference_values import CUT, HELD, NEXT, OVER, Choices, Definition, End, Env, Failure, Json, Record

START_MS = 1_800_000_000_000


class RunOf:
    """One run of one definition. `status` is `running` until it has ended."""

    def __init__(self, reference: Reference, kernel: Kernel, definition: Definition, input: Json, run_id: str, called_by: str = "") -> None:
        """`called_by`: the label of the step that called it."""
        self.reference, self.kernel, self.definition, self.id = reference, kernel, definition, run_id
        self.choices = reference.choices
        self._called_by = f"{called_by}/" if called_by else ""
        errors = modern(definition.get("errorHandling", {}))
        self.on_failure: str = errors.get("onFailure", "stop")
        self.default_retry: Definition | None = errors.get("retry")
        self.ladder: list[Definition] = errors.get("escalation", [])
        self.limits = Limits(errors.get("thresholds"))
        self.env = Env(reference.expressions, {"input": input, "run": self._shown(definition)})
        self.records: dict[str, Record] = {}
        self.replaced: list[tuple[str, Record]] = []
        self.signals = Signals(kernel, reference.choices)
        self.answers = Answers(kernel)
        self.approvals: dict[str, tuple[Future[Json], list[str] | None]] = {}  # and who may decide
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
        self.kept: dict[str, End] = {}  # by a retry
        self.undone: set[str] = set()
        self._sees_late = kernel.toss()  # too much has failed: what is in hand may end before that is seen
        self._order = 0

    def _shown(self, definition: Definition) -> Json:
        return {"id": self.id, "workflow": definition["id"], "version": definition["version"], "startedAt": rfc3339(self.kernel.now)}

    async def go(self) -> None:
        rule = self.definition.get("concurrency")
        if rule is None:
            return await self._go()
        key = self._place_key()
        try:
            await self._in_line(key, rule)
        finally:
            places = self.reference.places
            self.kernel.call_at(self.kernel.now, lambda: places.leave(self, key), self.label() + OVER)

    async def _in_line(self, key: str, rule: Definition) -> None:
        places = self.reference.places
        while (free := places.take(self, key, rule["limit"])) is not None:
            if rule.get("overflow") == "cancelOldest":
                places.make_room(self, key, rule["limit"])
            with self.kernel.labelled(self.label() + NEXT):
                await self.kernel.first(free, self.cancelled)
            if self.cancelled.is_done:
                break
        if self.cancelled.is_done:
            await self._at_its_end()
            self.status, self.ended_at = "cancelled", self.kernel.now
        else:
            await self._go()

    def _place_key(self) -> str:
        return json.dumps([self.definition["id"], self.env.evaluate(self.definition["concurrency"]["key"])])

    def may_start(self) -> bool:
        """`overflow: reject`: not without a place."""
        rule = self.definition.get("concurrency", {})
        return rule.get("overflow") != "reject" or self.reference.places.take_at_once(self, self._place_key(), rule["limit"])

    async def _go(self) -> None:
        top = self.top = self.scope(self.definition, "", self.env)
        preset(top, self.kept)
        steps = self.kernel.spawn(self._all_steps(top))
        enders: list[Future[Any]] = [steps, self.cancelled]
        if "timeout" in self.definition:
            enders.append(self.kernel.sleep(parse_duration(self.definition["timeout"])))
        first = self.kernel.first(*enders)
        first.is_urgent = True
        winner = await first
        if winner is not steps:
            steps.cancel()
            await self._at_its_end()
            self.status = "cancelled" if winner is self.cancelled else "timedOut"
            self.failure = None if winner is self.cancelled else Failure("Timeout", "the run took too long")
        else:
            await self._finish(top, steps)
        for name in top.steps:
            self.records.setdefault(name, Record("skipped"))
        self.ended_at = self.kernel.now

    async def _all_steps(self, top: Scope) -> None:
        """A timeout or a cancel may come between the last step's end and the run's."""
        try:
            await top.go()
        except Failure:
            await self._at_its_end()
            raise
        await self._at_its_end()

    async def _at_its_end(self) -> None:
        with self.kernel.labelled(self.label() + OVER):
            await self.kernel.sleep(0)

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
            self.undone.add(path)
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
        before: Counter[str] = Counter()
        turns: list[tuple[int, float]] = []
        for path, record in backwards:
            turns.append((-(record.ended_at or 0), choices.undone(self.label(path), self.kernel.now, before[path])))
            before[path] += 1
        told = [backwards[n] for n in sorted(range(len(backwards)), key=lambda n: turns[n])]
        pairs = ((first, second) for at, first in enumerate(told) for second in told[at + 1 :])
        is_allowed = not any(one.ended_at == it.ended_at and self.comes_before(path, later) for (path, one), (later, it) in pairs)
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

    def note_end(self, path: str, record: Record, status: str, failure: Failure | None = None, *, stops: bool = False) -> None:
        """`stops`: the run stops for this failure, whatever the thresholds say. What is cancelled with others ends at their instant, and
        counts at any time of it."""
        self._order += 1
        record.status, record.order, record.ended_at = status, self._order, self.kernel.now
        record.error = failure.name if failure else None
        if status == "cancelled":
            limits, now = self.limits, self.kernel.now
            self.kernel.call_at(now, lambda: limits.count(record, now), self.label(path) + CUT)
            return
        match self.limits.exceeded_by(record, self.kernel.now):
            case _ if stops or self.is_stopping():
                pass
            case "fail" if failure is not None and self.top is not None:
                self.top.stop_with(failure, late=self._sees_late)
            case "pause" | "cancel" as action:
                self.act_by_itself(action)

    async def goes_on(self) -> None:
        """Whoever would begin something waits here. A run may be paused again before they do."""
        while not self.resumed.is_done:
            await self.resumed

    def act_by_itself(self, action: str) -> None:
        if action == "cancel":
            mark = OVER if self._sees_late else HELD
            self.kernel.call_at(self.kernel.now, lambda: self.cancelled.succeed(None), self.label() + mark)
        elif not self.is_stopping() and self.resumed.is_done:
            self.resumed = Future(self.kernel)

    def after_attempt(self, number: int) -> bool:
        """What the ladder says of so many failed attempts. Whether there may be another one. Compensations are none of its business."""
        if self.compensated is not None:
            return True
        actions = [rung.get("action") for rung in self.ladder if rung.get("afterAttempts") == number]
        if "pause" in actions:
            self.kernel.call_at(self.kernel.now, lambda: self.act_by_itself("pause"), self.label() + HELD)
        if "cancel" in actions:
            self.act_by_itself("cancel")
        return "fail" not in actions

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
            return await decided(self, future, self.kernel, self.act_by_itself)
        finally:
            del self.decisions[path]

    # ------------------------------------------------------------------------------------------- what people ask

    def act(self, entry: Mapping[str, Json]) -> bool:
        """An entry of a script, now. False: it is refused, for the run or step is not in a state that allows it."""
        if entry["do"] in ("answer", "beat"):
            return self.answers.take(entry)
        if entry["do"] == "retry":
            return reopen(self, entry)
        if entry["do"] == "cancel" and self.cancelled.is_done:
            return True  # as asked
        if self.status != "running":
            return False
        match entry["do"]:
            case "signal" if not self._fits(entry["name"], entry.get("payload")):
                return False
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
        if not is_pause:
            self.resumed.succeed(None)
        elif not is_paused:
            self.resumed = Future(self.kernel)
        return is_pause or is_paused

    def _fits(self, name: str, payload: Json) -> bool:
        """What every step that waits for the signal says of its payload."""
        told = [step["signal"] for step in every_step(self.definition) if step.get("signal", {}).get("name") == name]
        return not any(violations(signal["schema"], payload) for signal in told if "schema" in signal)

    def _judge(self, entry: Mapping[str, Json]) -> bool:
        future, people = self.approvals.get(entry["step"], (None, None))
        if future is None or future.is_done or (people is not None and entry["by"] not in people):
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
    places: Places = field(init=False)
    _kernel: Kernel = field(init=False)
    _children: int = field(init=False, default=0)

    def run(
        self, definition: Definition, input: Json = None, *, seed: int = 0, script: Iterable[Mapping[str, Json]] = (),
        idle: Callable[[RunOf], bool] | None = None, run_id: str = "run", choices: Choices | None = None,
    ) -> Result:  # fmt: skip
        """`script`: what people do, `{at: duration since the start, do: ...}`. `idle` is asked before time moves on, and tells
        whether it did something. A run that waits for ever is `waiting` or `paused`; one that
        stops, `running`. `choices`: made instead of by chance."""
        self.choices = choices
        self._kernel = Kernel(START_MS, seed, choices)
        self.places = Places(self._kernel)
        run = RunOf(self, self._kernel, definition, {} if input is None else input, run_id)
        taken: dict[int, Future[bool]] = {}
        entries = sorted(enumerate(script), key=lambda one: parse_duration(one[1]["at"]))
        for number, entry in entries:
            taken[number] = Future(self._kernel)
            self._kernel.call_at(START_MS + parse_duration(entry["at"]), _entry(run, entry, taken[number]), f"!{number}")
        process = self._kernel.spawn(run.go(), run.label())
        is_over = self._kernel.run(process, idle=(lambda: idle(run)) if idle else lambda: False)
        if is_over:
            process.result()
        while is_over and (later := [it for it in taken.values() if not it.is_done]):  # people act after the end, too
            self._kernel.run(later[0])
            if run.status == "running":  # it was retried
                process = self._kernel.spawn(run.go(), run.label())
                is_over = self._kernel.run(process)
        status = run.status if is_over else "running" if run.is_stopping() else "waiting" if run.resumed.is_done else "paused"
        self._kernel.close()
        error = run.failure.name if run.failure else None
        elapsed_ms = run.ended_at - START_MS
        refused = tuple(number for number, is_taken in sorted(taken.items()) if is_taken.is_done and not is_taken.result())
        return Result(status, run.output, error, run.compensated, run.records, elapsed_ms, run.ended_at, refused)

    def child(self, workflow_id: str, input: Json, called_by: str) -> RunOf:
        definition = next(workflow for workflow in self.workflows if workflow["id"] == workflow_id)
        self._children += 1
        return RunOf(self, self._kernel, definition, input, f"child-{self._children}", called_by)


def _entry(run: RunOf, entry: Mapping[str, Json], taken: Future[bool]) -> Callable[[], None]:
    return lambda: taken.succeed(run.act(entry))
