"""When enough has failed: `errorHandling.thresholds`.

Whether they are exceeded is seen only by going over all that has ended, of which there may be a million items. So each look says as
well how many more failures it takes at least (`Limits.room`), and each failure is counted by one small write: within the room that an
earlier look left nobody looks. What is counted twice, as an event or a write may come twice, makes the next look come early, no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..core import paths
from ..core.advance import Fact
from ..core.durations import parse_duration
from ..core.model import SCHEMA, Outcome, RunStatus, StepError
from ..ports import Change, Item, OneOf, all_of
from .escalation import UNDER_WAY, note
from .items import digest, is_fact, run_key, tally_key
from .run import Run
from .snapshot import one_by_one
from .stopping import ALIVE, EXCEEDED, is_beyond, stop_run

_ENDLESS = 1 << 40
_SOON = 8  # what a look says holds for this part of the window: what ended before its last seven eighths has left it by then


@dataclass(frozen=True, slots=True)
class Seen:
    """How many have `failed`; how many of those that ended within the window; how many ended within it, and so late that they stay
    there for another eighth of it."""

    failed: int = 0
    failed_lately: int = 0
    lately: int = 0
    staying: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """`most` may fail; a part of `rate` of what ended in the last `window` ms."""

    most: int | None
    rate: float | None
    window: int

    @classmethod
    def of(cls, thresholds: Mapping[str, Any]) -> Limits:
        return cls(thresholds.get("maxFailedSteps"), thresholds.get("failureRate"), parse_duration(thresholds.get("window", "5m")))

    def see(self, facts: Iterable[Item], now: int) -> Seen:
        """Counted as it is read: a loop may have a million items."""
        since, staying_since = now - self.window, now - self.window + self.window // _SOON
        failed = failed_lately = lately = staying = 0
        for item in facts:
            is_bad = item["outcome"] in (Outcome.FAILED, Outcome.CAUGHT)
            failed += is_bad
            if item["ended_at"] >= since:
                lately += 1
                failed_lately += is_bad
                staying += item["ended_at"] >= staying_since
        return Seen(failed, failed_lately, lately, staying)

    def are_exceeded(self, seen: Seen) -> bool:
        is_too_many = self.most is not None and seen.failed > self.most
        return is_too_many or (self.rate is not None and seen.lately > 0 and seen.failed_lately / seen.lately > self.rate)

    def room(self, seen: Seen) -> int:
        """So many more may fail until then (`until`), and the limits are not exceeded, whatever else ends or leaves the window."""
        rooms = [_ENDLESS if self.most is None else self.most - seen.failed]
        if self.rate is not None and self.rate < 1:
            room = int((self.rate * seen.staying - seen.failed_lately) / (1 - self.rate))
            while room > 0 and (seen.failed_lately + room) / (seen.staying + room) > self.rate:
                room -= 1  # as `are_exceeded` would round it
            rooms.append(room)
        return max(0, min(rooms))

    def until(self, now: int) -> int:
        """ms: how long `room` holds from now on."""
        return now + (self.window // _SOON if self.rate is not None else _ENDLESS)


def check_thresholds(run: Run, fact: Fact) -> None:
    """After a failure: whether too many steps have failed, or too large a part of those that ended lately.

    How many had failed when a threshold acted is kept in the run (`exceeded`): only one more makes it act again, so that an event of
    a failure that comes twice does not undo what a person has decided since.
    """
    if run.plan.thresholds is None or run.status not in ALIVE:
        return
    limits, counted = Limits.of(run.plan.thresholds), _count(run)
    if counted["failed"] <= counted.get("quiet", 0) and run.now <= counted["until"]:
        return
    seen = limits.see(_facts(run), run.now)
    if not limits.are_exceeded(seen):
        if room := limits.room(seen):
            quiet = {"quiet": counted["failed"] + room, "until": limits.until(run.now)}
            run.world.store.update(tally_key(run.id, run.generation), Change(set=quiet))
    elif seen.failed > run.control.get(EXCEEDED, 0):
        _act(run, run.plan.thresholds.get("action", "pause"), fact, seen.failed)


def _count(run: Run) -> Item:
    """A retry drops what had ended: each generation has a count of its own."""
    expires = {"expires": run.control["expires"]} if "expires" in run.control else {}
    counted = run.world.store.update(tally_key(run.id, run.generation), Change(add={"failed": 1}, set={"schema": SCHEMA, **expires}))
    return counted.item or {"failed": 1}


def _facts(run: Run) -> Iterable[Item]:
    return (item for _, item in one_by_one(run) if is_fact(item) and not Outcome(item["outcome"]).is_skip)


def _act(run: Run, action: str, fact: Fact, failed: int) -> None:
    path = paths.shown(fact.key)
    if action == "pause":
        is_first = _pause(run, failed)
    else:
        error = {**(fact.error or StepError("TaskFailed")).brief(), "step": path}
        is_first = stop_run(run, "cancel" if action == "cancel" else "stop", error, exceeded=failed)
    if is_first:
        identity = digest(run.id, fact.key, str(run.generation), "threshold")
        note(run, "threshold", identity, fact.ended_at, path=path, action=action)


def _pause(run: Run, failed: int) -> bool:
    """False: it was paused already, or somebody was faster. What fails while it is paused is counted, and makes nobody resume it twice."""
    was_paused = run.status is RunStatus.PAUSED
    change = Change(set={"status": RunStatus.PAUSED.value, EXCEEDED: failed}, add={"rev": 1})
    written = run.world.store.update(run_key(run.id), change, all_of(OneOf("status", UNDER_WAY), is_beyond(failed)))
    run.control = written.item or run.control
    return written.ok and not was_paused
