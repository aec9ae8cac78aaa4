"""Who tells people what happens to runs: there where the configuration names somebody, with no more rights than that takes."""

from __future__ import annotations

import json

import pytest

from tests.infra import synthesis
from tests.infra.template import Template


@pytest.fixture(scope="module")
def bare() -> Template:
    """Without a configuration."""
    return Template(synthesis.template(synthesis.assembly()))


def test_where_nobody_is_told_there_is_nothing_for_it(bare: Template) -> None:
    assert not [item for item in bare.all("AWS::Lambda::Function") if "notifier" in item["Handler"]]
    assert not [item for item in bare.all("AWS::SQS::Queue") if "notifications" in item["QueueName"]]
    assert "EscalationRaised" not in json.dumps([rule.get("EventPattern") for rule in bare.all("AWS::Events::Rule")])


def test_it_publishes_to_the_topics_and_reads_the_secrets_that_are_named(template: Template) -> None:
    granted = {action: resource for action, resource, _ in template.granted("notifier")}
    assert granted["sns:Publish"] == synthesis.TOPIC
    assert "secret:treadle/+notifications/oncall_key-??????" in json.dumps(granted["secretsmanager:GetSecretValue"])


def test_it_knows_whom_to_tell(template: Template) -> None:
    told = json.loads(template.function("notifier")["Environment"]["Variables"]["TREADLE_NOTIFICATIONS"])
    assert told == synthesis.TARGETS


def test_only_escalations_that_name_somebody_wake_it(template: Template) -> None:
    patterns = [rule.get("EventPattern") or {} for rule in template.all("AWS::Events::Rule")]
    (pattern,) = [each for each in patterns if each.get("detail-type") == ["EscalationRaised"]]
    assert pattern["detail"] == {"data": {"notify": ["oncall", "ops"]}}
