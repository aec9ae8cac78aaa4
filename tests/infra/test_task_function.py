"""What users put a task of their own into: by the template that their stack gets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra import synthesis
from tests.infra.template import Template

STACK = """
from infra.app import with_node
with_node()
import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from infra.constructs.task_function import TaskFunction

CODE = lambda_.Code.from_asset("examples/etl")
app = cdk.App()
stack = cdk.Stack(app, "shop")
TaskFunction(stack, "Score", code=CODE, handler="index.score.handler",
             dispatcher=cdk.Fn.import_value("treadle-DispatcherRole"), environment={"MODEL": "m1"}, memory_mb=2048, timeout_s=100)
TaskFunction(stack, "Print", code=CODE, handler="index.print_photos.handler",
             dispatcher="arn:aws:iam::123456789012:role/treadle-dispatcher", timeout_s=900, waits=False)
for wrong in ({"timeout_s": 111}, {"timeout_s": 901, "waits": False}, {"timeout_s": 0}):
    try:
        TaskFunction(stack, f"Wrong{wrong}", code=CODE, handler="h", dispatcher="arn", **wrong)
    except ValueError as refusal:
        print("refused:", refusal)
app.synth()
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Template, str]:
    folder = tmp_path_factory.mktemp("users")
    done = synthesis.run_python("-c", STACK, into=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return Template(synthesis.template(folder)), done.stdout


def function(template: Template, handler: str) -> Any:
    (found,) = [item for item in template.all("AWS::Lambda::Function") if item["Handler"] == handler]
    return found


def test_only_the_dispatcher_may_invoke_it(made: tuple[Template, str]) -> None:
    template, _ = made
    score = function(template, "index.score.handler")
    (allowed,) = [item for item in template.all("AWS::Lambda::Permission") if item["FunctionName"] == score.arn]
    assert allowed["Action"] == "lambda:InvokeFunction"
    assert allowed["Principal"] == {"Fn::ImportValue": "treadle-DispatcherRole"}


def test_it_may_write_its_own_log_and_nothing_else(made: tuple[Template, str]) -> None:
    template, _ = made
    score = function(template, "index.score.handler")
    (role,) = [item for item in template.all("AWS::IAM::Role") if item.arn == score["Role"]]
    assert role.get("ManagedPolicyArns") is None
    ((statement,),) = [policy["PolicyDocument"]["Statement"] for policy in role["Policies"]]
    assert set(statement["Action"]) == {"logs:CreateLogStream", "logs:PutLogEvents"}
    assert statement["Resource"] == {"Fn::GetAtt": [score["LoggingConfig"]["LogGroup"]["Ref"], "Arn"]}
    assert template.all("AWS::IAM::Policy") == []


def test_it_is_as_it_was_asked_for(made: tuple[Template, str]) -> None:
    template, _ = made
    score, later = function(template, "index.score.handler"), function(template, "index.print_photos.handler")
    assert (score["MemorySize"], score["Timeout"], score["Environment"]) == (2048, 100, {"Variables": {"MODEL": "m1"}})
    assert later["Timeout"] == 900


def test_a_time_that_no_dispatcher_waits_for_is_refused(made: tuple[Template, str]) -> None:
    _, said = made
    assert said.count("refused:") == 3
    assert "timeout_s is 1 to 110, not 111; waits=False for up to 900" in said


def test_the_engines_stack_tells_the_role(template: Template) -> None:
    told = template.content["Outputs"]["DispatcherRole"]
    assert told["Value"] == template.role_of("dispatcher").arn
    assert told["Export"] == {"Name": "treadle-DispatcherRole"}
