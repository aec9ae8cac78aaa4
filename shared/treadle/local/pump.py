"""What Lambda's event source mappings and schedules do: brings messages to the real handlers, and time forward.

The laws:
- A message is deleted only after its handler answered and did not hand it back. Whoever raises, or dies, deletes nothing:
  the message is visible again when its time is over, and a dead letter after too many of those.
- Idle costs nothing: workers sleep until a message comes, the scheduler until the next one becomes visible.
- With `clock.skip`, time jumps only when nothing could happen now: no handler runs, no message is visible, nobody is in the
  middle of a request, and whoever waits for something has looked. It jumps to the very next thing that can happen.

All of it shares moto's lock, so what is seen of queues and tables is what the next decision is made on.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from .. import topology
from . import patches
from .cloud import REGION, Cloud
from .invocation import context_of, failed_ids, sqs_event
from .workers import BUSY_WORKERS, MOST_WORKERS, Counts, Crowd, Fate, Killed, Order, Predicate, Worker

Invoke = Callable[[str, dict[str, Any], Any], Any]  # (function, event, context) -> its answer
Found = TypeVar("Found")

_TICK_S = 0.003  # while messages wait for a worker
_GRACE_S = 0.5  # real time that nobody looks before time is skipped all the same
_LOOK_PAUSE_S = 0.01
_QUIET_LOOK_S = 0.25

_HERE: ContextVar[Worker | None] = ContextVar("treadle_worker", default=None)  # which one makes a call; its attempts' threads know it too


class Pump:
    """Use it as a context manager. `invoke` calls the handlers, each in a worker thread of its own; `crowd` is told of tasks."""

    def __init__(self, cloud: Cloud, invoke: Invoke, crowd: Crowd | None = None) -> None:
        self.cloud = cloud
        self.clock = cloud.clock
        self.counts = Counts()
        self._invoke = invoke
        self._sqs = cloud.connect().sqs  # its own: the poller's calls are not the engine's
        self._arns = {queue.name: cloud.queues[queue.name].queue_arn for queue in cloud.consumed}
        self._work = threading.Condition(patches.LOCK)  # a message is visible
        self._tick = threading.Condition(patches.LOCK)  # the scheduler should look again
        self._progress = threading.Condition(patches.LOCK)  # nothing more happens by itself
        self._running: Counter[str] = Counter()  # by queue
        self._active: set[Worker] = set()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._planned_ms = 0  # when the scheduler wakes by itself
        self._limit = BUSY_WORKERS  # of invocations under way; the scheduler raises it while messages wait
        self.crowd = crowd or Crowd()
        self._is_ticking = False  # it looks every few milliseconds, as messages wait for a worker
        self._steps = 0  # invocations and requests that ended: what a waiter has seen
        self._waiters: dict[object, int] = {}  # each one's `_steps` at its last look; -1: it has not looked
        self._alarms: list[int] = []  # times that somebody wants to come
        self._requests = 0  # calls from outside that are under way
        self._last_sweep_ms = self.clock.now()
        self._is_sweeping = False
        self._kills: list[Order] = []
        self.fate: Fate = lambda function, bodies: None
        self._stopping = False

    # ------------------------------------------------------------------------------------------- from outside

    def __enter__(self) -> Pump:
        for client in (self.cloud.clients.dynamodb, self.cloud.clients.sqs, self.cloud.clients.events, self.cloud.clients.s3):
            client.meta.events.register_first("before-call", self._on_call)
        self.cloud.on_message = self._on_message
        self.cloud.on_dead_letter = _tell_dead_letter
        self._spawn(self._schedule)
        for _ in range(BUSY_WORKERS):
            self._spawn(self._serve)
        return self

    def __exit__(self, *_: object) -> None:
        """Handlers that run are waited for, at most five seconds: their tasks are the user's, and cannot be stopped."""
        with patches.LOCK:
            self._stopping = True
            self.cloud.on_message = lambda visible_from_ms: None
            for condition in (self._work, self._tick, self._progress):
                condition.notify_all()
        until = time.monotonic() + 5
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    @contextmanager
    def request(self) -> Iterator[None]:
        """Around calls that change or read the engine's state from outside: meanwhile no time is skipped."""
        with patches.LOCK:
            self._requests += 1
        try:
            yield
        finally:
            with patches.LOCK:
                self._requests -= 1
                self._steps += 1
                self._tick.notify()
                self._progress.notify_all()

    def wait(self, look: Callable[[], Found | None], timeout_s: float) -> Found | None:
        """What `look` finds: it is called when something may have changed. None after `timeout_s` of real time."""
        me = object()
        until = time.monotonic() + timeout_s
        with patches.LOCK:
            self._waiters[me] = -1
        try:
            while True:
                seen = self._steps
                began = time.monotonic()
                found = look()
                if found is not None:
                    return found
                # Looking is not free: while the engine works, at most a tenth of the time goes into it.
                earliest = time.monotonic() + max(_LOOK_PAUSE_S, 10 * (time.monotonic() - began))
                with patches.LOCK:
                    self._waiters[me] = seen
                    self._tick.notify()
                    if not self._await_change(seen, earliest, until):
                        return None
        finally:
            with patches.LOCK:
                del self._waiters[me]
                self._tick.notify()

    def _await_change(self, seen: int, earliest: float, until: float) -> bool:
        """Until it is worth looking again: something ended since `seen`, or a handler is in the middle of something. Not
        before `earliest`, unless all is quiet. False: it is too late."""
        while not self._stopping and (now := time.monotonic()) < until:
            is_quiet = self._is_quiet()
            if self._steps != seen if is_quiet else now >= earliest:
                return True
            self._progress.wait(min(until - now, _QUIET_LOOK_S if is_quiet else earliest - now))
        return False

    def pass_time(self, until_ms: int, timeout_s: float) -> bool:
        """Skip to that time by way of all that happens until then. False: it was not reached within `timeout_s` of real time."""
        with patches.LOCK:
            self._alarms.append(until_ms)
        try:
            return self.wait(lambda: self._has_come(until_ms), timeout_s) is not None
        finally:
            with patches.LOCK:
                self._alarms.remove(until_ms)

    def _has_come(self, moment_ms: int) -> bool | None:
        with patches.LOCK:
            return (self.clock.now() >= moment_ms and self._is_quiet()) or None

    def quiet(self, timeout_s: float = 60) -> bool:
        """Wait until no handler runs and no message is visible. False: it did not come to rest in time."""
        with patches.LOCK:
            return self._progress.wait_for(self._is_quiet, timeout_s)

    def kill(self, predicate: Predicate = lambda queue, bodies: True, *, function: str = "dispatcher", calls: int = 2) -> None:
        """The next invocation of `function` whose batch matches dies after `calls` AWS calls, before the next one: it never
        answers, its message stays in flight and its claim stands until their times are over."""
        with patches.LOCK:
            self._kills.append(Order(predicate, function, calls))

    def sweep_soon(self) -> None:
        """Where time is not skipped: the sweeper's first pass is not a minute away."""
        with patches.LOCK:
            self._last_sweep_ms -= topology.SWEEP_EVERY_S * 1000
            self._tick.notify()

    # --------------------------------------------------------------------------- hooks, called on other threads

    def _on_message(self, visible_from_ms: int) -> None:
        if visible_from_ms > self.clock.now():
            if visible_from_ms < self._planned_ms:
                self._tick.notify()
        elif self._idle and self._may_start():
            self._work.notify()
        elif not self._is_ticking:
            self._tick.notify()

    def _on_call(self, **_: Any) -> None:
        worker = _HERE.get()
        if worker is None or worker.calls_left is None:
            return
        if worker.calls_left <= 0:
            raise Killed
        worker.calls_left -= 1

    # ------------------------------------------------------------------------------------------------- workers

    def _spawn(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=f"treadle-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        while True:
            with patches.LOCK:
                queue = self._next_queue()
                while queue is None:
                    if self._stopping:
                        return
                    self._idle += 1
                    self._work.wait()
                    self._idle -= 1
                    queue = self._next_queue()
                worker = Worker()
                self._running[queue.name] += 1
                self._active.add(worker)
            try:
                self._deliver(queue, worker)
            finally:
                self._ended(queue.name, worker)

    def _ended(self, queue: str, worker: Worker) -> None:
        with patches.LOCK:
            self._running[queue] -= 1
            self._active.discard(worker)
            self._steps += 1
            if self._is_quiet():
                self._tick.notify()
                self._progress.notify_all()

    def _next_queue(self) -> topology.Queue | None:
        """A queue with a visible message whose concurrency is not used up: the one that uses least of it."""
        if self._stopping or not self._may_start():
            return None
        ready = [
            queue for queue in self.cloud.consumed if self._running[queue.name] < queue.max_concurrency and self.cloud.is_ready(queue.name)
        ]
        return min(ready, key=lambda queue: self._running[queue.name] / queue.max_concurrency, default=None)

    def _may_start(self) -> bool:
        return len(self._active) < self._limit

    def _deliver(self, queue: topology.Queue, worker: Worker) -> None:
        url = self.cloud.names.queue_urls[queue.name]
        answer = self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=queue.batch_size, MessageSystemAttributeNames=["All"])
        messages = answer.get("Messages", [])
        if not messages:  # another worker was faster
            return
        worker.calls_left = self._sentence(queue, [message["Body"] for message in messages])
        _HERE.set(worker)
        try:
            event = sqs_event(messages, self._arns[queue.name], REGION)
            handed_back = self._call(queue.consumer, event, failed_ids)
        finally:
            _HERE.set(None)
        if handed_back is None:
            return
        done = [message for message in messages if message["MessageId"] not in handed_back]
        if done:
            entries: Any = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(done)]
            self._sqs.delete_message_batch(QueueUrl=url, Entries=entries)

    def _sentence(self, queue: topology.Queue, bodies: list[str]) -> int | None:
        with patches.LOCK:
            for order in self._kills:
                if order.function == queue.consumer and order.predicate(queue.name, bodies):
                    self._kills.remove(order)
                    return order.calls
            return self.fate(queue.consumer, bodies)

    def _call(self, function: str, event: dict[str, Any], read: Callable[[Any], Found]) -> Found | None:
        """What `read` makes of the handler's answer; None: it raised, or was killed."""
        with patches.LOCK:
            self.counts.invocations[function] += 1
        try:
            return read(self._invoke(function, event, context_of(self.cloud.functions[function], REGION, self.cloud.account)))
        except Killed:
            with patches.LOCK:
                self.counts.killed += 1
        except BaseException:  # noqa: BLE001  # this is the Lambda runtime: whatever a handler raises, even SystemExit, ends here
            with patches.LOCK:
                self.counts.failures[function] += 1
            print(f"treadle: {function} failed; what it was given comes back later", file=sys.stderr)
            traceback.print_exc()
        return None

    # ----------------------------------------------------------------------------------------------- scheduler

    def _is_ready(self) -> bool:
        return any(self.cloud.is_ready(queue.name) for queue in self.cloud.consumed)

    def _is_quiet(self) -> bool:
        return not self._active and not self._is_sweeping and not self._is_ready()

    def _schedule(self) -> None:
        """Wakes workers for messages that have become visible, runs the sweeper, and skips time."""
        quiet_since: float | None = None
        while True:
            with patches.LOCK:
                if self._stopping:
                    return
                is_resting = self._is_quiet() and not self._requests
                quiet_since = (quiet_since or time.monotonic()) if is_resting else None
                if quiet_since is not None and self.clock.skip and self._may_skip(quiet_since) and self._skip():
                    quiet_since = None
                if not self._is_sweep_due():
                    self._tick.wait(self._pause_s(quiet_since))
                    continue
                self._is_sweeping = True
            self._sweep()

    def _may_skip(self, quiet_since: float) -> bool:
        if self._waiters:
            return all(seen == self._steps for seen in self._waiters.values())
        return time.monotonic() - quiet_since >= _GRACE_S

    def _skip(self) -> bool:
        """To the next moment at which something can happen; False: there is none.

        Schedules never end, so for their sake no time is skipped unless somebody waits.
        """
        found = (self.cloud.next_visible_ms(), self._next_sweep_ms(schedules=bool(self._waiters)), *self._alarms)
        moments = [moment for moment in found if moment is not None]
        if not moments:
            return False
        self.clock.jump_to(min(moments))
        self.counts.jumps += 1
        if self._alarms:  # it may be all that was waited for
            self._steps += 1
            self._progress.notify_all()
        return True

    def _next_sweep_ms(self, *, schedules: bool = True) -> int | None:
        """Each minute; where time is skipped, only when something is due, but then on the dot."""
        next_minute = self._last_sweep_ms + topology.SWEEP_EVERY_S * 1000
        if not self.clock.skip:
            return next_minute
        due = self.cloud.next_due_ms(schedules=schedules, over=bool(self._alarms))  # for no other sake is a month skipped
        if due is None:
            return None
        return due if due > self._last_sweep_ms else next_minute

    def _is_sweep_due(self) -> bool:
        moment = self._next_sweep_ms()
        return moment is not None and moment <= self.clock.now()

    def _sweep(self) -> None:
        self._last_sweep_ms = self.clock.now()
        self.counts.sweeps += 1
        event = {"source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": {}}
        _HERE.set(Worker(self.fate("sweeper", [])))
        self._call("sweeper", event, lambda answer: answer)
        _HERE.set(None)
        with patches.LOCK:
            self._is_sweeping = False
            self._steps += 1
            if self._is_quiet():
                self._progress.notify_all()

    def _pause_s(self, quiet_since: float | None) -> float | None:
        """How long the scheduler may sleep, after it has woken the workers that can start now."""
        self._is_ticking = self._is_ready()
        if self._is_ticking:
            self._limit = self.crowd.how_many(len(self._active))
            for _ in range(self._limit - len(self._active)):
                self._wake()
            return _TICK_S
        self._limit = BUSY_WORKERS
        moments = [moment for moment in (self.cloud.next_visible_ms(), self._next_sweep_ms()) if moment is not None]
        self._planned_ms = min(moments, default=sys.maxsize)
        if not moments:
            return None
        pause = max(0.0, (self._planned_ms - self.clock.now()) / 1000) + 0.0005
        may_skip_soon = self.clock.skip and quiet_since is not None and not self._waiters
        return min(pause, _GRACE_S) if may_skip_soon else pause

    def _wake(self) -> None:
        if self._idle:
            self._work.notify()
        elif len(self._threads) <= MOST_WORKERS:
            self._spawn(self._serve)


def _tell_dead_letter(queue: str) -> None:
    deliveries = next((each.max_receives for each in topology.QUEUES if each.name == queue), topology.MAX_RECEIVES)
    print(f"treadle: a message of {queue} was given up after {deliveries} deliveries (treadle dlq list)", file=sys.stderr)
