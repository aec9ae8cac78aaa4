"""A bucket: under the stack's key, closed to the public, over TLS only, with versions of what was overwritten or deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.constructs.at_rest import AtRest

_OLD_VERSIONS = cdk.Duration.days(30)


class Bucket(Construct):
    """`keep_days`: objects are removed after as many days; None: whoever put them decides how long they live. `keeps`: the same of those
    whose names begin so.

    `announces`: each object that lands here is an event on the account's default bus.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        at_rest: AtRest,
        keep_days: int | None = None,
        keeps: Mapping[str, int] | None = None,
        announces: bool = False,
    ) -> None:
        super().__init__(scope, id)
        lifecycle = s3.LifecycleRule(
            expiration=None if keep_days is None else cdk.Duration.days(keep_days),
            noncurrent_version_expiration=_OLD_VERSIONS,
            abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
        )
        shorter = [s3.LifecycleRule(prefix=begins, expiration=cdk.Duration.days(days)) for begins, days in (keeps or {}).items()]
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=at_rest.key,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            lifecycle_rules=[lifecycle, *shorter],
            removal_policy=at_rest.removal,
        )
        if announces:
            # Set on the resource itself: the L2 switch would add a custom resource with a Lambda and a role of its own.
            resource = cast(s3.CfnBucket, self.bucket.node.default_child)
            resource.add_property_override("NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled", True)

    @property
    def name(self) -> str:
        return self.bucket.bucket_name

    @property
    def objects_arn(self) -> str:
        return self.bucket.arn_for_objects("*")
