"""Runs that schedules, events and objects start, on the engine in memory: once each, by the newest version, or refused aloud."""

from __future__ import annotations

import json
from typing import Any

import pytest
from treadle.core.moments import from_rfc3339, rfc3339
from treadle.engine.triggers import listed_key
from treadle.inbox import INPUT_BYTES, submit
from treadle.simulation.driver import TENANT, MemoryEngine

DAY_MS = 86_400_000
NIGHTLY = {"schedule": "cron(0 3 * * ? *)"}


def workflow(*triggers: dict[str, Any], id: str = "w", version: str = "1.0.0", **more: Any) -> dict[str, Any]:
    steps = [{"id": "a", "set": "${input}"}]
    return {"id": id, "name": "W", "version": version, "steps": steps, "triggers": list(triggers), **more}


def outputs(engine: MemoryEngine, id: str = "w") -> list[Any]:
    """Of the runs that there are, oldest first; all of them have ended."""
    runs = [engine.show(run.id) for run in reversed(engine.runs(id))]
    assert {run.status for run in runs} <= {"succeeded"}
    return [run.steps["a"].output for run in runs]


def refusals(engine: MemoryEngine) -> list[dict[str, Any]]:
    return [event["detail"]["data"] for event in engine.cloud.bus.events if event["detail-type"] == "SubmissionRejected"]


def tell(engine: MemoryEngine, kind: str, detail: dict[str, Any], source: str = "shop", bus: str = "engine") -> None:
    engine.cloud.bus.put_event(source, kind, detail, bus=bus)
    engine.pass_time("1s")


def drop(engine: MemoryEngine, key: str, bucket: str = "inbox", **more: Any) -> None:
    told = {"key": key, "size": 3, "etag": "e", "version-id": f"v-{key}", **more}
    tell(engine, "Object Created", {"bucket": {"name": bucket}, "object": told}, "aws.s3", "default")


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine()


# ------------------------------------------------------------------------------------------------------ schedules


def test_a_nightly_schedule_starts_a_run_each_night(engine: MemoryEngine) -> None:
    engine.register(workflow(NIGHTLY | {"input": {"night": "${event.time}"}}))
    engine.pass_time("3d")
    nights = [output["night"] for output in outputs(engine)]
    assert len(nights) == 3
    assert all(night.endswith("T03:00:00.000Z") for night in nights)
    assert nights == sorted(set(nights))


def test_without_an_input_a_run_gets_the_event(engine: MemoryEngine) -> None:
    engine.register(workflow({"schedule": "rate(2 hours)"}))
    began = engine.now()
    engine.pass_time("5h")
    assert [(seen["schedule"], from_rfc3339(seen["time"]) - began) for seen in outputs(engine)] == [
        ("rate(2 hours)", 2 * 3_600_000),
        ("rate(2 hours)", 4 * 3_600_000),
    ]
    assert len({seen["id"] for seen in outputs(engine)}) == 2


def test_of_missed_times_only_the_latest_starts_a_run(engine: MemoryEngine) -> None:
    engine.register(workflow(NIGHTLY))
    engine.cloud.clock.advance(10 * DAY_MS)  # nobody is there
    engine.pass_time("1m")
    (seen,) = outputs(engine)
    assert 0 <= engine.now() - from_rfc3339(seen["time"]) < DAY_MS
    engine.pass_time("1d")
    assert len(outputs(engine)) == 2


def test_a_definition_that_nobody_registered_starts_nothing(engine: MemoryEngine) -> None:
    engine.run(workflow(NIGHTLY))
    engine.pass_time("3d")
    assert len(engine.runs("w")) == 1


def test_a_newer_version_takes_over_and_an_older_one_does_not(engine: MemoryEngine) -> None:
    engine.register(workflow({"schedule": "rate(1 day)", "input": "new"}, version="2.0.0"))
    engine.register(workflow({"schedule": "rate(1 hour)", "input": "old"}, version="1.0.0"))
    engine.pass_time("25h")
    assert outputs(engine) == ["new"]
    engine.register(workflow({"schedule": "rate(12 hours)", "input": "newer"}, version="3.0.0"))
    engine.pass_time("13h")
    assert outputs(engine) == ["new", "newer"]
    engine.register(workflow(version="4.0.0"))
    engine.pass_time("3d")
    assert outputs(engine) == ["new", "newer"]


def test_a_new_version_does_not_put_off_what_it_leaves_alone(engine: MemoryEngine) -> None:
    for day in range(6):
        engine.register(workflow({"schedule": "rate(7 days)"}, version=f"1.{day}.0"))
        engine.pass_time("1d")
    assert outputs(engine) == []
    engine.pass_time("25h")
    assert len(outputs(engine)) == 1


def test_a_message_that_comes_twice_early_or_for_nobody_changes_nothing(engine: MemoryEngine) -> None:
    engine.register(workflow(NIGHTLY))
    message = {"schema": 1, "kind": "schedule", "tenant": TENANT, "workflow": "w"}
    submit(engine.wiring, message)
    assert engine.runs("w") == []
    engine.pass_time("1d")
    submit(engine.wiring, message)
    submit(engine.wiring, message | {"workflow": "nobody"})
    assert len(engine.runs("w")) == 1


def test_who_died_between_the_run_and_the_next_time_is_made_good(engine: MemoryEngine) -> None:
    engine.register(workflow(NIGHTLY))
    before = engine.world.store.get(listed_key(TENANT, "w"))
    assert before is not None
    engine.pass_time("1d")
    engine.world.store.put(before)  # as if the last write had never happened
    engine.pass_time("1m")
    assert len(outputs(engine)) == 1
    assert (engine.world.store.get(listed_key(TENANT, "w")) or {})["due"] > engine.now()


class Death:
    """Before or after the nth call of the world."""

    def __init__(self, call: int, when: str) -> None:
        self.left, self.when = call, when

    def __call__(self, name: str, when: str) -> None:
        self.left -= when == self.when
        if self.left == 0:
            raise Died


class Died(BaseException):
    pass


@pytest.mark.parametrize("when", ["before", "after"])
def test_whoever_dies_at_any_call_is_made_good(when: str) -> None:
    message = {"schema": 1, "kind": "schedule", "tenant": TENANT, "workflow": "w"}
    deaths = 0
    for call in range(1, 30):
        engine = MemoryEngine()
        engine.register(workflow(NIGHTLY | {"input": "a"}, NIGHTLY | {"input": "b"}))
        engine.cloud.clock.advance(DAY_MS)
        engine.cloud.listen(Death(call, when))
        try:
            submit(engine.wiring, message)
        except Died:
            deaths += 1
        engine.cloud.listen(None)
        submit(engine.wiring, message)
        engine.pass_time("1m")
        assert sorted(outputs(engine)) == ["a", "b"], f"died {when} call {call}"
    assert 8 <= deaths < 29


def test_a_schedule_that_is_over_is_due_no_more(engine: MemoryEngine) -> None:
    year = int(rfc3339(engine.now())[:4]) + 1
    engine.register(workflow({"schedule": f"cron(0 0 1 1 ? {year})"}))
    engine.pass_time("800d")
    assert len(outputs(engine)) == 1
    assert "due" not in (engine.world.store.get(listed_key(TENANT, "w")) or {})


def test_two_triggers_with_one_schedule_start_a_run_each(engine: MemoryEngine) -> None:
    engine.register(workflow(NIGHTLY | {"input": "a"}, NIGHTLY | {"input": "b"}, NIGHTLY | {"input": "b"}))
    engine.pass_time("1d")
    assert sorted(outputs(engine)) == ["a", "b"]


def test_a_large_list_of_triggers_is_kept_elsewhere(engine: MemoryEngine) -> None:
    engine.register(workflow(NIGHTLY | {"input": {"text": "x" * 20_000}}))
    engine.pass_time("1d")
    assert len(outputs(engine)) == 1


# --------------------------------------------------------------------------------------------------------- events


PAID = {"event": {"source": ["shop"], "detail-type": ["OrderPaid"], "detail": {"cents": [{"numeric": [">", 100]}]}}}


@pytest.mark.parametrize("bus", ["engine", "default"])
def test_an_event_that_matches_starts_a_run(engine: MemoryEngine, bus: str) -> None:
    engine.register(workflow(PAID | {"input": {"order": "${event.detail.order}"}}))
    tell(engine, "OrderPaid", {"order": "o-1", "cents": 500}, bus=bus)
    tell(engine, "OrderPaid", {"order": "o-2", "cents": 5}, bus=bus)
    tell(engine, "OrderShipped", {"order": "o-3", "cents": 500}, bus=bus)
    assert outputs(engine) == [{"order": "o-1"}]


def test_a_redelivered_event_finds_its_run(engine: MemoryEngine) -> None:
    engine.register(workflow(PAID))
    tell(engine, "OrderPaid", {"cents": 500})
    event = next(event for event in engine.cloud.bus.events if event["detail-type"] == "OrderPaid")
    submit(engine.wiring, event)
    engine.register(workflow(PAID | {"input": "another"}, version="2.0.0"))
    submit(engine.wiring, event)
    assert [output["id"] for output in outputs(engine)] == [event["id"]]
    assert refusals(engine) == []


def test_one_event_starts_runs_of_all_who_listen(engine: MemoryEngine) -> None:
    for id in ("one", "two"):
        engine.register(workflow(PAID, id=id))
    tell(engine, "OrderPaid", {"cents": 500})
    assert [len(outputs(engine, id)) for id in ("one", "two")] == [1, 1]


def test_who_listens_may_be_registered_right_before(engine: MemoryEngine) -> None:
    tell(engine, "OrderPaid", {"cents": 500})  # what listens has been read now
    engine.register(workflow(PAID))
    tell(engine, "OrderPaid", {"cents": 500})
    assert len(outputs(engine)) == 1


def test_what_a_step_emits_starts_a_run_of_another_workflow(engine: MemoryEngine) -> None:
    engine.register(workflow({"event": {"detail-type": ["Grown"]}, "input": "${event.detail.data.by}"}))
    engine.run({"id": "e", "name": "E", "version": "1.0.0", "steps": [{"id": "tell", "emit": {"type": "Grown", "detail": {"by": 3}}}]})
    engine.pass_time("1s")
    assert outputs(engine) == [3]


FAILED = {"event": {"source": ["treadle"], "detail-type": ["RunFailed"]}, "input": "${event.detail.data.workflow}"}
BROKEN = {"name": "B", "version": "1.0.0", "steps": [{"id": "f", "fail": {"error": "Red"}}]}


def test_a_failed_run_starts_who_asks_for_it_by_name(engine: MemoryEngine) -> None:
    engine.register(workflow(FAILED))
    engine.register(workflow({"event": {"detail-type": ["RunFailed"]}}, id="careless"))
    engine.run({"id": "broken", **BROKEN})
    engine.pass_time("1s")
    assert outputs(engine) == ["broken"]
    assert engine.runs("careless") == []


def test_what_the_engine_tells_twice_is_heard_once(engine: MemoryEngine) -> None:
    engine.register(workflow(FAILED))
    engine.run({"id": "broken", **BROKEN})
    engine.pass_time("1s")
    told = next(event for event in engine.cloud.bus.events if event["detail-type"] == "RunFailed")
    tell(engine, told["detail-type"], told["detail"], source="treadle")
    assert outputs(engine) == ["broken"]


def test_a_workflow_does_not_chase_its_own_failures(engine: MemoryEngine) -> None:
    engine.register({"id": "broken", "triggers": [FAILED], **BROKEN})
    engine.run({"id": "broken", **BROKEN})
    engine.pass_time("1m")
    assert len(engine.runs("broken")) == 1


def test_a_run_of_another_tenant_is_no_business_of_this_one(engine: MemoryEngine) -> None:
    engine.register(workflow(FAILED))
    run = engine.operations.run_definition("other", {"id": "broken", **BROKEN}, {})
    engine.pass_time("1s")
    assert engine.operations.show("other", run.id).status == "failed"
    assert engine.runs("w") == []


def test_nobody_speaks_for_a_run_that_there_is_not(engine: MemoryEngine) -> None:
    engine.register(workflow(FAILED))
    for subject in ("nobody", "", None, 7):
        tell(engine, "RunFailed", {"subject": subject, "data": {"tenant": TENANT, "workflow": "x"}}, source="treadle")
    assert engine.runs("w") == []


# -------------------------------------------------------------------------------------------------------- objects


REPORT = {"s3": {"prefix": "reports/", "suffix": ".csv"}}


def test_an_object_in_the_inbox_starts_a_run(engine: MemoryEngine) -> None:
    engine.register(workflow(REPORT))
    drop(engine, "reports/may + june.csv")
    drop(engine, "reports/may.txt")
    (seen,) = outputs(engine)
    assert seen == {
        "bucket": "inbox",
        "key": "reports/may + june.csv",
        "size": 3,
        "etag": "e",
        "versionId": "v-reports/may + june.csv",
        "time": seen["time"],
    }
    assert [(told["code"], told["cause"]["key"]) for told in refusals(engine)] == [("not-found", "reports/may.txt")]


def test_objects_of_another_bucket_only_where_it_is_named(engine: MemoryEngine) -> None:
    engine.register(workflow(REPORT | {"input": "inbox"}, {"s3": {"bucket": "lake"}, "input": "${event.key}"}))
    drop(engine, "reports/a.csv", bucket="lake")
    drop(engine, "definitions/w.yaml", bucket="lake")
    drop(engine, "reports/a.csv", bucket="elsewhere")
    assert outputs(engine) == ["reports/a.csv", "definitions/w.yaml"]
    assert refusals(engine) == []


def test_the_two_folders_of_the_inbox_are_not_for_triggers(engine: MemoryEngine) -> None:
    engine.register(workflow({"s3": {}}))
    engine.cloud.inbox.put("definitions/x.json", json.dumps(workflow(id="x")).encode())
    drop(engine, "definitions/x.json")
    engine.cloud.inbox.put("inputs/x/1.json", b'{"n": 1}')
    drop(engine, "inputs/x/1.json")
    assert outputs(engine, "x") == [{"n": 1}]
    assert engine.runs("w") == []


def test_the_same_key_put_again_is_another_run_and_told_twice_is_not(engine: MemoryEngine) -> None:
    engine.register(workflow(REPORT | {"input": "${event.versionId}"}))
    for version in ("1", "1", "2"):
        drop(engine, "reports/a.csv", **{"version-id": version})
    assert outputs(engine) == ["1", "2"]


# ------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("key", "content", "code"),
    [
        pytest.param("inputs/w/1.json", b"", "invalid-json", id="nothing"),
        pytest.param("inputs/w/1.json", b"\xff", "invalid-encoding", id="not UTF-8"),
        pytest.param("inputs/w/1.json", b'{"a": 1, "a": 2}', "duplicate-key", id="a key twice"),
        pytest.param("inputs/w/1.json", b'{"a": 9223372036854775808}', "invalid-number", id="65 bits"),
        pytest.param("inputs/w/1.json", b'{"a": NaN}', "invalid-number", id="NaN"),
        pytest.param("inputs/w/1.json", b'{"a": -Infinity}', "invalid-number", id="infinity"),
        pytest.param("inputs/w/1.json", b'{"a": Nancy}', "invalid-json", id="a word"),
        pytest.param("inputs/w/1.json", b'"' + b"x" * (5 * 1024 * 1024) + b'"', "payload-too-large", id="5 MiB and more"),
        pytest.param("inputs/w/1.json", b"[" * 200 + b"]" * 200, "too-deep", id="lists in lists"),
    ],
)
def test_an_object_is_refused_with_the_code_that_it_has_over_http(engine: MemoryEngine, key: str, content: bytes, code: str) -> None:
    engine.register(workflow())
    engine.cloud.inbox.put(key, content)
    drop(engine, key)
    (told,) = refusals(engine)
    assert (told["code"], told["cause"]["key"], engine.runs("w")) == (code, key, [])


def test_what_is_too_large_is_not_read(engine: MemoryEngine) -> None:
    """The event says how large it is; there is no object here that could be read."""
    engine.register(workflow())
    drop(engine, "inputs/w/1.json", size=INPUT_BYTES + 1)
    (told,) = refusals(engine)
    assert told["code"] == "payload-too-large"


def test_an_object_in_a_folder_without_a_name_is_told_where_inputs_lie(engine: MemoryEngine) -> None:
    engine.cloud.inbox.put("inputs//1.json", b"{}")
    drop(engine, "inputs//1.json")
    (told,) = refusals(engine)
    assert (told["code"], "inputs lie under inputs/WORKFLOW/" in told["message"]) == ("not-found", True)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        pytest.param({"workflow": ""}, "bad-value", id="no name"),
        pytest.param({"workflow": "w", "version": ""}, "bad-value", id="no version"),
        pytest.param({"workflow": "w", "version": 1}, "bad-type", id="a version that is a number"),
        pytest.param({"workflow": "w", "input": {"a": 2**63}}, "invalid-number", id="65 bits"),
        pytest.param({"workflow": "w", "input": {"a": float("inf")}}, "invalid-number", id="too large a float"),
        pytest.param({"workflow": "w", "version": None}, None, id="null is as good as nothing"),
    ],
)
def test_a_run_that_is_asked_for_on_the_bus(engine: MemoryEngine, asked: dict[str, Any], code: str | None) -> None:
    engine.register(workflow())
    tell(engine, "RunRequested", asked)
    assert ([told["code"] for told in refusals(engine)], len(engine.runs("w"))) == (([code], 0) if code else ([], 1))


@pytest.mark.parametrize(
    ("trigger", "more"),
    [
        pytest.param(PAID | {"input": {"x": "${event.detail.missing}"}}, {}, id="the template fails"),
        pytest.param(PAID | {"input": {"x": 1}}, {"input": {"required": ["day"]}}, id="the input does not fit"),
        pytest.param(PAID, {"metadata": {"attributes": {"day": "${input.day}"}}}, id="an attribute cannot be computed"),
    ],
)
def test_a_run_that_cannot_start_is_told_and_the_others_start(engine: MemoryEngine, trigger: dict[str, Any], more: dict[str, Any]) -> None:
    engine.register(workflow(trigger, id="bad", **more))
    engine.register(workflow(PAID))
    tell(engine, "OrderPaid", {"cents": 500})
    assert engine.runs("bad") == []
    assert len(outputs(engine)) == 1
    (told,) = refusals(engine)
    assert told["code"] == "invalid-input"
    assert (told["cause"]["workflow"], told["cause"]["detailType"]) == ("bad", "OrderPaid")


def test_a_refused_schedule_goes_on_and_is_told_each_time(engine: MemoryEngine) -> None:
    engine.register(workflow(NIGHTLY, input={"required": ["day"]}))
    engine.pass_time("2d")
    assert [told["cause"]["schedule"] for told in refusals(engine)] == [NIGHTLY["schedule"]] * 2
