"""The reference interpreter, part two: a scope. Its edges, its joins, what stops it, and what it comes to.

Section 3 of the language page, and what section 6 says of a failure that nobody handles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .processes import Cancelled, Mailbox, Process
from .reference_steps import perform
from .reference_values import NEXT, OVER, STATUS, Definition, End, Env, Failure, How, Json, Record, Undo

if TYPE_CHECKING:
    from .reference import RunOf

# Section 3, row by row. A plain edge that is live for the source is dead for a step that a `switch` or `catch.then` did not choose.
_LIVE, _DEAD, _FAILED = "live", "dead", "failed"
STOP = ""  # instead of a step's name
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


def every_step(scope: Definition) -> Iterator[Definition]:
    for step in scope["steps"]:
        yield step
        if "group" in step:
            yield from every_step(step["group"])


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
        self.env = replace(outer, seen=lambda: {**outer.seen(), **self.seen})
        self.ends: dict[str, End] = {}  # known to the steps that come after; in that order
        self.running: dict[str, Process[None]] = {}
        self.begun: set[str] = set()
        self.letters: Mailbox[tuple[str, End]] = Mailbox(run.kernel)
        self.failure: Failure | None = None
        self.is_stopping = False

    async def go(self) -> None:
        """Raises the Failure of the first step whose failure nobody handled."""
        for name in self.steps:
            if name in self.ends or name in self.running:
                continue  # kept by a retry, or decided for what was
            if not self.into[name]:
                self._start(name)
            elif self.ends:
                self._decide(name)
        while self.running:
            name, end = await self.letters.get()
            if name == STOP:
                self.failure = self.failure or end.failure
                self._stop()
                continue
            del self.running[name]
            self._ended(name, end)
        if self.failure is not None:
            raise self.failure

    def output(self) -> Json:
        if "output" in self.definition:
            return self.env.render(self.definition["output"])
        return {name: self.seen[name]["output"] for name in self.steps if not self.out_of[name]}

    def stop_with(self, failure: Failure, *, late: bool) -> None:
        """Too much has failed. `late`: what is in hand ends before that is seen."""
        letter = STOP, End(How.FAILED, failure=failure)
        if late:
            self.run.kernel.call_at(self.run.kernel.now, lambda: self.letters.put(letter), self.run.label() + OVER)
        else:
            self.letters.put(letter)

    # ---------------------------------------------------------------------------------------------------- decisions

    def _ended(self, name: str, end: End) -> None:
        self.ends[name] = end
        if end.how is How.FAILED and not self.is_handled(name):
            self.failure = self.failure or end.failure
            if self.run.on_failure in ("stop", "compensate"):
                self._stop()
        for target in dict.fromkeys(edge.target for edge in self.out_of[name]):
            self._decide(target)

    def is_handled(self, name: str) -> bool:
        """By an edge; a `catch` that matches makes it another end."""
        return any(edge.kind in ("failed", "done") for edge in self.out_of[name])

    def _decide(self, name: str) -> None:
        if name in self.ends or name in self.running:
            return
        is_cleanup = self._is_cleanup(name)
        match self._verdict(name):
            case "run" if is_cleanup or not self.is_stopping:
                self._start(name)
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

    def _still_cleans_up(self, name: str) -> bool:
        """In a scope that stops. Without edges, and not begun, it has nothing to clean up after."""
        return self._is_cleanup(name) and (bool(self.into[name]) or name in self.begun)

    def _skip(self, name: str, how: How) -> None:
        self._fact(name, End(how), Record(before=self._before(name)))
        self._ended(name, End(how))

    def _has_failed(self, name: str) -> bool:
        """It runs no more."""
        return name in self.begun and self.run.records[self.prefix + name].has_failed

    def _stop(self) -> None:
        """Nothing new starts but clean-up steps; what runs is cancelled, but they are left to end."""
        if self.is_stopping:
            return
        self.is_stopping = True
        if not self.prefix:
            self.run.resumed.succeed(None)  # a run that stops is not paused any more: it cleans up
        stopped = []
        for name, process in list(self.running.items()):
            if not self._still_cleans_up(name) and name not in self.seen and not self._has_failed(name):
                how = How.CANCELLED if name in self.begun else How.UNSTARTED
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
                self._decide(name)

    # ------------------------------------------------------------------------------------------------------ a step

    def _start(self, name: str) -> None:
        self.running[name] = self.run.kernel.spawn(self._step(name), self.run.label(self.prefix + name))

    def _started_by(self, name: str) -> str | None:
        """Of a step that begins: the first source that was live."""
        live = {edge.source for edge in self.into[name] if edge.source in self.ends and edge.resolved(self.ends[edge.source]) == _LIVE}
        at_first = self._at_one_instant([source for source in self.ends if source in live])
        told = self.run.choices.starter(self.run.label(self.prefix + name)) if self.run.choices else None
        return told if told in at_first else at_first[0] if at_first else None

    def _at_one_instant(self, sources: list[str]) -> list[str]:
        """Those that ended when the first of them did, and after none of the others."""
        times = [self.run.records[self.prefix + source].ended_at for source in sources]
        alike = [source for source, time in zip(sources, times, strict=True) if time == times[0]]
        return [late for late in alike if not any(self.run.comes_before(self.prefix + it, self.prefix + late) for it in alike)]

    def _before(self, name: str) -> tuple[str, ...]:
        around = self.run.records[self.prefix[:-1]].before if self.prefix else ()
        ended = [edge.source for edge in self.into[name] if edge.source in self.ends]
        if self.steps[name].get("join") == "any" and name in self.begun:
            ended = [source for source in ended if source == self._started_by(name)]
        return (*around, *(self.prefix + source for source in ended))

    async def _step(self, name: str) -> None:
        step, path = self.steps[name], self.prefix + name
        with self.run.kernel.labelled(self.run.label(path) + NEXT):
            await self.run.goes_on()
        self.begun.add(name)
        record = self.run.records[path] = Record(before=self._before(name))
        env = replace(self.env, hidden=self.env.hidden | self._hidden(name))
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
            if end.how is not How.FAILED or self.run.on_failure != "wait" or self.is_handled(step["id"]):
                return end
            self.run.records[path].has_failed = False  # a person says whether it has
            choice, output = await self.run.decision(path)
            if choice == "skip":
                return End(How.SUCCEEDED, output)
            if choice == "fail":
                return end
            self.run.forget_inside(path)

    def _hidden(self, name: str) -> frozenset[str]:
        """`join: any` and N: the sources that are not there for it."""
        sources = frozenset(edge.source for edge in self.into[name])
        match self.steps[name].get("join", "all"):
            case "all" | "done":
                return frozenset()
            case "any":
                return sources - {self._started_by(name)}
            case _:
                return sources - self.seen.keys()

    def _fact(self, name: str, end: End, record: Record) -> None:
        path = self.prefix + name
        self.run.records[path] = record
        record.output = end.output
        is_over = end.how is How.FAILED and not self.prefix and not self.is_handled(name) and self.run.on_failure in ("stop", "compensate")
        failure = end.failure if end.how in (How.FAILED, How.CAUGHT) else None
        self.run.note_end(path, record, STATUS[end.how], failure, stops=is_over)
        self.seen[name] = end.seen(record.attempts)
