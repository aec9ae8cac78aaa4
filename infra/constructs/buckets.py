"""The two buckets: `Blobs` for large payloads and plans, `Inbox` for what users drop in."""

from __future__ import annotations

from typing import Any, cast

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.constructs.encryption import Encryption
from infra.findings import explain

_SUBMISSIONS = cdk.Duration.days(30)  # by then a submission has long become a workflow or a run, or an event says why not


class Blobs(Construct):
    """Named by content hash and never overwritten, so without versions; the run that points at a blob decides how long it lives."""

    def __init__(self, scope: Construct, id: str, *, encryption: Encryption, removal: cdk.RemovalPolicy) -> None:
        super().__init__(scope, id)
        self.bucket = _bucket(self, encryption, removal, versioned=False, lifecycle_rules=[_unfinished()])

    @property
    def name(self) -> str:
        return self.bucket.bucket_name

    @property
    def objects_arn(self) -> str:
        return self.bucket.arn_for_objects("*")


class Inbox(Construct):
    """Each object that lands here is an event on the account's default bus. Versioned: an event names the version that it means."""

    def __init__(self, scope: Construct, id: str, *, encryption: Encryption, removal: cdk.RemovalPolicy) -> None:
        super().__init__(scope, id)
        forgotten = s3.LifecycleRule(id="forget", expiration=_SUBMISSIONS, noncurrent_version_expiration=_SUBMISSIONS)
        self.bucket = _bucket(self, encryption, removal, versioned=True, lifecycle_rules=[_unfinished(), forgotten])
        # Set on the resource itself: the L2 switch would add a custom resource with a Lambda and a role of its own.
        resource = cast(s3.CfnBucket, self.bucket.node.default_child)
        resource.add_property_override("NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled", True)

    @property
    def name(self) -> str:
        return self.bucket.bucket_name

    @property
    def objects_arn(self) -> str:
        return self.bucket.arn_for_objects("*")


def _bucket(scope: Construct, encryption: Encryption, removal: cdk.RemovalPolicy, **options: Any) -> s3.Bucket:
    bucket = s3.Bucket(
        scope,
        "Bucket",
        encryption=s3.BucketEncryption.KMS,
        encryption_key=encryption.key,
        bucket_key_enabled=True,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        removal_policy=removal,
        **options,
    )
    explain(
        bucket,
        "AwsSolutions-S1",
        "Who read what is CloudTrail's to tell (data events); access logs would need a bucket outside the stack's key.",
    )
    return bucket


def _unfinished() -> s3.LifecycleRule:
    return s3.LifecycleRule(id="unfinished-uploads", abort_incomplete_multipart_upload_after=cdk.Duration.days(1))
