"""The workers of the pump: how many may be under way, what is known of each, and how one dies on order."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Predicate = Callable[[str, list[str]], bool]  # (queue, bodies of the batch)
Fate = Callable[[str, list[str]], int | None]  # (function, bodies of the batch) -> AWS calls until the invocation dies; None: it lives

MOST_WORKERS = 200
BUSY_WORKERS = 2  # that compute at the same time; more would only fight for the interpreter
COMPUTING_WORKERS = 32  # whose tasks may be computing
HELD_UP_S = 0.003  # a task that takes longer is waiting, or computing for long: another one may start
MEASURE_S = 0.01


class Killed(BaseException):
    """The worker is gone between two AWS calls. Not an Exception: nobody on its way may mistake it for an error."""


@dataclass(slots=True, eq=False)
class Worker:
    calls_left: int | None = None  # None: it lives


@dataclass(slots=True)
class Order:
    """Kill the next invocation of `function` that matches, before its AWS call number `calls` + 1."""

    predicate: Predicate
    function: str
    calls: int


@dataclass(slots=True)
class Counts:
    """What happened so far. `failures`: invocations that raised; `killed`: workers that died on order."""

    invocations: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    killed: int = 0
    jumps: int = 0
    sweeps: int = 0


class Crowd:
    """How many invocations may be under way at once."""

    def __init__(self) -> None:
        self._tasks: dict[object, float] = {}  # one that runs -> perf_counter of its begin
        self._measured = (time.perf_counter(), time.process_time())
        self._saturated_since: float | None = None  # perf_counter

    @contextmanager
    def task(self) -> Iterator[None]:
        """Around each call of a task, in whatever thread: who knows how long it takes."""
        it = object()
        self._tasks[it] = time.perf_counter()
        try:
            yield
        finally:
            del self._tasks[it]

    def how_many(self, active: int) -> int:
        """Asked every few milliseconds while messages wait. `active`: those under way.

        Those that are held up by their tasks do not count, and half as many again may begin, so that a burst of tasks that wait
        is under way in a few dozen milliseconds. Where the interpreter is the bottleneck they may be tasks that compute, and
        more of them would make all slower: then it stays at a few, and one more each second, in case a task computes until
        another one has run.
        """
        now, cpu = time.perf_counter(), time.process_time()
        began, cpu_before = self._measured
        if now - began >= MEASURE_S:
            self._measured = (now, cpu)
            is_saturated = cpu - cpu_before > 0.7 * (now - began)
            self._saturated_since = (self._saturated_since or now) if is_saturated else None
        held_up = min(active, sum(task_began < now - HELD_UP_S for task_began in list(self._tasks.values())))
        if self._saturated_since is not None:
            return BUSY_WORKERS + min(held_up, COMPUTING_WORKERS + int(now - self._saturated_since))
        return min(MOST_WORKERS, BUSY_WORKERS + held_up + held_up // 2)
