"""How large the process is.

What ended runs left in the table and the buckets is removed before it is measured (moto keeps both in this very process), so what
grows here is what the engine, its workers and the local stack do not let go.
"""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_STATM: Final = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class Size:
    """After so many runs. `objects`: those that Python's collector knows of; unlike megabytes, not a matter of the allocator."""

    runs: int
    rss_mb: float
    objects: int
    threads: int


def measure(runs: int) -> Size:
    gc.collect()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)  # what was freed is given back, or it would count
    return Size(runs, round(_rss_bytes() / 1024 / 1024, 1), len(gc.get_objects()), threading.active_count())


def _rss_bytes() -> int:
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
