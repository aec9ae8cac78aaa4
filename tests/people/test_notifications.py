"""Who is told of what: rungs that name a target, events of runs that targets have subscribed to, and deliveries that fail."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from treadle import task
from treadle.local.stack import Stack
from treadle.notifications import Notification, Undelivered
from treadle.testing import LocalEngine
from treadle.topology import NOTIFY_AGAIN_S

TOPIC = "arn:aws:sns:eu-central-1:123456789012:ops"
ONCALL = {"webhook": "https://hooks.example.com/treadle", "secret": "oncall_key"}
HOUR_S = 3600


@task
def fails(given: Any) -> Any:
    raise ValueError("the bank is away")


def engine(targets: dict[str, Any]) -> LocalEngine:
    integration = {"webhook_support": True, "notifications": targets}
    return LocalEngine([fails], skip_time=True, config={"workflow_engine": {"integration": integration}})


def pays(**handling: Any) -> dict[str, Any]:
    return {"id": "pay", "name": "pay", "version": "1.0.0", "steps": [{"id": "charge", "task": "fails"}], "errorHandling": handling}


LADDER = pays(onFailure="wait", escalation=[{"afterFailure": "5m", "notify": "oncall", "severity": "critical"}])


def told(sent: list[Notification]) -> list[tuple[str, str]]:
    return [(each.target.name, each.event["type"]) for each in sent]


def of_notifications(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in entry.items() if key != "at"} for entry in history if "Notif" in entry["what"]]


def test_a_rung_tells_the_target_that_it_names_and_the_history_says_so() -> None:
    with engine({"oncall": ONCALL, "ops": {"sns": TOPIC}}) as it:
        run = it.start(LADDER)
        it.wait(run, "waiting")
        it.pass_time("6m")
        (sent,) = it.stack.notifications
        history = it.history(run)
    assert told([sent]) == [("oncall", "EscalationRaised")]
    data = sent.event["data"]
    assert (data["run"], data["path"], data["severity"], data["error"]["message"]) == (run, "charge", "critical", "the bank is away")
    assert of_notifications(history) == [
        {"what": "Notified", "path": "charge", "target": "oncall", "event": "EscalationRaised", "level": 1, "attempts": 1}
    ]


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        pytest.param({"ops": {"sns": TOPIC, "on": ["RunFailed"]}}, [("ops", "RunFailed")], id="one subscriber"),
        pytest.param(
            {"ops": {"sns": TOPIC, "on": ["RunFailed"]}, "oncall": {**ONCALL, "on": ["RunFailed", "RunTimedOut"]}},
            [("oncall", "RunFailed"), ("ops", "RunFailed")],
            id="two subscribers",
        ),
        pytest.param({"ops": {"sns": TOPIC, "on": ["RunSucceeded"]}}, [], id="of something else"),
        pytest.param({"oncall": ONCALL}, [], id="nobody subscribed"),
    ],
)
def test_an_end_is_told_to_those_who_subscribed(targets: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    with engine(targets) as it:
        it.run(pays())
        it.stack.pump.quiet()
        assert sorted(told(it.stack.notifications)) == expected
        assert bool(it.stack.pump.counts.invocations["notifier"]) == bool(expected)


@pytest.mark.parametrize("name", ["board", "somebody"])
def test_who_listens_to_the_bus_wakes_no_notifier(name: str) -> None:
    with engine({"oncall": ONCALL, "board": {"bus": True}}) as it:
        it.run(pays(escalation=[{"afterAttempts": 1, "notify": name}]))
        it.stack.pump.quiet()
        assert not it.stack.pump.counts.invocations["notifier"]


def test_what_fails_is_tried_again_later_each_time_under_the_same_id() -> None:
    with engine({"ops": {"sns": TOPIC, "on": ["RunFailed"]}}) as it:
        it.stack.notifications.failing = 3
        run = it.run(pays())
        it.pass_time("1h")
        attempts = [*it.stack.notifications.failed, *it.stack.notifications]
        (entry,) = of_notifications(it.history(run.id))
    assert len({each.id for each in attempts}) == 1
    waits = [round((after.now - before.now) / 1000) for before, after in pairwise(attempts)]
    assert waits == [*NOTIFY_AGAIN_S[:3]]
    assert (entry["what"], entry["attempts"]) == ("Notified", 4)


def test_one_that_fails_does_not_tell_the_others_again() -> None:
    with engine({"ops": {"sns": TOPIC, "on": ["RunFailed"]}, "oncall": {**ONCALL, "on": ["RunFailed"]}}) as it:
        it.stack.notifications.failing = 1
        it.run(pays())
        it.pass_time("1h")
        assert sorted(told(it.stack.notifications)) == [("oncall", "RunFailed"), ("ops", "RunFailed")]


def test_what_is_given_up_is_a_dead_letter_and_the_run_says_so() -> None:
    with engine({"ops": {"sns": TOPIC, "on": ["RunFailed"]}}) as it:
        it.stack.notifications.failing = 1000
        run = it.run(pays())
        it.pass_time("18h")
        (entry,) = of_notifications(it.history(run.id))
        (letter,) = it.stack.operations.dead_letters.page("local")[0]
        assert (letter["queue"], letter["run"], it.stack.cloud.dead_letters()) == ("notifications", run.id, {})
        assert len(it.stack.notifications.failed) == len(NOTIFY_AGAIN_S) + 1
    assert sum(NOTIFY_AGAIN_S) > 16 * HOUR_S
    assert (entry["what"], entry["target"], entry["attempts"]) == ("NotificationFailed", "ops", 10)
    assert "nobody answered" in entry["error"]


def test_a_given_up_notification_is_an_event_that_a_workflow_may_listen_to() -> None:
    plan_b = {
        "id": "planb",
        "name": "plan b",
        "version": "1.0.0",
        "triggers": [
            {
                "event": {"source": ["treadle"], "detail-type": ["NotificationFailed"]},
                "input": {"target": "${event.detail.data.target}"},
            }
        ],
        "steps": [{"id": "call", "set": "${input.target}"}],
    }
    with engine({"ops": {"sns": TOPIC, "on": ["RunFailed"]}}) as it:
        it.stack.notifications.failing = 1000
        it.register(plan_b)
        it.run(pays())
        it.pass_time("18h")
        (started,) = it.runs("planb")
        assert it.wait(started.id).output == {"call": "ops"}


def through(channel: Callable[[Notification], None]) -> Callable[[Stack], None]:
    def replace(stack: Stack) -> None:
        stack.wiring.channel = lambda: channel

    return replace


def test_a_target_that_is_gone_is_not_tried_again() -> None:
    attempts: list[Notification] = []

    def gone(sent: Notification) -> None:
        attempts.append(sent)
        raise Undelivered("the webhook answered 410", is_final=True)

    with engine({"oncall": {**ONCALL, "on": ["RunFailed"]}}) as it:
        through(gone)(it.stack)
        run = it.run(pays())
        it.pass_time("18h")
        (entry,) = of_notifications(it.history(run.id))
        assert it.stack.cloud.dead_letters() == {}
    assert len(attempts) == 1
    assert (entry["what"], entry["error"]) == ("NotificationFailed", "the webhook answered 410")


def test_a_name_that_the_configuration_does_not_have_is_a_warning() -> None:
    with engine({"oncall": ONCALL}) as it:
        (warning,) = it.validate(pays(escalation=[{"afterAttempts": 1, "notify": "oncal"}]))
    assert (warning.code, warning.severity, warning.path) == ("unknown-target", "warning", "/errorHandling/escalation/0/notify")
    assert "oncall" in str(warning.hint)
    with LocalEngine([fails]) as it:
        assert it.validate(pays(escalation=[{"afterAttempts": 1, "notify": "anybody"}])) == []
