"""Discrete events: processes (`async def`) over a clock that jumps, every order of what happens at one instant possible.

Law: whatever could happen next at this instant may be next: at some instants all of it is as likely, at others one chain of
steps tends to run to its end before another begins. A process gives others their turn only where it awaits something that has
not ended; between two awaits nothing else happens.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from itertools import count
from typing import Any, Generic, Protocol, TypeVar

AT_ONCE = -1.0

HASTES = (0.0, 0.5, 0.9, 0.98)  # how likely what was made ready last is to be next; drawn anew for every instant

T = TypeVar("T")


class Order(Protocol):
    """Tells the turns of what could happen at one instant, instead of chance."""

    def turn(self, label: str, has_begun: bool, now: int) -> float:
        """The less the sooner; what has the same turn is in any order."""
        ...


class Cancelled(BaseException):
    """Thrown into a process that is cancelled. It may note that, but must not await anything any more."""


class Future(Generic[T]):
    """Something that will end once, with a value or an error. Awaiting it gives the value or raises the error."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.is_done = False
        self.is_urgent = False  # whoever awaits it goes on before anything else, where turns are told
        self._value: T
        self._error: BaseException | None = None
        self._then: list[Callable[[], None]] = []

    def succeed(self, value: T) -> None:
        if not self.is_done:
            self._value = value
            self._end()

    def fail(self, error: BaseException) -> None:
        if not self.is_done:
            self._error = error
            self._end()

    def _end(self) -> None:
        self.is_done = True
        for then in self._then:
            then()

    def when_done(self, then: Callable[[], None]) -> None:
        if self.is_done:
            then()
        else:
            self._then.append(then)

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._value

    def __await__(self) -> Generator[Future[Any], None, T]:
        if not self.is_done:
            yield self
        return self.result()


class Process(Future[T]):
    """A coroutine on its way. Processes that it spawned are its children: cancelled with it, innermost first.

    `label`: what it is about, for an `Order`."""

    def __init__(self, kernel: Kernel, coroutine: Coroutine[Future[Any], None, T], label: str = "") -> None:
        super().__init__(kernel)
        self.label = label
        self.has_begun = False
        self.children: list[Process[Any]] = []
        self._coroutine = coroutine
        self._turn = 0  # turns given before the last wait are void

    def go_on(self, turn: int) -> None:
        if self.is_done or turn != self._turn:
            return
        self.has_begun = True
        self._run(lambda: self._coroutine.send(None))

    def _run(self, resume: Callable[[], Future[Any]]) -> None:
        outer, self.kernel.current = self.kernel.current, self
        try:
            awaited = resume()
        except StopIteration as stop:
            self.succeed(stop.value)
        except (Exception, Cancelled) as error:  # noqa: BLE001 (it is raised again in whoever awaits the process)
            self.fail(error)
        else:
            self._turn += 1
            turn = self._turn
            awaited.when_done(lambda: self.kernel.go_on(self, turn, is_urgent=awaited.is_urgent))
        finally:
            self.kernel.current = outer

    def cancel(self) -> None:
        if self.is_done:
            return
        for child in self.children:
            child.cancel()
        self._turn += 1
        if self.has_begun:
            self._run(lambda: self._coroutine.throw(Cancelled()))
        else:
            self._coroutine.close()
            self.fail(Cancelled())

    def abandon(self) -> None:
        """The world ends: no more is heard of it."""
        if not self.is_done:
            self._turn += 1
            self._coroutine.close()


class Kernel:
    """The clock (ms) and what is to happen. One seed, one order; with an `order`, the one that it tells, as far as it does."""

    def __init__(self, now: int, seed: int, order: Order | None = None) -> None:
        self.now = now
        self._order = order
        self.current: Process[Any] | None = None
        self._random = random.Random(seed)
        self._count = count()
        self._haste = self._random.choice(HASTES)
        self._agenda: list[tuple[int, float, float, int, Callable[[], None]]] = []
        self._processes: list[Process[Any]] = []

    def close(self) -> None:
        for process in self._processes:
            process.abandon()

    def call_at(self, time: int, call: Callable[[], None], label: str | None = None, *, has_begun: bool = True) -> None:
        """`label`: of whom it is about; None: the process that now runs."""
        if self._order is None:
            turn = 0.0
        else:
            about = label if label is not None else self.current.label if self.current else ""
            turn = self._order.turn(about, has_begun, time)
        self._push(time, turn, call)

    def go_on(self, process: Process[Any], turn: int, *, is_urgent: bool = False) -> None:
        if is_urgent and self._order is not None:
            self._push(self.now, AT_ONCE, lambda: process.go_on(turn))
        else:
            self.call_at(self.now, lambda: process.go_on(turn), process.label, has_begun=process.has_begun)

    def _push(self, time: int, turn: float, call: Callable[[], None]) -> None:
        number = next(self._count)
        by_chance = -number if self._random.random() < self._haste else self._random.random()
        heappush(self._agenda, (time, turn, by_chance, number, call))

    def spawn(self, coroutine: Coroutine[Future[Any], None, T], label: str | None = None, *, detached: bool = False) -> Process[T]:
        """`label`: None for that of the process that now runs."""
        process = Process(self, coroutine, label if label is not None else self.current.label if self.current else "")
        self._processes.append(process)
        if self.current is not None and not detached:
            self.current.children.append(process)
        self.go_on(process, 0)
        return process

    @contextmanager
    def labelled(self, label: str) -> Iterator[None]:
        """What the process that now runs is about meanwhile."""
        process = self.current
        if process is None:
            raise RuntimeError("no process is running")
        before, process.label = process.label, label
        try:
            yield
        finally:
            process.label = before

    def toss(self) -> bool:
        """A coin."""
        return self._random.random() < 0.5

    def sleep(self, ms: int) -> Future[None]:
        timer: Future[None] = Future(self)
        self.call_at(self.now + ms, lambda: timer.succeed(None))
        return timer

    def first(self, *futures: Future[Any]) -> Future[Future[Any]]:
        """Ends with the one that ends first."""
        winner: Future[Future[Any]] = Future(self)
        for future in futures:
            future.when_done(lambda one=future: winner.succeed(one))  # type: ignore[misc]
        return winner

    def run(self, until: Future[Any], *, idle: Callable[[], bool] = lambda: False) -> bool:
        """Whether `until` ended; False: nothing more can happen. `idle` is asked before time moves on, and tells whether it acted."""
        while not until.is_done:
            is_over = not self._agenda
            if (is_over or self._agenda[0][0] > self.now) and idle():
                continue
            if is_over:
                return False
            time, *_, call = heappop(self._agenda)
            if time > self.now:
                self.now, self._haste = time, self._random.choice(HASTES)
            call()
        return True


class Mailbox(Generic[T]):
    """Letters in the order they were put in."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._letters: list[T] = []
        self._arrival: Future[None] = Future(kernel)

    def put(self, letter: T) -> None:
        self._letters.append(letter)
        self._arrival.succeed(None)

    async def get(self) -> T:
        while not self._letters:
            self._arrival = Future(self._kernel)
            self._arrival.is_urgent = True
            await self._arrival
        return self._letters.pop(0)
