"""A log group: under the stack's key, kept for as long as the topology says."""

from __future__ import annotations

from typing import cast

from aws_cdk import aws_logs as logs
from constructs import Construct
from treadle import topology

from infra.constructs.at_rest import AtRest


def log_group(scope: Construct, id: str, *, at_rest: AtRest) -> logs.LogGroup:
    group = logs.LogGroup(scope, id, encryption_key=at_rest.key, removal_policy=at_rest.removal)
    resource = cast(logs.CfnLogGroup, group.node.default_child)
    resource.retention_in_days = topology.LOG_RETENTION_DAYS  # the L2 construct takes an enumeration, the topology counts days
    return group
