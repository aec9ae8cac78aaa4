"""How much memory an attempt of a task had at most: what its worker's process had meanwhile, or the process that it ran in.

Where others ran beside it (a developer's machine), or the kernel does not say, nobody knows: no answer rather than a wrong one.
"""

from __future__ import annotations

import resource
import sys
import threading
from dataclasses import dataclass
from typing import Final, Protocol

from ..core.model import StepError

_RESET: Final = b"5"  # of the most that the process had (Linux, proc(5): clear_refs)
_PER_MB: Final = 1024 if sys.platform == "linux" else 1024 * 1024  # of ru_maxrss


@dataclass(slots=True)
class Measure:
    """Of one attempt. `apart_mb`: of the process that it had for itself."""

    is_alone: bool = True
    from_mb: int | None = None  # the most that the process had before; None: it counts from this attempt on
    apart_mb: int | None = None


class Gauge(Protocol):
    def begin(self) -> Measure: ...

    def end(self, measure: Measure) -> int | None:
        """MB; None: nobody knows. Once for each `begin`."""
        ...


class ProcessGauge:
    """Of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: list[Measure] = []

    def begin(self) -> Measure:
        measure = Measure()
        with self._lock:
            self._under_way.append(measure)
            if len(self._under_way) > 1:
                for each in self._under_way:
                    each.is_alone = False
        if measure.is_alone and not _reset():
            measure.from_mb = _most_mb()
        return measure

    def end(self, measure: Measure) -> int | None:
        with self._lock:
            self._under_way.remove(measure)
        if measure.apart_mb is not None:
            return measure.apart_mb
        if not measure.is_alone:
            return None
        most = _most_mb()
        return most if measure.from_mb is None or most > measure.from_mb else None


def megabytes(maxrss: int) -> int:
    return -(-maxrss // _PER_MB)


def _most_mb() -> int:
    return megabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _reset() -> bool:
    try:
        with open("/proc/self/clear_refs", "wb", buffering=0) as file:
            file.write(_RESET)
    except OSError:
        return False
    return True


def ran_out(error: StepError) -> bool:
    """The attempt failed for want of memory: Python had none to give, or the kernel killed the attempt's own process."""
    return error.name == "MemoryError" or (error.name == "TaskFailed" and error.details == KILLED)


KILLED: Final = {"signal": "SIGKILL"}  # what is told of such a process
