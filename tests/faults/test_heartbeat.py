"""The sweeper's heartbeat: it is written at each pass, and who asks whether the engine is well is told when it is late."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
from treadle import topology
from treadle.cli.doctor import Level, sweeper
from treadle.core.errors import Unavailable
from treadle.engine.heartbeat import KEY, LATE_MS, last
from treadle.health import FRESH_MS, Health
from treadle.ports import Store
from treadle.testing import LocalEngine
from treadle.wiring import using

from tests.faults.stand import Context, Stand

STEPS = [{"id": "a", "wait": "20m"}]
WAITS = {"id": "waits", "name": "waits", "version": "1.0.0", "steps": STEPS}


def passes(stand: Stand) -> Any:
    with using(stand.wiring):
        return import_module("functions.sweeper.handler").handler({}, Context())


class Silent:
    """A table that cannot be reached."""

    def __getattr__(self, name: str) -> Any:
        def fails(*_: Any, **__: Any) -> Any:
            raise Unavailable("away")

        return fails


def test_each_pass_says_when_it_was_what_it_sent_and_how_late_it_was() -> None:
    stand = Stand()
    assert passes(stand) == {"sent": 0}
    first = last(stand.world)
    assert first is not None
    assert (first.at, first.took_ms, first.sent, first.behind_ms) == (stand.now(), 0, 0, 0)
    stand.start(WAITS)
    stand.cloud.clock.advance(10 * 60_000)  # the sweeper's first look at a run is due after five minutes
    assert passes(stand)["sent"] >= 1
    second = last(stand.world)
    assert second is not None
    assert (second.at, second.sent >= 1) == (stand.now(), True)
    assert 4 * 60_000 < second.behind_ms <= 10 * 60_000


def test_a_heartbeat_that_cannot_be_written_fails_no_pass() -> None:
    stand = Stand()
    stand.start(WAITS)
    stand.cloud.clock.advance(10 * 60_000)

    class NoWrites(Silent):
        query_due = stand.cloud.store.query_due

    stand.world.store = NoWrites()  # type: ignore[assignment]
    assert passes(stand)["sent"] >= 1


def health_after(stand: Stand, ms: int) -> dict[str, Any]:
    stand.cloud.clock.advance(ms)
    return Health(stand.world).look()


def test_an_engine_is_degraded_until_its_sweeper_has_come_by() -> None:
    stand = Stand()
    told = health_after(stand, 0)
    assert (told["status"], told["sweeper"]) == ("degraded", None)
    assert "never come by" in told["why"]
    passes(stand)
    assert health_after(stand, 0)["status"] == "ok"


LATE = [
    pytest.param(topology.SWEEP_EVERY_S * 1000, "ok", id="on time"),
    pytest.param(LATE_MS, "ok", id="two passes missed"),
    pytest.param(LATE_MS + 1, "degraded", id="more than three intervals ago"),
]


@pytest.mark.parametrize(("ms", "status"), LATE)
def test_a_sweeper_that_is_late_degrades_the_engine(ms: int, status: str) -> None:
    stand = Stand()
    passes(stand)
    told = health_after(stand, ms)
    assert (told["status"], told["sweeper"]["late"], told["why"] is None) == (status, status == "degraded", status == "ok")


def test_a_sweeper_that_nobody_listens_to_degrades_the_engine() -> None:
    stand = Stand()
    stand.start(WAITS)
    stand.cloud.clock.advance(20 * 60_000)
    passes(stand)
    told = health_after(stand, 0)
    assert (told["status"], told["sweeper"]["late"]) == ("degraded", False)
    assert "nobody takes up" in told["why"]


def test_a_table_that_cannot_be_read_degrades_the_engine() -> None:
    stand = Stand()
    away: Store = Silent()  # type: ignore[assignment]
    told = Health(replace(stand.world, store=away)).look()
    assert told == {"status": "degraded", "why": "the table cannot be read", "sweeper": None}


def test_the_table_is_asked_once_in_ten_seconds_however_many_ask() -> None:
    stand = Stand()
    passes(stand)
    health = Health(stand.world)
    told = [health.look() for _ in range(50)]
    assert all(one is told[0] for one in told)
    stand.cloud.clock.advance(FRESH_MS)
    assert health.look() is not told[0]


DOCTOR: list[tuple[dict[str, Any], Level, str]] = [
    ({"status": "ok", "sweeper": {"at": "T", "tookMs": 3, "sent": 2}}, Level.OK, "came by at T, took 3 ms, sent 2 messages again"),
    ({"status": "degraded", "why": "the sweeper is late", "sweeper": None}, Level.WARNING, "the sweeper is late"),
    (
        {"status": "ok", "version": "2.0", "sweeper": {"at": "T", "tookMs": 3, "sent": 2, "version": "1.9"}},
        Level.WARNING,
        "is of version 1.9, and the API of 2.0",
    ),
    ({"status": "ok", "version": "0.0.9"}, Level.WARNING, "an engine of an older version"),
]


@pytest.mark.parametrize(("health", "level", "told"), DOCTOR, ids=["well", "late", "two versions", "an older engine"])
def test_doctor_tells_of_it(health: dict[str, Any], level: Level, told: str) -> None:
    found = sweeper(health)
    assert found.level is level
    assert told in found.found
    assert (found.mend == "") == (level is Level.OK)


def test_on_the_local_stack_health_is_served_without_a_token() -> None:
    with LocalEngine() as engine:
        assert engine.stack.pump.wait(lambda: engine.stack.operations.world.store.get(KEY), 10)
        request = {"http": {"method": "GET", "path": "/v1/health"}, "stage": "$default", "requestId": "r"}
        answer = engine.stack.request({"rawPath": "/v1/health", "rawQueryString": "", "headers": {}, "requestContext": request})
    told = json.loads(answer["body"])
    assert (answer["statusCode"], told["status"], told["why"]) == (200, "ok", None)
    assert set(told) == {"status", "why", "sweeper", "version"}
    assert set(told["sweeper"]) == {"at", "tookMs", "sent", "behindMs", "late", "version"}
