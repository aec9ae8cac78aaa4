"""A Lambda of the topology, with a log group, a role of its own, and what wakes it: queues or the clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct
from treadle import topology
from treadle.core.resources import DEFAULT
from treadle.wiring import POOL

from infra.constructs.at_rest import AtRest
from infra.constructs.grants import Resources
from infra.constructs.log import log_group
from infra.findings import explain
from infra.layer import PYTHON

RUNTIME = lambda_.Runtime(f"python{PYTHON}", lambda_.RuntimeFamily.PYTHON)
_USUAL_STORAGE_MB = 512  # what a Lambda has when nothing is said
ARCHITECTURE = lambda_.Architecture.ARM_64


class Worker(Construct):
    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        function: topology.Function,
        code: lambda_.Code,
        layers: Sequence[lambda_.ILayerVersion],
        environment: Mapping[str, str],
        resources: Resources,
        at_rest: AtRest,
    ) -> None:
        super().__init__(scope, id)
        self.declared = function
        self.log = log_group(self, "Log", at_rest=at_rest)
        self.role = self._role(resources)
        self.function = lambda_.Function(
            self,
            "Function",
            description=f"treadle {function.name}",
            code=code,
            handler=f"functions.{function.code}.handler.handler",
            layers=layers,
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            memory_size=function.memory_mb,
            ephemeral_storage_size=cdk.Size.mebibytes(function.storage_mb) if function.storage_mb != _USUAL_STORAGE_MB else None,
            timeout=cdk.Duration.seconds(function.timeout_s),
            environment={**environment, **_pool(function), "POWERTOOLS_SERVICE_NAME": f"treadle-{function.name}"},
            environment_encryption=at_rest.key,
            role=self.role.without_policy_updates(),
            log_group=self.log,
            logging_format=lambda_.LoggingFormat.JSON,
            application_log_level_v2=lambda_.ApplicationLogLevel.INFO,
            system_log_level_v2=lambda_.SystemLogLevel.WARN,
            tracing=lambda_.Tracing.ACTIVE,
            # A run is a loop through queues: AWS would stop it after about sixteen hops. The engine bounds runs itself.
            recursive_loop=lambda_.RecursiveLoop.ALLOW,
        )

    def feed(self, queue: topology.Queue, arn: str, max_concurrency: int) -> None:
        """Wake this function for messages of a queue, so many at a time. Failed ones of a batch come back alone."""
        lambda_.EventSourceMapping(
            self,
            f"Feed-{queue.name}",
            target=self.function,
            event_source_arn=arn,
            batch_size=queue.batch_size,
            max_concurrency=max_concurrency,
            report_batch_item_failures=True,
        )

    def tick(self, every_s: int) -> None:
        """Wake this function by the clock. A missed tick is not repeated: the next one does its work as well."""
        lambda_.EventInvokeConfig(
            self, "Once", function=self.function, retry_attempts=0, max_event_age=cdk.Duration.seconds(max(every_s, 60))
        )
        clock = events.CfnRule(
            self,
            "Clock",
            schedule_expression=f"rate({_minutes(every_s)})",
            targets=[events.CfnRule.TargetProperty(id="function", arn=self.function.function_arn)],
        )
        self.function.add_permission("Clock", principal=iam.ServicePrincipal("events.amazonaws.com"), source_arn=clock.attr_arn)

    def _role(self, resources: Resources) -> iam.Role:
        """Policies are inline, so that they are there before the function is: mappings check them when they are made."""
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"treadle {self.declared.name}: what it uses and nothing else",
            inline_policies={
                "uses": iam.PolicyDocument(statements=resources.granted_to(self.declared)),
                "tells": iam.PolicyDocument(statements=[_writes_to(self.log), _traces()]),
            },
        )
        resources.explain(role, self.declared)
        explain(role, "AwsSolutions-IAM5[Resource::*]", "X-Ray's two actions for writing know no resources.")
        return role


def _pool(function: topology.Function) -> dict[str, str]:
    return {} if function.pool == DEFAULT else {POOL: function.pool}


def _writes_to(log: logs.LogGroup) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[log.log_group_arn])


def _traces() -> iam.PolicyStatement:
    """Named exception: these actions have no resource-level permissions (service authorization reference, AWS X-Ray)."""
    return iam.PolicyStatement(actions=["xray:PutTraceSegments", "xray:PutTelemetryRecords"], resources=["*"])


def _minutes(seconds: int) -> str:
    """EventBridge counts in whole minutes: `1 minute`, `5 minutes`."""
    minutes, rest = divmod(seconds, 60)
    if rest or not minutes:
        raise ValueError(f"{seconds} s is no whole number of minutes")
    return "1 minute" if minutes == 1 else f"{minutes} minutes"
