"""What the `workflow_engine:` file changes in a deployment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.app import with_node

with_node()

import aws_cdk as cdk  # noqa: E402 - it starts node when it is imported
from treadle import topology  # noqa: E402

from infra.deployment import Deployment  # noqa: E402
from infra.stack import TreadleStack  # noqa: E402
from tests.infra.template import Template  # noqa: E402

WORK = topology.Queue("work", "dispatcher", max_concurrency=200)


def deployment(folder: Path, **sections: Any) -> Deployment:
    file = folder / "engine.yaml"
    file.write_text(json.dumps({"workflow_engine": sections}))
    return Deployment.from_context(cdk.App(context={"config": str(file), "layer": "placeholder"}))


def test_workers_are_told_of_settings_extensions_and_what_may_be_reached(tmp_path: Path) -> None:
    chosen = deployment(
        tmp_path,
        initialization={
            "max_concurrent_workflows": 5,
            "extensions": [{"name": "custom_logger"}],
            "monitoring": {"enabled": False, "metrics": []},
        },
        integration={"allow": {"hosts": ["api.example.com"]}},
    )
    told = {name: json.loads(text) for name, text in chosen.environment.items()}
    assert told["TREADLE_SETTINGS"] == {"max_runs": 5}
    assert told["TREADLE_ALLOW"] == {"hosts": ["api.example.com"]}
    assert [(each["name"], each["enabled"]) for each in told["TREADLE_EXTENSIONS"]] == [("custom_logger", True), ("metrics", False)]


@pytest.mark.parametrize(
    ("scalability", "concurrency"),
    [
        pytest.param({"horizontal_scaling": True, "auto_scaling": True}, 200, id="as far as the topology allows"),
        pytest.param({"auto_scaling": False}, 10, id="fixed"),
        pytest.param({"horizontal_scaling": False}, 2, id="the least that there is"),
    ],
)
def test_scaling_is_the_concurrency_of_the_workers(tmp_path: Path, scalability: dict[str, Any], concurrency: int) -> None:
    assert deployment(tmp_path, scalability=scalability).concurrency_of(WORK) == concurrency


def test_a_deployment_does_not_forget(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keeps its state in a table"):
        deployment(tmp_path, initialization={"state_persistence": False})


def test_without_an_api_and_replication_there_is_neither_a_door_nor_recovery(tmp_path: Path) -> None:
    chosen = deployment(
        tmp_path, integration={"api_access": False}, reliability={"state_replication": False}, scalability={"auto_scaling": False}
    )
    stack = TreadleStack(cdk.App(), chosen)
    template = Template(cdk.assertions.Template.from_stack(stack).to_json())
    assert [resource.type for resource in template.resources if "ApiGateway" in resource.type or "Cognito" in resource.type] == []
    needed = [function for function in topology.FUNCTIONS if not function.http and not function.notifies]
    assert len(template.all("AWS::Lambda::Function")) == len(needed)
    assert template.one("AWS::DynamoDB::Table")["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": False}
    assert {feed["ScalingConfig"]["MaximumConcurrency"] for feed in template.all("AWS::Lambda::EventSourceMapping")} == {10}
