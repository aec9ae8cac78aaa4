"""Metrics of runs, steps and attempts, as lines of CloudWatch's embedded metric format: a log line is all that a metric costs.

Groups: `latency` (how long attempts and runs took), `throughput` (steps and runs that ended), `failures` (attempts, steps and runs
that failed), `satisfaction` (of workflows with an objective), `utilisation` (the most memory that the worker of an attempt has had
so far; in a Lambda, also as a part of what it has), `caching` (plans and results that a worker had, or had not, at hand). Dimension:
the workflow. Of the other hooks, by their names, how long their calls took (`latency`) and how many failed (`failures`), once for each
delivery. A moment that is told again counts again: rates are right, sums are at least what happened.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

COUNTS: Final = ("planHits", "planMisses", "planEvictions", "resultHits", "resultMisses")  # engine.caches
NAMESPACE: Final = "treadle"
GROUPS: Final = ("latency", "throughput", "failures", "satisfaction", "utilisation", "caching")
ANY: Final = "*"  # every workflow that has no objective of its own
TOLERABLE: Final = 4  # times the objective: Apdex
_UNITS: Final = {  # the others are counts
    "AttemptLatency": "Milliseconds",
    "HookLatency": "Milliseconds",
    "RunLatency": "Milliseconds",
    "Satisfaction": "None",
    "WorkerMemory": "Megabytes",
    "WorkerMemoryUsed": "Percent",
}


class Metrics:
    """`write` takes one line; standard output by default, where Lambda's log is read. `objectives`: by workflow, or `*`, how soon (ms)
    whoever started a run wants its end."""

    interface = 1
    name = "metrics"

    def __init__(
        self, groups: Sequence[str] = GROUPS, write: Callable[[str], object] = print, objectives: Mapping[str, int] | None = None
    ) -> None:
        unknown = [group for group in groups if group not in GROUPS]
        if unknown:
            raise ValueError(f"groups of metrics are {', '.join(GROUPS)}, not {', '.join(unknown)}")
        self._groups = frozenset(groups)
        self._write = write
        self._objectives = objectives or {}
        self._at = 0  # ms: of what was told last
        self._memory_mb = int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", 0))

    def after_attempt(self, event: dict[str, Any]) -> None:
        self._emit(
            event,
            latency={"AttemptLatency": event["durationMs"]},
            failures={"FailedAttempts": int(event["outcome"] == "failed")},
            utilisation=self._utilisation(event["workerPeakMb"]),
        )

    def after_step(self, event: dict[str, Any]) -> None:
        self._emit(event, throughput={"EndedSteps": 1}, failures={"FailedSteps": int(event["outcome"] == "failed")})

    def after_run(self, event: dict[str, Any]) -> None:
        took_ms = event["endedAt"] - event["startedAt"]
        self._emit(
            event,
            latency={"RunLatency": took_ms},
            throughput={"EndedRuns": 1},
            failures={"FailedRuns": int(event["status"] in ("failed", "timedOut"))},
            satisfaction=self._satisfaction(event, took_ms),
        )

    def timed(self, hook: str, calls: int, failures: int, total_ms: float) -> None:
        """What another hook did in a delivery."""
        event = {"hook": hook, "at": self._at}
        self._emit(event, "hook", latency={"HookLatency": round(total_ms / calls, 3)}, failures={"FailedHookCalls": failures})

    def after_delivery(self, event: dict[str, Any]) -> None:
        """All of them, so that a rate can be made of two: `PlanHits` and so on."""
        self._emit(event, caching={name[0].upper() + name[1:]: event["caches"].get(name, 0) for name in COUNTS})

    def _utilisation(self, peak_mb: int) -> dict[str, float]:
        used = {"WorkerMemory": float(peak_mb)}
        return used | {"WorkerMemoryUsed": round(100 * peak_mb / self._memory_mb, 1)} if self._memory_mb else used

    def _satisfaction(self, event: dict[str, Any], took_ms: int) -> dict[str, float]:
        """1 within the objective, 0.5 within four times of it, 0 beyond or for a failure: the average is Apdex. A run that somebody
        cancelled says nothing of how content anybody is."""
        objective_ms = self._objectives.get(event["workflow"], self._objectives.get(ANY))
        if objective_ms is None or event["status"] == "cancelled":
            return {}
        if event["status"] != "succeeded" or took_ms > TOLERABLE * objective_ms:
            return {"Satisfaction": 0.0}
        return {"Satisfaction": 1.0 if took_ms <= objective_ms else 0.5}

    def _emit(self, event: dict[str, Any], by: str = "workflow", /, **by_group: dict[str, float]) -> None:
        self._at = event["at"]
        values = {name: value for group, named in by_group.items() if group in self._groups for name, value in named.items()}
        if not values:
            return
        metrics = [{"Name": name, "Unit": _UNITS.get(name, "Count")} for name in values]
        told = {"Namespace": NAMESPACE, "Dimensions": [[by]], "Metrics": metrics}
        about = {name: event[name] for name in (by, "run") if name in event}
        line = {"_aws": {"Timestamp": event["at"], "CloudWatchMetrics": [told]}, **about, **values}
        self._write(json.dumps(line, ensure_ascii=False, separators=(",", ":")))
