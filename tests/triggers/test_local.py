"""Triggers on the whole local stack: the real handlers, moto's rules, and time that is skipped only for those who wait."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from treadle.testing import LocalEngine

NIGHTLY = "cron(0 3 * * ? *)"


def workflow(id: str, *triggers: dict[str, Any]) -> dict[str, Any]:
    return {"id": id, "name": "W", "version": "1.0.0", "steps": [{"id": "a", "set": "${input}"}], "triggers": list(triggers)}


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    with LocalEngine(skip_time=True) as it:
        yield it


def wait_for(engine: LocalEngine, id: str, count: int) -> list[Any]:
    """Outputs of the workflow's runs, once so many have succeeded."""

    def look() -> list[Any] | None:
        runs = [run for run in engine.runs(id) if run.status == "succeeded"]
        return [engine.show(run.id).steps["a"].output for run in runs] if len(runs) >= count else None

    found = engine.stack.pump.wait(look, 60)
    assert found is not None
    return found


def test_three_nights() -> None:
    with LocalEngine(skip_time=True) as engine:
        engine.register(workflow("nightly", {"schedule": NIGHTLY, "input": {"night": "${event.time}"}}))
        engine.pass_time("3d")
        nights = [engine.show(run.id).input["night"] for run in engine.runs("nightly")]
        assert len(nights) == 3
        assert all(night.endswith("T03:00:00.000Z") for night in nights)


def test_nobody_waits_for_a_schedule_so_time_is_not_skipped_for_it() -> None:
    with LocalEngine(skip_time=True) as engine:
        engine.register(workflow("often", {"schedule": "rate(1 minute)"}))
        before = engine.stack.pump.counts.jumps
        threading.Event().wait(0.8)  # longer than the grace after which time is skipped for all that ends by itself
        assert engine.stack.pump.counts.jumps == before
        assert engine.runs("often") == []
        engine.pass_time("150s")
        assert len(engine.runs("often")) == 2


def test_time_passes_to_the_dot_where_nothing_is_due() -> None:
    with LocalEngine(skip_time=True) as engine:
        before = engine.stack.cloud.clock.now()
        engine.pass_time("10d")
        assert 10 * 86_400_000 <= engine.stack.cloud.clock.now() - before < 10 * 86_400_000 + 60_000


def test_time_that_is_real_cannot_be_passed() -> None:
    with LocalEngine() as engine, pytest.raises(ValueError, match="skip_time"):
        engine.pass_time("1d")


@pytest.mark.parametrize("bus", ["engine", "default"])
def test_an_event_starts_a_run(engine: LocalEngine, bus: str) -> None:
    engine.register(workflow(f"paid-{bus}", {"event": {"source": [f"shop.{bus}"]}, "input": "${event.detail}"}))
    names = engine.stack.cloud.names
    target = {"EventBusName": names.bus} if bus == "engine" else {}
    entry = {"Source": f"shop.{bus}", "DetailType": "OrderPaid", "Detail": json.dumps({"order": 7}), **target}
    engine.stack.cloud.clients.events.put_events(Entries=[entry])  # type: ignore[list-item]
    assert wait_for(engine, f"paid-{bus}", 1) == [{"order": 7}]


def test_an_object_in_any_bucket_that_tells_starts_a_run(engine: LocalEngine) -> None:
    s3, inbox = engine.stack.cloud.clients.s3, engine.stack.cloud.names.inbox
    s3.create_bucket(Bucket="lake")
    s3.put_bucket_notification_configuration(Bucket="lake", NotificationConfiguration={"EventBridgeConfiguration": {}})
    engine.register(workflow("inbox", {"s3": {"prefix": "reports/"}}))
    engine.register(workflow("lake", {"s3": {"bucket": "lake"}}))
    for bucket in ("lake", inbox):
        s3.put_object(Bucket=bucket, Key="reports/a b+c.csv", Body=b"a,b")
    for id, bucket in (("lake", "lake"), ("inbox", inbox)):
        (seen,) = wait_for(engine, id, 1)
        assert (seen["bucket"], seen["key"], seen["size"], seen["versionId"]) == (bucket, "reports/a b+c.csv", 3, None)
        assert seen["time"].endswith("Z")
    s3.put_object(Bucket="lake", Key="reports/a b+c.csv", Body=b"a,b")
    assert len(wait_for(engine, "lake", 2)) == 2
