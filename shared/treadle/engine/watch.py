"""How long an attempt may take, and how long it may be silent."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Final

from ..core.model import StepError

END_MARGIN_MS: Final = 2000  # of an invocation, for writing down that its attempt took too long
_LONGEST_S: Final = 3600.0  # that anybody waits without looking


@dataclass(frozen=True, slots=True)
class Limit:
    """`ms`: how long an attempt may take. `told`: what is said of one that takes longer."""

    ms: int
    told: str


def limit_of(timeout_ms: int | None, usual_s: int, left_ms: int) -> Limit:
    """The least of the step's own timeout (or the usual one) and what is left of the invocation."""
    limits = [Limit(max(0, left_ms - END_MARGIN_MS), "all that was left of its worker's time")]
    if timeout_ms is not None:
        limits.append(Limit(timeout_ms, ""))
    else:
        limits.append(Limit(usual_s * 1000, "the limit of a step without a timeout of its own"))
    return min(limits, key=lambda limit: limit.ms)


class Watch:
    """When an attempt has to be over, and when it has to say that it lives; by the machine's own clock: tasks take real time."""

    def __init__(self, limit: Limit | None, heartbeat_ms: int | None) -> None:
        now = time.monotonic()
        self._limit = limit
        self._ends_at = math.inf if limit is None else now + limit.ms / 1000
        self._interval_s = math.inf if heartbeat_ms is None else heartbeat_ms / 1000
        self._silent_at = now + self._interval_s
        self.is_over = False  # nobody waits for it any more

    @property
    def is_needed(self) -> bool:
        return min(self._ends_at, self._interval_s) < math.inf

    @property
    def left_s(self) -> float:
        return min(_LONGEST_S, max(0.0, min(self._ends_at, self._silent_at) - time.monotonic()))

    def beat(self) -> None:
        self._silent_at = time.monotonic() + self._interval_s

    def fault(self) -> StepError | None:
        """What the attempt has failed with, if its time is over."""
        now = time.monotonic()
        if self._limit is not None and now >= self._ends_at:
            why = f", {self._limit.told}" if self._limit.told else ""
            return StepError("Timeout", f"the attempt took more than {self._limit.ms / 1000:g} s{why}")
        if now >= self._silent_at:
            return StepError("HeartbeatTimeout", f"the attempt was silent for more than {self._interval_s:g} s")
        return None
