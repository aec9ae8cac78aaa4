"""What tasks were seen to need: how much memory their attempts had, and how long they took (`performance.resource_optimization`).

Law: it is a hint. Nothing waits for it and nothing fails for want of it: what cannot be read is not known, what cannot be written is
written later. Workers add up in their own memory; one item for each task and week holds what all of them saw. A worker writes it when it
saw something new, but once a minute at most, and otherwise every ten; readers believe what they read for five minutes. What was seen
before last week counts no more.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from ..core.errors import Unavailable
from ..core.model import SCHEMA
from ..core.resources import Seen
from ..ports import Absent, AtMost, Change, Clock, Item, Key, Store, any_of
from .gauge import Gauge, Measure, ProcessGauge, ran_out
from .results import Done, Failed, Result

log = logging.getLogger("treadle.observed")

WEEK_MS: Final = 7 * 86_400_000
KEPT_WEEKS: Final = 3
READ_EVERY_MS: Final = 300_000
NEWS_EVERY_MS: Final = 60_000
WRITE_EVERY_MS: Final = 600_000
MOST_TASKS: Final = 500  # that one worker keeps account of
NEWS: Final = 1.05  # times the memory that was known


def seen_key(week: int, task: str) -> Key:
    return "seen", f"{week}#{task}"


@dataclass(slots=True)
class _Account:
    """Of one task in this worker: what was not written yet, since when, and the most that was written or read."""

    since: int
    fresh: Seen = field(default_factory=Seen)
    known_mb: int = 0
    written_at: int | None = None


class Observed:
    def __init__(self, store: Store, clock: Clock, gauge: Gauge | None = None) -> None:
        self.store = store
        self._clock = clock
        self._gauge = gauge or ProcessGauge()
        self._lock = threading.Lock()
        self._accounts: dict[str, _Account] = {}
        self._read: dict[str, tuple[int, Seen | None]] = {}  # by task: when that is to be read again, and what it was

    # -------------------------------------------------------------------------------------------- looking

    def watch(self, task: str, memory_mb: int, work: Callable[[Measure], Result]) -> Result:
        """`work`: one attempt; `memory_mb`: what its worker has."""
        measure = self._gauge.begin()
        began = time.perf_counter()
        try:
            result = work(measure)
        finally:
            peak_mb = self._gauge.end(measure)
        took_ms = round((time.perf_counter() - began) * 1000)
        if isinstance(result, Failed) and ran_out(result.error):
            peak_mb = max(peak_mb or 0, memory_mb)  # that much was not enough
        seen = Seen(1, took_ms) if isinstance(result, Done) else Seen()
        self._note(task, seen if peak_mb is None else seen + Seen(0, 0, 1, peak_mb))
        return result

    def _note(self, task: str, seen: Seen) -> None:
        with self._lock:
            account = self._accounts.get(task)
            if account is None and len(self._accounts) < MOST_TASKS:
                account = self._accounts[task] = _Account(self._clock.now())
            if account is not None:
                account.fresh += seen

    # -------------------------------------------------------------------------------------------- writing

    def flush(self) -> None:
        """At the end of a delivery: what is due."""
        now = self._clock.now()
        for task, account in list(self._accounts.items()):
            if account.fresh == Seen():
                continue
            is_news = account.fresh.peak_mb > NEWS * max(account.known_mb, self._known_mb(task))
            if is_news:
                due_at = now if account.written_at is None else account.written_at + NEWS_EVERY_MS
            else:
                due_at = (account.since if account.written_at is None else account.written_at) + WRITE_EVERY_MS
            if due_at <= now:
                self._write(task, account, now)

    def _known_mb(self, task: str) -> int:
        seen = self.of(task)
        return 0 if seen is None else seen.peak_mb

    def _write(self, task: str, account: _Account, now: int) -> None:
        with self._lock:
            fresh, account.fresh = account.fresh, Seen()
            account.known_mb = max(account.known_mb, fresh.peak_mb)
            account.written_at = now
        week = now // WEEK_MS
        expires = (week + KEPT_WEEKS) * WEEK_MS // 1000
        added = {"count": fresh.count, "ms": fresh.took_ms, "measured": fresh.measured}
        more = Change(set={"peak": fresh.peak_mb}, keep={"schema": SCHEMA, "expires": expires}, add=added)
        nobody_saw_more = any_of(Absent("peak"), AtMost("peak", fresh.peak_mb))
        try:
            if not self.store.update(seen_key(week, task), more, nobody_saw_more).ok:
                self.store.update(seen_key(week, task), Change(add=added))
        except Unavailable as outage:
            log.warning("what a task was seen to need could not be written", extra={"task": task, "why": str(outage)})
            self._note(task, fresh)
            return
        again_at, known = self._read.get(task, (0, None))
        self._read[task] = again_at, (known or Seen()) + fresh

    # -------------------------------------------------------------------------------------------- reading

    def of(self, task: str, beside: Iterable[str] = ()) -> Seen | None:
        """None: nothing is known. `beside`: tasks that are likely to be asked for as well; they are read in the same call."""
        now = self._clock.now()
        again_at, seen = self._read.get(task, (0, None))
        if again_at > now:
            return seen
        wanted = [task, *(name for name in set(beside) if name != task and self._read.get(name, (0, None))[0] <= now)][:MOST_TASKS]
        week = now // WEEK_MS
        keys = {seen_key(at, name): name for name in wanted for at in (week, week - 1)}
        try:
            items = self.store.get_many(list(keys), consistent=False)
        except Unavailable:
            items = {}
        found: dict[str, tuple[int, Seen | None]] = dict.fromkeys(wanted, (now + READ_EVERY_MS, None))
        for key, item in items.items():
            before = found[keys[key]][1] or Seen()
            found[keys[key]] = (now + READ_EVERY_MS, before + _seen_of(item))
        if len(self._read) > MOST_TASKS:
            self._read.clear()
        self._read |= found
        return found[task][1]


def _seen_of(item: Item) -> Seen:
    count, took_ms, measured, peak_mb = (item.get(name) for name in ("count", "ms", "measured", "peak"))
    return Seen(*(value if type(value) is int else 0 for value in (count, took_ms, measured, peak_mb)))
