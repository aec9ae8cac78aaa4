"""Findings of cdk-nag that stay, each with the reason why. Whoever explains a whole pack away explains nothing: rules are named.

`STACK_WIDE` are the ones that hold for every resource of a kind; a single resource's are explained where it is made.
"""

from __future__ import annotations

import aws_cdk as cdk
from constructs import IConstruct

_BY_QUEUE = "Work comes from queues, each with dead letters and an alarm; only the clock calls asynchronously, and it ticks again."
_S3_LOGS = "Who read what is CloudTrail's to tell (data events); access logs would need a bucket outside the stack's key."

STACK_WIDE = {
    "AwsSolutions-S1": _S3_LOGS,
    "NIST.800.53.R5-S3BucketLoggingEnabled": _S3_LOGS,
    "NIST.800.53.R5-S3BucketReplicationEnabled": "Where a copy in another region is wanted, and in which, is the deployment's to choose.",
    "NIST.800.53.R5-DynamoDBInBackupPlan": "Point-in-time recovery covers 35 days; AWS Backup plans are the account's.",
    "NIST.800.53.R5-LambdaInsideVPC": "They talk to AWS services over TLS; a network would add NAT and no protection.",
    "NIST.800.53.R5-LambdaConcurrency": "The event source mappings bound it; a reservation would hold concurrency when idle.",
    "NIST.800.53.R5-LambdaDLQ": _BY_QUEUE,
    "Serverless-LambdaDLQ": _BY_QUEUE,
    "Serverless-LambdaAsyncFailureDestination": _BY_QUEUE,
    "Serverless-EventBusDLQ": _BY_QUEUE,
    "Serverless-LambdaEventSourceMappingDestination": "For a queue that is its redrive policy; mappings of SQS take no other.",
    "NIST.800.53.R5-IAMNoInlinePolicy": "One role for one function; it must be there before the mappings are made.",
    "Serverless-SQSRedrivePolicy": "These are the dead-letter queues.",
    "Serverless-LambdaStarPermissions": "X-Ray's two actions for writing know no resources; everything else is named.",
}
WITHOUT_TOPIC = {"NIST.800.53.R5-CloudWatchAlarmAction": "Name an SNS topic with `alarmTopic` and every alarm tells it."}


def explain(construct: IConstruct, rule: str, reason: str) -> None:
    """`rule` as the report writes it, with the finding in brackets where it has one (`AwsSolutions-IAM5[Resource::*]`)."""
    cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=rule, reason=reason))
