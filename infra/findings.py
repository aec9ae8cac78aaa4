"""Findings of cdk-nag that stay, each with the reason why."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import IConstruct


def explain(construct: IConstruct, rule: str, reason: str) -> None:
    """`rule` as the report writes it, with the finding in brackets where it has one (`AwsSolutions-IAM5[Resource::*]`)."""
    cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=rule, reason=reason))
