"""How much CPU time one input takes in a process of its own, where nothing else was loaded, traced or instrumented.

    python -m tests.fuzz.once definition .cache/fuzz/definition/found-...

Warmed up with an ordinary input, then the least of three: what is left is what the input itself takes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.inputs import EXPRESSIONS, HOME, definitions
from tests.fuzz.targets import TARGETS, timed

TRIES = 3


def least_ms(target: str, data: bytes) -> float:
    """In this process."""
    ordinary = definitions() if target == "definition" else list(EXPRESSIONS)
    for text in ordinary:
        TARGETS[target](text.encode())
    return min(timed(target, data) for _ in range(TRIES))


def least_ms_apart(target: str, data: bytes) -> float:
    """In a process of its own. Raises what the input raises there, as CalledProcessError."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        command = [sys.executable, "-m", "tests.fuzz.once", target, file.name]
        path = os.pathsep.join(entry for entry in sys.path if entry)
        told = subprocess.run(command, cwd=HOME, env={**os.environ, "PYTHONPATH": path}, check=True, capture_output=True, text=True)
    return float(told.stdout)


if __name__ == "__main__":
    print(least_ms(sys.argv[1], Path(sys.argv[2]).read_bytes()))
