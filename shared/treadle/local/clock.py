"""The local clock: real time plus what was skipped.

Law: it never goes back, and nothing of the local stack reads another one. Delays, visibility and schedules of the local
cloud follow it, so a jump of thirty days is a jump for all of them at once.
"""

from __future__ import annotations

import threading
import time


class LocalClock:
    """Milliseconds since the epoch. Reading it takes no lock: the offset is one number that only grows."""

    def __init__(self, *, skip: bool = False) -> None:
        self.skip = skip  # whether the pump may jump over times in which nothing happens
        self.offset_ms = 0
        self._lock = threading.Lock()

    def now(self) -> int:
        return int(time.time() * 1000) + self.offset_ms

    def jump_to(self, moment_ms: int) -> None:
        """Make it at least `moment_ms`; a moment that is over changes nothing."""
        with self._lock:
            self.offset_ms += max(0, moment_ms - self.now())
