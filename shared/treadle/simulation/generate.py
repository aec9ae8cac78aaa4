"""Random definitions: small, valid, and with every feature that the reference interpreter can judge.

One seed, one case. What the language page leaves open is not generated: no jitter, tasks take no time, durations are whole
minutes and mostly distinct, an expression names direct sources only.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import TaskError
from ..tasks import Task, TaskContext, task

Definition = dict[str, Any]
MAX_DEPTH = 2

# What a generated definition calls ----------------------------------------------------------------------------------


class Notebook:
    """The tasks of generated definitions, and what `record` and `revert` wrote: labels by run, in order."""

    def __init__(self) -> None:
        self.labels: dict[str, list[Any]] = {}
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

        return [task(record), task(revert), task(flaky), task(fail_first)]


def _named(name: str) -> TaskError:
    return TaskError(name, name.lower())


# One case -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """`script`: what people do and when, counted from the start. `workflows` are registered before."""

    definition: Definition
    input: Definition
    script: tuple[Definition, ...] = ()
    workflows: tuple[Definition, ...] = ()


def case(seed: int, *, name: str = "generated") -> Case:
    """May rarely be a definition that validation refuses: ask the Checker."""
    return _Author(random.Random(seed)).case(name)


def cases(seed: int) -> Iterator[Case]:
    numbers = random.Random(seed)
    while True:
        yield case(numbers.getrandbits(48))


def _child(name: str, *steps: Definition, **more: Any) -> Definition:
    return {"id": name, "name": name, "version": "1.0.0", "steps": list(steps), **more}


_CHILDREN: tuple[Definition, ...] = (
    _child("child-adds", {"id": "x", "set": "${input.n + 1}"}),
    _child("child-breaks", {"id": "w", "wait": "7m"}, {"id": "x", "after": ["w"], "fail": {"error": "Red"}}),
    _child("child-late", {"id": "w", "wait": "40m"}, timeout="5m"),
)

_ERRORS = ("Red", "Blue", "Reddish")
_PATTERNS = (["*"], ["Red"], ["Red*"], ["Blue", "Timeout"], ["Timeout"], ["LoopLimit", "Reddish"], ["ExpressionError"], ["Rejected"])


@dataclass
class _Author:
    """Writes one definition. `made` counts steps; `spans` are durations already used, in minutes."""

    random: random.Random
    made: int = 0
    spans: set[int] = field(default_factory=set)
    script: list[Definition] = field(default_factory=list)
    calls_children: bool = False
    mode: str = "stop"
    is_inside_loop: bool = False

    def odds(self, percent: float) -> bool:
        return self.random.random() * 100 < percent

    def case(self, name: str) -> Case:
        self.mode = self.random.choices(["stop", "continue", "compensate", "wait"], [36, 28, 28, 8])[0]
        errors: Definition = {"onFailure": self.mode}
        if self.odds(15):
            errors["retry"] = self._retry()
        definition: Definition = {"id": name, "name": name, "version": "1.0.0", "errorHandling": errors}
        definition["steps"] = self._steps(self.random.randint(2, 9), depth=0, path="")
        if self.odds(15):
            _use_dependencies(definition)
        if self.odds(8):
            definition["timeout"] = self._duration()
        if self.odds(20):
            definition["output"] = {step["id"]: f"${{steps.{step['id']}.outcome}}" for step in definition["steps"] if self.odds(50)}
        if self.odds(15):
            definition["checkpoint"] = self.random.choice([{"steps": 3}, {"every": "5m"}])
        self._steering()
        children = _CHILDREN if self.calls_children else ()
        given = {"n": self.random.randint(0, 3), "yes": True, "list": [1, 2, 3][: self.random.randint(0, 3)], "map": {"b": 1, "a": 2}}
        return Case(definition, given, tuple(self.script), children)

    def _steering(self) -> None:
        if self.odds(8):
            self.script.append({"at": self._duration(), "do": "cancel"})
        if self.odds(8):
            begin = self._minutes()
            end = begin + self._minutes()
            self.script += [{"at": f"{begin}m", "do": "pause"}, {"at": f"{end}m", "do": "resume"}]

    # ------------------------------------------------------------------------------------------------------- scopes

    def _steps(self, count: int, depth: int, path: str) -> list[Definition]:
        """Edges lead from earlier steps to later ones; then the list is shuffled, for its order means nothing."""
        steps: list[Definition] = []
        for _ in range(count):
            self.made += 1
            step: Definition = {"id": f"s{self.made}"}
            sources = self._edges_into(step, steps)
            self._choices_of(step, steps, sources)
            self._join(step, sources)
            self._action(step, sources, depth, path)
            self._modifiers(step, sources, depth)
            if self.mode == "wait" and not self.is_inside_loop and self.odds(60):
                self._decision(step, path)
            steps.append(step)
        self.random.shuffle(steps)
        return steps

    def _edges_into(self, step: Definition, earlier: list[Definition]) -> list[Definition]:
        wanted = self.random.choices([0, 1, 2, 3], [25, 40, 25, 10])[0]
        sources = self.random.sample(earlier, min(wanted, len(earlier)))
        if sources:
            step["after"] = [self._edge(source) for source in sources]
        return sources

    def _edge(self, source: Definition) -> Any:
        if self.odds(70):
            return source["id"]
        return {"step": source["id"], "on": self.random.choice(["succeeded", "failed", "failed", "skipped", "done"])}

    def _choices_of(self, step: Definition, earlier: list[Definition], sources: list[Definition]) -> None:
        """Be named by earlier switches and catches, where there is no other edge from them."""
        for source in earlier:
            if source in sources or not self.odds(45):
                continue
            if "switch" in source:
                branch = self.random.choice(source["switch"])
                key = "else" if "else" in branch else "then"
                branch[key] = [*branch[key], step["id"]]
            elif source.get("catch") and "forEach" not in source and self.odds(60):
                source["catch"][0].pop("output", None)
                if "then" in source["catch"][0]:
                    continue
                source["catch"][0]["then"] = step["id"]
            else:
                continue
            sources.append(source)

    def _join(self, step: Definition, sources: list[Definition]) -> None:
        if len(sources) > 1 and self.odds(40):
            step["join"] = self.random.choice(["any", "any", "done", "done", self.random.randint(1, len(sources))])
        elif sources and self.odds(12):
            step["join"] = "done"

    # ------------------------------------------------------------------------------------------------------ actions

    def _action(self, step: Definition, sources: list[Definition], depth: int, path: str) -> None:
        actions = {"task": 30, "set": 18, "wait": 18, "fail": 6, "switch": 9, "emit": 2, "signal": 4, "approval": 4, "workflow": 3}
        if depth < MAX_DEPTH:
            actions["group"] = 12
        if self.is_inside_loop:
            del actions["approval"], actions["signal"]
        action = self.random.choices(list(actions), list(actions.values()))[0]
        self._loop(step, action)
        match action:
            case "task":
                self._task(step, sources)
            case "set":
                step["set"] = self._value(step, sources)
            case "wait":
                until = f"timestamp(run.startedAt) + duration('{self._minutes()}m')"
                step["wait"] = self._duration() if self.odds(85) else {"until": until}
            case "fail":
                step["fail"] = {"error": self.random.choice(_ERRORS), "message": "on ${run.workflow}"}
            case "switch":
                step["switch"] = [{"when": self._condition(step, sources), "then": []} for _ in range(self.random.randint(1, 2))]
                step["switch"] += [{"else": []}] * self.odds(60)
            case "emit":
                step["emit"] = {"type": "Happened", "detail": {"value": self._value(step, sources)}}
            case "signal":
                self._signal(step)
            case "approval":
                self._approval(step, path)
            case "workflow":
                self._call(step)
            case "group":
                self._group(step, depth, path)

    def _loop(self, step: Definition, action: str) -> None:
        if action in ("switch", "signal", "approval"):
            return
        if self.odds(14):
            lists: list[Any] = ["input.list", "input.map", "[5, 6, 7, 8]", [1, 2], "['x']"]
            step["forEach"] = "input.n" if self.odds(2) else self.random.choice(lists)
            if self.odds(50):
                step["maxConcurrency"] = self.random.randint(1, 3)
            if self.odds(40):
                step["tolerate"] = self.random.choice([{"failures": 1}, {"failures": 2}, {"percent": 50}])
        elif self.odds(8):
            limit = self.random.randint(1, 3)
            tests = [{"while": f"iteration < {limit}"}, {"until": f"iteration + 1 >= {limit}"}, {"until": "previous == 0"}]
            step["repeat"] = {**self.random.choice(tests), "max": self.random.randint(1, 4)}
            if self.odds(30):
                step["repeat"]["delay"] = self._duration()

    def _task(self, step: Definition, sources: list[Definition]) -> None:
        error = self.random.choice(_ERRORS)
        turn = "${index}" if "forEach" in step else "${iteration}" if "repeat" in step else ""
        match self.random.choices(["echo", "record", "flaky", "fail_first"], [25, 35, 28, 12])[0]:
            case "echo":
                step |= {"task": "echo", "with": {"v": self._value(step, sources)}}
            case "record":
                step |= {"task": "record", "with": {"v": self._value(step, sources)}}
            case "flaky":
                fails: Any = self.random.choice([0, 1, 1, 2, 9])
                if "forEach" in step and self.odds(70):
                    fails = f"${{index {self.random.choice(['==', '>', '<', '!='])} {self.random.randint(0, 2)} ? 9 : 0}}"
                step |= {"task": "flaky", "with": {"fails": fails, "error": error, "value": self._value(step, sources)}}
            case "fail_first":
                step |= {"task": "fail_first", "with": {"key": step["id"] + turn, "fails": self.random.choice([1, 1, 2]), "error": error}}

    def _signal(self, step: Definition) -> None:
        step["signal"] = {"name": step["id"], "timeout": self._duration(300, 900)}
        if self.odds(80):
            self.script.append({"at": self._duration(), "do": "signal", "name": step["id"], "payload": self.random.randint(0, 9)})

    def _approval(self, step: Definition, path: str) -> None:
        step["approval"] = {"timeout": self._duration(300, 900)}
        if self.odds(80):
            act = self.random.choice(["approve", "approve", "reject"])
            self.script.append({"at": self._duration(), "do": act, "step": path + step["id"], "by": "ann"})

    def _decision(self, step: Definition, path: str) -> None:
        """What a person chooses if it has failed by then. Which items of a loop `retry` runs again is not said."""
        is_loop = "forEach" in step or "repeat" in step
        choice = self.random.choice(["skip", "fail"] if is_loop else ["retry", "skip", "fail"])
        entry = {"at": self._duration(300, 900), "do": "decide", "step": path + step["id"], "choice": choice, "output": "decided"}
        self.script.append(entry)

    def _call(self, step: Definition) -> None:
        self.calls_children = True
        step["workflow"] = {"id": self.random.choice(_CHILDREN)["id"], "input": {"n": "${input.n}"}}
        if self.odds(15):
            step["workflow"]["wait"] = False

    def _group(self, step: Definition, depth: int, path: str) -> None:
        was_inside, self.is_inside_loop = self.is_inside_loop, self.is_inside_loop or "forEach" in step or "repeat" in step
        steps = self._steps(self.random.randint(1, 4), depth + 1, f"{path}{step['id']}.")
        self.is_inside_loop = was_inside
        step["group"] = {"steps": steps}
        if self.odds(20):
            step["group"]["output"] = {inner["id"]: f"${{steps.{inner['id']}.outcome}}" for inner in steps}

    # ---------------------------------------------------------------------------------------------------- modifiers

    def _modifiers(self, step: Definition, sources: list[Definition], depth: int) -> None:
        if self.odds(12):
            step["when"] = self._condition(step, sources)
        if self.odds(22) and "switch" not in step:
            step["retry"] = self._retry()
        if self.odds(20 if {"wait", "group"} & step.keys() else 3):
            step["timeout"] = self._duration()
        if self.odds(20):
            entries = [{"errors": self.random.choice(_PATTERNS), "output": self._fallback()} for _ in range(self.random.randint(1, 2))]
            step["catch"] = entries
        if self.odds(45 if self.mode == "compensate" else 4) and "retry" not in step and "catch" not in step:
            step["compensate"] = self._undo(step)
        if self.odds(8) and "switch" not in step:
            step["output"] = self.random.choice(["${result}", {"was": "${result}"}, "done ${input.n}"])
        if self.odds(12):
            step["priority"] = self.random.choice(["low", "high", "critical"])
        if self.odds(20) and "task" in step:
            step["idempotent"] = True

    def _undo(self, step: Definition) -> Definition:
        if self.odds(75):
            return {"task": "revert", "with": {"step": step["id"]}}
        return {"task": "flaky", "with": {"fails": self.random.choice([1, 9]), "error": "Red", "value": None}}

    def _fallback(self) -> Any:
        return self.random.choice(["caught", {"name": "${error.name}"}, 0])

    def _retry(self) -> Definition:
        policy: Definition = {
            "maxAttempts": self.random.randint(2, 3),
            "backoff": self.random.choice(["fixed", "linear", "exponential"]),
            "delay": self._duration(1, 40),
            "jitter": "none",
        }
        if self.odds(25):
            policy["on"] = self.random.choice([["Red"], ["Red*"], ["Blue", "Timeout"]])
        elif self.odds(20):
            policy["except"] = self.random.choice([["Red"], ["Timeout"]])
        if self.odds(15):
            policy["maxDelay"] = "3m"
        return policy

    # --------------------------------------------------------------------------------------------------- expressions

    def _value(self, step: Definition, sources: list[Definition]) -> Any:
        forms: list[Any] = [1, "text", "${input.n}", None, {"k": ["${input.n + 1}"]}]
        forms += ["${item}", "i${index}"] * ("forEach" in step) + ["${iteration}", "${previous == null ? 1 : 0}"] * ("repeat" in step)
        if sources and self.odds(60):
            return self._of_source(step, self.random.choice(sources))
        return self.random.choice(forms)

    def _of_source(self, step: Definition, source: Definition) -> str:
        there = f"steps.{source['id']}"
        is_text_free = "emit" not in source and "workflow" not in source and "group" not in source
        form = self.random.choice([f"{there}.outcome", f"{there}.output" if is_text_free else f"{there}.outcome"])
        return f"${{{there} == null ? 'none' : {form}}}" if step.get("join") not in (None, "done") else f"${{{form}}}"

    def _condition(self, step: Definition, sources: list[Definition]) -> Any:
        if sources and step.get("join") in (None, "done") and self.odds(50):
            outcome = self.random.choice(["succeeded", "succeeded", "failed", "skipped"])
            return f"steps.{self.random.choice(sources)['id']}.outcome == '{outcome}'"
        if self.odds(3):
            return "input.n"  # no boolean
        return self.random.choice(["true", "false", True, False, "input.n > 1", "input.n < 2", "input.yes"])

    def _duration(self, least: int = 0, most: int = 0) -> str:
        return f"{self._minutes(least, most)}m"

    def _minutes(self, least: int = 0, most: int = 0) -> int:
        """Most are used once; some short enough to be a message's delay, others for the due index."""
        low, high = (least, most) if most else self.random.choice([(1, 14), (16, 300)])
        minutes = self.random.randint(low, high)
        while minutes in self.spans and not self.odds(10):
            minutes = self.random.randint(low, high)
        self.spans.add(minutes)
        return minutes


def _use_dependencies(scope: Definition) -> None:
    """Say the plain edges of some steps in the other form."""
    for step in scope["steps"]:
        if step.get("after") and all(isinstance(source, str) for source in step["after"]):
            scope.setdefault("dependencies", {})[step["id"]] = step.pop("after")
