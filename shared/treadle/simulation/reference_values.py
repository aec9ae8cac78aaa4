"""What the reference interpreter works with: failures, ends of steps, what expressions see, retry policies.

Written from the language page alone. It shares expressions, durations and the tasks themselves with the engine, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

from ..core import expressions as templates
from ..core.durations import parse_duration
from ..core.errors import ExpressionFault
from ..core.expressions import Expressions
from .processes import Order

Json = Any
Definition = Mapping[str, Any]

PERMANENT = frozenset({"ExpressionError", "InputInvalid", "OutputInvalid", "TaskNotFound", "PayloadTooLarge", "Rejected", "Cancelled"})

ANY_TEXT = "<any text>"  # stands for an id that the engine makes up


# Behind the label of a step: its next attempt, what follows from its failure, and that it was cancelled; behind that of a run: its last
# step has ended, and it pauses by itself.
NEXT, FAILED, CUT, OVER, HELD = "~", "!", "-", "$", "="


class Failure(Exception):
    """An attempt, a step, a scope or a run failed."""

    def __init__(self, name: str, message: str = "", permanent: bool = False) -> None:
        super().__init__(name, message)
        self.name = name
        self.message = message
        self.is_permanent = permanent or name in PERMANENT


class Choices(Order, Protocol):
    """Which of the orders that the page leaves open is gone through. Paths are the run's, with those of a child run behind its step's."""

    def starter(self, path: str) -> str | None:
        """Of several sources that were live at one instant, the one that started this `join: any`."""
        ...

    def undone(self, path: str, now: int, before: int) -> float:
        """The turn of the compensation of this step, from `now` on, among those of steps that ended at one instant. `before`: how many
        later attempts of it (its group was retried) are undone first."""
        ...


class How(StrEnum):
    """The rows of the table in section 3: how a source ended. (`catch.output` is `SUCCEEDED`.)"""

    SUCCEEDED = "succeeded"
    FAILED = "failed, uncaught"
    BYPASSED = "bypassed by its own when"
    DEAD = "dead"
    BLOCKED = "never ran because an edge into it failed"
    CAUGHT = "caught with catch.then"
    CANCELLED = "cancelled"
    UNSTARTED = "not started when its scope stopped"


STATUS = {
    How.SUCCEEDED: "succeeded", How.FAILED: "failed", How.BYPASSED: "skipped", How.DEAD: "skipped", How.BLOCKED: "skipped",
    How.CAUGHT: "failed", How.CANCELLED: "cancelled", How.UNSTARTED: "skipped",
}  # fmt: skip


@dataclass(frozen=True)
class End:
    """`chosen`: the steps that a `switch` or a `catch.then` chose."""

    how: How
    output: Json = None
    failure: Failure | None = None
    chosen: tuple[str, ...] = ()

    def seen(self, attempts: int) -> dict[str, Json]:
        """`steps.ID` in an expression."""
        is_error = self.how in (How.FAILED, How.CAUGHT) and self.failure is not None
        error = {"name": self.failure.name, "message": self.failure.message} if is_error and self.failure else None
        return {"output": self.output, "outcome": STATUS[self.how], "error": error, "attempts": attempts}


@dataclass
class Record:
    """What is known of a path. Times in ms; `order` counts the ends of steps in a run."""

    status: str = "running"
    output: Json = None
    error: str | None = None
    attempts: int = 0
    ended_at: int | None = None
    order: int = 0
    before: tuple[str, ...] = ()  # paths of what it comes after: sources, those of what it stands in, the iteration before
    is_delayed: bool = False  # an iteration: its `repeat.delay` passes
    has_failed: bool = False  # its last attempt did; what that leads to is not said yet
    undo: Undo | None = None  # set where it succeeded and has a `compensate`


@dataclass(frozen=True)
class Env:
    """What an expression may name. `seen` gives the `steps` as they are when it is asked; `hidden` of them read as null.
    `covers`: the groups around it that have a `compensate` of their own, as they were in the attempts that it is part of."""

    expressions: Expressions
    names: Mapping[str, Json]
    seen: Callable[[], dict[str, Json]] = dict
    hidden: frozenset[str] = frozenset()
    covers: tuple[Record, ...] = ()

    def having(self, **names: Json) -> Env:
        return replace(self, names={**self.names, **names})

    def render(self, template: Json) -> Json:
        """Raises Failure(ExpressionError)."""
        try:
            return templates.render(template, self.expressions, self._names())
        except ExpressionFault as fault:
            raise Failure("ExpressionError", fault.message) from None

    def evaluate(self, expression: Json) -> Json:
        try:
            return templates.evaluate(expression, self.expressions, self._names())
        except ExpressionFault as fault:
            raise Failure("ExpressionError", fault.message) from None

    def holds(self, expression: Json) -> bool:
        value = self.evaluate(expression)
        if not isinstance(value, bool):
            raise Failure("ExpressionError", f"{expression} gives no boolean")
        return value

    def _names(self) -> dict[str, Json]:
        return {**self.names, "steps": {**self.seen(), **dict.fromkeys(self.hidden)}}


@dataclass(frozen=True)
class Undo:
    """A `compensate` action with all that it may name."""

    step: Definition
    env: Env

    @property
    def is_covered(self) -> bool:
        """A group around it has its own, and succeeded."""
        return any(group.status == "succeeded" for group in self.env.covers)


@dataclass(frozen=True)
class Retry:
    """Section 6."""

    max_attempts: int = 1
    backoff: str = "exponential"
    delay_ms: int = 1000
    multiplier: float = 2
    max_delay_ms: int | None = None
    on: tuple[str, ...] = ("*",)
    excluded: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, policy: Definition | None) -> Retry:
        if policy is None:
            return cls()
        longest = policy.get("maxDelay")
        return cls(
            policy.get("maxAttempts", 3),
            policy.get("backoff", "exponential"),
            parse_duration(policy.get("delay", "1s")),
            policy.get("multiplier", 2),
            None if longest is None else parse_duration(longest),
            tuple(policy.get("on", ["*"])),
            tuple(policy.get("except", [])),
        )

    def allows(self, failure: Failure, attempt: int) -> bool:
        if attempt >= self.max_attempts or matches(failure.name, self.excluded):
            return False
        if failure.is_permanent:
            return any(pattern != "*" and matches(failure.name, [pattern]) for pattern in self.on)
        return matches(failure.name, self.on)

    def pause_ms(self, attempt: int) -> int:
        """Before the attempt that follows this one."""
        factor = {"fixed": 1, "linear": attempt, "exponential": self.multiplier ** (attempt - 1)}[self.backoff]
        pause = round(self.delay_ms * factor)
        return pause if self.max_delay_ms is None else min(pause, self.max_delay_ms)


def matches(name: str, patterns: list[str] | tuple[str, ...]) -> bool:
    """By exact name, a trailing `*`, or `*`."""
    return any(name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern for pattern in patterns)
