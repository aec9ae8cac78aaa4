"""How much CPU time one input takes in a process of its own, where nothing else was loaded, traced or instrumented.

    python -m tests.fuzz.once definition .cache/fuzz/definition/found-...

Warmed up with ordinary inputs, then the least of three: what is left is what the input itself takes. The same machine is up to twice as
slow from one minute to the next, even by CPU time, so what the ordinary inputs take is measured beside it and printed after it: the
same work, at each speed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.inputs import EXPRESSIONS, HOME, definitions
from tests.fuzz.targets import TARGETS, Slow, timed, within

TRIES = 3
APART = 5  # processes, for an input that seems slow


def least_ms(target: str, data: bytes) -> tuple[float, float]:
    """In this process: of the input, and of the ordinary ones together."""
    ordinary = [text.encode() for text in (definitions() if target == "definition" else EXPRESSIONS)]
    for text in ordinary:
        TARGETS[target](text)
    tries = [(timed(target, data), sum(timed(target, text) for text in ordinary)) for _ in range(TRIES)]
    return min(of_it for of_it, _ in tries), min(of_ordinary for _, of_ordinary in tries)


def least_ms_apart(target: str, data: bytes) -> tuple[float, float]:
    """In a process of its own. Raises what the input raises there, as CalledProcessError."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        command = [sys.executable, "-m", "tests.fuzz.once", target, file.name]
        path = os.pathsep.join(entry for entry in sys.path if entry)
        told = subprocess.run(command, cwd=HOME, env={**os.environ, "PYTHONPATH": path}, check=True, capture_output=True, text=True)
    of_it, of_ordinary = map(float, told.stdout.split())
    return of_it, of_ordinary


class Look:
    """Looks whether inputs take longer than they may, at the highest speed that this machine was seen to have."""

    def __init__(self, target: str, most_ms: float, measured: Callable[[str, bytes], tuple[float, float]] = least_ms_apart) -> None:
        self._target = target
        self._most_ms = most_ms
        self._measured = measured
        self._ordinary_ms = min(measured(target, b"")[1] for _ in range(APART))

    def at(self, data: bytes) -> None:
        """Raises Slow for what is slow apart from here as well."""
        try:
            within(self._target, data, self._most_ms)
        except Slow as here:
            took_ms = self.slow_ms(data)
            if took_ms is not None:
                raise Slow(f"{took_ms:.0f} ms (here {here})") from None

    def slow_ms(self, data: bytes) -> float | None:
        """The least that it takes in any process; None if one took no longer than it may: what else a machine does makes a figure worse,
        never better."""
        took_ms = []
        for _ in range(APART):
            took_ms.append(self._at_full_speed(*self._measured(self._target, data)))
            if took_ms[-1] <= self._most_ms:
                return None
        return min(took_ms)

    def _at_full_speed(self, of_it: float, of_ordinary: float) -> float:
        self._ordinary_ms = min(self._ordinary_ms, of_ordinary)
        return of_it * self._ordinary_ms / of_ordinary


if __name__ == "__main__":
    print(*least_ms(sys.argv[1], Path(sys.argv[2]).read_bytes()))
