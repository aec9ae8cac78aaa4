"""For users' own stacks: a task as a Lambda of its own, which this engine's dispatcher may invoke and nobody else.

    TaskFunction(self, "Score", code=lambda_.Code.from_asset("tasks"), handler="scoring.score.handler",
                 dispatcher=cdk.Fn.import_value("treadle-DispatcherRole"))

The engine has to allow it as well, by `integration.allow.functions`. A callback needs no permission: its token is the credential.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct
from treadle import topology

from infra.layer import PYTHON

# A dispatcher waits for an answer no longer than this; what takes longer uses `mode: callback`.
WAIT_S = topology.FUNCTION_TIMEOUT_S - 10


class TaskFunction(Construct):
    """`handler`: `module.task.handler`. `layers`: with treadle in one of them, unless `code` brings it. `dispatcher`: the ARN of the
    dispatcher's role, an output of the engine's stack. `waits`: False for a function that is invoked in `mode: callback` only, and
    may take 15 minutes.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        code: lambda_.Code,
        handler: str,
        dispatcher: str,
        layers: Sequence[lambda_.ILayerVersion] = (),
        environment: Mapping[str, str] | None = None,
        memory_mb: int = 256,
        timeout_s: int = 60,
        waits: bool = True,
    ) -> None:
        super().__init__(scope, id)
        longest = WAIT_S if waits else 900
        if not 1 <= timeout_s <= longest:
            raise ValueError(f"{id}: timeout_s is 1 to {longest}, not {timeout_s}" + ("; waits=False for up to 900" if waits else ""))
        self.log = logs.LogGroup(self, "Log", retention=logs.RetentionDays.ONE_MONTH, removal_policy=cdk.RemovalPolicy.DESTROY)
        tells = iam.PolicyStatement(actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[self.log.log_group_arn])
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            inline_policies={"tells": iam.PolicyDocument(statements=[tells])},
        )
        self.function = lambda_.Function(
            self,
            "Function",
            description=f"treadle task {handler}",
            code=code,
            handler=handler,
            layers=list(layers),
            runtime=lambda_.Runtime(f"python{PYTHON}", lambda_.RuntimeFamily.PYTHON),
            architecture=lambda_.Architecture.ARM_64,
            memory_size=memory_mb,
            timeout=cdk.Duration.seconds(timeout_s),
            environment=dict(environment or {}),
            role=self.role,
            log_group=self.log,
            logging_format=lambda_.LoggingFormat.JSON,
        )
        # On the function, not on the dispatcher's role: the engine's stack stays as it is deployed.
        self.function.add_permission("Engine", principal=iam.ArnPrincipal(dispatcher), action="lambda:InvokeFunction")
