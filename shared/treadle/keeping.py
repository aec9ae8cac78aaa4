"""Holding on to what is in hand for longer than it was given: leases, and messages.

Law: who holds something says so again well before it would be let go; who was refused once says nothing more, for it is
somebody else's. Whoever dies says nothing, and what it held is free when its time is over.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .core.errors import Unavailable
from .ports import Clock

log = logging.getLogger("treadle.keeping")

EARLY = 3  # a lease is renewed when a third of it is over: two more tries are left
AGAIN = 10  # one that could not be renewed is tried again after a tenth


class Keeper:
    """One thread for each thing that is held."""

    def __init__(self, clock: Clock, lease_s: float) -> None:
        self._clock = clock
        self._lease_s = lease_s

    @contextmanager
    def holding(self, renew: Callable[[int], bool]) -> Iterator[None]:
        is_over = threading.Event()
        thread = threading.Thread(target=self._hold, args=(renew, is_over), daemon=True, name="treadle-keeper")
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()  # so that nothing is renewed any more when the fact is written

    def _hold(self, renew: Callable[[int], bool], is_over: threading.Event) -> None:
        pause_s = self._lease_s / EARLY
        while not is_over.wait(pause_s):
            try:
                if not renew(self._clock.now() + int(self._lease_s * 1000)):
                    log.warning("a lease was lost: somebody else has what this worker still does")
                    return
                pause_s = self._lease_s / EARLY
            except Unavailable as fault:
                log.warning("a lease was not renewed", extra={"why": str(fault)})
                pause_s = self._lease_s / AGAIN
