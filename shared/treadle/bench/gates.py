"""What the figures may be: `benchmarks/gates.json` says what is promised, `benchmarks/baseline.json` what was reached.

Law: a gate is never met by luck. All figures here but those of cold starts are counted, so whatever is worse than the baseline is
worse because the code is; who makes it better, or must make it worse, records a new one (`treadle bench --record`) in the same change.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..core.errors import Rejected
from .report import Counted
from .workloads import FOLDER

GATES = FOLDER / "gates.json"
BASELINE = FOLDER / "baseline.json"

# What is timed differs between machines, which may not refuse a change: above its gate by less than this it is only told. What makes
# a start slow is counted beside it, and held exactly (`loaded`).
TIMED_SLACK = 1.25

# Sizes hold random numbers and times, whose digits another order of the same calls may change a little.
SLACK = {"bytes_written": 1.005}
_EXACT = 1.000001


def faults(counted: Iterable[Counted]) -> list[str]:
    """A sentence for each figure that is worse than promised or than it was. Raises Rejected outside of a checkout."""
    gates, baseline = _read(GATES), _read(BASELINE)
    return [fault for one in counted for fault in (*_broken(one, gates), *_worse(one, baseline.get(one.workload, {})))]


def _broken(one: Counted, gates: Mapping[str, Any]) -> Iterator[str]:
    figures = figures_of(one)
    for name, most in gates["per_step"].get(one.workload, {}).items():
        if figures[name] > most * _EXACT:
            yield f"{one.workload}: {name} {figures[name]:g}, the gate is {most:g}"
    for kind, most in gates["bytes"].items() if one.workload in gates["bytes_of"] else ():
        if one.largest.get(kind, 0) > most:
            yield f"{one.workload}: the largest {kind} has {one.largest[kind]} bytes, the gate is {most}"


def _worse(one: Counted, reached: Mapping[str, float]) -> Iterator[str]:
    figures = figures_of(one)
    for name, before in reached.items():
        if figures[name] > before * SLACK.get(name, _EXACT):
            yield f"{one.workload}: {name} {figures[name]:g}, it was {before:g}"


def faults_of_scale(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A step costs no more in a larger run. `rows`: as `report.scale` gives them, sizes ascending."""
    most = _read(GATES)["scale"]
    found: list[str] = []
    for kind in dict.fromkeys(row["workload"] for row in rows):
        for before, after in pairwise(row for row in rows if row["workload"] == kind):
            for name, factor in most.items():
                was, now = before["per_step"][name], after["per_step"][name]
                if now > was * factor:
                    found.append(f"{kind}: {name} grows from {was:g} at {before['n']} to {now:g} at {after['n']} steps")
    return found


def cold_start() -> dict[str, float]:
    """The most that starting cold may take: functions as ratios to boto3, the command line and a local engine in milliseconds."""
    most: dict[str, float] = _read(GATES)["cold_start"]
    return most


def slow_starts(found: Mapping[str, float], slack: float = 1) -> list[str]:
    """A sentence for each that takes more than `slack` times what it may. `found`: as `coldstart.ratios` gives them."""
    most = cold_start()
    return [f"cold start: {name} {figure:g}, the gate is {most[name]:g}" for name, figure in found.items() if figure > most[name] * slack]


def figures_of(counted: Counted) -> dict[str, float]:
    return counted.per_step() | {"usd_per_million_steps": counted.usd_per_million_steps()}


def record(counted: Iterable[Counted]) -> Path:
    """Write down what was reached; workloads that were not counted keep what they had."""
    kept = _read(BASELINE) if BASELINE.exists() else {}
    kept |= {one.workload: figures_of(one) for one in counted}
    BASELINE.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    return BASELINE


def _read(path: Path) -> dict[str, Any]:
    try:
        read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Rejected("not-found", f"there is no {path}: gates are checked in a checkout", status=404) from None
    return read
