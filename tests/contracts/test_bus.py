"""The bus: events as CloudEvents, and which queue the topology's rules bring them to."""

from __future__ import annotations

from typing import Any

import pytest
from treadle.ports import Event, rfc3339
from treadle.simulation.memory import MemoryCloud
from treadle.simulation.patterns import with_names

from .conftest import World

TIME = 1_795_392_000_123


def event(kind: str, **data: Any) -> Event:
    return Event(kind, f"id-{kind}", "run-1", TIME, data)


def test_an_event_is_a_cloud_event_in_detail(world: World) -> None:
    world.bus.put([event("StepFailed", path="charge", error={"name": "Ünlucky"})])
    (mail,) = world.mailbox.receive("errors")
    assert (mail.body["source"], mail.body["detail-type"]) == ("treadle", "StepFailed")
    assert mail.body["detail"] == {
        "specversion": "1.0",
        "id": "id-StepFailed",
        "source": "treadle",
        "type": "StepFailed",
        "subject": "run-1",
        "time": "2026-11-23T00:00:00.123Z",
        "data": {"path": "charge", "error": {"name": "Ünlucky"}},
    }


def test_an_event_may_name_another_source(world: World) -> None:
    world.bus.put([Event("RunRequested", "1", "run-1", TIME, {"workflow": "order"}, source="my.app")])
    (mail,) = world.mailbox.receive("submissions")
    assert (mail.body["source"], mail.body["detail"]["source"]) == ("my.app", "my.app")


def test_a_bus_event_has_the_names_of_eventbridge(world: World) -> None:
    world.bus.put([event("StepFailed")])
    (mail,) = world.mailbox.receive("errors")
    assert {"version", "id", "detail-type", "source", "time", "region", "resources", "detail"} <= mail.body.keys()


@pytest.mark.parametrize(("advance", "arrives"), [(True, True), (False, False)])
def test_only_completions_that_still_need_advancing_are_handled(world: World, advance: bool, arrives: bool) -> None:
    world.bus.put([event("StepsCompleted", advance=advance, steps=["a"])])
    mails = world.mailbox.receive("completions")
    assert bool(mails) is arrives
    for mail in mails:
        assert (mail.body["detail"]["advance"], mail.body["detail"]["data"]) == (True, {"steps": ["a"]})


def test_lifecycle_events_go_to_no_queue_of_the_engine(world: World) -> None:
    world.bus.put([event("RunStarted"), event("RunSucceeded")])
    assert not any(world.mailbox.receive(queue) for queue in ("completions", "errors", "submissions"))


@pytest.mark.parametrize("count", [0, 1, 10, 23])
def test_any_number_arrives(world: World, count: int) -> None:
    world.bus.put([event("StepFailed", n=n) for n in range(count)])
    arrived: list[int] = []
    while mails := world.mailbox.receive("errors"):
        arrived += [mail.body["detail"]["data"]["n"] for mail in mails]
    assert sorted(arrived) == list(range(count))


def test_an_event_that_no_call_could_hold_is_refused(world: World) -> None:
    with pytest.raises(ValueError):
        world.bus.put([event("StepFailed", text="x" * 1_048_576)])


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (TIME, "2026-11-23T00:00:00.123Z"),
        (TIME + 877, "2026-11-23T00:00:01.000Z"),
    ],
)
def test_times_are_written_to_the_millisecond(time_ms: int, text: str) -> None:
    assert rfc3339(time_ms) == text


# --------------------------------------------------------------------------------------------- what strangers put


def test_a_submission_from_outside_reaches_the_parser() -> None:
    cloud = MemoryCloud()
    cloud.bus.put_event("my.app", "RunRequested", {"workflow": "order", "input": {}})
    assert len(cloud.lanes.receive("submissions")) == 1


@pytest.mark.parametrize("bucket", ["inbox", "another"])
def test_a_new_object_reaches_the_parser_once(bucket: str) -> None:
    cloud = MemoryCloud()
    detail = {"bucket": {"name": bucket}, "object": {"key": "definitions/a.yaml"}}
    cloud.bus.put_event("aws.s3", "Object Created", detail, bus="default")
    assert len(cloud.lanes.receive("submissions")) == 1


@pytest.mark.parametrize(
    ("bus", "source", "kind", "arrives"),
    [
        pytest.param("engine", "shop", "OrderPaid", True, id="anything that is put on the bus"),
        pytest.param("engine", "treadle.workflow", "OrderPaid", True, id="what a step emits"),
        pytest.param("engine", "treadle", "RunFailed", True, id="a run that failed"),
        pytest.param("engine", "treadle", "RunSucceeded", False, id="not what each run tells"),
        pytest.param("engine", "treadle", "SubmissionRejected", False, id="not a refusal: it would be refused again"),
        pytest.param("default", "aws.ec2", "EC2 Instance State-change Notification", True, id="what a service tells"),
        pytest.param("default", "aws.kms", "AWS API Call via CloudTrail", False, id="not logged calls: the engine's are among them"),
        pytest.param("default", "shop", "RunRequested", False, id="no submissions by the account's bus"),
        pytest.param("default", "treadle", "RunFailed", False, id="nobody else is the engine"),
    ],
)
def test_what_triggers_listen_to(bus: str, source: str, kind: str, arrives: bool) -> None:
    cloud = MemoryCloud()
    cloud.bus.put_event(source, kind, {"subject": "run-1"}, bus=bus)
    assert bool(cloud.lanes.receive("submissions")) is arrives


def test_placeholders_in_patterns_are_filled_in() -> None:
    assert with_names({"a": {"b": ["{inbox}", "x"]}}, {"inbox": "bucket-1"}) == {"a": {"b": ["bucket-1", "x"]}}
