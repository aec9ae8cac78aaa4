"""Everything that the topology declares is in the template with its values, and nothing of that kind is there besides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from treadle import topology

from tests.infra.template import Resource, Template

STACK = "treadle"
RULES = (*topology.RULES, *topology.notifying(("oncall", "ops"), ("RunFailed", "RunTimedOut")))  # as synthesis.EVERYTHING asks for


def test_the_times_keep_their_law(template: Template) -> None:
    visibilities = {template.queue(f"{STACK}-{queue.name}")["VisibilityTimeout"] for queue in topology.QUEUES}
    longest = max(function["Timeout"] for function in template.all("AWS::Lambda::Function"))
    assert longest <= topology.FUNCTION_TIMEOUT_S < topology.LEASE_S < min(visibilities)


@pytest.mark.parametrize("queue", topology.QUEUES, ids=lambda queue: queue.name)
def test_a_queue_has_its_dead_letter_queue(template: Template, queue: topology.Queue) -> None:
    made, dead = template.queue(f"{STACK}-{queue.name}"), template.queue(f"{STACK}-{queue.name}-dlq")
    assert made["VisibilityTimeout"] == topology.VISIBILITY_S
    assert made["RedrivePolicy"] == {"deadLetterTargetArn": dead.arn, "maxReceiveCount": queue.max_receives}
    assert made.get("FifoQueue") is None
    assert dead["VisibilityTimeout"] == topology.VISIBILITY_S
    assert dead.get("RedrivePolicy") is None


def test_what_is_cached_in_objects_is_removed_by_s3(template: Template) -> None:
    rules = [rule for bucket in template.all("AWS::S3::Bucket") for rule in bucket["LifecycleConfiguration"]["Rules"] if "Prefix" in rule]
    assert {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules} == {f"cached/{days}/": days for days in topology.CACHED_DAYS}


def test_there_is_no_other_queue(template: Template) -> None:
    names = {f"{STACK}-{queue.name}{end}" for queue in topology.QUEUES for end in ("", "-dlq")}
    assert {queue["QueueName"] for queue in template.all("AWS::SQS::Queue")} == names | {f"{STACK}-bus-dlq"}


@pytest.mark.parametrize("queue", topology.CONSUMED, ids=lambda queue: queue.name)
def test_a_queue_feeds_its_consumer(template: Template, queue: topology.Queue) -> None:
    made = template.queue(f"{STACK}-{queue.name}")
    (mapping,) = [item for item in template.all("AWS::Lambda::EventSourceMapping") if item["EventSourceArn"] == made.arn]
    assert mapping["FunctionName"] == {"Ref": template.function(queue.consumer).id}
    assert mapping["BatchSize"] == queue.batch_size
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": queue.max_concurrency}
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_there_is_no_other_mapping(template: Template) -> None:
    assert len(template.all("AWS::Lambda::EventSourceMapping")) == len(topology.CONSUMED)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_leads_to_its_queue(template: Template, rule: topology.Rule) -> None:
    made = _rule_to(template, rule)
    assert made.get("EventBusName") == (None if rule.bus == "default" else {"Ref": template.one("AWS::Events::EventBus").id})
    assert made.get("ScheduleExpression") is None
    (target,) = made["Targets"]
    assert "InputPath" not in target
    assert "InputTransformer" not in target
    assert target["DeadLetterConfig"] == {"Arn": template.queue(f"{STACK}-{rule.to}-dlq").arn}
    assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_queue_takes_what_its_rule_sends(template: Template, rule: topology.Rule) -> None:
    made = _rule_to(template, rule)
    for name in (rule.to, f"{rule.to}-dlq"):
        queue = template.queue(f"{STACK}-{name}")
        (policy,) = [item for item in template.all("AWS::SQS::QueuePolicy") if item["Queues"] == [{"Ref": queue.id}]]
        assert {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue.arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": made.arn}},
        } in policy["PolicyDocument"]["Statement"]


def test_there_is_no_other_rule_but_the_clocks(template: Template) -> None:
    scheduled = [function for function in topology.FUNCTIONS if function.schedule_s]
    assert len(template.all("AWS::Events::Rule")) == len(RULES) + len(scheduled)


@pytest.mark.parametrize("function", [item for item in topology.FUNCTIONS if item.schedule_s], ids=lambda function: function.name)
def test_the_clock_wakes_what_has_a_schedule(template: Template, function: topology.Function) -> None:
    made = template.function(function.name)
    (clock,) = [rule for rule in template.all("AWS::Events::Rule") if rule["Targets"][0]["Arn"] == made.arn]
    assert function.schedule_s == 60
    assert clock["ScheduleExpression"] == "rate(1 minute)"
    (permission,) = [item for item in template.all("AWS::Lambda::Permission") if item["Principal"] == "events.amazonaws.com"]
    assert permission["SourceArn"] == clock.arn
    assert permission["FunctionName"] == made.arn


@pytest.mark.parametrize("function", topology.FUNCTIONS, ids=lambda function: function.name)
def test_a_function_is_as_declared(template: Template, function: topology.Function) -> None:
    made = template.function(function.name)
    assert made["MemorySize"] == function.memory_mb
    assert made["Timeout"] == function.timeout_s
    assert made["Architectures"] == ["arm64"]
    assert made["Runtime"] == "python3.14"
    assert made["RecursiveLoop"] == "Allow", "AWS would stop a run after about sixteen hops"
    assert made["TracingConfig"] == {"Mode": "Active"}
    assert made["LoggingConfig"]["LogFormat"] == "JSON"
    assert set(topology.ENVIRONMENT.values()) <= set(made["Environment"]["Variables"])
    assert made["Layers"] == [{"Ref": template.one("AWS::Lambda::LayerVersion").id}]


def test_there_is_no_other_function(template: Template) -> None:
    assert len(template.all("AWS::Lambda::Function")) == len(topology.FUNCTIONS)


def test_workers_find_a_queue_by_prefix_and_name(template: Template) -> None:
    prefix = template.function("dispatcher")["Environment"]["Variables"]["TREADLE_QUEUE_URLS"]
    *address, last = prefix["Fn::Join"][1]
    assert address == ["https://sqs.", {"Ref": "AWS::Region"}, ".", {"Ref": "AWS::URLSuffix"}, "/", {"Ref": "AWS::AccountId"}]
    assert last == f"/{STACK}-"


def test_the_table_has_the_indexes(template: Template) -> None:
    table = template.one("AWS::DynamoDB::Table")
    types = {item["AttributeName"]: item["AttributeType"] for item in table["AttributeDefinitions"]}
    assert table["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    made = {index["IndexName"]: index for index in table["GlobalSecondaryIndexes"]}
    assert set(made) == {index.name for index in topology.INDEXES}
    for index in topology.INDEXES:
        keys = [{"AttributeName": index.hash_key, "KeyType": "HASH"}, {"AttributeName": index.range_key, "KeyType": "RANGE"}]
        assert made[index.name]["KeySchema"] == keys
        assert types[index.hash_key] == index.hash_type
        assert types[index.range_key] == index.range_type
        kept = {"ProjectionType": "KEYS_ONLY"}
        if index.includes is not None:
            kept = {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(index.includes)}
        assert made[index.name]["Projection"] == kept
    assert set(types) == {"pk", "sk"} | {key for index in topology.INDEXES for key in (index.hash_key, index.range_key)}


def test_every_alarm_watches_something_of_the_stack(template: Template) -> None:
    watched = Counter(alarm["MetricName"] for alarm in template.all("AWS::CloudWatch::Alarm"))
    assert watched == {
        "ApproximateNumberOfMessagesVisible": 1,  # of the bus's own dead letters, which nobody consumes
        "NumberOfMessagesReceived": len(topology.DEAD_LETTERS),
        "ApproximateAgeOfOldestMessage": len(topology.QUEUES),
        "Errors": len(topology.FUNCTIONS),
        "Invocations": 1,
        "RefusedRequests": 1,
        "ForgedCallbacks": 1,
    }


def test_who_tries_keys_at_the_door_is_counted_in_its_log_and_an_alarm(template: Template) -> None:
    counted = {item["MetricTransformations"][0]["MetricName"]: item for item in template.all("AWS::Logs::MetricFilter")}
    door = template.one("AWS::ApiGatewayV2::Stage")["AccessLogSettings"]
    assert "$context.status" in door["Format"]
    assert "$context.routeKey" in door["Format"]
    for name, statuses in {"RefusedRequests": ("401", "403"), "ForgedCallbacks": ("404",)}.items():
        (alarm,) = [item for item in template.all("AWS::CloudWatch::Alarm") if item["MetricName"] == name]
        assert alarm["Namespace"] == counted[name]["MetricTransformations"][0]["MetricNamespace"]
        assert alarm["Threshold"] > 0
        assert all(f'$.status = "{status}"' in counted[name]["FilterPattern"] for status in statuses)
        assert {"Ref": door["DestinationArn"]["Fn::GetAtt"][0]} == counted[name]["LogGroupName"]


def test_a_silent_sweeper_is_an_alarm(template: Template) -> None:
    (alarm,) = [item for item in template.all("AWS::CloudWatch::Alarm") if item["MetricName"] == "Invocations"]
    assert alarm["TreatMissingData"] == "breaching"
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": template.function("sweeper").id}}]


@pytest.mark.parametrize("function", ["dispatcher", "notifier"])
def test_who_tells_others_where_to_post_and_to_look_knows_the_address(template: Template, function: str) -> None:
    url = template.function(function)["Environment"]["Variables"]["TREADLE_URL"]
    assert url == {"Fn::GetAtt": [template.one("AWS::ApiGatewayV2::Api").id, "ApiEndpoint"]}


def _rule_to(template: Template, rule: topology.Rule) -> Resource:
    """The rule of the template with this rule's pattern."""
    pattern = _with(rule.pattern, {"Ref": _inbox(template).id})
    (found,) = [item for item in template.all("AWS::Events::Rule") if item.get("EventPattern") == pattern]
    assert found["Targets"][0]["Arn"] == template.queue(f"{STACK}-{rule.to}").arn
    return found


def _with(pattern: Any, inbox: dict[str, str]) -> Any:
    if isinstance(pattern, Mapping):
        return {name: _with(inner, inbox) for name, inner in pattern.items()}
    if isinstance(pattern, list):
        return [_with(inner, inbox) for inner in pattern]
    return inbox if pattern == "{inbox}" else pattern


def _inbox(template: Template) -> Resource:
    (found,) = [bucket for bucket in template.all("AWS::S3::Bucket") if bucket.get("NotificationConfiguration")]
    return found
