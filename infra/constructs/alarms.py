"""What a person should hear of: dead letters, a silent sweeper, failing functions, queues that grow old, somebody at the door who
tries keys.
"""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.bus import Bus
from infra.constructs.door import CALLBACKS, Door
from infra.constructs.lane import Lane
from infra.constructs.worker import Worker

_MINUTE = cdk.Duration.minutes(1)
_FIVE_MINUTES = cdk.Duration.minutes(5)
OLD_S = 900  # a message that waited for longer: more work comes in than the consumer is let do
FAILED_PER_5_MIN = 5
# (metric, what in the API's access log counts, how many in five minutes are too many, what it means)
INCIDENTS = (
    ("RefusedRequests", '{ ($.status = "401") || ($.status = "403") }', 50, "many requests without a right to what they ask for"),
    ("ForgedCallbacks", f'{{ ($.routeKey = "{CALLBACKS}") && ($.status = "404") }}', 10, "callbacks with tokens that nobody was given"),
)


class Alarms(Construct):
    """`topic`: ARN of an SNS topic that is told; None: alarms only show."""

    def __init__(
        self, scope: Construct, id: str, *, lanes: Sequence[Lane], bus: Bus, workers: Sequence[Worker], door: Door | None, topic: str | None
    ) -> None:
        super().__init__(scope, id)
        self._action = None if topic is None else actions.SnsAction(sns.Topic.from_topic_arn(self, "Topic", topic))
        for lane in lanes:
            self._given_up(lane.declared.name, lane.dead_letters)
            self._old(lane)
        self._dead_letters("bus", bus.dead_letters)
        for worker in workers:
            self._failing(worker)
            if worker.declared.schedule_s is not None:
                self._silent(worker, worker.declared.schedule_s)
        if door is not None:
            self._incidents(door)

    def _incidents(self, door: Door) -> None:
        namespace = f"treadle/{cdk.Stack.of(self).stack_name}"
        for name, pattern, most, meaning in INCIDENTS:
            logs.MetricFilter(
                self,
                f"Counts-{name}",
                log_group=door.log,
                filter_pattern=logs.FilterPattern.literal(pattern),
                metric_namespace=namespace,
                metric_name=name,
                metric_value="1",
            )
            metric = cloudwatch.Metric(namespace=namespace, metric_name=name, period=_FIVE_MINUTES, statistic="Sum")
            self._alarm(f"Incident-{name}", meaning, metric, threshold=most)

    def _given_up(self, name: str, queue: sqs.Queue) -> None:
        """They are taken out of the queue at once, to be kept in the table: what counts is that some came."""
        metric = queue.metric_number_of_messages_received(period=_MINUTE, statistic="Sum")
        self._alarm(f"Dead-{name}", f"messages of {name} were given up: treadle dlq list", metric, threshold=0)

    def _dead_letters(self, name: str, queue: sqs.Queue) -> None:
        metric = queue.metric_approximate_number_of_messages_visible(period=_MINUTE, statistic="Maximum")
        self._alarm(f"Dead-{name}", f"messages of {name} were given up", metric, threshold=0)

    def _old(self, lane: Lane) -> None:
        metric = lane.queue.metric_approximate_age_of_oldest_message(period=_MINUTE, statistic="Maximum")
        self._alarm(f"Old-{lane.declared.name}", f"{lane.declared.name} does not keep up", metric, threshold=OLD_S, periods=5)

    def _failing(self, worker: Worker) -> None:
        metric = worker.function.metric_errors(period=_FIVE_MINUTES, statistic="Sum")
        self._alarm(f"Failing-{worker.declared.name}", f"{worker.declared.name} fails", metric, threshold=FAILED_PER_5_MIN)

    def _silent(self, worker: Worker, every_s: int) -> None:
        """Missing data is an alarm as well: a sweeper that never runs has no metric."""
        metric = worker.function.metric_invocations(period=cdk.Duration.seconds(5 * every_s), statistic="Sum")
        self._alarm(
            f"Silent-{worker.declared.name}",
            f"{worker.declared.name} has not run: timers and lost steps wait",
            metric,
            threshold=1,
            below=True,
        )

    def _alarm(
        self, id: str, description: str, metric: cloudwatch.Metric, *, threshold: float, periods: int = 1, below: bool = False
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            id,
            alarm_description=f"treadle: {description}",
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
            if below
            else cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING if below else cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        if self._action is not None:
            alarm.add_alarm_action(self._action)
