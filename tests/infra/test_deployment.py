"""What a deployment may choose, and what is refused before anything is made."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.app import with_node

with_node()

import aws_cdk as cdk  # noqa: E402 - it starts node when it is imported
from treadle.config import Effects  # noqa: E402

from infra.deployment import Deployment, Permission  # noqa: E402


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        pytest.param({}, Deployment(), id="nothing chosen"),
        pytest.param({"name": "orders"}, Deployment(name="orders"), id="a name"),
        pytest.param({"retain": "false"}, Deployment(retain=False), id="a flag from the command line"),
        pytest.param({"retain": False}, Deployment(retain=False), id="a flag from cdk.json"),
        pytest.param(
            {"issuer": "https://id.example.com/", "audience": "a, b"},
            Deployment(issuer="https://id.example.com/", audience=("a", "b")),
            id="a list with commas",
        ),
        pytest.param({"functionArns": ["arn:1", "arn:2"]}, Deployment(function_arns=("arn:1", "arn:2")), id="a list from cdk.json"),
        pytest.param(
            {"tasks": "shop.tasks,shop.more", "taskLayers": "arn:layer:1", "settings": '{"advance": "bus"}'},
            Deployment(tasks=("shop.tasks", "shop.more"), task_layers=("arn:layer:1",), settings={"advance": "bus"}),
            id="tasks of one's own",
        ),
        pytest.param(
            {"taskPermissions": '[{"actions": ["sns:Publish"], "resources": ["arn:topic"]}]'},
            Deployment(permissions=(Permission(("sns:Publish",), ("arn:topic",)),)),
            id="what the task aws may call",
        ),
        pytest.param({"alarmTopic": "arn:topic"}, Deployment(alarm_topic="arn:topic"), id="who hears of alarms"),
    ],
)
def test_the_context_says_what_is_chosen(given: dict[str, Any], chosen: Deployment) -> None:
    assert Deployment.from_context(cdk.App(context=given)) == chosen


@pytest.mark.parametrize(
    ("given", "why"),
    [
        pytest.param({"name": "Orders"}, "lower-case", id="queues would get capitals"),
        pytest.param({"name": "o" * 33}, "up to 32", id="a queue's name would get too long"),
        pytest.param({"issuer": "https://id.example.com/"}, "belong together", id="an issuer for nobody"),
        pytest.param({"audience": "orders"}, "belong together", id="an audience of nobody's"),
        pytest.param({"taskPermissions": [{"actions": ["sns:*"], "resources": ["x"]}]}, "one action", id="any action"),
        pytest.param({"taskPermissions": [{"actions": ["*"], "resources": ["x"]}]}, "one action", id="every action"),
        pytest.param({"taskPermissions": [{"actions": ["sns:Publish"], "resources": []}]}, "is not", id="an action on nothing"),
        pytest.param({"taskPermissions": [{"actions": ["sns:Publish"]}]}, "is not", id="an action on no resource"),
        pytest.param({"settings": "[1]"}, "no JSON object", id="settings without names"),
        pytest.param({"layer": "docker"}, "neither", id="a layer of an unknown kind"),
    ],
)
def test_what_cannot_be_deployed_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Deployment.from_context(cdk.App(context=given))


def test_a_worker_is_told_what_was_chosen() -> None:
    chosen = Deployment(tasks=("shop.tasks", "shop.more"), settings={"advance": "bus"})
    assert chosen.environment.keys() == {"TREADLE_TASKS", "TREADLE_SETTINGS"}
    assert chosen.environment["TREADLE_TASKS"] == "shop.tasks shop.more"
    assert json.loads(chosen.environment["TREADLE_SETTINGS"]) == {"advance": "bus", "pools": {}}
    assert Deployment().environment == {"TREADLE_SETTINGS": '{"pools": {}}'}


def test_a_function_that_may_be_invoked_is_on_the_tasks_list() -> None:
    chosen = Deployment(function_arns=("arn:1", "arn:2"), effects=Effects(allow={"functions": ["arn:1"], "hosts": ["api.example.com"]}))
    assert json.loads(chosen.environment["TREADLE_ALLOW"]) == {"functions": ["arn:1", "arn:2"], "hosts": ["api.example.com"]}
