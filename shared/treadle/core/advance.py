"""What may run now. Pure: no clock, no network, no randomness.

Rule 1: whether a step may start is decided in this file and nowhere else.
Rule 2: facts only grow, so the answer never depends on the order they came in.

`frontier` looks at a whole scope, `advance` only around one step that has just ended. The law that ties them (tests/core):
`advance` after each fact, in any order, starts exactly what `frontier` over all of them would start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from .model import Json, Outcome, StepError
from .plan import CHOSEN, Edge, Scope, Step


@dataclass(frozen=True, slots=True)
class Fact:
    """How one step ended. Written once."""

    key: str
    outcome: Outcome
    output: Json = None
    error: StepError | None = None
    attempts: int = 0
    started_at: int | None = None
    ended_at: int = 0
    chosen: tuple[str, ...] = ()  # by a `switch`, or by the `catch.then` that matched
    why: str | None = None
    next: str | None = None  # the successor that the same worker goes on with, and has thereby claimed
    seq: int = 0  # greater than that of every step it came after


Facts = Mapping[str, Fact]  # by step id, within one scope


class Edging(Enum):
    """What an edge has come to."""

    OPEN = auto()  # its source has not ended
    LIVE = auto()
    DEAD = auto()
    FAILED = auto()


# language page, section 3: how the source ended x what the edge waits for
_TABLE: dict[Outcome, dict[str, Edging]] = {
    #                    plain                    succeeded                   failed                    skipped                   done
    Outcome.SUCCEEDED: {"plain": Edging.LIVE, "succeeded": Edging.LIVE, "failed": Edging.DEAD, "skipped": Edging.DEAD, "done": Edging.LIVE},
    Outcome.FAILED: {"plain": Edging.FAILED, "succeeded": Edging.DEAD, "failed": Edging.LIVE, "skipped": Edging.DEAD, "done": Edging.LIVE},
    Outcome.BYPASSED: {"plain": Edging.LIVE, "succeeded": Edging.DEAD, "failed": Edging.DEAD, "skipped": Edging.LIVE, "done": Edging.LIVE},
    Outcome.DEAD: {"plain": Edging.DEAD, "succeeded": Edging.DEAD, "failed": Edging.DEAD, "skipped": Edging.LIVE, "done": Edging.DEAD},
    Outcome.BLOCKED: {"plain": Edging.FAILED, "succeeded": Edging.DEAD, "failed": Edging.DEAD, "skipped": Edging.LIVE, "done": Edging.LIVE},
    Outcome.CAUGHT: {"plain": Edging.DEAD, "succeeded": Edging.DEAD, "failed": Edging.LIVE, "skipped": Edging.DEAD, "done": Edging.LIVE},
    Outcome.CANCELLED: {"plain": Edging.DEAD, "succeeded": Edging.DEAD, "failed": Edging.DEAD, "skipped": Edging.DEAD, "done": Edging.LIVE},
}


def edging(edge: Edge, target: str, fact: Fact | None) -> Edging:
    if fact is None:
        return Edging.OPEN
    if edge.on != CHOSEN:
        return _TABLE[fact.outcome][edge.on]
    if target in fact.chosen:
        return Edging.LIVE
    plain = _TABLE[fact.outcome]["plain"]
    return Edging.FAILED if plain is Edging.FAILED else Edging.DEAD


@dataclass(frozen=True, slots=True)
class Tally:
    """How many edges into a step have come to what. All a join needs to know, whatever its width."""

    live: int = 0
    dead: int = 0
    failed: int = 0

    @property
    def resolved(self) -> int:
        return self.live + self.dead + self.failed


class Verdict(Enum):
    """What becomes of a step once its join is decided."""

    START = auto()
    DEAD = auto()
    BLOCKED = auto()

    @property
    def outcome(self) -> Outcome:
        """Of the skip fact, for the two that need one."""
        return Outcome.DEAD if self is Verdict.DEAD else Outcome.BLOCKED


def decide(join: str | int, width: int, tally: Tally) -> Verdict | None:
    """None: not decided yet. A step without edges starts with its scope."""
    if width == 0:
        return Verdict.START
    match join:
        case "all":
            return _decide_all(width, tally)
        case "done":
            return Verdict.START if tally.resolved == width else None
        case _:
            needed = 1 if join == "any" else int(join)
            if tally.live >= needed:
                return Verdict.START
            return Verdict.DEAD if width - tally.dead - tally.failed < needed else None


def _decide_all(width: int, tally: Tally) -> Verdict | None:
    if tally.resolved < width:
        return None
    if tally.failed:
        return Verdict.BLOCKED
    return Verdict.START if tally.live else Verdict.DEAD


def tally_of(step: Step, facts: Facts) -> Tally:
    found = [edging(edge, step.id, facts.get(edge.source)) for edge in step.edges]
    return Tally(found.count(Edging.LIVE), found.count(Edging.DEAD), found.count(Edging.FAILED))


def verdict(step: Step, facts: Facts) -> Verdict | None:
    """Of a step without a fact, from the facts of its sources."""
    return decide(step.join, len(step.edges), tally_of(step, facts))


def frontier(scope: Scope, facts: Facts) -> dict[str, Verdict]:
    """Every step of the scope that has no fact and whose join is decided. Skips are to be written as facts, then asked again."""
    found: dict[str, Verdict] = {}
    for step in scope.steps.values():
        if step.id not in facts and (decided := verdict(step, facts)) is not None:
            found[step.id] = decided
    return found


def advance(scope: Scope, ended: str, facts: Facts) -> dict[str, Verdict]:
    """The same, only for steps that `ended` has an edge to. `facts` needs the sources of those steps, no others."""
    found: dict[str, Verdict] = {}
    for target in scope.steps[ended].targets:
        if target not in facts and (decided := verdict(scope.steps[target], facts)) is not None:
            found[target] = decided
    return found


def cleanup(scope: Scope, facts: Facts, under_way: frozenset[str]) -> frozenset[str]:
    """Steps with `join: done` that may start although the scope is stopping.

    In a stopping scope only these start. A source that has neither a fact nor is under way never will have one, unless it is
    such a step itself.
    """

    def has_ended(source: str) -> bool:
        return source in facts or (source not in under_way and scope.steps[source].join != "done")

    return frozenset(
        step.id
        for step in scope.steps.values()
        if step.join == "done"
        and step.edges
        and step.id not in facts
        and step.id not in under_way
        and all(has_ended(e.source) for e in step.edges)
    )


def first_live(step: Step, facts: Facts) -> tuple[str, ...]:
    """The sources a join `any` or N saw when it was decided; the others read as null in it.

    `any`: only the earliest live one, by (endedAt, seq, id), so never one that came after another of them. N: every one that had ended.
    """
    if step.join != "any":
        return tuple(sorted({edge.source for edge in step.edges if edge.source in facts}))
    live = [facts[edge.source] for edge in step.edges if edging(edge, step.id, facts.get(edge.source)) is Edging.LIVE]
    earliest = min(live, key=lambda fact: (fact.ended_at, fact.seq, fact.key), default=None)
    return () if earliest is None else tuple(e.source for e in step.edges if facts.get(e.source) is earliest)[:1]
