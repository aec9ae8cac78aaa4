"""What the `workflow_engine:` file changes in a deployment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.app import with_node

with_node()

import aws_cdk as cdk  # noqa: E402 - it starts node when it is imported
from treadle import topology, worker  # noqa: E402

from infra.deployment import Deployment  # noqa: E402
from infra.stack import TreadleStack  # noqa: E402
from tests.infra.synthesis import run_python  # noqa: E402
from tests.infra.template import Template, listed  # noqa: E402

WORK = topology.Queue("work", "dispatcher", max_concurrency=200)


def deployment(folder: Path, berth: dict[str, Any] | None = None, **sections: Any) -> Deployment:
    file = folder / "engine.yaml"
    file.write_text(json.dumps({"workflow_engine": sections}))
    network = {"".join(part.title() if n else part for n, part in enumerate(key.split("_"))): value for key, value in (berth or {}).items()}
    return Deployment.from_context(cdk.App(context={"config": str(file), "layer": "placeholder", **network}))


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
    assert told["TREADLE_SETTINGS"] == {"max_runs": 5, "pools": {}}
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
    at_once = {feed["ScalingConfig"]["MaximumConcurrency"] for feed in template.all("AWS::Lambda::EventSourceMapping")}
    assert max(at_once) == 10, "fewer where fewer would do in any case"


POOLS = {
    "default": {"memory": "1GB", "workers": 34},
    "large": {"memory": "3008MB", "storage": "4GB", "timeout": "5m", "workers": 20},
}


def test_a_pool_has_lanes_and_a_dispatcher_of_its_size(tmp_path: Path) -> None:
    template = _template(tmp_path, scalability={"pools": POOLS})
    large = template.function("dispatcher-large")
    assert (large["MemorySize"], large["EphemeralStorage"], large["Timeout"]) == (3008, {"Size": 4096}, 600)
    assert large["Handler"] == "functions.dispatcher.handler.handler"
    assert large["Environment"]["Variables"]["TREADLE_POOL"] == "large"
    assert "TREADLE_URL" in large["Environment"]["Variables"]
    for priority, at_once in {"critical": 9, "high": 4, "normal": 4, "low": 2}.items():
        queue = template.queue(f"treadle-lane-{priority}-large")
        assert queue["VisibilityTimeout"] == 620, "an invocation, and its lease, are over by then"
        (mapping,) = [it for it in template.all("AWS::Lambda::EventSourceMapping") if it["EventSourceArn"] == queue.arn]
        assert mapping["FunctionName"] == {"Ref": large.id}
        assert mapping["ScalingConfig"] == {"MaximumConcurrency": at_once}


def test_the_default_pool_may_be_of_another_size(tmp_path: Path) -> None:
    template = _template(tmp_path, scalability={"pools": POOLS})
    dispatcher = template.function("dispatcher")
    assert dispatcher["MemorySize"] == 1024
    assert "TREADLE_POOL" not in dispatcher["Environment"]["Variables"]
    queue = template.queue("treadle-lane-low")
    (mapping,) = [it for it in template.all("AWS::Lambda::EventSourceMapping") if it["EventSourceArn"] == queue.arn]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 2}


def test_whoever_sends_to_lanes_may_send_to_those_of_every_pool(tmp_path: Path) -> None:
    template = _template(tmp_path, scalability={"pools": POOLS})
    lane = template.queue("treadle-lane-high-large").arn
    workers = ("parser", "dispatcher", "dispatcher-large", "completions", "errors", "sweeper", "api")
    may = [name for name in workers if ("sqs:SendMessage", lane) in [(action, to) for action, to, _ in template.granted(name)]]
    assert may == [name for name in workers if name != "sweeper"], "the sweeper leaves it to those who know the step"


BATCH = {"batch": {"kind": "fargate", "memory": "16GB", "storage": "50GB", "workers": 6}}
BERTH = {
    "worker_image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/tasks:1",
    "worker_subnets": ["subnet-1"],
    "worker_security_groups": ["sg-1"],
}


def test_a_pool_of_containers_has_lanes_and_a_service_that_comes_and_goes_with_the_work(tmp_path: Path) -> None:
    template = _template(tmp_path, BERTH, scalability={"pools": BATCH})
    task = template.one("AWS::ECS::TaskDefinition")
    assert (task["Cpu"], task["Memory"], task["EphemeralStorage"]) == ("2048", "16384", {"SizeInGiB": 50})
    (container,) = task["ContainerDefinitions"]
    assert (container["Image"], container["Command"]) == (BERTH["worker_image"], ["python", "-m", "treadle.worker"])
    assert container["StopTimeout"] > worker.GRACE_S, "it has left by itself before it is killed"
    variables = {each["Name"]: each["Value"] for each in container["Environment"]}
    assert variables["TREADLE_POOL"] == "batch"
    assert {*topology.ENVIRONMENT.values(), "TREADLE_URL", "TREADLE_SETTINGS"} <= variables.keys()
    target = template.one("AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 6)
    assert "DesiredCount" not in template.one("AWS::ECS::Service").properties
    mapped = [it["EventSourceArn"] for it in template.all("AWS::Lambda::EventSourceMapping")]
    for priority in topology.LANES:
        queue = template.queue(f"treadle-lane-{priority}-batch")
        assert queue.arn not in mapped
        assert queue["VisibilityTimeout"] == topology.RENEWED_LEASE_S + 20


def test_a_container_may_do_what_a_dispatcher_may_and_protect_itself(tmp_path: Path) -> None:
    template = _template(tmp_path, BERTH, scalability={"pools": BATCH})
    task = template.one("AWS::ECS::TaskDefinition")
    (role,) = [it for it in template.all("AWS::IAM::Role") if it.arn == task["TaskRoleArn"]]
    statements = role["Policies"][0]["PolicyDocument"]["Statement"]
    allowed = {action for statement in statements for action in listed(statement["Action"])}
    dispatcher = {action for action, _, _ in template.granted("dispatcher")}
    assert allowed - dispatcher == {"ecs:UpdateTaskProtection", "ecs:GetTaskProtection"}
    lane = template.queue("treadle-lane-low-batch").arn
    assert [it for it in statements if "sqs:ReceiveMessage" in listed(it["Action"]) and lane in listed(it["Resource"])]


def test_containers_need_an_image_and_a_network(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the pool batch is of containers.* workerImage, workerSubnets and workerSecurityGroups"):
        deployment(tmp_path, scalability={"pools": BATCH})


def test_a_deployment_with_pools_has_no_findings(tmp_path: Path) -> None:
    file = tmp_path / "engine.yaml"
    file.write_text(json.dumps({"workflow_engine": {"scalability": {"pools": {**POOLS, **BATCH}}}}))
    network = {"workerImage": BERTH["worker_image"], "workerSubnets": "subnet-1", "workerSecurityGroups": "sg-1"}
    done = run_python("-m", "infra.app", into=tmp_path / "out", config=str(file), layer="placeholder", **network)
    assert done.returncode == 0, done.stdout + done.stderr


KEY = "arn:aws:kms:eu-central-1:123456789012:key/1"


def test_replica_regions_have_a_copy_of_the_table_under_a_key_of_their_own(tmp_path: Path) -> None:
    regions = {"replica_regions": ["eu-central-1"]}
    template = _template(tmp_path, {"replica_keys": {"eu-central-1": KEY}}, reliability=regions)
    table = template.one("AWS::DynamoDB::GlobalTable")
    assert template.all("AWS::DynamoDB::Table") == []
    here, there = table["Replicas"]
    assert (here["Region"], there["Region"]) == ({"Ref": "AWS::Region"}, "eu-central-1")
    assert there["SSESpecification"] == {"KMSMasterKeyId": KEY}
    for replica in table["Replicas"]:
        assert replica["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert replica["DeletionProtectionEnabled"] is True
    assert {index["IndexName"] for index in table["GlobalSecondaryIndexes"]} == {index.name for index in topology.INDEXES}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}
    variables = template.function("dispatcher")["Environment"]["Variables"]
    assert variables["TREADLE_TABLE"] == {"Ref": table.id}
    assert ("dynamodb:PutItem", table.arn) in [(action, to) for action, to, _ in template.granted("dispatcher")]


def test_a_copy_needs_a_key_of_its_region(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a copy of the table in eu-central-1 needs a key of that region: give replicaKeys"):
        deployment(tmp_path, reliability={"replica_regions": ["eu-central-1"]})


def _template(folder: Path, berth: dict[str, Any] | None = None, **sections: Any) -> Template:
    stack = TreadleStack(cdk.App(), deployment(folder, berth, **sections))
    return Template(cdk.assertions.Template.from_stack(stack).to_json())
