"""The stack, as the diagram: state, queues, bus, buckets; Lambdas between them; the HTTP API in front; alarms beside.

What there is comes from `treadle.topology`; this file says only how the parts are joined.
"""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct
from treadle import topology

from infra import layer
from infra.constructs.alarms import Alarms
from infra.constructs.at_rest import AtRest
from infra.constructs.bucket import Bucket
from infra.constructs.bus import Bus
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
        check_times()
        prefix = f"{deployment.name}-"

        # What is kept, and what carries it.
        at_rest = AtRest(self, "AtRest", removal=deployment.removal)
        state = State(self, "State", at_rest=at_rest, recovery=deployment.effects.recovery)
        blobs = Bucket(self, "Blobs", at_rest=at_rest)
        inbox = Bucket(self, "Inbox", at_rest=at_rest, keep_days=SUBMISSIONS_KEPT_DAYS, announces=True)
        bus = Bus(self, "Bus", prefix=prefix, at_rest=at_rest)
        functions = [function for function in topology.FUNCTIONS if deployment.has(function)]
        fed = {function.name for function in functions}
        queues = [queue for queue in topology.QUEUES if queue.consumer in fed]
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
        for lane in lanes.values():
            for declared, arn in lane.feeds():
                workers[declared.consumer].feed(declared, arn, deployment.concurrency_of(declared))
        for worker in workers.values():
            if worker.declared.schedule_s is not None:
                worker.tick(worker.declared.schedule_s)

        # Who may come in, and who hears of it when something is wrong.
        for api in (worker for worker in workers.values() if worker.declared.http):
            issuer, audience = self._tokens(deployment)
            door = Door(self, "Door", worker=api, issuer=issuer, audience=audience, at_rest=at_rest)
            for name in sorted(fed & {"dispatcher", "notifier"}):  # where callbacks are posted to, and where people look at a run
                workers[name].function.add_environment("TREADLE_URL", door.url)
            self._tell(Url=door.url)
        Alarms(self, "Alarms", lanes=list(lanes.values()), bus=bus, workers=list(workers.values()), topic=deployment.alarm_topic)
        for finding, reason in (STACK_WIDE if deployment.alarm_topic else STACK_WIDE | WITHOUT_TOPIC).items():
            explain(self, finding, reason)

        self._tell(InboxBucket=inbox.name, BusName=bus.name, TableName=state.name)

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
