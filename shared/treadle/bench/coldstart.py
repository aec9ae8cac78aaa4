"""How long a function takes to import, against what no function on AWS can do without: boto3 with the three clients it uses.

Law: a ratio, in fresh processes on the same machine, taken in turns, so that a busy machine slows all of them alike. The
least of several is compared: whatever else a machine does only ever adds.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

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
}
_TIMED = """
import os, sys, time
began = time.perf_counter()
sys.path[:0] = {paths}
out, sys.stdout = sys.stdout, open(os.devnull, "w")
{program}
print((time.perf_counter() - began) * 1000, file=out)
"""


def milliseconds(program: str) -> float:
    """Of a program in a process of its own, without the interpreter's own start. Raises CalledProcessError."""
    code = _TIMED.format(paths=_PATHS, program=program)
    # -I: neither the user's packages nor the environment's paths take part
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return float(done.stdout)


def measure(names: Sequence[str] = tuple(PROGRAMS), rounds: int = 5) -> dict[str, float]:
    """Least milliseconds of each program."""
    least = {name: milliseconds(PROGRAMS[name]) for name in names}
    for _ in range(rounds - 1):
        least = {name: min(before, milliseconds(PROGRAMS[name])) for name, before in least.items()}
    return least


def ratios(times: Mapping[str, float]) -> dict[str, float]:
    """Of each function to boto3, and the milliseconds that `treadle --help` takes beside the interpreter."""
    of_functions = {name: round(times[name] / times["boto3"], 2) for name in ("dispatcher", "parser", "api") if name in times}
    return of_functions | ({"help_ms": round(times["help"] - times["interpreter"], 1)} if "help" in times else {})
