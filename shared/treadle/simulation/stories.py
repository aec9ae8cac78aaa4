"""What became of each step of a user's own workflow, counted over many simulations.

Items of loops, iterations and attempts of groups are counted with the step of the definition that they are of.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ..core import paths
from ..core.model import Outcome
from ..core.plan import Plan, Scope, Step
from .explore import Case
from .faults import Kind

FAULTS: Final = {
    Kind.BEFORE: "crashes",
    Kind.AFTER: "crashes",
    Kind.TWICE: "duplicates",
    Kind.AMBIGUOUS: "errors",
    Kind.THROTTLED: "errors",
    Kind.REPEATED: "errors",
    Kind.PARTIAL: "errors",
    Kind.FROZEN: "stalls",
    Kind.SKEWED: "clocks",
}
UNREACHED: Final = "unreached"  # there is no fact of it
ORDER: Final = ("failed", "caught", "cancelled", "waiting", "succeeded", "bypassed", "blocked", "dead")  # which of many instances is told
SKIPPED: Final = ("bypassed", "blocked", "dead", UNREACHED)
UNDO: Final = "undo of "

_INDEX = re.compile(r"\[\d+\]|~\d+")


def steps_in(scope: Scope, above: str = "") -> Iterator[tuple[str, Step]]:
    """All steps as the definition has them, with their paths, groups before what is in them."""
    for step in scope.steps.values():
        path = paths.join(above, step.id)
        yield path, step
        if step.inner is not None:
            yield from steps_in(step.inner, path)


@dataclass
class Story:
    """`counts`: by step and what happened, in how many schedules (`calls`: how often its task was called in all of them).
    `calm`: how the run ends when nothing goes wrong."""

    plan: Plan
    calm: Case
    ends: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    is_loose: bool = False  # results are a matter of timing, and were not compared
    has_stand_ins: bool = False
    known: frozenset[str] = frozenset()  # workflows that are there to be children

    def merge(self, other: Story) -> None:
        for counter, more in zip(self._counters, other._counters, strict=True):
            counter.update(more)

    @property
    def _counters(self) -> tuple[Counter[Any], ...]:
        return self.ends, self.faults, self.counts, self.errors

    @property
    def schedules(self) -> int:
        return self.ends.total()

    def add(self, case: Case) -> None:
        self.ends[case.result.status] += 1
        for (_, kind), count in case.fired.items():
            self.faults[FAULTS[kind]] += count
        self._called(case)
        self._ended(case)

    def _called(self, case: Case) -> None:
        instances = Counter(paths.shown(key) for key in case.result.steps)  # of attempts of groups, which share their paths
        seen: set[tuple[str, str]] = set()
        for (path, attempt), count in case.ran.items():
            step = _INDEX.sub("", path)
            self.counts[step, "calls"] += count
            seen.add((step, "called"))
            if count > max(1, instances[path]):
                seen.add((step, "repeated"))
            if attempt > 1:
                seen.add((step, "retried"))
        self.counts.update(seen)

    def _ended(self, case: Case) -> None:
        ends: dict[str, set[str]] = {}
        for key, told in case.result.steps.items():
            if key.startswith(UNDO):
                ends.setdefault(_INDEX.sub("", key), set()).add(str(told[0]))
            elif paths.index(key) is None:
                ends.setdefault(_INDEX.sub("", key), set()).add(_end(told[0]))
                if told[2] is not None:
                    self.errors[_INDEX.sub("", key), told[2]] += 1
        for path, _ in steps_in(self.plan.root):
            self.counts[path, next((end for end in ORDER if end in ends.get(path, ())), UNREACHED)] += 1
            self.counts[path, "undone"] += UNDO + path in ends

    def count(self, step: str, *what: str) -> int:
        return sum(self.counts[step, each] for each in what)

    def ran(self, step: str) -> int:
        """In how many schedules it began."""
        return self.schedules - self.count(step, *SKIPPED)

    def repeated(self, step: str) -> int:
        return self.count(step, "repeated")

    def to_json(self) -> dict[str, Any]:
        return {
            "workflow": self.plan.workflow,
            "simulations": self.schedules,
            "calm": {"status": self.calm.result.status, "error": self.calm.why},
            "ends": dict(sorted(self.ends.items())),
            "faults": {name: self.faults[name] for name in sorted({*FAULTS.values()})},
            "standIns": self.has_stand_ins,
            "resultsCompared": not self.is_loose,
            "steps": [self._step(path, step) for path, step in steps_in(self.plan.root)],
        }

    def _step(self, path: str, step: Step) -> dict[str, Any]:
        ends = {end: self.counts[path, end] for end in ("succeeded", "failed", "caught", "cancelled", "waiting")}
        did = {what: self.counts[path, what] for what in ("calls", "repeated", "retried", "undone")}
        skipped = self.count(path, *SKIPPED)
        errors = {name: count for (of, name), count in sorted(self.errors.items()) if of == path}
        after = [edge.source for edge in step.edges]
        return {
            "step": path,
            "does": step.action,
            "after": after,
            "ran": self.ran(path),
            **ends,
            "skipped": skipped,
            **did,
            "errors": errors,
        }


def _end(told: str) -> str:
    return told if told in {outcome.value for outcome in Outcome} else "waiting"
