"""`--stack NAME`: where the deployed engine's address comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws
from treadle.aws.stacks import outputs
from treadle.cli.target import remote
from treadle.core.errors import NotFound, Unavailable

from tests.cli.conftest import Call


@pytest.fixture
def account() -> Iterator[None]:
    """An account with the stack `prod`, whose API is where nobody listens, and `other`, which has no API."""
    with mock_aws():
        cloudformation = boto3.client("cloudformation")
        for name, told in (("prod", {"Url": "http://127.0.0.1:9"}), ("other", {"TableName": "t"})):
            resources = {"Queue": {"Type": "AWS::SQS::Queue"}}
            template = {"Resources": resources, "Outputs": {key: {"Value": value} for key, value in told.items()}}
            cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
        for name in ("other/default/KEY", "another/default/NOT"):
            boto3.client("secretsmanager").create_secret(Name=name, SecretString="canary")
        yield


@pytest.mark.usefixtures("account")
def test_the_outputs_of_a_stack() -> None:
    assert outputs("prod") == {"Url": "http://127.0.0.1:9"}
    with pytest.raises(NotFound):
        outputs("missing")


@pytest.mark.usefixtures("account")
def test_a_stack_without_an_api_is_no_engine() -> None:
    with pytest.raises(Unavailable, match="no output Url"):
        remote("other", None, "token")


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(("stack", "status"), [("prod", 6), ("other", 6), ("missing", 3)])
def test_verbs_find_the_engine_of_a_stack(call: Call, stack: str, status: int) -> None:
    assert call("runs", "--stack", stack, "--token", "t").status == status


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("stack", ["prod", "other", "missing"])
def test_doctor_looks_at_a_stack(call: Call, stack: str) -> None:
    found = json.loads(call("doctor", "--stack", stack, "-o", "json").out)
    levels = {finding["what"]: finding["level"] for finding in found["findings"]}
    assert levels[f"stack {stack}"] == ("error" if stack == "missing" else "ok")
    assert levels.get("HTTP API") == {"prod": "error", "other": "warning", "missing": None}[stack]
    assert found["well"] == (stack == "other")
    told = {finding["what"]: finding["found"] for finding in found["findings"]}
    names = {"prod": "none under prod/TENANT/NAME", "other": "default/KEY under other/TENANT/NAME", "missing": None}
    assert told.get("secrets") == names[stack]
