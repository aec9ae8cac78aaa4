"""Workers of a pool that are no Lambdas: containers on Fargate, as many as the pool's lanes have work for, and none when they have none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct
from treadle import topology
from treadle.core.resources import Pool
from treadle.wiring import POOL

from infra.constructs.at_rest import AtRest
from infra.constructs.grants import Resources
from infra.constructs.lane import Lane
from infra.constructs.log import log_group
from infra.findings import explain

STOP_S = 120  # from SIGTERM to SIGKILL: the most that Fargate gives (worker.GRACE_S is below it)
IDLE_MIN = 5  # minutes without any message, waiting or in hand, until the last container goes
INCLUDED_GB = 20  # of storage, with every container
_ECR = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/(?P<name>[a-z0-9._/-]+?)(?:[:@].*)?")


@dataclass(frozen=True, slots=True)
class Berth:
    """Where containers run, and of what: brought by the deployment. `image` has treadle and the tasks installed."""

    image: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]


class Crew(Construct):
    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        pool: Pool,
        berth: Berth,
        cluster: ecs.CfnCluster,
        lanes: Sequence[Lane],
        environment: Mapping[str, str],
        resources: Resources,
        at_rest: AtRest,
    ) -> None:
        """`lanes`: the pool's own."""
        super().__init__(scope, id)
        self._pool, self._berth, self._lanes = pool, berth, lanes
        self.log = log_group(self, "Log", at_rest=at_rest)
        self.declared = next(it for it in topology.functions((pool,), containers=True) if it.pool == pool.name)
        role, starter = self._role(resources), self._starter()
        self.task = self._task(role, starter, {**environment, POOL: pool.name})
        self.service = ecs.CfnService(
            self,
            "Service",
            cluster=cluster.attr_arn,
            task_definition=self.task.ref,
            launch_type="FARGATE",
            # No desired count: it is the scaling's to say, and a deployment would set it back.
            deployment_configuration=ecs.CfnService.DeploymentConfigurationProperty(
                minimum_healthy_percent=0,
                maximum_percent=200,
                deployment_circuit_breaker=ecs.CfnService.DeploymentCircuitBreakerProperty(enable=True, rollback=True),
            ),
            network_configuration=ecs.CfnService.NetworkConfigurationProperty(
                awsvpc_configuration=ecs.CfnService.AwsVpcConfigurationProperty(
                    subnets=list(berth.subnets), security_groups=list(berth.security_groups), assign_public_ip="DISABLED"
                )
            ),
            propagate_tags="SERVICE",
        )
        self._scale(cluster)

    # ------------------------------------------------------------------------------------------------ what it is

    def _task(self, role: iam.Role, starter: iam.Role, environment: Mapping[str, str]) -> ecs.CfnTaskDefinition:
        pool, gigabytes = self._pool, -(-self._pool.storage_mb // 1024)
        variables = [ecs.CfnTaskDefinition.KeyValuePairProperty(name=name, value=value) for name, value in sorted(environment.items())]
        made = ecs.CfnTaskDefinition(
            self,
            "Task",
            requires_compatibilities=["FARGATE"],
            network_mode="awsvpc",
            cpu=str(int(pool.cpu * 1024)),
            memory=str(pool.memory_mb),
            ephemeral_storage=ecs.CfnTaskDefinition.EphemeralStorageProperty(size_in_gib=gigabytes) if gigabytes > INCLUDED_GB else None,
            runtime_platform=ecs.CfnTaskDefinition.RuntimePlatformProperty(cpu_architecture="ARM64", operating_system_family="LINUX"),
            task_role_arn=role.role_arn,
            execution_role_arn=starter.role_arn,
            container_definitions=[
                ecs.CfnTaskDefinition.ContainerDefinitionProperty(
                    name="worker",
                    image=self._berth.image,
                    command=["python", "-m", "treadle.worker"],
                    environment=variables,
                    stop_timeout=STOP_S,
                    linux_parameters=ecs.CfnTaskDefinition.LinuxParametersProperty(init_process_enabled=True),
                    log_configuration=ecs.CfnTaskDefinition.LogConfigurationProperty(
                        log_driver="awslogs",
                        options={
                            "awslogs-group": self.log.log_group_name,
                            "awslogs-region": cdk.Aws.REGION,
                            "awslogs-stream-prefix": "worker",
                        },
                    ),
                )
            ],
        )
        explain(made, "AwsSolutions-ECS2", "The variables are names of resources and settings; secrets are read from Secrets Manager.")
        return made

    def _role(self, resources: Resources) -> iam.Role:
        """What a dispatcher may, and to protect itself while it works."""
        protect = iam.PolicyStatement(
            actions=["ecs:UpdateTaskProtection", "ecs:GetTaskProtection"],
            resources=[cdk.Stack.of(self).format_arn(service="ecs", resource="task", resource_name="*")],
        )
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
            description=f"treadle {self.declared.name}: what it uses and nothing else",
            inline_policies={"uses": iam.PolicyDocument(statements=[*resources.granted_to(self.declared), protect])},
        )
        resources.explain(role, self.declared)
        stack = cdk.Stack.of(self)
        finding = f"AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:ecs:{_shown(stack.region)}:{_shown(stack.account)}:task/*]"
        explain(role, finding, "A container protects its own task, whose name is known when it runs.")
        return role

    def _starter(self) -> iam.Role:
        """Of Fargate itself: to fetch the image, and to write the container's log."""
        statements = [iam.PolicyStatement(actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[self.log.log_group_arn])]
        own = _ECR.fullmatch(self._berth.image)
        if own is not None:
            repository = f"arn:{cdk.Aws.PARTITION}:ecr:{own['region']}:{own['account']}:repository/{own['name']}"
            pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
            statements.append(iam.PolicyStatement(actions=pull, resources=[repository]))
            statements.append(iam.PolicyStatement(actions=["ecr:GetAuthorizationToken"], resources=["*"]))
        role = iam.Role(
            self,
            "Starter",
            assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
            description=f"fetches the image of treadle {self.declared.name}",
            inline_policies={"starts": iam.PolicyDocument(statements=statements)},
        )
        if own is not None:
            explain(role, "AwsSolutions-IAM5[Resource::*]", "ecr:GetAuthorizationToken knows no resources.")
        return role

    # ------------------------------------------------------------------------------------------------ how many

    def _scale(self, cluster: ecs.CfnCluster) -> None:
        """By what waits: one for the first message, more for more. To none when nothing waits and nothing is in hand."""
        most = self._pool.workers or 1
        target = scaling.CfnScalableTarget(
            self,
            "Scaling",
            service_namespace="ecs",
            scalable_dimension="ecs:service:DesiredCount",
            resource_id=f"service/{cluster.ref}/{self.service.attr_name}",
            min_capacity=0,
            max_capacity=most,
        )
        more = [(0, 4, 1), (4, 19, min(4, most)), (19, None, most)]
        out = self._policy("More", target, "ChangeInCapacity", more)
        self._alarm("Waiting", self._sum("Visible"), 1, 1, above=True, policy=out)
        none = self._policy("None", target, "ExactCapacity", [(None, 0, 0)])
        self._alarm("Idle", self._sum("Visible", "NotVisible"), 1, IDLE_MIN, above=False, policy=none)

    def _policy(
        self, id: str, target: scaling.CfnScalableTarget, kind: str, steps: Sequence[tuple[float | None, float | None, int]]
    ) -> scaling.CfnScalingPolicy:
        """`steps`: (from, to, how many), counted from the alarm's threshold."""
        adjustments = [
            scaling.CfnScalingPolicy.StepAdjustmentProperty(
                metric_interval_lower_bound=low, metric_interval_upper_bound=high, scaling_adjustment=by
            )
            for low, high, by in steps
        ]
        return scaling.CfnScalingPolicy(
            self,
            id,
            policy_name=f"{self.node.id}-{id}",
            policy_type="StepScaling",
            scaling_target_id=target.ref,
            step_scaling_policy_configuration=scaling.CfnScalingPolicy.StepScalingPolicyConfigurationProperty(
                adjustment_type=kind, cooldown=120, metric_aggregation_type="Maximum", step_adjustments=adjustments
            ),
        )

    def _sum(self, *kinds: str) -> cloudwatch.MathExpression:
        metrics: dict[str, cloudwatch.IMetric] = {}
        for kind in kinds:
            for lane in self._lanes:
                name = f"ApproximateNumberOfMessages{kind}"
                metrics[f"m{len(metrics)}"] = lane.queue.metric(name, period=cdk.Duration.minutes(1), statistic="Maximum")
        return cloudwatch.MathExpression(expression=" + ".join(metrics), using_metrics=metrics, period=cdk.Duration.minutes(1))

    def _alarm(
        self, id: str, metric: cloudwatch.IMetric, threshold: int, minutes: int, *, above: bool, policy: scaling.CfnScalingPolicy
    ) -> None:
        compared = cloudwatch.ComparisonOperator
        alarm = cloudwatch.Alarm(
            self,
            id,
            alarm_description=f"treadle: scales the pool {self._pool.name}",
            metric=metric,
            threshold=threshold,
            evaluation_periods=minutes,
            comparison_operator=compared.GREATER_THAN_OR_EQUAL_TO_THRESHOLD if above else compared.LESS_THAN_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        resource = alarm.node.default_child
        assert isinstance(resource, cloudwatch.CfnAlarm)
        resource.alarm_actions = [policy.ref]


def _shown(token: str) -> str:
    """As cdk-nag writes a pseudo parameter."""
    return "<AWS::Region>" if token == cdk.Aws.REGION else "<AWS::AccountId>" if token == cdk.Aws.ACCOUNT_ID else token
