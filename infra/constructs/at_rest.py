"""How data lies: all of it under one key, and kept or removed with the stack as the deployment says."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct


class AtRest(Construct):
    """A customer-managed key that rotates each year. AWS services may use it for this account's resources only."""

    def __init__(self, scope: Construct, id: str, *, removal: cdk.RemovalPolicy) -> None:
        super().__init__(scope, id)
        self.removal = removal
        self.key = kms.Key(
            self,
            "Key",
            description=f"{cdk.Stack.of(self).stack_name}: table, buckets, queues, bus and logs",
            enable_key_rotation=True,
            removal_policy=removal,
        )
        self._let_events()
        self._let_logs()

    @property
    def arn(self) -> str:
        return self.key.key_arn

    def _let_events(self) -> None:
        """The bus and its archive encrypt events at rest, and rules encrypt the messages that they put into queues."""
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="EventBridge",
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["kms:DescribeKey", "kms:GenerateDataKey", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo"],
                resources=["*"],  # in a key policy: this key
                conditions={"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}},
            )
        )

    def _let_logs(self) -> None:
        stack = cdk.Stack.of(self)
        groups = stack.format_arn(service="logs", resource="log-group", resource_name="*", arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME)
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Logs",
                principals=[iam.ServicePrincipal(f"logs.{stack.region}.amazonaws.com")],
                actions=["kms:DescribeKey", "kms:GenerateDataKey", "kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo"],
                resources=["*"],
                conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
            )
        )
