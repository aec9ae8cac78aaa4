"""A worker of a pool that is not of Lambdas: a process that takes messages from the pool's lanes, one after another, and does with
each what the dispatcher does. `python -m treadle.worker`, with the environment of a dispatcher.

The laws:
- A message is deleted only after the handler answered and did not hand it back, as by an event source mapping.
- Message and lease are held for as long as the task runs, and no longer: both are renewed at a third of their time, so a
  worker that is gone is missed within five minutes, however long its tasks may take.
- Each lane has its share of the turns, so that low work moves even where critical work never ends.
- A task that overran its time in a thread ends the process, when all is written down (deliveries.or_leave). One that holds the
  interpreter, so that nothing else of the process moves, ends it as well: a watch outside of Python counts the time of a message in
  hand. ECS starts another one.
- Asked to stop (SIGTERM), it takes nothing new and begins no further step. What still runs when the time is over ends with the
  process, and is taken over when its lease ends.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import logging
import os
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from . import topology, wiring
from .core.errors import Unavailable
from .keeping import Keeper

log = logging.getLogger("treadle.worker")

LONGEST_S = 11 * 3600 + 1800  # of one message, with all that is begun for it: SQS lets it be in hand for twelve hours
GRACE_S = 110  # from SIGTERM on; a container of Fargate is killed after at most 120 s
LAP_S = 1.0  # of asking lanes that are empty
TURNS = ("critical", "high", "critical", "normal", "critical", "high", "critical", "normal", "critical", "high", "critical", "normal",
         "critical", "high", "critical", "normal", "low")  # which lane is asked first: 8 : 4 : 4 : 1  # fmt: skip
PROTECTED_MIN = 20  # minutes that ECS leaves a task alone for, renewed with the message


class Taking(Protocol):
    """What hands messages out (aws.taking.AwsTaking)."""

    def take(self, queue: str, wait_s: int) -> dict[str, Any] | None: ...

    def done(self, queue: str, receipt: str) -> None: ...


@dataclass(frozen=True, slots=True)
class _Context:
    """Lambda's, as far as the dispatcher looks at it."""

    ends_at: float  # monotonic

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self.ends_at - time.monotonic()) * 1000))


class Worker:
    """`protect(True)`: something is in hand; whoever stops workers should choose another one. `hold_s`: what a message's time in
    hand is renewed to. `watch(hold_s)`: unless this is said again by then, the process is stuck; None: nothing is in hand."""

    def __init__(
        self,
        wired: wiring.Wiring,
        taking: Taking,
        *,
        protect: Callable[[bool], None] = lambda busy: None,
        hold_s: float | None = None,
        watch: Callable[[float | None], None] = lambda within_s: None,
    ) -> None:
        self._wiring = wired
        self._world = wired.engine.world
        self._taking = taking
        self._protect = protect
        self._watch = watch
        pool = next(pool for pool in self._world.pools if pool.name == self._world.pool)
        self._hold_s = hold_s or topology.times_of(pool).visibility_s
        self._handler = importlib.import_module("functions.dispatcher.handler").handler
        self._leaving = threading.Event()
        self.handled = 0

    def run(self) -> None:
        """Until it is asked to leave."""
        turn = 0
        while not self._leaving.is_set():
            began = time.monotonic()
            try:
                was_idle = not self._serve(TURNS[turn % len(TURNS)])
            except Unavailable as fault:
                log.warning("the lanes cannot be asked", extra={"why": str(fault)})
                was_idle = True
            turn += 1
            if was_idle:
                self._leaving.wait(max(0.0, LAP_S - (time.monotonic() - began)))

    def leave(self, grace_s: float = GRACE_S) -> None:
        """Take nothing new, begin nothing new; let go of what still runs when the time is over. May be called on any thread."""
        self._world.stops_at = self._world.clock.now() + int(grace_s * 1000)
        self._leaving.set()

    def _serve(self, first: str) -> bool:
        """One message of the first lane that has any; False: none has."""
        for priority in [first, *(priority for priority in topology.LANES if priority != first)]:
            lane = topology.lane(priority, self._world.pool)
            record = None if self._leaving.is_set() else self._taking.take(lane, 1)
            if record is not None:
                self._handle(lane, record)
                return True
        return False

    def _handle(self, lane: str, record: Mapping[str, Any]) -> None:
        receipt = record["receiptHandle"]
        self._protect(True)
        self._watch(self._hold_s)
        try:
            with wiring.using(self._wiring), Keeper(self._world.clock, self._hold_s).holding(lambda until: self._hold(lane, receipt)):
                answer = self._handler({"Records": [record]}, _Context(time.monotonic() + LONGEST_S))
            if not answer["batchItemFailures"]:
                self._taking.done(lane, receipt)
            self.handled += 1
        finally:
            self._watch(None)
            self._protect(False)

    def _hold(self, lane: str, receipt: str) -> bool:
        self._watch(self._hold_s)
        self._world.lanes.defer(lane, receipt, int(self._hold_s))
        self._protect(True)
        return True


# ------------------------------------------------------------------------------------------------ the process


def protection(environment: Mapping[str, str] = os.environ) -> Callable[[bool], None]:
    """ECS's "task scale-in protection", where this is a task of ECS: services that become smaller, or are deployed anew, spare it."""
    agent = environment.get("ECS_AGENT_URI")

    def protect(busy: bool) -> None:
        if agent is None:
            return
        body = json.dumps({"ProtectionEnabled": busy, **({"ExpiresInMinutes": PROTECTED_MIN} if busy else {})}).encode()
        address = f"{agent}/task-protection/v1/state"
        request = urllib.request.Request(address, body, {"content-type": "application/json"}, method="PUT")  # noqa: S310  # ECS's own
        try:
            urllib.request.urlopen(request, timeout=2).close()  # noqa: S310  # nosec B310: the address is ECS's, on this machine
        except OSError as fault:
            log.warning("ECS was not told", extra={"why": str(fault)})

    return protect


def watch(within_s: float | None) -> None:
    """The interpreter's own watchdog needs no Python to run: it tells where every thread stands, and ends the process."""
    if within_s is None:
        faulthandler.cancel_dump_traceback_later()
    else:
        faulthandler.dump_traceback_later(within_s, exit=True)


def main(hold_s: float | None = None) -> int:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    from .aws import Clients
    from .aws.taking import AwsTaking

    wired = wiring.from_environment()
    wired.leave = wiring.end_process  # with tasks that overran and cannot be stopped; the service starts another one
    taking = AwsTaking(Clients().sqs, wired.names.queue_urls)
    worker = Worker(wired, taking, protect=protection(), hold_s=hold_s, watch=watch)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _leave(worker))
    log.info("a worker of the pool %s takes from %s", wired.engine.world.pool, ", ".join(_lanes(wired)))
    worker.run()
    return 0


def _lanes(wired: wiring.Wiring) -> Iterator[str]:
    return (topology.lane(priority, wired.engine.world.pool) for priority in topology.LANES)


def _leave(worker: Worker, grace_s: float = GRACE_S) -> None:
    """A task cannot be stopped from outside of it: when its time is over the whole process ends."""
    worker.leave(grace_s)

    timer = threading.Timer(grace_s, os._exit, (0,))
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    sys.exit(main())
