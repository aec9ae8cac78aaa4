"""The founding spec's interfaces: snake_case in Python, camelCase in JSON. `workflow_id` is a run's id once there is a run.

Times are milliseconds, but for `timeout`, which is seconds as the configuration of tasks has it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Interface(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


# ------------------------------------------------------------------------------------------------ 01 engine


class ErrorHandlingConfig(Interface):
    """What a workflow gets that says nothing itself. None: the engine's own."""

    retry_attempts: int | None = None
    backoff_strategy: str | None = None
    escalation_policy: str | list[dict[str, Any]] | None = None
    error_thresholds: dict[str, Any] | None = None


class MonitoringConfig(Interface):
    enabled: bool = True
    metrics: list[str] = Field(default_factory=lambda: ["latency", "throughput", "failures"])


class ExtensionConfig(Interface):
    name: str
    enabled: bool = True
    config: dict[str, Any] = Field(default_factory=dict)


class EngineInitializationConfig(Interface):
    max_concurrent_workflows: int | None = None
    state_persistence: bool = True
    error_handling: ErrorHandlingConfig = ErrorHandlingConfig()
    monitoring: MonitoringConfig = MonitoringConfig()
    extensions: list[ExtensionConfig] = Field(default_factory=list)


class EngineStatus(StrEnum):
    READY = "ready"
    FAILED = "failed"


class EngineCapabilities(Interface):
    """`tasks`: by name, those that definitions may use. `priorities`: from the most urgent on."""

    tasks: list[str] = Field(default_factory=list)
    priorities: list[str] = Field(default_factory=list)
    patterns: list[str] = Field(default_factory=list)
    max_concurrent_workflows: int | None = None


class EngineInitializationResult(Interface):
    success: bool
    engine_id: str
    status: EngineStatus
    capabilities: EngineCapabilities
    errors: list[str] | None = None


# ------------------------------------------------------------------------------------------------ 02 workflows


class ValidationError(Interface):
    code: str
    message: str
    path: str
    line: int | None = None
    column: int | None = None
    hint: str | None = None


class ParsedWorkflow(Interface):
    """`stages`: step ids of the outermost scope; those of one stage may run at the same time, each stage after the one before."""

    id: str
    name: str
    version: str
    steps: list[str]
    stages: list[list[str]]
    plan: str
    created: bool


class WorkflowParsingResult(Interface):
    success: bool
    workflow: ParsedWorkflow | None = None
    validation_errors: list[ValidationError] | None = None
    warnings: list[str] | None = None


# ------------------------------------------------------------------------------------------------ 03 state


class StateMetadata(Interface):
    workflow: str
    version: str
    etag: str
    started_at: str | None = None
    ended_at: str | None = None
    attributes: dict[str, Any] = Field(default_factory=dict)
    error: dict[str, Any] | None = None


class WorkflowState(Interface):
    """`current_step`: the first that is under way, empty when none is. `data`: `input`, `output`, and `steps` with what each gave."""

    workflow_id: str
    status: str
    current_step: str
    completed_steps: list[str]
    pending_steps: list[str]
    failed_steps: list[str]
    data: dict[str, Any]
    metadata: StateMetadata


class StateChange(Interface):
    """`path`: a JSON pointer into what was updated."""

    path: str
    before: Any = None
    after: Any = None


class StateManagementResult(Interface):
    success: bool
    state: WorkflowState
    changes: list[StateChange]


# ------------------------------------------------------------------------------------------------ 04 tasks


class TaskPriority(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class ResourceRequirements(Interface):
    cpu: str | None = None
    memory: str | None = None
    storage: str | None = None


class TaskDispatchConfig(Interface):
    """`workflow_id`: a run, or a registered workflow, which is then started. What is None stays as the definition says.

    `timeout`: seconds. `retry_policy`: as `retry` of a step. `data`: the input of a run that is started.
    """

    workflow_id: str
    step_id: str
    priority: TaskPriority | None = None
    timeout: float | None = None
    retry_policy: dict[str, Any] | None = None
    resources: ResourceRequirements | None = None
    data: Any = Field(default_factory=dict)


class TaskStatus(StrEnum):
    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class ResourceAllocation(Interface):
    """The pool that fits, and the lane that the task's message goes through. `cpu` in vCPU, the rest in MB."""

    pool: str
    cpu: float
    memory_mb: int
    storage_mb: int
    lane: str


class TaskDispatchResult(Interface):
    """`estimated_duration`: ms; the mean of what this step took in recent runs, or of what its task was seen to take, else its timeout."""

    success: bool
    task_id: str
    status: TaskStatus
    estimated_duration: int
    assigned_resources: ResourceAllocation


# ------------------------------------------------------------------------------------------------ 05 errors


class WorkflowError(Interface):
    name: str = Field(min_length=1)
    message: str = ""
    details: Any = None
    permanent: bool = False


class ErrorContext(Interface):
    """`attempt`: the one that failed; None: as many as the step has had."""

    workflow_id: str
    step_id: str
    attempt: int | None = None


class ErrorAction(StrEnum):
    RETRY = "retry"  # the same step again
    CATCH = "catch"  # the step's own `catch` takes it
    WAIT = "wait"  # for a person
    COMPENSATE = "compensate"  # what is done is undone
    CONTINUE = "continue"  # the rest goes on: an edge handles it, or the workflow says so
    STOP = "stop"  # the run fails


class ErrorHandlingResult(Interface):
    """`retry_count`: retries that were made. `escalation_level`: rungs of the ladder reached by so many failures.
    `recovery_time`: ms until the next attempt at the latest; 0 where there is none."""

    handled: bool
    action: ErrorAction
    retry_count: int
    escalation_level: int
    recovery_time: int
