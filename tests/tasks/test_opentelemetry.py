"""What a collector gets: a sink on this machine that takes apart what comes, as OTLP/HTTP says that it has to look."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from treadle import task
from treadle.hooks.opentelemetry import OpenTelemetry, span_id, trace_id
from treadle.testing import LocalEngine
from treadle.views import RunView


class Sink:
    """`answers`: the status of every answer. Whatever is not as the protocol says is refused."""

    def __init__(self) -> None:
        self.answers = 200
        self.asked = 0
        self.headers: list[dict[str, str]] = []
        self.spans: list[dict[str, Any]] = []
        self.metrics: list[dict[str, Any]] = []
        self.resources: list[dict[str, Any]] = []
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                sink.asked += 1
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                sink.headers.append({name.lower(): value for name, value in self.headers.items()})
                if sink.answers == 200:
                    sink.take(self.path, body)
                self.send_response(sink.answers)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def take(self, path: str, body: dict[str, Any]) -> None:
        if path == "/v1/traces":
            (group,) = body["resourceSpans"]
            (scope,) = group["scopeSpans"]
            self.spans += [checked_span(span) for span in scope["spans"]]
        else:
            assert path == "/v1/metrics"
            (group,) = body["resourceMetrics"]
            (scope,) = group["scopeMetrics"]
            self.metrics += [checked_metric(metric) for metric in scope["metrics"]]
        self.resources.append(plain(group["resource"]["attributes"]))

    def point(self, name: str, **labels: str) -> list[dict[str, Any]]:
        wanted = {f"treadle.{key}": value for key, value in labels.items()}
        kinds = [metric[kind] for metric in self.metrics if metric["name"] == name for kind in ("sum", "histogram") if kind in metric]
        return [point for kind in kinds for point in kind["dataPoints"] if wanted.items() <= plain(point["attributes"]).items()]


def plain(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    """Each has exactly one kind of value; 64-bit integers are strings in OTLP's JSON."""
    found = {}
    for attribute in attributes:
        ((kind, value),) = attribute["value"].items()
        assert kind in ("stringValue", "intValue", "doubleValue", "boolValue")
        assert isinstance(value, str) or kind not in ("stringValue", "intValue")
        found[attribute["key"]] = int(value) if kind == "intValue" else value
    return found


def checked_span(span: dict[str, Any]) -> dict[str, Any]:
    assert re.fullmatch("[0-9a-f]{32}", span["traceId"])
    assert re.fullmatch("[0-9a-f]{16}", span["spanId"])
    assert re.fullmatch("[0-9a-f]{16}", span.get("parentSpanId", "0" * 16))
    assert re.fullmatch("[0-9]{19}", span["startTimeUnixNano"])
    assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
    assert span["name"]
    return {**span, "attributes": plain(span["attributes"])}


def checked_metric(metric: dict[str, Any]) -> dict[str, Any]:
    (kind,) = {"sum", "histogram"} & metric.keys()
    assert metric[kind]["aggregationTemporality"] == 1
    for point in metric[kind]["dataPoints"]:
        assert int(point["startTimeUnixNano"]) <= int(point["timeUnixNano"])
        if kind == "histogram":
            assert sum(map(int, point["bucketCounts"])) == int(point["count"])
            assert len(point["bucketCounts"]) == len(point["explicitBounds"]) + 1
        else:
            assert int(point["asInt"]) > 0
    return metric


@pytest.fixture
def sink() -> Iterator[Sink]:
    it = Sink()
    yield it
    it.server.shutdown()
    it.server.server_close()


@task
def charge(given: Any) -> Any:
    if given.get("fails"):
        raise ValueError("card-4111-canary")
    return {"secret": "output-canary"}


STEPS = [
    {"id": "a", "task": "charge", "with": {"card": "input-canary"}},
    {"id": "each", "after": ["a"], "forEach": [1, 2], "task": "charge"},
    {"id": "group", "after": ["a"], "group": {"steps": [{"id": "inner", "set": 1}]}},
    {"id": "skipped", "after": ["a"], "when": "false", "set": 1},
    {"id": "bad", "after": ["each", "group"], "task": "charge", "with": {"fails": True}, "retry": {"maxAttempts": 2, "delay": "1s"}},
]


def run(sink: Sink, **more: Any) -> tuple[RunView, LocalEngine]:
    telemetry = {"endpoint": sink.url, "headers": {"x-key": "k"}, "service_name": "orders"}
    integration = {"monitoring_integration": True, "telemetry": telemetry}
    config = {"workflow_engine": {"integration": integration, **more}}
    with LocalEngine(tasks=[charge], skip_time=True, config=config) as engine:
        seen = engine.run({"id": "w", "name": "W", "version": "1.0.0", "steps": STEPS})
        engine.stack.pump.quiet()
        return seen, engine


def test_a_run_is_one_trace_with_its_steps_and_attempts_below(sink: Sink) -> None:
    seen, _ = run(sink)
    by_id = {span["spanId"]: span for span in sink.spans}
    assert {span["traceId"] for span in sink.spans} == {trace_id(seen.id)}
    around = {(span["name"], by_id[span["parentSpanId"]]["name"] if "parentSpanId" in span else None) for span in by_id.values()}
    assert around == {
        ("w", None),
        ("a", "w"), ("charge #1", "a"),
        ("each", "w"), ("each[0]", "each"), ("each[1]", "each"), ("charge #1", "each[0]"), ("charge #1", "each[1]"),
        ("group", "w"), ("group.inner", "group"),
        ("bad", "w"), ("charge #1", "bad"), ("charge #2", "bad"),
    }  # fmt: skip
    assert by_id[span_id(seen.id, "")]["attributes"]["treadle.status"] == "failed"


def test_a_failure_is_told_by_its_name_and_nothing_of_what_was_worked_on(sink: Sink) -> None:
    run(sink)
    failed = [span for span in sink.spans if span.get("status")]
    assert {span["status"]["code"] for span in failed} == {2}
    assert {span["attributes"]["error.type"] for span in failed if span["name"].startswith("charge")} == {"ValueError"}
    assert "canary" not in json.dumps([sink.spans, sink.metrics])


def test_metrics_count_what_happened(sink: Sink) -> None:
    run(sink)
    assert [int(point["asInt"]) for point in sink.point("treadle.runs", outcome="failed")] == [1]
    assert sum(int(point["count"]) for point in sink.point("treadle.attempt.duration", task="charge")) == 5
    assert sum(int(point["asInt"]) for point in sink.point("treadle.attempts.failed", task="charge")) == 2
    assert sum(int(point["asInt"]) for point in sink.point("treadle.steps.failed")) == 1


def test_only_the_groups_that_are_asked_for(sink: Sink) -> None:
    run(sink, initialization={"monitoring": {"metrics": ["latency"]}})
    assert {metric["name"] for metric in sink.metrics} == {"treadle.attempt.duration"}


def test_it_says_whose_it_is_and_brings_the_headers(sink: Sink) -> None:
    run(sink)
    assert {resource["service.name"] for resource in sink.resources} == {"orders"}
    assert {headers["x-key"] for headers in sink.headers} == {"k"}
    assert {headers["content-type"] for headers in sink.headers} == {"application/json"}


def test_off_means_that_nothing_is_sent(sink: Sink) -> None:
    with LocalEngine(tasks=[charge], config={"workflow_engine": {"integration": {"monitoring_integration": False}}}) as engine:
        engine.run({"id": "w", "name": "W", "version": "1.0.0", "steps": STEPS[:1]})
        assert engine.stack.hooks is None or "opentelemetry" not in {name for name, _ in engine.stack.hooks.timings}
    assert sink.asked == 0


def test_a_collector_that_refuses_is_told_of_once_left_alone_and_holds_nobody_up(sink: Sink) -> None:
    sink.answers = 503
    seen, engine = run(sink)
    assert (seen.status, seen.steps["each"].status) == ("failed", "succeeded")
    assert sink.asked == 1
    assert engine.stack.hooks is not None
    assert engine.stack.hooks.timings["opentelemetry", "flush"].failures == 1


def test_a_connection_that_was_closed_meanwhile_is_made_anew(sink: Sink) -> None:
    hook = OpenTelemetry(sink.url)
    event = {"run": "r", "workflow": "w", "version": "1", "tenant": "t", "at": 1_700_000_000_000, "status": "succeeded"}
    event |= {"startedAt": 1_700_000_000_000, "endedAt": 1_700_000_000_500}
    for _ in range(2):
        hook.after_run(event)
        hook.flush()
        hook._collector._connection.sock.close()  # type: ignore[union-attr]
    assert [span["name"] for span in sink.spans] == ["w", "w"]
    assert len({span["spanId"] for span in sink.spans}) == 1


def test_opentelemetrys_own_variables_are_read(monkeypatch: pytest.MonkeyPatch, sink: Sink) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-a=1,x-b=two%20words")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test,service.name=shop")
    hook = OpenTelemetry()
    hook.after_step({"run": "r", "workflow": "w", "version": "1", "tenant": "t", "at": 1_700_000_000_000, "step": "a", "attempts": 1,
                     "outcome": "succeeded", "startedAt": 1_700_000_000_000, "endedAt": 1_700_000_000_001})  # fmt: skip
    hook.flush()
    assert (sink.headers[0]["x-a"], sink.headers[0]["x-b"]) == ("1", "two words")
    assert sink.resources[0] == {"deployment.environment": "test", "service.name": "shop"}


@pytest.mark.parametrize("endpoint", ["collector:4318", "ftp://collector", "http://"])
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="OTLP endpoint"):
        OpenTelemetry(endpoint)
