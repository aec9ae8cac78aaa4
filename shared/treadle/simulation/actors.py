"""Who takes part in a simulation: workers, what may move them, and those who look on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from greenlet import greenlet

from ..core.errors import Conflict, Unavailable
from ..engine import Engine, World
from ..ports import Item, Key
from .faults import Kind
from .fleet import THIS, Version
from .queues import Received
from .shapes import Act

if TYPE_CHECKING:
    from .simulator import Simulation


@dataclass(eq=False)
class Worker:
    """`wakes_at`: suspended until then by a task that takes time. `deadline`: when Lambda ends it."""

    number: int
    function: str
    deadline: int
    body: Callable[[], Any]
    thread: greenlet | None = None
    messages: tuple[Received, ...] = ()
    act: Act | None = None
    wakes_at: int = 0
    outlives: bool = False  # frozen and thawed: it goes on although its time is over
    stands: bool = False  # suspended by a fault; others act meanwhile
    fault: Kind | None = None  # that the call under way will have, once it is done
    skew_ms: int = 0  # its clock is wrong by so much
    version: Version = THIS  # of the engine


class Observer(Protocol):
    """Sees all that happens. Raises nothing: what is wrong it keeps."""

    def wrote(self, simulation: Simulation, key: Key, old: Item | None, new: Item | None) -> None: ...
    def began(self, simulation: Simulation, run_id: str, path: str, attempt: int) -> None: ...
    def ended(self, simulation: Simulation, run_id: str, path: str) -> None: ...
    def failed(self, simulation: Simulation, fault: Exception) -> None: ...
    def acknowledged(self, simulation: Simulation, message: Received, version: Version) -> None: ...


class SeenEngine(Engine):
    """Tells of what a delivery fails with, other than the world: the handlers hand such a message back, and say no more."""

    def __init__(self, world: World, tell: Callable[[Exception], None]) -> None:
        super().__init__(world)
        self._tell = tell

    @contextmanager
    def _seen(self) -> Iterator[None]:
        try:
            yield
        except (Unavailable, Conflict):
            raise
        except Exception as fault:
            self._tell(fault)
            raise

    def work(self, body: Mapping[str, Any], deadline: int) -> int | None:
        with self._seen():
            return super().work(body, deadline)

    def completed(self, detail: Mapping[str, Any], deadline: int) -> None:
        with self._seen():
            super().completed(detail, deadline)

    def failed(self, detail: Mapping[str, Any], deadline: int) -> None:
        with self._seen():
            super().failed(detail, deadline)

    def sweep(self) -> int:
        with self._seen():
            return super().sweep()


@dataclass(frozen=True, slots=True)
class Move:
    """`go`: a worker makes its next call. `take`: a message is delivered. `act`: somebody asks for something. `time`: nothing is left
    to do now. `again`: a message in hand is delivered a second time. `kill`: a worker dies. `late`: time passes, workers stand still."""

    kind: str
    worker: Worker | None = None
    queue: str = ""
    messages: tuple[str, ...] = ()
    ms: int = 0


class Schedule(Protocol):
    def choose(self, simulation: Simulation) -> Move | None:
        """The next move; None when nothing can happen any more."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """Lambda's context, as far as the handlers look at it."""

    get_remaining_time_in_millis: Callable[[], int]
    function_name: str = "simulated"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:simulated"
    aws_request_id: str = "simulated"


@dataclass
class OwnClock:
    """What a worker takes for the time: each runs on a machine of its own."""

    simulation: Simulation

    def now(self) -> int:
        worker = self.simulation.current
        return self.simulation.now + (worker.skew_ms if worker else 0)


@cache
def handler_of(function: str) -> Callable[[dict[str, Any], Any], Any]:
    """The deployed one."""
    return import_module(f"functions.{function}.handler").handler  # type: ignore[no-any-return]
