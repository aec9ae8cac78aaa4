"""The keys of the `workflow_engine:` file, as pydantic models: section by section, each with its default.

What needs more than one key at once, or a look at the world, is checked in checks.py.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..definition.diagnostics import Code
from ..definition.model import Policy, Rung, Thresholds
from ..definition.model_steps import Backoff
from ..definition.types import ABSENT, Cpu, Duration, Rate, Retries, Size, either, wrong

MAX_RUNS = 1_000  # who runs and who waits is one item of the table; without the key there is no limit at all


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ErrorHandling(Section):
    """What holds for a definition that says nothing of its own."""

    retry_attempts: Retries = Field(default=ABSENT, description="Retries after the first attempt.")
    backoff_strategy: Backoff = Field(default=ABSENT)
    escalation_policy: either(str=Policy, list=list[Rung]) = Field(default=ABSENT)  # type: ignore[valid-type]
    error_thresholds: Thresholds = Field(default=ABSENT)


Metric = Literal["latency", "throughput", "failures", "satisfaction", "utilisation", "caching"]
METRICS: tuple[Metric, ...] = ("latency", "throughput", "failures", "satisfaction", "utilisation", "caching")


class Monitoring(Section):
    enabled: bool = True
    metrics: list[Metric] = Field(default=list(METRICS), description="Groups of metrics.")
    objectives: dict[str, Duration] = Field(default_factory=dict, description="By workflow, or `*`: how soon a run should have ended.")


class Extension(Section):
    """A hook by its name, and the keywords that it is made with."""

    name: str = Field(min_length=1)
    enabled: bool = True
    config: dict[str, Any] = Field(default_factory=dict)


class Initialization(Section):
    max_concurrent_workflows: int = Field(default=ABSENT, ge=1, le=MAX_RUNS, description="Live runs; more stay pending.")
    state_persistence: bool = True
    error_handling: ErrorHandling = ErrorHandling()
    monitoring: Monitoring = Monitoring()
    extensions: list[Extension] = Field(default_factory=list)


class Performance(Section):
    parallel_execution: bool = True
    resource_optimization: bool = False
    caching_enabled: bool = True
    load_balancing: bool = True
    advance: Literal["inline", "bus"] = "inline"


class Reliability(Section):
    fault_tolerance: bool = True
    state_replication: bool = True
    replica_regions: list[str] = Field(default_factory=list)
    checkpoint_frequency: Duration = Field(default=ABSENT)
    recovery_strategy: Literal["automatic", "manual"] = "automatic"


class ResourceLimits(Section):
    """The most that a step may ask for."""

    cpu: Cpu = Field(default=ABSENT)
    memory: Size = Field(default=ABSENT)
    storage: Size = Field(default=ABSENT)


class WorkerPool(Section):
    """Workers of one size, behind lanes of their own. pools.py says what goes together."""

    kind: Literal["lambda", "fargate"] = "lambda"
    memory: Size = Field(default=ABSENT)
    cpu: Cpu = Field(default=ABSENT, description="Of a container; a Lambda has one for each 1769MB.")
    storage: Size = Field(default=ABSENT)
    timeout: Duration = Field(default=ABSENT, description="The longest attempt.")
    workers: int = Field(default=ABSENT, ge=2, le=1000, description="The most at a time.")


class Scalability(Section):
    horizontal_scaling: bool = True
    auto_scaling: bool = True
    resource_limits: ResourceLimits = ResourceLimits()
    pools: dict[str, WorkerPool] = Field(default=ABSENT, description="Worker pools by name; `default` is always there.")


RunEvent = Literal["RunFailed", "RunTimedOut", "RunCancelled", "RunSucceeded", "RunWaiting"]


class Notified(Section):
    """Somebody who is told: by a webhook, by an SNS topic, or by whatever listens to the bus."""

    webhook: str = Field(default=ABSENT, description="An https address.")
    secret: str = Field(default=ABSENT, description="The name of the secret that signs what the webhook is sent.")
    sns: str = Field(default=ABSENT, pattern=r"^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$", description="A topic's ARN.")
    bus: Literal[True] = Field(default=ABSENT)
    on: list[RunEvent] = Field(default_factory=list, description="What it is told of beside the escalations that name it.")

    @model_validator(mode="after")
    def _is_whole(self) -> Notified:
        ways = [way for way in ("webhook", "sns", "bus") if way in self.model_fields_set]
        if not ways:
            raise wrong(Code.MISSING_FIELD, "needs one of `webhook`, `sns` and `bus`")
        if len(ways) > 1:
            raise wrong(Code.BAD_VALUE, f"{' and '.join(f'`{way}`' for way in ways)} exclude each other")
        if ways == ["webhook"] and self.secret is None:
            raise wrong(Code.MISSING_FIELD, "what a webhook is sent is signed: name the secret for that, `secret: NAME`")
        if ways != ["webhook"] and self.secret is not None:
            raise wrong(Code.BAD_VALUE, "only a webhook is signed: there is nothing to do for `secret`")
        if ways == ["bus"] and self.on:
            raise wrong(Code.BAD_VALUE, "the bus has all events of runs: there is nothing to subscribe to with `on`")
        return self


class Telemetry(Section):
    """Where to export to; what is left out is said by OpenTelemetry's own variables."""

    endpoint: str = Field(default=ABSENT, min_length=1)
    headers: dict[str, str] = Field(default=ABSENT)
    service_name: str = Field(default=ABSENT, min_length=1)


class Integration(Section):
    api_access: bool = True
    webhook_support: bool = False
    notifications: dict[str, Notified] = Field(default_factory=dict, max_length=50, description="By name, who is told.")
    external_system_integration: bool = True
    allow: dict[str, Any] = Field(default_factory=dict, description="What the tasks http, lambda and aws may reach.")
    monitoring_integration: bool = False
    telemetry: Telemetry = Telemetry()


class TaskRules(Section):
    """What holds for every use of a task."""

    rate: Rate = Field(default=ABSENT, description="How many may begin in a second, a minute or an hour: 10/s, 30/m, 100/h.")


class DataRetention(Section):
    """How long what a run was given and came to is kept after its end."""

    runs: Duration = Field(default=ABSENT, description="Of every workflow that is not named below. Default: for ever.")
    workflows: dict[str, Duration] = Field(default_factory=dict, description="By workflow.")
    keep: list[str] = Field(default_factory=list, description="Workflows whose runs are kept for ever.")


class Configuration(Section):
    """What `workflow_engine` holds. Every section and key may be left out."""

    initialization: Initialization = Initialization()
    performance: Performance = Performance()
    reliability: Reliability = Reliability()
    scalability: Scalability = Scalability()
    integration: Integration = Integration()
    data_retention: DataRetention = DataRetention()
    tasks: dict[str, TaskRules] = Field(default_factory=dict, description="Rules of tasks, by their names.")


class File(Section):
    """The whole file."""

    workflow_engine: Configuration
