"""What the figures may be: `benchmarks/gates.json` says what is promised, `benchmarks/baseline.json` what was reached.

Law: a gate is never met by luck. All figures here are counted, so whatever is worse than the baseline is worse because the
code is; who makes it better, or must make it worse, records a new one (`treadle bench --record`) in the same change.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import Rejected
from .report import Counted
from .workloads import FOLDER

GATES = FOLDER / "gates.json"
BASELINE = FOLDER / "baseline.json"

# Sizes hold random numbers and times, whose digits another order of the same calls may change a little.
SLACK = {"bytes_written": 1.005}
_EXACT = 1.000001


def faults(counted: Iterable[Counted]) -> list[str]:
    """A sentence for each figure that is worse than promised or than it was. Raises Rejected outside of a checkout."""
    gates, baseline = _read(GATES), _read(BASELINE)
    found: list[str] = []
    for one in counted:
        figures = figures_of(one)
        promised = gates["per_step"].get(one.workload, {})
        found += [f"{one.workload}: {name} {figures[name]:g}, the gate is {most:g}" for name, most in promised.items() if figures[name] > most * _EXACT]
        reached = baseline.get(one.workload, {})
        found += [
            f"{one.workload}: {name} {figures[name]:g}, it was {before:g}"
            for name, before in reached.items()
            if figures[name] > before * SLACK.get(name, _EXACT)
        ]
        sizes = gates["bytes"] if one.workload in gates["bytes_of"] else {}
        found += [
            f"{one.workload}: the largest {kind} has {one.largest[kind]} bytes, the gate is {most}"
            for kind, most in sizes.items()
            if one.largest.get(kind, 0) > most
        ]
    return found


def faults_of_scale(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A step costs no more in a larger run: not alone that each figure stays below that of a smaller run, but that the
    cost of *one more* step does not grow either."""
    most = _read(GATES)["scale"]
    found: list[str] = []
    for kind in dict.fromkeys(row["workload"] for row in rows):
        of_kind = [row for row in rows if row["workload"] == kind]
        for before, after in zip(of_kind, of_kind[1:], strict=False):
            for name, factor in most.items():
                was, now = before["per_step"][name], after["per_step"][name]
                if now > was * factor:
                    found.append(f"{kind}: {name} grows from {was:g} at {before['n']} to {now:g} at {after['n']} steps")
    return found


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
