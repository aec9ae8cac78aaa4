"""Whether and when a failed attempt is tried again. Pure: the random number is an argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .durations import parse_duration
from .model import StepError

PERMANENT = frozenset({"ExpressionError", "InputInvalid", "OutputInvalid", "TaskNotFound", "PayloadTooLarge", "Rejected", "Cancelled"})
MAX_LOSSES = 3  # an attempt lost with its worker is run again this often under the same number


LONGEST_DELAY = 10 * 365 * 86_400_000  # ms; without `maxDelay` nothing else bounds a back-off


@dataclass(frozen=True, slots=True)
class Retry:
    """`max_attempts` counts the first; delays are ms."""

    max_attempts: int = 3
    backoff: str = "exponential"
    delay: int = 1000
    multiplier: float = 2.0
    max_delay: int = LONGEST_DELAY
    jitter: str = "full"
    on: tuple[str, ...] = ("*",)
    but_not: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, written: dict[str, Any]) -> Retry:
        return cls(
            max_attempts=written.get("maxAttempts", 3),
            backoff=written.get("backoff", "exponential"),
            delay=parse_duration(written.get("delay", "1s")),
            multiplier=float(written.get("multiplier", 2)),
            max_delay=parse_duration(written["maxDelay"]) if "maxDelay" in written else LONGEST_DELAY,
            jitter=written.get("jitter", "full"),
            on=tuple(written.get("on", ("*",))),
            but_not=tuple(written.get("except", ())),
        )

    def is_for(self, error: StepError) -> bool:
        if matches(self.but_not, error.name):
            return False
        named = [pattern for pattern in self.on if pattern != "*"]
        if matches(named, error.name):
            return True
        return "*" in self.on and not is_permanent(error)

    def wait_before(self, attempt: int, chance: float) -> int:
        """ms between the end of attempt `attempt` - 1 and the start of `attempt` (from 2). `chance`: uniform in [0, 1)."""
        n = attempt - 1
        match self.backoff:
            case "fixed":
                delay = float(self.delay)
            case "linear":
                delay = float(self.delay) * n
            case _:
                # beyond 2^64 the cap decides anyway, and a float must not overflow
                delay = self.delay * min(self.multiplier ** min(n - 1, 1000 if self.multiplier <= 1 else 64), 2.0**64)
        bounded = min(delay, self.max_delay)
        return int(bounded * chance) if self.jitter == "full" else int(bounded)


def next_attempt(retry: Retry | None, error: StepError, attempt: int, chance: float) -> int | None:
    """ms to wait before the next attempt, or None when there is none."""
    if retry is None or attempt >= retry.max_attempts or not retry.is_for(error):
        return None
    return retry.wait_before(attempt + 1, chance)


def is_rung(ladder: Sequence[Mapping[str, Any]], attempt: int) -> bool:
    """Whether `errorHandling.escalation` has something to say once so many attempts of a step have failed."""
    return any(rung.get("afterAttempts") == attempt for rung in ladder)


def gives_up(ladder: Sequence[Mapping[str, Any]], attempt: int) -> bool:
    """Whether it makes this attempt of a step the last one."""
    return any(rung.get("afterAttempts") == attempt and rung.get("action") == "fail" for rung in ladder)


def is_permanent(error: StepError) -> bool:
    return error.permanent or error.name in PERMANENT


def matches(patterns: Sequence[str], name: str) -> bool:
    """By exact name, a trailing `*` (`Card*`), or `*`."""
    return any(name.startswith(pattern[:-1]) if pattern.endswith("*") else pattern == name for pattern in patterns)
