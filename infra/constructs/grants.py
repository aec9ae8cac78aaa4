"""What a Lambda may do, derived from what the topology says that it uses: the named actions on the named resources.

No action is `*`, and no resource but for the exceptions that say why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from treadle import topology
from treadle.notifications import DEPLOYERS, Targets

from infra.constructs.at_rest import AtRest
from infra.constructs.bucket import Bucket
from infra.constructs.bus import Bus
from infra.constructs.lane import Lane
from infra.constructs.state import State
from infra.deployment import Permission
from infra.findings import explain

_SERVICE = {"table": "dynamodb", "index": "dynamodb", "queues": "sqs", "bus": "events", "blobs": "s3", "inbox": "s3"}
_SERVICE |= {"secrets": "secretsmanager", "topics": "sns"}
# The service that polls a queue for a Lambda does it with the Lambda's own role.
_CONSUMES = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
_OWN_QUEUES_ONLY = ("ChangeMessageVisibility",)


@dataclass(frozen=True, slots=True)
class Resources:
    """All that a Lambda may be let near to."""

    state: State
    lanes: Sequence[Lane]
    bus: Bus
    blobs: Bucket
    inbox: Bucket
    at_rest: AtRest
    secrets: str  # the name that secrets are kept under
    function_arns: tuple[str, ...] = ()  # that the task `lambda` may invoke
    permissions: tuple[Permission, ...] = ()  # of the calls that the task `aws` may make
    targets: Targets = field(default_factory=Targets)  # who is told of what happens to runs

    def granted_to(self, function: topology.Function) -> list[iam.PolicyStatement]:
        return [
            *(statement for port, actions in function.uses.items() for statement in self._use(function, port, actions)),
            *self._consume(function),
            *self._invoke(function),
            *self._call(function),
            self._decrypt(function),
        ]

    def explain(self, role: iam.Role, function: topology.Function) -> None:
        """The exceptions, told to cdk-nag: an object's name is known when the object is."""
        stack = cdk.Stack.of(role)
        for port, bucket in (("blobs", self.blobs.bucket), ("inbox", self.inbox.bucket)):
            if port in function.uses:
                resource = cast(cdk.CfnElement, bucket.node.default_child)
                finding = f"AwsSolutions-IAM5[Resource::<{stack.get_logical_id(resource)}.Arn>/*]"
                explain(role, finding, f"Any object of the {port} bucket, and no other bucket's: names are not known beforehand.")
        if "secrets" in function.uses and not function.notifies:
            finding = f"AwsSolutions-IAM5[Resource::{self._secrets_arn('<AWS::Partition>', '<AWS::Region>', '<AWS::AccountId>')}]"
            explain(role, finding, "Any secret under the stack's name: which there are is known to those who write workflows.")

    def _use(self, function: topology.Function, port: str, actions: Sequence[str]) -> Iterator[iam.PolicyStatement]:
        service = _SERVICE[port]
        if "ListBucket" in actions:
            yield self._list_own()
            actions = [action for action in actions if action != "ListBucket"]
        if port != "queues":
            if arns := self._arns(port, function):
                yield _allow(service, actions, arns)
            return
        sends_to = [lane.arn for lane in self.lanes if lane.declared.name in function.sends_to]
        anywhere = [action for action in actions if action not in _OWN_QUEUES_ONLY]
        own = [action for action in actions if action in _OWN_QUEUES_ONLY]
        if anywhere:
            yield _allow(service, anywhere, sends_to)
        if own:
            yield _allow(service, own, self._own_queues(function))

    def _list_own(self) -> iam.PolicyStatement:
        """The bucket itself, and of it only what is some run's own."""
        return iam.PolicyStatement(
            actions=["s3:ListBucket"], resources=[self.blobs.bucket.bucket_arn], conditions={"StringLike": {"s3:prefix": "runs/*"}}
        )

    def _arns(self, port: str, function: topology.Function) -> list[str]:
        return {
            "table": [self.state.arn],
            "index": self.state.index_arns,
            "bus": [self.bus.arn],
            "blobs": [self.blobs.objects_arn],  # exception: `*` stands for the objects' names, which are content hashes
            "inbox": [self.inbox.objects_arn],  # exception: `*` stands for the names that users chose
            "topics": [target.sns for target in self.targets.values() if target.sns],
            "secrets": self._secret_arns(function, cdk.Aws.PARTITION, cdk.Aws.REGION, cdk.Aws.ACCOUNT_ID),
        }[port]

    def _secret_arns(self, function: topology.Function, *where: str) -> list[str]:
        """Of the notifier those that its webhooks name; AWS appends six characters of its own."""
        if not function.notifies:
            return [self._secrets_arn(*where)]
        named = sorted({target.secret for target in self.targets.values() if target.secret})
        return [self._secrets_arn(*where).removesuffix("*") + f"{DEPLOYERS}/{name}-??????" for name in named]

    def _secrets_arn(self, partition: str, region: str, account: str) -> str:
        """Exception: `*` stands for TENANT/NAME and the six characters that AWS appends."""
        return f"arn:{partition}:secretsmanager:{region}:{account}:secret:{self.secrets}/*"

    def _own_queues(self, function: topology.Function) -> list[str]:
        return [arn for lane in self.lanes for queue, arn in lane.feeds() if queue.consumer == function.name]

    def _consume(self, function: topology.Function) -> Iterator[iam.PolicyStatement]:
        if own := self._own_queues(function):
            yield _allow("sqs", _CONSUMES, own)

    def _invoke(self, function: topology.Function) -> Iterator[iam.PolicyStatement]:
        if function.code == "dispatcher" and self.function_arns:
            yield _allow("lambda", ("InvokeFunction",), self.function_arns)

    def _call(self, function: topology.Function) -> Iterator[iam.PolicyStatement]:
        if function.code == "dispatcher":
            for permission in self.permissions:
                yield iam.PolicyStatement(actions=list(permission.actions), resources=list(permission.resources))

    def _decrypt(self, function: topology.Function) -> iam.PolicyStatement:
        """The key, but only by way of the services that the function uses anyway (and of Lambda, for its own environment)."""
        services = {_SERVICE[port] for port in function.uses} | {"lambda"} | ({"sqs"} if self._own_queues(function) else set())
        suffix = f"{cdk.Aws.REGION}.{cdk.Aws.URL_SUFFIX}"
        return iam.PolicyStatement(
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            resources=[self.at_rest.arn],
            conditions={"StringEquals": {"kms:ViaService": [f"{service}.{suffix}" for service in sorted(services)]}},
        )


def _allow(service: str, actions: Sequence[str], resources: Sequence[str]) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=[f"{service}:{action}" for action in actions], resources=list(resources))
