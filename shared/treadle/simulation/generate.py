"""Random definitions: small, valid, and with every feature that the reference interpreter can judge.

One seed, one case. What the language page leaves open is not generated: no jitter, tasks take no time, durations are whole
minutes and mostly distinct, an expression names direct sources only.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .notebook import CHILDREN
from .phrases import ERRORS, NAMES, PATTERNS, Definition, Phrases

MAX_DEPTH = 2
DEEPEST = 14  # groups around one step, under a step of the document: 16 is the limit


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


@dataclass
class _Author(Phrases):
    """Writes one definition. `made` counts steps; `signals` are names that are waited for."""

    made: int = 0
    script: list[Definition] = field(default_factory=list)
    signals: list[str] = field(default_factory=list)
    calls_children: bool = False
    mode: str = "stop"
    is_inside_loop: bool = False

    def case(self, name: str) -> Case:
        self.mode = self.random.choices(["stop", "continue", "compensate", "wait"], [36, 28, 28, 8])[0]
        definition: Definition = {"id": name, "name": name, "version": "1.0.0", "errorHandling": self._error_handling()}
        definition["steps"] = self._steps(self.random.randint(2, 9), depth=0, path="")
        if self.odds(15):
            _use_dependencies(definition)
        if self.odds(8):
            definition["timeout"] = self._duration()
        if self.odds(20):
            definition["output"] = {step["id"]: f"${{steps.{step['id']}.outcome}}" for step in definition["steps"] if self.odds(50)}
        if self.odds(15):
            definition["checkpoint"] = self.random.choice([{"steps": 3}, {"every": "5m"}])
        self._around(definition)
        self._steering()
        given = {"n": self.random.randint(0, 3), "yes": True, "list": [1, 2, 3][: self.random.randint(0, 3)], "map": {"b": 1, "a": 2}}
        if self.odds(40):
            self.script += self._retries(definition, given)
        children = CHILDREN if self.calls_children else ()
        return Case(definition, given, tuple(self.script), children)

    def _error_handling(self) -> Definition:
        errors: Definition = {"onFailure": self.mode}
        if self.odds(15):
            errors["retry"] = self._retry()
        if self.odds(4):  # the older names; without a jitter of its own it would be a random one
            strategy = self.random.choice(["fixed", "linear", "exponential"])
            errors |= {"retry": {"jitter": "none", "delay": self._duration(1, 40)}, "retryAttempts": 1, "backoffStrategy": strategy}
        if self.odds(10):
            errors[self.random.choice(["thresholds", "thresholds", "errorThresholds"])] = self._thresholds()
        if self.odds(70 if self.mode == "wait" else 6):
            ladder = [self._rung() for _ in range(self.random.randint(1, 3))]
            errors[self.random.choice(["escalation", "escalation", "escalationPolicy"])] = ladder
        elif self.odds(3):
            errors["escalationPolicy"] = self.random.choice(["automatic", "manual"])
        return errors

    def _thresholds(self) -> Definition:
        limits: Definition = {"maxFailedSteps": self.random.randint(1, 3)} if self.odds(60) else {"failureRate": 0.4, "window": "7d"}
        return limits | ({"action": self.random.choice(["fail", "pause", "cancel"])} if self.odds(80) else {})

    def _rung(self) -> Definition:
        by_time = self.odds(70)
        rung: Definition = {"afterFailure": self._duration(16, 500)} if by_time else {"afterAttempts": self.random.randint(1, 2)}
        if self.odds(60):
            return rung | {"action": self.random.choice(["fail", "pause", "cancel"])}
        severity = {"severity": self.random.choice(["info", "warning", "error", "critical"])} if self.odds(70) else {}
        return rung | {"notify": "ann"} | severity

    def _around(self, definition: Definition) -> None:
        """What is said of the whole run."""
        if self.odds(5):
            schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
            definition["input"] = self.random.choice([schema, schema, True])
        if self.odds(5):
            definition["metadata"] = {"owner": "Zoë", "attributes": {"n": "${input.n}", "who": "Zoë", "is": True}}
        if self.odds(5):
            overflow = {"overflow": self.random.choice(["queue", "reject", "cancelOldest"])} if self.odds(75) else {}
            definition["concurrency"] = {"key": "input.n", "limit": 1, **overflow}

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
        for step in steps:
            if "switch" in step and self.odds(50):
                _say_shortly(step["switch"])
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
            step["join"] = self.random.choice(["any", "any", "done", "done", "all", self.random.randint(1, len(sources))])
        elif sources and self.odds(12):
            step["join"] = "done"

    # ------------------------------------------------------------------------------------------------------ actions

    def _action(self, step: Definition, sources: list[Definition], depth: int, path: str) -> None:
        actions = {"task": 30, "set": 18, "wait": 18, "fail": 6, "switch": 9, "emit": 2, "signal": 4, "approval": 4, "workflow": 3}
        if depth < MAX_DEPTH:
            actions["group"] = 12
        if self.is_inside_loop:
            del actions["approval"]
        action = self.random.choices(list(actions), list(actions.values()))[0]
        self._loop(step, action)
        match action:
            case "task":
                self._task(step, sources, path)
            case "set":
                step["set"] = self._value(step, sources)
            case "wait":
                until = f"timestamp(run.startedAt) + duration('{self._minutes()}m')"
                step["wait"] = self._duration() if self.odds(85) else {"until": until}
            case "fail":
                step["fail"] = {"error": self.random.choice(ERRORS), "message": "on ${run.workflow}"}
            case "switch":
                step["switch"] = [{"when": self._condition(step, sources), "then": []} for _ in range(self.random.randint(1, 2))]
                step["switch"] += [{"else": []}] * self.odds(60)
            case "emit":
                step["emit"] = {"type": "Happened", "detail": {"value": self._value(step, sources)}}
                if self.odds(50):
                    step["emit"]["source"] = "shop"
            case "signal":
                self._signal(step)
            case "approval":
                self._approval(step, path)
            case "workflow":
                self._call(step)
            case "group":
                self._group(step, depth, path)

    def _loop(self, step: Definition, action: str) -> None:
        if action in ("switch", "approval"):
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
            tests: list[Definition] = [
                {"while": f"iteration < {limit}"},
                {"until": f"iteration + 1 >= {limit}"},
                {"until": "previous == 0"},
            ]
            tests += [{"while": True}, {"until": False}] if self.odds(15) else []
            step["repeat"] = {**self.random.choice(tests), "max": self.random.randint(1, 4)}
            if self.odds(30):
                step["repeat"]["delay"] = self._duration()

    def _task(self, step: Definition, sources: list[Definition], path: str) -> None:
        error = self.random.choice(ERRORS)
        turn = "${index}" if "forEach" in step else "${iteration}" if "repeat" in step else ""
        match self.random.choices(["echo", "record", "flaky", "fail_first", "later", "large"], [25, 33, 27, 11, 6, 2])[0]:
            case "later":
                self._later(step, path)
            case "large":
                step |= {"task": "large", "with": {"times": self.random.choice([1, 1_000, 60_000])}}
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

    def _later(self, step: Definition, path: str) -> None:
        """Ends by an answer, or for want of one or of a heartbeat."""
        step |= {"task": "later", "timeout": self._duration(300, 900)}
        if self.odds(60):
            step["heartbeat"] = self._duration()
        if self.is_inside_loop:
            return
        at = path + step["id"] + ("[0]" if "forEach" in step or "repeat" in step else "")
        self.script += [{"at": self._duration(), "do": "beat", "step": at} for _ in range(self.random.randint(0, 2))]
        for _ in range(self.random.randint(0, 2)):
            told = {"error": self.random.choice(ERRORS)} if self.odds(30) else {"output": self.random.choice([None, 7, "späte Antwort"])}
            self.script.append({"at": self._duration(), "do": "answer", "step": at, **told})

    def _signal(self, step: Definition) -> None:
        """Some have their name from another one, or from all items of a loop: each takes one."""
        name = self.random.choice(self.signals) if self.signals and self.odds(35) else self.random.choice([step["id"], *NAMES])
        self.signals.append(name)
        step["signal"] = {"name": name, "timeout": self._duration(300, 900)}
        if self.odds(15):
            step["signal"]["schema"] = self.random.choice([{"type": "integer", "maximum": 5}, {"type": "integer", "maximum": 5}, True])
        for _ in range(self.random.randint(0, 2)):
            payload: Any = self.random.choice([*range(8), "text"])
            self.script.append({"at": self._duration(), "do": "signal", "name": name, "payload": payload})

    def _approval(self, step: Definition, path: str) -> None:
        step["approval"] = {"timeout": self._duration(300, 900)}
        if self.odds(40):
            step["approval"] |= {"by": self.random.choice([["ann"], ["bob"], ["bob", "ann"]]), "message": "Für ${input.n}?"}
        if self.odds(80):
            act = self.random.choice(["approve", "approve", "reject"])
            self.script.append({"at": self._duration(), "do": act, "step": path + step["id"], "by": "ann", "comment": "gut"})

    def _decision(self, step: Definition, path: str) -> None:
        """What a person chooses if it has failed by then. Which items of a loop `retry` runs again is not said."""
        is_loop = "forEach" in step or "repeat" in step
        choice = self.random.choice(["skip", "fail"] if is_loop else ["retry", "skip", "fail"])
        entry = {"at": self._duration(300, 900), "do": "decide", "step": path + step["id"], "choice": choice, "output": "decided"}
        self.script.append(entry)

    def _call(self, step: Definition) -> None:
        self.calls_children = True
        step["workflow"] = {"id": self.random.choice(CHILDREN)["id"], "input": {"n": "${input.n}"}}
        if self.odds(15):
            step["workflow"]["wait"] = self.odds(20)
        if self.odds(20):
            step["workflow"]["version"] = "1.0.0"

    def _group(self, step: Definition, depth: int, path: str) -> None:
        if depth == 0 and self.odds(6):
            return self._deep(step)
        was_inside, self.is_inside_loop = self.is_inside_loop, self.is_inside_loop or "forEach" in step or "repeat" in step
        steps = self._steps(self.random.randint(1, 4), depth + 1, f"{path}{step['id']}.")
        self.is_inside_loop = was_inside
        step["group"] = {"steps": steps}
        if self.odds(20):
            step["group"]["output"] = {inner["id"]: f"${{steps.{inner['id']}.outcome}}" for inner in steps}
        if self.odds(15):
            _use_dependencies(step["group"])

    def _deep(self, step: Definition) -> None:
        """As deep as it goes."""
        self.made += DEEPEST
        inner: Definition = {"id": f"s{self.made}", "task": "flaky", "with": {"fails": 1, "error": "Red", "value": "deep"}}
        if self.odds(50):
            inner["retry"] = self._retry()
        for number in range(self.made - 1, self.made - DEEPEST, -1):
            inner = {"id": f"s{number}", "group": {"steps": [inner]}}
        step["group"] = {"steps": [inner]}

    # ---------------------------------------------------------------------------------------------------- modifiers

    def _modifiers(self, step: Definition, sources: list[Definition], depth: int) -> None:
        if self.odds(12):
            step["when"] = self._condition(step, sources)
        if self.odds(22) and "switch" not in step:
            step["retry"] = self._retry()
        if self.odds(20 if {"wait", "group"} & step.keys() else 3):
            step.setdefault("timeout", self._duration())
        if self.odds(20):
            entries = [{"errors": self.random.choice(PATTERNS), "output": self._fallback()} for _ in range(self.random.randint(1, 2))]
            step["catch"] = entries
        if self.odds(45 if self.mode == "compensate" else 4) and "retry" not in step and "catch" not in step:
            step["compensate"] = self._undo(step)
        if self.odds(8) and "switch" not in step:
            step["output"] = self.random.choice(["${result}", {"was": "${result}"}, "done ${input.n}"])
        if self.odds(12):
            step["priority"] = self.random.choice(["low", "normal", "high", "critical"])
        if "task" in step:
            self._task_modifiers(step)

    def _task_modifiers(self, step: Definition) -> None:
        if self.odds(20):
            step["idempotent"] = True
        if self.odds(12) and step["task"] != "later":
            ttl = "7d" if self.made % 2 else f"PT{3 * self.made}M30S"  # over between two timers, however late they are
            step["cache"] = {"key": self.random.choice(["input.n", "'same'", "string(input.n)", "input.list"]), "ttl": ttl}
        if self.odds(6):
            step["resources"] = self.random.choice([{"cpu": "1 vCPU"}, {"memory": "512MB", "storage": "1GB"}])
        if self.odds(6) and step["task"] != "later":  # it holds its place while others wait
            step["concurrency"] = {"key": self.random.choice(["input.n", "'all'"]), "limit": self.random.randint(1, 2)}
        if self.odds(3) and step["task"] != "later":
            step["heartbeat"] = self._duration()

    def _undo(self, step: Definition) -> Definition:
        if self.odds(70):
            return {"task": "revert", "with": {"step": step["id"]}}
        self.calls_children = True
        flaky = {"task": "flaky", "with": {"fails": self.random.choice([1, 9]), "error": "Red", "value": None}}
        child = self.random.choice(["child-adds", "child-breaks"])
        forms: list[Definition] = [
            flaky,
            flaky,
            {**flaky, "retry": self._retry()},
            {**flaky, "resources": {"cpu": "1 vCPU"}},
            {"set": "${output}"},
        ]
        forms += [{"emit": {"type": "Undone", "detail": {"of": step["id"]}}}, {"wait": self._duration(), "timeout": self._duration()}]
        forms += [{"wait": {"until": f"timestamp(run.startedAt) + duration('{self._minutes()}m')"}}]
        forms += [{"fail": {"error": "Red", "message": "${error.name}"}}, {"workflow": {"id": child, "input": {"n": "${input.n}"}}}]
        return self.random.choice(forms)

    def _fallback(self) -> Any:
        return self.random.choice(["caught", {"name": "${error.name}"}, 0])


def _say_shortly(cases: list[Definition]) -> None:
    """One step without its brackets."""
    for case in cases:
        key = "else" if "else" in case else "then"
        if len(case[key]) == 1:
            case[key] = case[key][0]


def _use_dependencies(scope: Definition) -> None:
    """Say the plain edges of some steps in the other form."""
    for step in scope["steps"]:
        if step.get("after") and all(isinstance(source, str) for source in step["after"]):
            scope.setdefault("dependencies", {})[step["id"]] = step.pop("after")
