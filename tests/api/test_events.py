"""The sample payloads in events/: one for each way in, each of the shape that AWS sends."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from treadle import topology
from treadle.api.app import answer
from treadle.cel import Cel
from treadle.core.patterns import matches
from treadle.definition import Checker
from treadle.simulation.patterns import with_names

from tests.api.fakes import FakeOperations

EVENTS = {path.stem: json.loads(path.read_text()) for path in (Path(__file__).parents[2] / "events").glob("*.json")}
RECORDS = [pytest.param(event["Records"][0], id=name) for name, event in sorted(EVENTS.items()) if "Records" in event]
INBOX = "treadle-inbox-123456789012"  # in the samples
FROM_BUS = [param for param in RECORDS if param.id not in ("sqs_lane_step", "sqs_notifications", "sqs_schedule_due")]


def test_there_is_one_for_each_way_in() -> None:
    assert sorted(EVENTS) == [
        "bus_anything", "bus_run_requested", "bus_workflow_submitted", "http_register", "http_start", "s3_definition", "s3_input",
        "s3_object", "schedule_sweep", "sqs_completions", "sqs_errors", "sqs_lane_step", "sqs_notifications",
        "sqs_schedule_due",
    ]  # fmt: skip


@pytest.mark.parametrize("record", RECORDS)
def test_a_message_is_one_that_sqs_could_deliver(record: dict[str, Any]) -> None:
    assert hashlib.md5(record["body"].encode()).hexdigest() == record["md5OfBody"]
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"].rpartition(":treadle-")[2] in {queue.name for queue in topology.QUEUES}


@pytest.mark.parametrize("record", FROM_BUS)
def test_a_bus_event_reaches_its_queue_by_one_rule(record: dict[str, Any]) -> None:
    event = json.loads(record["body"])
    bus = "default" if event["source"] == "aws.s3" else "engine"
    patterns = {rule.name: with_names(rule.pattern, {"inbox": INBOX}) for rule in topology.RULES}
    (rule,) = [rule for rule in topology.RULES if rule.bus == bus and matches(patterns[rule.name], event)]
    assert record["eventSourceARN"].endswith(f":treadle-{rule.to}")


def test_an_escalation_reaches_the_notifier_where_somebody_is_named() -> None:
    event = json.loads(EVENTS["sqs_notifications"]["Records"][0]["body"])
    named, other = topology.notifying(["oncall"], []), topology.notifying(["ops"], ["RunFailed"])
    assert [rule.to for rule in (*named, *other) if matches(rule.pattern, event)] == ["notifications"]


def test_the_sample_definition_is_valid() -> None:
    for text in (EVENTS["http_register"]["body"], json.dumps(_detail("bus_workflow_submitted")["definition"])):
        assert Checker({"echo"}, Cel()).check(text).diagnostics == ()


def _detail(name: str) -> Any:
    return json.loads(EVENTS[name]["Records"][0]["body"])["detail"]


def test_the_http_samples_are_answered() -> None:
    operations = FakeOperations()
    assert answer(EVENTS["http_register"], operations)["statusCode"] == 201  # type: ignore[arg-type]  # a fake with the same methods
    assert answer(EVENTS["http_start"], operations)["statusCode"] == 404  # type: ignore[arg-type]  # it has no such workflow
    (_, registered), (_, started) = operations.calls
    assert registered["tenant"] == started["tenant"] == "acme"
    assert (started["input"], started["key"], started["by"]) == ({"name": "Ada"}, "order-4711", "ann")
