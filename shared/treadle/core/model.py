"""The nouns: what a run is made of. Frozen values, no I/O.

A run is its facts. A *fact* says how one step ended; it is written once and never changed. Everything else here is
either on its way to a fact (claims, attempts, waits) or a decision about the run as a whole (control).

Times are whole milliseconds since the epoch (`int`), so that they are exact in every store.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Json = Any  # a JSON value: None, bool, int, float, str, list, dict

BRIEF = 200  # characters of an error's message where only a summary is kept
SCHEMA = 1  # of items and messages; readers accept this one and the one before


class StepStatus(StrEnum):
    """What users see of a step."""

    PENDING = "pending"  # some edge into it is not resolved
    QUEUED = "queued"  # it may start; a message for it is in a lane
    RUNNING = "running"  # a worker has claimed it
    WAITING = "waiting"  # for a timer, a signal, an approval, a child, a back-off or a person
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"  # never ran: bypassed, dead, blocked or the scope stopped first
    CANCELLED = "cancelled"  # was started and stopped before it ended by itself


class RunStatus(StrEnum):
    """What users see of a run."""

    PENDING = "pending"  # accepted, waiting for its concurrency key
    RUNNING = "running"
    PAUSED = "paused"  # nothing new is dispatched until it is resumed
    WAITING = "waiting"  # nothing moves until somebody outside acts
    RETRYING = "retrying"  # a person asked for it; what is to run again is being reopened (shown as `running`)
    STOPPING = "stopping"  # decided to fail, cancel or time out; open claims are still ending (shown as `running`)
    COMPENSATING = "compensating"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timedOut"

    @property
    def is_final(self) -> bool:
        return self in FINAL


FINAL = frozenset({RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.TIMED_OUT})


class Outcome(StrEnum):
    """How a step ended, as finely as the edges out of it need to know (language page, section 3)."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"  # and no `catch` matched
    CAUGHT = "caught"  # failed, and `catch.then` goes on elsewhere
    BYPASSED = "bypassed"  # its own `when` was false
    DEAD = "dead"  # no live edge led to it
    BLOCKED = "blocked"  # an edge into it failed, so it never ran
    CANCELLED = "cancelled"

    @property
    def status(self) -> StepStatus:
        return _STATUS_OF[self]

    @property
    def is_skip(self) -> bool:
        """It never ran: written by whoever decided so, not by a worker."""
        return self in (Outcome.BYPASSED, Outcome.DEAD, Outcome.BLOCKED)


_STATUS_OF = {
    Outcome.SUCCEEDED: StepStatus.SUCCEEDED,
    Outcome.FAILED: StepStatus.FAILED,
    Outcome.CAUGHT: StepStatus.FAILED,
    Outcome.BYPASSED: StepStatus.SKIPPED,
    Outcome.DEAD: StepStatus.SKIPPED,
    Outcome.BLOCKED: StepStatus.SKIPPED,
    Outcome.CANCELLED: StepStatus.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class StepError:
    """Why an attempt failed. `permanent` errors are not retried unless a policy names them."""

    name: str
    message: str = ""
    details: Json = None
    permanent: bool = False

    def brief(self) -> dict[str, Json]:
        """For items that must stay small: the step's own fact has the whole."""
        message = self.message if len(self.message) <= BRIEF else self.message[: BRIEF - 1] + "…"
        shown: dict[str, Json] = {"name": self.name[:BRIEF], "message": message}
        return shown | {"permanent": True} if self.permanent else shown

    def to_json(self) -> dict[str, Json]:
        shown: dict[str, Json] = {"name": self.name, "message": self.message}
        if self.details is not None:
            shown["details"] = self.details
        return shown


class State(StrEnum):
    """Where the one item of a step stands: absent -> ... -> ENDED. Only ENDED is a fact."""

    CLAIMED = "claimed"  # a worker holds it until `lease_until`
    RELEASED = "released"  # whoever held it backed off; free for the next
    RETRY = "retry"  # an attempt failed; the next may begin at `until`
    WAITING = "waiting"  # for something outside: `wait` says what, `until` when at the latest
    OPEN = "open"  # a group, forEach or repeat whose inside is under way
    ENDED = "ended"
