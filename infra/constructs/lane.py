"""A queue of the topology with its dead-letter queue."""

from __future__ import annotations

from collections.abc import Iterator

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct
from treadle import topology

from infra.constructs.at_rest import AtRest

# As long as SQS keeps anything: a message must outlive a long weekend with a broken deployment.
_KEEP = cdk.Duration.days(14)
# One data key for an hour of messages: fewer KMS calls, and still gone soon after the key is disabled.
_DATA_KEY = cdk.Duration.hours(1)


def check_times() -> None:
    """Raises ValueError when the topology breaks its own law: function timeout < lease < visibility."""
    if not topology.FUNCTION_TIMEOUT_S < topology.LEASE_S < topology.VISIBILITY_S:
        raise ValueError("topology: function timeout < lease < visibility does not hold")
    for function in topology.FUNCTIONS:
        if function.timeout_s > topology.FUNCTION_TIMEOUT_S:
            raise ValueError(f"topology: {function.name} may run {function.timeout_s} s, longer than a lease is reckoned for")


class Lane(Construct):
    """`NAME` and `NAME-dlq`, after the stack's name: workers find a queue by its name (`topology.ENVIRONMENT`)."""

    def __init__(self, scope: Construct, id: str, *, queue: topology.Queue, prefix: str, at_rest: AtRest) -> None:
        super().__init__(scope, id)
        self.declared = queue
        self.dead_letters = dead_letter_queue(self, "DeadLetters", name=prefix + queue.name + topology.DEAD, at_rest=at_rest)
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=f"{prefix}{queue.name}",
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=at_rest.key,
            data_key_reuse=_DATA_KEY,
            enforce_ssl=True,
            retention_period=_KEEP,
            visibility_timeout=cdk.Duration.seconds(topology.VISIBILITY_S),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=queue.max_receives),
        )

    @property
    def arn(self) -> str:
        return self.queue.queue_arn

    def feeds(self) -> Iterator[tuple[topology.Queue, str]]:
        """The queues as declared, with their ARNs."""
        by_name = {queue.name: queue for queue in topology.CONSUMED}
        yield self.declared, self.arn
        yield by_name[self.declared.name + topology.DEAD], self.dead_letters.queue_arn

    def accept(self, rule_arn: str) -> None:
        """Let one rule of EventBridge put messages here, and what it could not deliver into the dead letters."""
        for queue in (self.queue, self.dead_letters):
            accept_from(queue, rule_arn)


def dead_letter_queue(scope: Construct, id: str, *, name: str, at_rest: AtRest) -> sqs.Queue:
    return sqs.Queue(
        scope,
        id,
        queue_name=name,
        encryption=sqs.QueueEncryption.KMS,
        encryption_master_key=at_rest.key,
        data_key_reuse=_DATA_KEY,
        enforce_ssl=True,
        retention_period=_KEEP,
        visibility_timeout=cdk.Duration.seconds(topology.VISIBILITY_S),
    )


def accept_from(queue: sqs.Queue, source_arn: str) -> None:
    queue.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal("events.amazonaws.com")],
            actions=["sqs:SendMessage"],
            resources=[queue.queue_arn],
            conditions={"ArnEquals": {"aws:SourceArn": source_arn}},
        )
    )
