"""What a function loads before it can work: counted, and timed against boto3 with the three clients it uses.

Law: what is counted is the same on every machine, and tests hold it (`loaded`). What is timed is a ratio of processor time, in fresh
processes on one machine, taken in turns, so that a busy machine slows all of them alike; of several the least, for whatever else a
machine does only ever adds (`measure`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import treadle

_PATHS = [str(Path(treadle.__file__).resolve().parents[1]), str(Path(treadle.__file__).resolve().parents[2])]
_BOTO3 = """
import boto3
session = boto3.Session(aws_access_key_id="none", aws_secret_access_key="none", region_name="us-east-1")
for service in ("dynamodb", "sqs", "events"): session.client(service)
"""
# Ready to work: wired, and with the same three clients.
_DISPATCHER = """
import os
os.environ |= {"TREADLE_TABLE": "t", "TREADLE_BUS": "b", "TREADLE_BLOBS": "b", "TREADLE_INBOX": "i", "TREADLE_SECRETS": "s",
               "TREADLE_QUEUE_URLS": "https://q/",
               "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
import functions.dispatcher.handler
from treadle import wiring
world = wiring.current().engine.world
world.store._client.meta, world.lanes._client.meta, world.bus._client.meta
"""
PROGRAMS: Mapping[str, str] = {
    "interpreter": "",
    "boto3": _BOTO3,
    "dispatcher": _DISPATCHER,
    "parser": _DISPATCHER.replace("dispatcher", "parser").replace("world.store", "wiring.current().operations; world.store"),
    "api": _DISPATCHER.replace("dispatcher", "api").replace("world.store", "wiring.current().operations; world.store"),
    "help": "import sys; sys.argv = ['treadle', '--help']; from treadle.cli import main\ntry: main()\nexcept SystemExit: pass",
    "library": "from treadle.testing import LocalEngine",
    "local": "from treadle.testing import LocalEngine\nLocalEngine().__enter__()",
}
FUNCTIONS = ("dispatcher", "parser", "api")
TRIES = 5  # of a measure that is worse than it may be

_AROUND = """
import os, sys, time
began = time.process_time()
interpreter = set(sys.modules)  # what it loads by itself, a `sitecustomize` of the system's included
sys.path[:0] = {paths}
out, sys.stdout = sys.stdout, open(os.devnull, "w")
{program}
"""
_TIMED = "print((time.process_time() - began) * 1000, file=out)"
# Methods that dataclasses write are compiled at each start: most of what a module of ours costs, and easily added.
_COUNTED = """
import json
ours = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in ("treadle", "functions")}
classes = {kind for name, module in ours.items() for kind in vars(module).values() if isinstance(kind, type) and kind.__module__ == name}
made = [kind.__dataclass_params__ for kind in classes if "__dataclass_params__" in vars(kind)]
others = {name.partition(".")[0] for name, module in sys.modules.items() if name not in interpreter and getattr(module, "__spec__", None)}
counted = {
    "modules": len(ours),
    "methods": sum(of.init + of.repr + of.eq + 2 * of.frozen + (of.eq and of.frozen) for of in made),
    "packages": sorted(name for name in others - sys.stdlib_module_names - {"treadle", "functions"} if not name.startswith("_")),
}
print(json.dumps(counted), file=out)
"""


@dataclass(frozen=True, slots=True)
class Loaded:
    """`modules` of our own, `methods` that dataclasses wrote for them, and the `packages` of others."""

    modules: int
    methods: int
    packages: list[str]


def loaded(program: str) -> Loaded:
    """By a program in a process of its own, when it is ready. Raises CalledProcessError."""
    return Loaded(**json.loads(_said(program, _COUNTED)))


def milliseconds(program: str) -> float:
    """Of processor time, without the interpreter's own start. Raises CalledProcessError."""
    return float(_said(program, _TIMED))


def _said(program: str, then: str) -> str:
    code = _AROUND.format(paths=_PATHS, program=program) + then
    # -I: neither the user's packages nor the environment's paths take part
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def measure(names: Sequence[str] = tuple(PROGRAMS), rounds: int = 5, before: Mapping[str, float] | None = None) -> dict[str, float]:
    """Least milliseconds of each program; `before`: of an earlier measure."""
    least = dict(before or {})
    for _ in range(rounds):
        for name in names:
            least[name] = min(least.get(name, float("inf")), milliseconds(PROGRAMS[name]))
    return least


def ratios(times: Mapping[str, float]) -> dict[str, float]:
    """Of each function to boto3, and the milliseconds that `treadle --help` takes beside the interpreter, and that a local engine
    takes to start once its library is loaded."""
    of_functions = {name: round(times[name] / times["boto3"], 2) for name in FUNCTIONS}
    beside = {"help_ms": times["help"] - times["interpreter"], "local_ms": times["local"] - times["library"]}
    return of_functions | {name: round(ms, 1) for name, ms in beside.items()}


def figures(most: Mapping[str, float], rounds: int = 5) -> dict[str, Any]:
    """Measured again while something is worse than `most`: a busy machine makes a figure worse, never better."""
    times: dict[str, float] = {}
    for _ in range(TRIES):
        times = measure(rounds=rounds, before=times)
        if all(figure <= most[name] for name, figure in ratios(times).items()):
            break
    return {"cpu_ms": {name: round(ms, 1) for name, ms in times.items()}, "ratios": ratios(times)}
