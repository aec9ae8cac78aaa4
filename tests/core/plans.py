"""Plans for the tests of the core: from the shortest description of their edges."""

from __future__ import annotations

from typing import Any

from treadle.core.advance import Fact, Verdict
from treadle.core.expressions import References
from treadle.core.model import Outcome
from treadle.core.plan import Plan, Scope, compile_plan


class NoExpressions:
    """The core's own tests need no expression language: every text names nothing."""

    def references(self, text: str) -> References:
        return References(frozenset(), frozenset())

    def evaluate(self, text: str, names: Any) -> Any:
        raise AssertionError(f"{text} was evaluated")


def plan(*steps: dict[str, Any], **more: Any) -> Plan:
    document = {
        "id": "w",
        "name": "W",
        "version": "1.0.0",
        "steps": [step if {"group", "switch"} & step.keys() else {"set": 1, **step} for step in steps],
        **more,
    }
    return compile_plan(document, NoExpressions())


def scope(*steps: dict[str, Any]) -> Scope:
    return plan(*steps).root


def fact(key: str, outcome: Outcome = Outcome.SUCCEEDED, *, at: int = 0, chosen: tuple[str, ...] = ()) -> Fact:
    return Fact(key, outcome, ended_at=at, chosen=chosen)


def skip(key: str, verdict: Verdict) -> Fact:
    return fact(key, verdict.outcome)
