"""A log group: under the stack's key, kept for as long as the topology says."""

from __future__ import annotations

from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_logs as logs
from constructs import Construct
from treadle import topology

from infra.constructs.encryption import Encryption


def log_group(scope: Construct, id: str, *, encryption: Encryption, removal: cdk.RemovalPolicy) -> logs.LogGroup:
    group = logs.LogGroup(scope, id, encryption_key=encryption.key, removal_policy=removal)
    resource = cast(logs.CfnLogGroup, group.node.default_child)
    resource.retention_in_days = topology.LOG_RETENTION_DAYS  # the L2 construct takes an enumeration, the topology counts days
    return group
