"""The keys of the `workflow_engine:` file, as pydantic models: section by section, each with its default.

What needs more than one key at once, or a look at the world, is checked in checks.py.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..definition.model import Policy, Rung, Thresholds
from ..definition.model_steps import Backoff
from ..definition.types import ABSENT, Cpu, Duration, Retries, Size, either

MAX_RUNS = 1_000  # who runs and who waits is one item of the table; without the key there is no limit at all


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ErrorHandling(Section):
    """What holds for a definition that says nothing of its own."""

    retry_attempts: Retries = Field(default=ABSENT, description="Retries after the first attempt.")
    backoff_strategy: Backoff = Field(default=ABSENT)
    escalation_policy: either(str=Policy, list=list[Rung]) = Field(default=ABSENT)  # type: ignore[valid-type]
    error_thresholds: Thresholds = Field(default=ABSENT)


Metric = Literal["latency", "throughput", "failures"]
METRICS: tuple[Metric, ...] = ("latency", "throughput", "failures")


class Monitoring(Section):
    enabled: bool = True
    metrics: list[Metric] = Field(default=list(METRICS), description="Groups of metrics.")


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


class Scalability(Section):
    horizontal_scaling: bool = True
    auto_scaling: bool = True
    resource_limits: ResourceLimits = ResourceLimits()


class Integration(Section):
    api_access: bool = True
    webhook_support: bool = False
    external_system_integration: bool = True
    allow: dict[str, Any] = Field(default_factory=dict, description="What the tasks http, lambda and aws may reach.")
    monitoring_integration: bool = False


class Configuration(Section):
    """What `workflow_engine` holds. Every section and key may be left out."""

    initialization: Initialization = Initialization()
    performance: Performance = Performance()
    reliability: Reliability = Reliability()
    scalability: Scalability = Scalability()
    integration: Integration = Integration()


class File(Section):
    """The whole file."""

    workflow_engine: Configuration
