"""The state table: one table, two sparse indexes."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct
from treadle import topology

from infra.constructs.at_rest import AtRest
from infra.findings import explain

_NOT_REPLICATED = "The configuration says state_replication: false."
_TYPES = {"S": dynamodb.AttributeType.STRING, "N": dynamodb.AttributeType.NUMBER}


class State(Construct):
    def __init__(self, scope: Construct, id: str, *, at_rest: AtRest, recovery: bool = True) -> None:
        """`recovery`: to any second of the last 35 days."""
        super().__init__(scope, id)
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=_attribute("pk", "S"),
            sort_key=_attribute("sk", "S"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=at_rest.key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(point_in_time_recovery_enabled=recovery),
            time_to_live_attribute="expires",
            deletion_protection=at_rest.removal is cdk.RemovalPolicy.RETAIN,
            removal_policy=at_rest.removal,
        )
        for index in topology.INDEXES:
            self._add(index)
        if not recovery:
            explain(self.table, "AwsSolutions-DDB3", _NOT_REPLICATED)
            explain(self.table, "NIST.800.53.R5-DynamoDBPITREnabled", _NOT_REPLICATED)

    @property
    def name(self) -> str:
        return self.table.table_name

    @property
    def arn(self) -> str:
        return self.table.table_arn

    @property
    def index_arns(self) -> list[str]:
        return [f"{self.arn}/index/{index.name}" for index in topology.INDEXES]

    def _add(self, index: topology.Index) -> None:
        keys_only = index.includes is None
        self.table.add_global_secondary_index(
            index_name=index.name,
            partition_key=_attribute(index.hash_key, index.hash_type),
            sort_key=_attribute(index.range_key, index.range_type),
            projection_type=dynamodb.ProjectionType.KEYS_ONLY if keys_only else dynamodb.ProjectionType.INCLUDE,
            non_key_attributes=None if index.includes is None else list(index.includes),
        )


def _attribute(name: str, kind: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=_TYPES[kind])
