"""One attempt of a task within its time: whoever waits for it waits no longer than its limit, whatever the task does.

An attempt runs in a thread, which is kept for the next one: handing it over is all that a limit costs. A thread cannot be killed:
one that overran is left behind, its result ignored and itself counted, so that the worker can end with it. A task that is marked
`isolated` runs in a process of its own, which is killed.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from ..core.errors import TaskError
from ..core.model import Json
from ..tasks.later import Callback
from .apart import in_a_process
from .outcome import outcome
from .results import Failed, Result
from .watch import Limit, Watch

if TYPE_CHECKING:
    from ..tasks.registry import Task, TaskContext
    from .gauge import Measure
    from .secrecy import Given

log = logging.getLogger("treadle.tasks")

MAX_IDLE: Final = 32  # threads that wait for the next attempt
IDLE_S: Final = 5.0


@dataclass(eq=False)
class Attempts:
    """Runs them. `limits_all`: also those of steps without a timeout; where not, such a task runs in the calling thread."""

    limits_all: bool = False
    _idle: list[_Hand] = field(default_factory=list)
    _left_behind: set[_Attempt] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def runaways(self) -> int:
        """Threads whose attempts are over and which still run."""
        return len(self._left_behind)

    def call(
        self,
        task: Task,
        given: Given,
        context: TaskContext,
        limit: Limit | None,
        heartbeat_ms: int | None = None,
        measure: Measure | None = None,
    ) -> Result:
        """A task's failure becomes a value. `measure`: told of the memory of a process of its own. Raises Unavailable."""
        watch = Watch(limit, heartbeat_ms)
        _bind(context, watch)
        if limit is not None and limit.ms <= 0 and (too_late := watch.fault()) is not None:
            return Failed(too_late)  # before it begins: it would be left behind at once
        if task.isolated:
            return in_a_process(task, given, context, watch, measure)
        if not watch.is_needed:
            return outcome(task, given, context)
        return self._in_a_thread(task, given, context, watch)

    def _in_a_thread(self, task: Task, given: Given, context: TaskContext, watch: Watch) -> Result:
        attempt = _Attempt(lambda: outcome(task, given, context))
        with self._lock:
            hand = self._idle.pop() if self._idle else None
        (hand or _Hand(self)).take(attempt)
        while not attempt.is_done.acquire(timeout=watch.left_s):
            error = watch.fault()
            if error is not None and self._leave_behind(attempt):
                watch.is_over = True
                about = {"task": task.name, "run": context.run_id, "step": context.step_id}
                log.warning("a task took too long and was left behind in its thread", extra=about)
                return Failed(error)
        return attempt.result()

    def _leave_behind(self, attempt: _Attempt) -> bool:
        """False: it has ended just now."""
        with self._lock:
            if attempt.has_ended:
                return False
            self._left_behind.add(attempt)
            return True

    def _ended(self, attempt: _Attempt, hand: _Hand) -> bool:
        """Whether the thread is to wait for another one."""
        with self._lock:
            attempt.has_ended = True
            self._left_behind.discard(attempt)
            stays = len(self._idle) < MAX_IDLE
            if stays:
                self._idle.append(hand)
        attempt.is_done.release()
        return stays

    def _may_leave(self, hand: _Hand) -> bool:
        """False: it has just been given something to do."""
        with self._lock:
            if hand not in self._idle:
                return False
            self._idle.remove(hand)
            return True


class _Attempt:
    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._context = contextvars.copy_context()
        self._result: Result | None = None
        self._raised: BaseException | None = None
        self.has_ended = False
        self.is_done = threading.Lock()
        self.is_done.acquire()

    def run(self) -> None:
        try:
            self._result = self._context.run(self._work)
        except BaseException as raised:  # noqa: BLE001 (it is raised again in whoever waits)
            self._raised = raised

    def result(self) -> Result:
        if self._raised is not None:
            raise self._raised
        assert self._result is not None
        return self._result


class _Hand:
    """A thread that runs one attempt after another, and ends when there is none for a while."""

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        self._work: SimpleQueue[_Attempt] = SimpleQueue()
        threading.Thread(target=self._serve, daemon=True, name="treadle-attempt").start()

    def take(self, attempt: _Attempt) -> None:
        self._work.put(attempt)

    def _serve(self) -> None:
        while True:
            try:
                attempt = self._work.get(timeout=IDLE_S)
            except Empty:
                if self._attempts._may_leave(self):
                    return
                continue
            attempt.run()
            stays = self._attempts._ended(attempt, self)
            del attempt  # not kept alive by a thread that waits
            if not stays:
                return


def _bind(context: TaskContext, watch: Watch) -> None:
    """What the task may ask is answered as long as somebody waits for it."""
    asks, issues = context.is_cancelled, context.callback

    def is_cancelled() -> bool:
        return watch.is_over or asks()

    def heartbeat(details: Json = None) -> bool:
        watch.beat()
        return not is_cancelled()

    def callback() -> Callback:
        if watch.is_over:
            raise TaskError("Timeout", "this attempt is over")
        return issues()

    context.is_cancelled, context.heartbeat, context.callback = is_cancelled, heartbeat, callback
