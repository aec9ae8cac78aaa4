"""`integration.notifications`: what a target may be, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from treadle.config import effects_of, load

TOPIC = "arn:aws:sns:eu-central-1:123456789012:ops"
ONCALL = {"webhook": "https://hooks.example.com/treadle", "secret": "oncall_key"}
AT = "/workflow_engine/integration/notifications"
LADDER = "/workflow_engine/initialization/error_handling/escalation_policy"


def told(targets: dict[str, Any], *, webhooks: bool = True, ladder: list[Any] | None = None) -> list[tuple[str, str]]:
    sections: dict[str, Any] = {"integration": {"webhook_support": webhooks, "notifications": targets}}
    if ladder is not None:
        sections["initialization"] = {"error_handling": {"escalation_policy": ladder}}
    return [(finding.code, finding.path) for finding in load({"workflow_engine": sections}, environment={}).findings]


@pytest.mark.parametrize(
    "targets",
    [
        pytest.param({"oncall": ONCALL}, id="a webhook"),
        pytest.param({"oncall": {**ONCALL, "on": ["RunFailed", "RunWaiting"]}}, id="that hears of runs"),
        pytest.param({"ops": {"sns": TOPIC}}, id="a topic"),
        pytest.param({"board": {"bus": True}}, id="the bus"),
    ],
)
def test_what_a_target_may_be(targets: dict[str, Any]) -> None:
    assert told(targets) == []


@pytest.mark.parametrize(
    ("target", "code", "key"),
    [
        pytest.param({}, "missing-field", "", id="nothing"),
        pytest.param({"sns": TOPIC, "bus": True}, "bad-value", "", id="two ways"),
        pytest.param({"webhook": ONCALL["webhook"]}, "missing-field", "", id="a webhook that nothing signs"),
        pytest.param({**ONCALL, "webhook": "http://hooks.example.com"}, "bad-value", "/webhook", id="plain http"),
        pytest.param({"sns": "ops"}, "bad-value", "/sns", id="no ARN"),
        pytest.param({"sns": f"{TOPIC}.fifo"}, "bad-value", "/sns", id="a FIFO topic"),
        pytest.param({"sns": TOPIC, "secret": "key"}, "bad-value", "", id="a topic that is signed"),
        pytest.param({"bus": True, "on": ["RunFailed"]}, "bad-value", "", id="the bus subscribes to itself"),
        pytest.param({**ONCALL, "on": ["RunExploded"]}, "bad-value", "/on/0", id="no such event"),
        pytest.param({**ONCALL, "phone": 1}, "unknown-field", "/phone", id="a key that there is not"),
    ],
)
def test_what_is_refused(target: dict[str, Any], code: str, key: str) -> None:
    assert told({"it": target}) == [(code, f"{AT}/it{key}")]


def test_names_have_to_fit_into_the_rule_that_looks_for_them() -> None:
    assert told({f"{'n' * 200}{number}": {"bus": True} for number in range(8)}) == []
    assert told({f"{'n' * 200}{number}": {"bus": True} for number in range(9)}) == [("limit-exceeded", AT)]


def test_without_webhook_support_a_webhook_is_refused() -> None:
    assert told({"oncall": ONCALL}, webhooks=False) == [("conflicting-settings", f"{AT}/oncall/webhook")]
    assert told({"ops": {"sns": TOPIC}}, webhooks=False) == []


def test_the_engines_own_ladder_names_targets_that_there_are() -> None:
    rungs = [{"afterAttempts": 1, "notify": "oncall"}, {"afterFailure": "1h", "notify": "onkall"}]
    assert told({"oncall": ONCALL}, ladder=rungs) == [("unknown-target", f"{LADDER}/1/notify")]
    assert told({}, ladder=rungs) == []  # with no targets at all, names are for whoever listens to the bus


def test_what_two_sources_make_together_has_to_be_whole() -> None:
    config = {"workflow_engine": {"integration": {"webhook_support": True, "notifications": {"ops": {"sns": TOPIC}}}}}
    variable = {"TREADLE_INTEGRATION__NOTIFICATIONS__OPS__BUS": "true"}
    found = load(config, environment=variable)
    assert [(finding.code, finding.path) for finding in found.findings] == [("bad-value", f"{AT}/ops")]
    assert found.config is None


def test_the_effect_is_what_was_written() -> None:
    config = {"workflow_engine": {"integration": {"webhook_support": True, "notifications": {"oncall": {**ONCALL, "on": ["RunFailed"]}}}}}
    assert effects_of(load(config, environment={}).required()).notified == {"oncall": {**ONCALL, "on": ["RunFailed"]}}
