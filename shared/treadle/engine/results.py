"""What an attempt comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.model import Json, StepError

if TYPE_CHECKING:
    from .semaphores import Place


@dataclass(frozen=True, slots=True)
class Done:
    output: Json
    chosen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    error: StepError


@dataclass(frozen=True, slots=True)
class Waits:
    """`wait["for"]`: timer, signal, approval, child, callback. `until`: when it is over at the latest (ms), None: only when somebody
    acts."""

    wait: dict[str, Any]
    until: int | None


@dataclass(frozen=True, slots=True)
class Held:
    """Not now: nothing ran. There is no place for it (`concurrency`; whoever gives one back sends it again), what it needs cannot be
    read, or it is not its turn. `for_s`: when it is looked at again at the latest; None: when every lease is over. `turn`: the time
    (ms) that it was given for its own. `pool`: where it is to run; it did run here, and had too little memory. `place`: what it stands in
    line for."""

    for_s: int | None = None
    turn: int | None = None
    pool: str | None = None
    place: Place | None = None


LOST = StepError("Interrupted", "the attempt was lost with its worker")

Result = Done | Failed | Waits | Held
