"""Who may do what, and how data lies: least privilege, one key, TLS only, nothing public, nothing lost by deleting the stack."""

from __future__ import annotations

from typing import Any

import pytest
from treadle import topology

from tests.infra import synthesis
from tests.infra.template import Template, listed

SERVICES = {"table": "dynamodb", "index": "dynamodb", "queues": "sqs", "bus": "events", "blobs": "s3", "inbox": "s3"}
SERVICES |= {"secrets": "secretsmanager", "topics": "sns"}
CONSUMES = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
ALWAYS = {
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "kms:Decrypt",
    "kms:GenerateDataKey",
}
FUNCTIONS = pytest.mark.parametrize("function", topology.FUNCTIONS, ids=lambda function: function.name)


@FUNCTIONS
def test_what_is_granted_is_what_the_topology_says(template: Template, function: topology.Function) -> None:
    used = {f"{SERVICES[port]}:{action}" for port, actions in function.uses.items() for action in actions}
    consumes = CONSUMES if any(queue.consumer == function.name for queue in topology.CONSUMED) else set()
    assert {action for action, _, _ in template.granted(function.name)} == used | consumes | ALWAYS


@FUNCTIONS
def test_no_action_is_a_wildcard(template: Template, function: topology.Function) -> None:
    assert not [action for action, _, _ in template.granted(function.name) if "*" in action]


@FUNCTIONS
def test_no_resource_is_a_wildcard_but_traces_and_names_of_objects_and_secrets(template: Template, function: topology.Function) -> None:
    for action, resource, condition in template.granted(function.name):
        if action.startswith("xray:"):
            assert resource == "*"
        elif action == "s3:ListBucket":
            assert (function.name, condition) == ("dispatcher", {"StringLike": {"s3:prefix": "runs/*"}}), "what a run that is removed has"
            assert "*" not in str(resource)
        elif action.startswith("s3:"):
            ((_, end),) = [part["Fn::Join"][1] for part in [resource]]
            assert end == "/*"
        elif action.startswith("secretsmanager:"):
            name = "+notifications/oncall_key-??????" if function.notifies else "*"
            assert resource["Fn::Join"][1][-1] == f":secret:treadle/{name}"
        else:
            assert "*" not in str(resource), f"{action} on {resource}"


@FUNCTIONS
def test_a_function_consumes_its_own_queues_only(template: Template, function: topology.Function) -> None:
    own = [template.queue(f"treadle-{queue.name}").arn for queue in topology.CONSUMED if queue.consumer == function.name]
    for action, resource, _ in template.granted(function.name):
        if action in CONSUMES | {"sqs:ChangeMessageVisibility"}:
            assert resource in own


@FUNCTIONS
def test_a_function_sends_where_it_is_said_to(template: Template, function: topology.Function) -> None:
    queues = [template.queue(f"treadle-{name}").arn for name in function.sends_to]
    assert all(resource in queues for action, resource, _ in template.granted(function.name) if action == "sqs:SendMessage")


def test_who_works_sends_to_the_lanes_the_outbox_and_where_it_takes_from_only() -> None:
    lanes = {topology.OUTBOX, *(topology.lane(priority) for priority in topology.LANES)}
    beyond = {function.name: set(function.sends_to) - lanes for function in topology.FUNCTIONS}
    assert {name: queues for name, queues in beyond.items() if queues} == {
        "sweeper": {"submissions"},
        "parser": {"submissions"},  # what waits for a newer version is sent anew
        "completions": {"completions"},
        "errors": {"errors"},
        "notifier": {"notifications"},
        "api": {"completions", "errors", "submissions", "notifications"},  # where a person may send dead letters again
    }


@FUNCTIONS
def test_the_key_serves_only_through_services_in_use(template: Template, function: topology.Function) -> None:
    key = template.one("AWS::KMS::Key").arn
    for action, resource, condition in template.granted(function.name):
        if action.startswith("kms:"):
            assert resource == key
            assert condition["StringEquals"]["kms:ViaService"]


@FUNCTIONS
def test_each_function_has_a_role_of_its_own(template: Template, function: topology.Function) -> None:
    role = template.role_of(function.name)
    assert "ManagedPolicyArns" not in role.properties
    assert [item["Handler"] for item in template.all("AWS::Lambda::Function") if item["Role"] == role.arn] == [
        template.function(function.name)["Handler"]
    ]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_only_who_runs_tasks_and_who_signs_reads_secrets(template: Template) -> None:
    readers = {function.name for function in topology.FUNCTIONS for action, *_ in template.granted(function.name) if "secrets" in action}
    assert readers == {"dispatcher", "notifier"}
    for action, _, condition in template.granted("dispatcher"):
        if action == "kms:Decrypt":
            assert any("secretsmanager." in str(service) for service in condition["StringEquals"]["kms:ViaService"])
    assert template.function("dispatcher")["Environment"]["Variables"]["TREADLE_SECRETS"] == "treadle"


def test_nobody_else_has_a_role(template: Template) -> None:
    assert len(template.all("AWS::IAM::Role")) == len(topology.FUNCTIONS)
    assert not template.all("AWS::IAM::Policy")
    assert not template.all("AWS::IAM::ManagedPolicy")
    assert not [item for item in template.resources if item.type.startswith("Custom::")]


def test_the_one_key_rotates(template: Template) -> None:
    assert template.one("AWS::KMS::Key")["EnableKeyRotation"] is True


@pytest.mark.parametrize(
    ("type", "place"),
    [
        ("AWS::DynamoDB::Table", ("SSESpecification", "KMSMasterKeyId")),
        ("AWS::SQS::Queue", ("KmsMasterKeyId",)),
        ("AWS::Events::EventBus", ("KmsKeyIdentifier",)),
        ("AWS::Events::Archive", ("KmsKeyIdentifier",)),
        ("AWS::Logs::LogGroup", ("KmsKeyId",)),
        ("AWS::Lambda::Function", ("KmsKeyArn",)),
        (
            "AWS::S3::Bucket",
            ("BucketEncryption", "ServerSideEncryptionConfiguration", 0, "ServerSideEncryptionByDefault", "KMSMasterKeyID"),
        ),
    ],
)
def test_everything_lies_under_the_key(template: Template, type: str, place: tuple[Any, ...]) -> None:
    key = template.one("AWS::KMS::Key").arn
    for resource in template.all(type):
        found: Any = resource.properties
        for step in place:
            found = found[step]
        assert found == key, resource.id


def test_queues_and_buckets_refuse_plain_http(template: Template) -> None:
    guarded = {"AWS::SQS::Queue": ("AWS::SQS::QueuePolicy", "Queues"), "AWS::S3::Bucket": ("AWS::S3::BucketPolicy", "Bucket")}
    for type, (policy_type, names) in guarded.items():
        for resource in template.all(type):
            (policy,) = [item for item in template.all(policy_type) if {"Ref": resource.id} in listed(item[names])]
            denied = [item for item in policy["PolicyDocument"]["Statement"] if item["Effect"] == "Deny"]
            assert {"Bool": {"aws:SecureTransport": "false"}} in [item["Condition"] for item in denied], resource.id


def test_the_only_ones_who_may_send_from_outside_are_named_rules_and_the_bus(template: Template) -> None:
    for policy in template.all("AWS::SQS::QueuePolicy"):
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Effect"] == "Allow":
                assert statement["Principal"] == {"Service": "events.amazonaws.com"}
                assert "Fn::GetAtt" in statement["Condition"]["ArnEquals"]["aws:SourceArn"]


def test_nothing_is_public(template: Template) -> None:
    for bucket in template.all("AWS::S3::Bucket"):
        assert all(bucket["PublicAccessBlockConfiguration"].values())
        assert len(bucket["PublicAccessBlockConfiguration"]) == 4
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}


def test_the_table_can_be_taken_back_in_time_and_forgets_by_itself(template: Template) -> None:
    table = template.one("AWS::DynamoDB::Table")
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["DeletionProtectionEnabled"] is True


def test_logs_and_archive_are_kept_as_long_as_the_topology_says(template: Template) -> None:
    assert {log["RetentionInDays"] for log in template.all("AWS::Logs::LogGroup")} == {topology.LOG_RETENTION_DAYS}
    assert template.one("AWS::Events::Archive")["RetentionDays"] == topology.ARCHIVE_DAYS


def test_data_outlives_the_stack(template: Template) -> None:
    kept = ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::KMS::Key", "AWS::Cognito::UserPool")
    for resource in (item for type in kept for item in template.all(type)):
        assert resource.rest["DeletionPolicy"] == "Retain", resource.id


def test_every_route_asks_for_a_token_but_the_three_that_cannot(template: Template) -> None:
    routes = {route["RouteKey"]: route for route in template.all("AWS::ApiGatewayV2::Route")}
    authorizer = template.one("AWS::ApiGatewayV2::Authorizer")
    assert {key for key, route in routes.items() if route["AuthorizationType"] == "NONE"} == {
        "GET /v1/health",
        "GET /v1/openapi.json",
        "POST /v1/callbacks/{token}/{verb}",
    }
    guarded = routes["ANY /v1/{proxy+}"]
    assert guarded["AuthorizationType"] == "JWT"
    assert guarded["AuthorizerId"] == {"Ref": authorizer.id}
    assert len(routes) == 4


def test_the_door_is_throttled_and_logged(template: Template) -> None:
    stage = template.one("AWS::ApiGatewayV2::Stage")
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] > 0
    assert stage["DefaultRouteSettings"]["ThrottlingBurstLimit"] > 0
    assert "$context.requestId" in stage["AccessLogSettings"]["Format"]
    assert "uthorization" not in stage["AccessLogSettings"]["Format"]
    assert "path" not in stage["AccessLogSettings"]["Format"], "callback tokens are in paths"


def test_everything_that_takes_tags_says_whose_it_is(template: Template) -> None:
    for type in ("AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::Lambda::Function", "AWS::S3::Bucket", "AWS::KMS::Key", "AWS::IAM::Role"):
        for resource in template.all(type):
            assert {"Key": "application", "Value": "treadle"} in resource["Tags"], resource.id


def test_an_issuer_of_ones_own_takes_the_place_of_the_user_pool() -> None:
    template = Template(
        synthesis.template(synthesis.assembly(name="orders", issuer="https://id.example.com/", audience="orders,admin", retain="false"))
    )
    assert not [item for item in template.resources if item.type.startswith("AWS::Cognito::")]
    assert template.one("AWS::ApiGatewayV2::Authorizer")["JwtConfiguration"] == {
        "Issuer": "https://id.example.com/",
        "Audience": ["orders", "admin"],
    }
    assert template.one("AWS::DynamoDB::Table").rest["DeletionPolicy"] == "Delete"
    assert template.queue("orders-lane-normal")
