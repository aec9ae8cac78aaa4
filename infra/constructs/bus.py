"""The event bus, what it keeps, and the rules that lead from it into queues."""

from __future__ import annotations

from typing import Any

from aws_cdk import aws_events as events
from constructs import Construct
from treadle import topology

from infra.constructs.at_rest import AtRest
from infra.constructs.lane import Lane, accept_from, dead_letter_queue
from infra.findings import explain

_RETRY = events.CfnRule.RetryPolicyProperty(maximum_event_age_in_seconds=24 * 3600, maximum_retry_attempts=185)  # EventBridge's most


class Bus(Construct):
    """Events are under the stack's key and archived; one that cannot be encrypted lands in a dead-letter queue of the bus."""

    def __init__(self, scope: Construct, id: str, *, prefix: str, at_rest: AtRest) -> None:
        super().__init__(scope, id)
        self.dead_letters = dead_letter_queue(self, "DeadLetters", name=f"{prefix}bus-dlq", at_rest=at_rest)
        self.bus = events.EventBus(
            self,
            "Bus",
            event_bus_name=prefix.rstrip("-"),
            kms_key=at_rest.key,
            dead_letter_queue=self.dead_letters,
        )
        accept_from(self.dead_letters, self.arn)
        explain(self.dead_letters, "AwsSolutions-SQS3", "It is a dead-letter queue itself: the bus's.")
        events.CfnArchive(
            self,
            "Archive",
            source_arn=self.bus.event_bus_arn,
            retention_days=topology.ARCHIVE_DAYS,
            kms_key_identifier=at_rest.arn,
        )

    @property
    def name(self) -> str:
        return self.bus.event_bus_name

    @property
    def arn(self) -> str:
        return self.bus.event_bus_arn

    def route(self, rule: topology.Rule, *, to: Lane, inbox: str) -> None:
        """`inbox`: the name of the inbox bucket, which patterns write as `{inbox}`."""
        rendered = events.CfnRule(
            self,
            rule.name.capitalize(),
            event_bus_name=self.name if rule.bus == "engine" else None,
            event_pattern=_with_inbox(rule.pattern, inbox),
            targets=[
                events.CfnRule.TargetProperty(
                    id="queue",
                    arn=to.arn,
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=to.dead_letters.queue_arn),
                    retry_policy=_RETRY,
                )
            ],
        )
        to.accept(rendered.attr_arn)


def _with_inbox(pattern: Any, inbox: str) -> Any:
    """The pattern with each string `{inbox}` replaced; `inbox` may be a token, so text replacement would not do."""
    if isinstance(pattern, dict):
        return {key: _with_inbox(value, inbox) for key, value in pattern.items()}
    if isinstance(pattern, list):
        return [_with_inbox(value, inbox) for value in pattern]
    return inbox if pattern == "{inbox}" else pattern
