"""The same seed gives the same trace: in another process, with another order of sets, for every shape."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from treadle.simulation.shapes import catalogue

SEEDS = (1, 2, 3)

# Digests of the traces, a line each.
TRACES = """
import hashlib, logging, sys
from treadle.simulation.explore import Explorer
from treadle.simulation.shapes import catalogue
from treadle.simulation.world import prepare
logging.disable(logging.CRITICAL)
for name, shape in catalogue().items():
    explorer = Explorer(prepare(shape), keeps_trace=True)
    traces = [explorer.calm.trace, *(explorer.at_random(int(seed)).trace for seed in sys.argv[1:])]
    print(name, *(hashlib.sha256(repr(trace).encode()).hexdigest()[:16] for trace in traces))
"""


def traces(hash_seed: str) -> list[str]:
    command = [sys.executable, "-c", TRACES, *map(str, SEEDS)]
    done = subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.timeout(600)
def test_the_same_seed_gives_the_same_trace_in_another_process() -> None:
    one, other = traces("1"), traces("4242")
    assert [line.split()[0] for line in one] == list(catalogue())
    assert one == other
