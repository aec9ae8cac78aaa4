"""Metrics of runs, steps and attempts, as lines of CloudWatch's embedded metric format: a log line is all that a metric costs.

Groups: `latency` (how long attempts took), `throughput` (steps and runs that ended), `failures` (attempts, steps and runs that
failed). Dimension: the workflow. A moment that is told again counts again: rates are right, sums are at least what happened.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

NAMESPACE: Final = "treadle"
GROUPS: Final = ("latency", "throughput", "failures")
_UNITS: Final = {"AttemptLatency": "Milliseconds"}  # the others are counts


class Metrics:
    """`write` takes one line; standard output by default, where Lambda's log is read."""

    interface = 1
    name = "metrics"

    def __init__(self, groups: Sequence[str] = GROUPS, write: Callable[[str], object] = print) -> None:
        unknown = [group for group in groups if group not in GROUPS]
        if unknown:
            raise ValueError(f"groups of metrics are {', '.join(GROUPS)}, not {', '.join(unknown)}")
        self._groups = frozenset(groups)
        self._write = write

    def after_attempt(self, event: dict[str, Any]) -> None:
        self._emit(event, latency={"AttemptLatency": event["durationMs"]}, failures={"FailedAttempts": int(event["outcome"] == "failed")})

    def after_step(self, event: dict[str, Any]) -> None:
        self._emit(event, throughput={"EndedSteps": 1}, failures={"FailedSteps": int(event["outcome"] == "failed")})

    def after_run(self, event: dict[str, Any]) -> None:
        self._emit(event, throughput={"EndedRuns": 1}, failures={"FailedRuns": int(event["status"] in ("failed", "timedOut"))})

    def _emit(self, event: dict[str, Any], **by_group: dict[str, float]) -> None:
        values = {name: value for group, named in by_group.items() if group in self._groups for name, value in named.items()}
        if not values:
            return
        metrics = [{"Name": name, "Unit": _UNITS.get(name, "Count")} for name in values]
        told = {"Namespace": NAMESPACE, "Dimensions": [["workflow"]], "Metrics": metrics}
        about = {"workflow": event["workflow"], "run": event["run"]}
        line = {"_aws": {"Timestamp": event["at"], "CloudWatchMetrics": [told]}, **about, **values}
        self._write(json.dumps(line, ensure_ascii=False, separators=(",", ":")))
