"""A queue of the topology with its dead-letter queue."""

from __future__ import annotations

from collections.abc import Iterator

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct
from treadle import topology
from treadle.core.resources import Pool

from infra.constructs.at_rest import AtRest

# As long as SQS keeps anything: a message must outlive a long weekend with a broken deployment.
_KEEP = cdk.Duration.days(14)
# One data key for an hour of messages: fewer KMS calls, and still gone soon after the key is disabled.
_DATA_KEY = cdk.Duration.hours(1)


def check_times(pools: tuple[Pool, ...]) -> None:
    """Raises ValueError when the topology breaks its own law: function timeout < lease < visibility."""
    times = {pool.name: topology.times_of(pool) for pool in pools}
    for name, its in times.items():
        if not (its.function_s or 0) < its.lease_s < its.visibility_s:
            raise ValueError(f"topology: function timeout < lease < visibility does not hold in the pool {name}")
    for function in topology.functions(pools):
        if function.timeout_s > (times[function.pool].function_s or 0):
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
            visibility_timeout=cdk.Duration.seconds(queue.visibility_s),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=queue.max_receives),
        )

    @property
    def arn(self) -> str:
        return self.queue.queue_arn

    def feeds(self) -> Iterator[tuple[topology.Queue, str]]:
        """The queues as declared, with their ARNs."""
        yield self.declared, self.arn
        yield topology.dead_letters_of(self.declared), self.dead_letters.queue_arn

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
