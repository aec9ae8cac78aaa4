"""Runs, steps and attempts as OpenTelemetry's spans and metrics, sent by OTLP/HTTP when an invocation is about to end.

A run is a trace. Its id, and that of each span, is made of the run's id and the path: so the spans of all workers belong together
though they never meet, and a moment that is told twice is the same span. Where to send to is said by OpenTelemetry's own variables,
or by the configuration.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from .metrics import GROUPS
from .otlp import Collector, attributes, pairs

ENDPOINT: Final = "http://localhost:4318"  # where a collector beside the function listens, as AWS's layer does
MAX_WAITING: Final = 2048  # spans that wait to be sent; more are dropped
BOUNDS_MS: Final = (5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10_000.0, 30_000.0, 60_000.0)
_DELTA: Final = 1
_INTERNAL, _ERROR = 1, 2
_BAD: Final = ("failed", "timedOut")

Labels = tuple[tuple[str, str], ...]


class OpenTelemetry:
    """`groups`: of metrics, as the hook `metrics` has them. Raises ValueError for an endpoint that is none."""

    interface = 1
    name = "opentelemetry"

    def __init__(
        self,
        endpoint: str | None = None,
        headers: Mapping[str, str] | None = None,
        service_name: str | None = None,
        groups: Sequence[str] = GROUPS,
    ) -> None:
        env = os.environ
        resource = pairs(env.get("OTEL_RESOURCE_ATTRIBUTES", ""))
        resource["service.name"] = service_name or env.get("OTEL_SERVICE_NAME") or resource.get("service.name") or "treadle"
        told = headers if headers is not None else pairs(env.get("OTEL_EXPORTER_OTLP_HEADERS", ""))
        self._collector = Collector(endpoint or env.get("OTEL_EXPORTER_OTLP_ENDPOINT") or ENDPOINT, told, resource)
        self._groups = frozenset(groups)
        self._lock = threading.Lock()
        self._spans: list[dict[str, Any]] = []
        self._counts: Counter[tuple[str, Labels]] = Counter()
        self._latencies: dict[Labels, list[float]] = {}
        self._since_ms: int | None = None

    # -------------------------------------------------------------------------------------------- what is told

    def after_attempt(self, event: dict[str, Any]) -> None:
        number, step = event["attempt"], event["step"]
        began = event["at"] - event["durationMs"]
        about = {"treadle.task": event["task"], "treadle.attempt": number, **_of(event)}
        error = event.get("error")
        span = _span(event["run"], f"{step}#{number}", step, f"{event['task']} #{number}", began, event["at"], about, error)
        labels = _labels(event, task=event["task"], outcome=event["outcome"])
        with self._lock:
            self._keep(span, event["at"])
            if "latency" in self._groups:
                self._latencies.setdefault(labels, []).append(event["durationMs"])
            if "failures" in self._groups and event["outcome"] == "failed":
                self._counts["treadle.attempts.failed", _labels(event, task=event["task"])] += 1

    def after_step(self, event: dict[str, Any]) -> None:
        step, began = event["step"], event.get("startedAt")
        about = {"treadle.attempts": event["attempts"], "treadle.outcome": event["outcome"], **_of(event)}
        error = {"name": "failed"} if event["outcome"] == "failed" else None
        with self._lock:
            if began is not None:
                self._keep(_span(event["run"], step, _around(step), step, began, event["endedAt"], about, error), event["at"])
            self._count(event, "treadle.steps", event["outcome"])

    def after_run(self, event: dict[str, Any]) -> None:
        about = {"treadle.status": event["status"], "treadle.version": event["version"], **_of(event)}
        error = event.get("error") if event["status"] in _BAD else None
        with self._lock:
            self._keep(_span(event["run"], "", None, event["workflow"], event["startedAt"], event["endedAt"], about, error), event["at"])
            self._count(event, "treadle.runs", event["status"])

    def _count(self, event: dict[str, Any], name: str, outcome: str) -> None:
        if "throughput" in self._groups:
            self._counts[name, _labels(event, outcome=outcome)] += 1
        if "failures" in self._groups and outcome in _BAD:
            self._counts[f"{name}.failed", _labels(event)] += 1

    def _keep(self, span: dict[str, Any], at: int) -> None:
        self._since_ms = at if self._since_ms is None else self._since_ms
        if len(self._spans) < MAX_WAITING:
            self._spans.append(span)

    # -------------------------------------------------------------------------------------------- sending it

    def flush(self) -> None:
        """Raises OSError when it was not taken: it is dropped then."""
        with self._lock:
            if self._since_ms is None:
                return
            spans, self._spans = self._spans, []
            counts, self._counts = self._counts, Counter()
            latencies, self._latencies = self._latencies, {}
            since, self._since_ms = self._since_ms, None
            until = max(int(span["endTimeUnixNano"]) for span in spans) if spans else since * 1_000_000
            times = {"startTimeUnixNano": str(min(since * 1_000_000, until)), "timeUnixNano": str(until)}
            if spans:
                self._collector.spans(spans)
            if counts or latencies:
                self._collector.metrics([*_sums(counts, times), *_histogram(latencies, times)])


def _span(
    run: str, own: str, around: str | None, name: str, began: float, ended: float, about: dict[str, Any], error: Any
) -> dict[str, Any]:
    """`own`, `around`: paths, of which the ids are made; `around` None: the root."""
    span: dict[str, Any] = {"traceId": trace_id(run), "spanId": span_id(run, own), "name": name, "kind": _INTERNAL}
    if around is not None:
        span["parentSpanId"] = span_id(run, around)
    span |= {"startTimeUnixNano": str(int(began * 1_000_000)), "endTimeUnixNano": str(int(max(began, ended) * 1_000_000))}
    if error:  # its name only: a message may hold anything
        span["status"] = {"code": _ERROR, "message": str(error["name"])}
        about = {**about, "error.type": error["name"]}
    return {**span, "attributes": attributes(about)}


def trace_id(run: str) -> str:
    return sha256(f"trace {run}".encode()).hexdigest()[:32]


def span_id(run: str, path: str) -> str:
    return sha256(f"span {run} {path}".encode()).hexdigest()[:16]


def _around(step: str) -> str:
    """The path of what a step stands in: its loop, its group, or the run."""
    if step.endswith("]"):
        return step.rpartition("[")[0]
    return step.rpartition(".")[0]


def _of(event: dict[str, Any]) -> dict[str, Any]:
    return {"treadle.run": event["run"], "treadle.workflow": event["workflow"], "treadle.tenant": event["tenant"]}


def _labels(event: dict[str, Any], **more: str) -> Labels:
    """Few values each: no run, no step."""
    return tuple({"treadle.workflow": event["workflow"], **{f"treadle.{name}": value for name, value in more.items()}}.items())


def _sums(counts: Mapping[tuple[str, Labels], int], times: dict[str, str]) -> list[dict[str, Any]]:
    by_name: dict[str, list[dict[str, Any]]] = {}
    for (name, labels), count in counts.items():
        by_name.setdefault(name, []).append({**times, "attributes": attributes(dict(labels)), "asInt": str(count)})
    return [
        {"name": name, "unit": "1", "sum": {"aggregationTemporality": _DELTA, "isMonotonic": True, "dataPoints": points}}
        for name, points in by_name.items()
    ]


def _histogram(latencies: Mapping[Labels, list[float]], times: dict[str, str]) -> list[dict[str, Any]]:
    points = [{**times, "attributes": attributes(dict(labels)), **_buckets(values)} for labels, values in latencies.items()]
    if not points:
        return []
    return [{"name": "treadle.attempt.duration", "unit": "ms", "histogram": {"aggregationTemporality": _DELTA, "dataPoints": points}}]


def _buckets(values: list[float]) -> dict[str, Any]:
    counts = [0] * (len(BOUNDS_MS) + 1)
    for value in values:
        counts[sum(value > bound for bound in BOUNDS_MS)] += 1
    told = {"count": str(len(values)), "sum": sum(values), "min": min(values), "max": max(values)}
    return {**told, "bucketCounts": [str(count) for count in counts], "explicitBounds": list(BOUNDS_MS)}
