"""The stack, as the diagram: state, queues, bus, buckets; Lambdas between them; the HTTP API in front; alarms beside.

What there is comes from `treadle.topology`; this file says only how the parts are joined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_
from constructs import Construct
from treadle import topology
from treadle.core.resources import LAMBDA

from infra import layer
from infra.constructs.alarms import Alarms
from infra.constructs.at_rest import AtRest
from infra.constructs.bucket import Bucket
from infra.constructs.bus import Bus
from infra.constructs.crew import Berth, Crew
from infra.constructs.door import Door
from infra.constructs.grants import Resources
from infra.constructs.identity import Identity
from infra.constructs.lane import Lane, check_times
from infra.constructs.state import State
from infra.constructs.worker import ARCHITECTURE, RUNTIME, Worker
from infra.deployment import Deployment
from infra.findings import STACK_WIDE, WITHOUT_TOPIC, explain

SUBMISSIONS_KEPT_DAYS = 30  # by then one has long become a workflow or a run, or an event says why not


class TreadleStack(cdk.Stack):
    def __init__(self, scope: Construct, deployment: Deployment) -> None:
        super().__init__(scope, deployment.name, description="treadle: a serverless workflow engine")
        check_times(deployment.pools)
        prefix = f"{deployment.name}-"

        # What is kept, and what carries it.
        at_rest = AtRest(self, "AtRest", removal=deployment.removal)
        state = State(self, "State", at_rest=at_rest, recovery=deployment.effects.recovery, replicas=deployment.replicas)
        blobs = Bucket(self, "Blobs", at_rest=at_rest, keeps={f"cached/{days}/": days for days in topology.CACHED_DAYS})
        inbox = Bucket(self, "Inbox", at_rest=at_rest, keep_days=SUBMISSIONS_KEPT_DAYS, announces=True)
        bus = Bus(self, "Bus", prefix=prefix, at_rest=at_rest)
        functions = [function for function in topology.functions(deployment.pools) if deployment.has(function)]
        fed = {function.name for function in functions} | {topology.dispatcher(pool.name) for pool in deployment.pools}
        queues = [queue for queue in topology.queues(deployment.pools) if queue.consumer in fed]
        lanes = {queue.name: Lane(self, f"Queue-{queue.name}", queue=queue, prefix=prefix, at_rest=at_rest) for queue in queues}
        targets = deployment.targets
        for rule in (*topology.RULES, *topology.notifying(targets.named, targets.kinds)):
            bus.route(rule, to=lanes[rule.to], inbox=inbox.name)

        # Who works on it.
        outside = (deployment.function_arns, deployment.permissions, targets)
        resources = Resources(state, list(lanes.values()), bus, blobs, inbox, at_rest, deployment.name, *outside)
        places = {"table": state.name, "bus": bus.name, "blobs": blobs.name, "inbox": inbox.name, "queue_urls": self._queues(prefix)}
        places |= {"secrets": deployment.name}
        environment = {topology.ENVIRONMENT[name]: place for name, place in places.items()} | deployment.environment
        layers = self._layers(deployment)
        workers = {
            function.name: Worker(
                self,
                f"Worker-{function.name}",
                function=function,
                code=_handlers(),
                layers=layers,
                environment=environment,
                resources=resources,
                at_rest=at_rest,
            )
            for function in functions
        }
        self._wake(workers, lanes, deployment)

        # Who may come in, and who hears of it when something is wrong.
        door = None
        for api in (worker for worker in workers.values() if worker.declared.http):
            issuer, audience = self._tokens(deployment)
            door = Door(self, "Door", worker=api, issuer=issuer, audience=audience, at_rest=at_rest)
            for worker in workers.values():  # where callbacks are posted to, and where people look at a run
                if worker.declared.code in ("dispatcher", "notifier"):
                    worker.function.add_environment("TREADLE_URL", door.url)
            self._tell(Url=door.url)
            environment = {**environment, "TREADLE_URL": door.url}
        self._crews(deployment, lanes, environment, resources, at_rest)
        Alarms(self, "Alarms", lanes=list(lanes.values()), bus=bus, workers=list(workers.values()), door=door, topic=deployment.alarm_topic)
        for finding, reason in (STACK_WIDE if deployment.alarm_topic else STACK_WIDE | WITHOUT_TOPIC).items():
            explain(self, finding, reason)

        # Whoever has tasks in stacks of their own lets this role invoke them (constructs/task_function.py).
        role = workers["dispatcher"].role.role_arn
        cdk.CfnOutput(self, "DispatcherRole", value=role, export_name=f"{deployment.name}-DispatcherRole")
        self._tell(InboxBucket=inbox.name, BusName=bus.name, TableName=state.name)

    def _wake(self, workers: Mapping[str, Worker], lanes: Mapping[str, Lane], deployment: Deployment) -> None:
        """By queues and by the clock."""
        for lane in lanes.values():
            for declared, arn in lane.feeds():
                if declared.consumer in workers:  # else it is a crew's
                    workers[declared.consumer].feed(declared, arn, deployment.concurrency_of(declared))
        for worker in workers.values():
            if worker.declared.schedule_s is not None:
                worker.tick(worker.declared.schedule_s)

    def _crews(
        self, deployment: Deployment, lanes: Mapping[str, Lane], environment: Mapping[str, str], resources: Resources, at_rest: AtRest
    ) -> None:
        """The pools whose workers are no Lambdas; a deployment without them has no cluster."""
        pools = [pool for pool in deployment.pools if pool.kind != LAMBDA]
        if not pools:
            return
        insights = ecs.CfnCluster.ClusterSettingsProperty(name="containerInsights", value="enabled")
        cluster = ecs.CfnCluster(self, "Cluster", cluster_settings=[insights])
        berth = Berth(deployment.worker_image or "", deployment.worker_subnets, deployment.worker_security_groups)
        for pool in pools:
            Crew(
                self,
                f"Crew-{pool.name}",
                pool=pool,
                berth=berth,
                cluster=cluster,
                lanes=[lane for lane in lanes.values() if lane.declared.pool == pool.name],
                environment=environment,
                resources=resources,
                at_rest=at_rest,
            )

    def _tokens(self, deployment: Deployment) -> tuple[str, Sequence[str]]:
        """Issuer and audience of the tokens that the API takes; a user pool is made when the deployment names none."""
        if deployment.issuer is not None:
            return deployment.issuer, deployment.audience
        identity = Identity(self, "Identity", removal=deployment.removal)
        self._tell(UserPool=identity.pool.user_pool_id, UserPoolClient=identity.audience)
        return identity.issuer, (identity.audience,)

    def _queues(self, prefix: str) -> str:
        """The URL of queue Q is this and Q."""
        return f"https://sqs.{self.region}.{self.url_suffix}/{self.account}/{prefix}"

    def _layers(self, deployment: Deployment) -> list[lambda_.ILayerVersion]:
        folder = layer.placeholder() if deployment.layer == "placeholder" else layer.stage()
        engine = lambda_.LayerVersion(
            self,
            "Layer",
            code=lambda_.Code.from_asset(str(folder)),
            compatible_runtimes=[RUNTIME],
            compatible_architectures=[ARCHITECTURE],
            description="treadle and what its handlers import",
        )
        brought = [lambda_.LayerVersion.from_layer_version_arn(self, f"Tasks-{i}", arn) for i, arn in enumerate(deployment.task_layers)]
        return [engine, *brought]

    def _tell(self, **outputs: str) -> None:
        for name, value in outputs.items():
            cdk.CfnOutput(self, name, value=value)


def _handlers() -> lambda_.Code:
    """`functions/` as a package, the same for each Lambda, so that imports are what they are on a developer's machine."""
    return lambda_.Code.from_asset(str(layer.ROOT), exclude=["/*", "!/functions", "__pycache__"], ignore_mode=cdk.IgnoreMode.GIT)
