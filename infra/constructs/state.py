"""The state table: one table, two sparse indexes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct
from treadle import topology

from infra.constructs.at_rest import AtRest
from infra.findings import explain

_NOT_REPLICATED = "The configuration says state_replication: false."
_TYPES = {"S": dynamodb.AttributeType.STRING, "N": dynamodb.AttributeType.NUMBER}


class State(Construct):
    def __init__(
        self, scope: Construct, id: str, *, at_rest: AtRest, recovery: bool = True, replicas: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """`recovery`: to any second of the last 35 days. `replicas`: region -> ARN of the key there; each has a copy of all."""
        super().__init__(scope, id)
        if replicas:
            table = self._global(at_rest, replicas)
            self.name, self.arn = table.ref, table.attr_arn
        else:
            made = self._table(at_rest, recovery)
            self.name, self.arn = made.table_name, made.table_arn

    @property
    def index_arns(self) -> list[str]:
        return [f"{self.arn}/index/{index.name}" for index in topology.INDEXES]

    def _table(self, at_rest: AtRest, recovery: bool) -> dynamodb.Table:
        table = dynamodb.Table(
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
            _add(table, index)
        if not recovery:
            explain(table, "AwsSolutions-DDB3", _NOT_REPLICATED)
            explain(table, "NIST.800.53.R5-DynamoDBPITREnabled", _NOT_REPLICATED)
        return table

    def _global(self, at_rest: AtRest, replicas: Mapping[str, str]) -> dynamodb.CfnGlobalTable:
        """The same table in several regions. Written as the resource itself: the L2 construct asks for a stack whose region is known."""
        kinds = {"pk": "S", "sk": "S"}
        for index in topology.INDEXES:
            kinds |= {index.hash_key: index.hash_type, index.range_key: index.range_type}
        it = dynamodb.CfnGlobalTable
        table = dynamodb.CfnGlobalTable(
            self,
            "GlobalTable",
            billing_mode="PAY_PER_REQUEST",
            key_schema=_keys("pk", "sk"),
            attribute_definitions=[
                it.AttributeDefinitionProperty(attribute_name=name, attribute_type=kind) for name, kind in kinds.items()
            ],
            global_secondary_indexes=[
                it.GlobalSecondaryIndexProperty(
                    index_name=index.name, key_schema=_keys(index.hash_key, index.range_key), projection=_projection(index)
                )
                for index in topology.INDEXES
            ],
            time_to_live_specification=it.TimeToLiveSpecificationProperty(enabled=True, attribute_name="expires"),
            stream_specification=it.StreamSpecificationProperty(stream_view_type="NEW_AND_OLD_IMAGES"),  # replication goes by it
            sse_specification=it.SSESpecificationProperty(sse_enabled=True, sse_type="KMS"),
            replicas=[
                it.ReplicaSpecificationProperty(
                    region=region,
                    deletion_protection_enabled=at_rest.removal is cdk.RemovalPolicy.RETAIN,
                    point_in_time_recovery_specification=it.PointInTimeRecoverySpecificationProperty(point_in_time_recovery_enabled=True),
                    sse_specification=it.ReplicaSSESpecificationProperty(kms_master_key_id=key),
                )
                for region, key in {cdk.Aws.REGION: at_rest.arn, **replicas}.items()
            ],
        )
        table.apply_removal_policy(at_rest.removal)
        return table


def _keys(hash_key: str, range_key: str) -> list[dynamodb.CfnGlobalTable.KeySchemaProperty]:
    made = dynamodb.CfnGlobalTable.KeySchemaProperty
    return [made(attribute_name=hash_key, key_type="HASH"), made(attribute_name=range_key, key_type="RANGE")]


def _projection(index: topology.Index) -> dynamodb.CfnGlobalTable.ProjectionProperty:
    if index.includes is None:
        return dynamodb.CfnGlobalTable.ProjectionProperty(projection_type="KEYS_ONLY")
    return dynamodb.CfnGlobalTable.ProjectionProperty(projection_type="INCLUDE", non_key_attributes=list(index.includes))


def _add(table: dynamodb.Table, index: topology.Index) -> None:
    keys_only = index.includes is None
    table.add_global_secondary_index(
        index_name=index.name,
        partition_key=_attribute(index.hash_key, index.hash_type),
        sort_key=_attribute(index.range_key, index.range_type),
        projection_type=dynamodb.ProjectionType.KEYS_ONLY if keys_only else dynamodb.ProjectionType.INCLUDE,
        non_key_attributes=None if index.includes is None else list(index.includes),
    )


def _attribute(name: str, kind: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=_TYPES[kind])
