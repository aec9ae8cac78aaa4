"""What others' tools say of the template: cdk-nag (as it is synthesised) and cfn-lint."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from infra import findings
from tests.infra import synthesis


def test_cfn_lint_has_nothing_to_say(assembly: Path) -> None:
    # W3005: the CDK writes a dependency on the role that the reference to it implies already.
    (file,) = assembly.glob("*.template.json")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("cfn-lint")), "--ignore-checks", "W3005", "--", str(file)],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_what_cdk_nag_finds_and_nobody_explains_stops_the_deployment() -> None:
    """Synthesis succeeded for the other tests, so nothing is unexplained; here is that the three packs do look."""
    careless = """
from infra.app import build
app, stack = build()
from aws_cdk import aws_kms, aws_lambda, aws_s3
aws_s3.Bucket(stack, "Careless", enforce_ssl=False)
aws_kms.Key(stack, "Rusty")
app.synth()
"""
    done = synthesis.run_python("-c", careless, into=synthesis.KEPT / "careless", layer="placeholder")
    assert done.returncode != 0
    for finding in ("AwsSolutions-S10", "AwsSolutions-KMS5", "NIST.800.53.R5-S3BucketSSLRequestsOnly"):
        assert finding in done.stdout + done.stderr


def test_each_explanation_says_something() -> None:
    assert all(len(reason) > 30 and reason.endswith(".") for reason in (findings.STACK_WIDE | findings.WITHOUT_TOPIC).values())
