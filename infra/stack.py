"""The stack, as the diagram: state, queues, bus, buckets; Lambdas between them; the HTTP API in front; alarms beside.

What there is comes from `treadle.topology`; this file says only how the parts are joined.
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct
from treadle import topology

from infra import layer
from infra.constructs.alarms import Alarms
from infra.constructs.buckets import Blobs, Inbox
from infra.constructs.bus import Bus
from infra.constructs.door import Door
from infra.constructs.encryption import Encryption
from infra.constructs.grants import Resources
from infra.constructs.identity import Identity
from infra.constructs.lane import Lane, check_times
from infra.constructs.state import State
from infra.constructs.worker import ARCHITECTURE, RUNTIME, Worker
from infra.deployment import Deployment


class TreadleStack(cdk.Stack):
    def __init__(self, scope: Construct, deployment: Deployment) -> None:
        super().__init__(scope, deployment.name, description="treadle: a serverless workflow engine")
        check_times()
        removal = deployment.removal
        prefix = f"{deployment.name}-"

        # What is kept, and what carries it.
        encryption = Encryption(self, "Encryption", removal=removal)
        state = State(self, "State", encryption=encryption, removal=removal)
        blobs = Blobs(self, "Blobs", encryption=encryption, removal=removal)
        inbox = Inbox(self, "Inbox", encryption=encryption, removal=removal)
        bus = Bus(self, "Bus", prefix=prefix, encryption=encryption)
        lanes = {
            queue.name: Lane(self, f"Queue-{queue.name}", queue=queue, prefix=prefix, encryption=encryption) for queue in topology.QUEUES
        }
        for rule in topology.RULES:
            bus.route(rule, to=lanes[rule.to], inbox=inbox.name)

        # Who works on it.
        resources = Resources(state, list(lanes.values()), bus, blobs, inbox, encryption, deployment.function_arns)
        environment = {"table": state.name, "bus": bus.name, "blobs": blobs.name, "inbox": inbox.name, "queue_urls": self._queues(prefix)}
        shared = self._layer(deployment)
        workers = {
            function.name: Worker(
                self,
                f"Worker-{function.name}",
                function=function,
                code=_handlers(),
                layer=shared,
                environment={topology.ENVIRONMENT[name]: value for name, value in environment.items()},
                resources=resources,
                encryption=encryption,
                removal=removal,
            )
            for function in topology.FUNCTIONS
        }
        for lane in lanes.values():
            workers[lane.declared.consumer].feed(lane)
        for worker in workers.values():
            if worker.declared.schedule_s is not None:
                worker.tick(worker.declared.schedule_s)

        # Who may come in.
        issuer, audience = deployment.issuer, deployment.audience
        if issuer is None:
            identity = Identity(self, "Identity", removal=removal)
            issuer, audience = identity.issuer, (identity.audience,)
            self._tell("UserPool", identity.pool.user_pool_id)
            self._tell("UserPoolClient", identity.audience)
        api = next(worker for worker in workers.values() if worker.declared.http)
        door = Door(self, "Door", worker=api, issuer=issuer, audience=audience, encryption=encryption, removal=removal)

        Alarms(self, "Alarms", lanes=list(lanes.values()), bus=bus, workers=list(workers.values()), topic=deployment.alarm_topic)
        self._tell("Url", door.url)
        self._tell("InboxBucket", inbox.name)
        self._tell("BusName", bus.name)
        self._tell("TableName", state.name)

    def _queues(self, prefix: str) -> str:
        """The URL of queue Q is this and Q."""
        return f"https://sqs.{self.region}.{self.url_suffix}/{self.account}/{prefix}"

    def _layer(self, deployment: Deployment) -> lambda_.LayerVersion:
        folder = layer.placeholder() if deployment.layer == "placeholder" else layer.stage()
        return lambda_.LayerVersion(
            self,
            "Layer",
            code=lambda_.Code.from_asset(str(folder)),
            compatible_runtimes=[RUNTIME],
            compatible_architectures=[ARCHITECTURE],
            description="treadle and what its handlers import",
        )

    def _tell(self, name: str, value: str) -> None:
        cdk.CfnOutput(self, name, value=value)


def _handlers() -> lambda_.Code:
    """`functions/` as a package, the same for each Lambda, so that imports are what they are on a developer's machine."""
    return lambda_.Code.from_asset(str(layer.ROOT), exclude=["/*", "!/functions", "__pycache__"], ignore_mode=cdk.IgnoreMode.GIT)
