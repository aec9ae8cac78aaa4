"""What a worker keeps, and how often that helps: compiled plans in its memory, and results of tasks in the table.

Plans never change and there are at most `MAX_PLANS` of them, the ones used last. Results are as old as a step's `cache` allows; nobody
holds them in memory, so two workers find the same ones. Counted in memory: a count costs no call.
"""

from __future__ import annotations

from collections import Counter
from threading import Lock
from typing import Final

MAX_PLANS: Final = 64  # kept compiled in one process
PLAN_HITS, PLAN_MISSES, PLAN_EVICTIONS = "planHits", "planMisses", "planEvictions"
RESULT_HITS, RESULT_MISSES = "resultHits", "resultMisses"
COUNTS: Final = (PLAN_HITS, PLAN_MISSES, PLAN_EVICTIONS, RESULT_HITS, RESULT_MISSES)


class Caches:
    """`totals`: since the process began."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()
        self._untold: Counter[str] = Counter()
        self._lock = Lock()  # on a developer's machine many workers are threads of one process

    def count(self, what: str) -> None:
        with self._lock:
            self.totals[what] += 1
            self._untold[what] += 1

    def untold(self) -> dict[str, int]:
        """What was counted since this was asked last."""
        if not self._untold:
            return {}
        with self._lock:
            told, self._untold = self._untold, Counter()
        return dict(told)
