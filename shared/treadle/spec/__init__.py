"""The founding spec's functions, by its names and with its interfaces: a thin face over the engine that is really used.

    result = initialize_engine({"maxConcurrentWorkflows": 100}, tasks=[charge])
    parsed = parse_workflow(definition)
    state = start_workflow(parsed.workflow.id, {"total": 12})

Each function speaks to the engine that was initialised last, or to `engine_id`. docs/spec-map.md maps the whole spec to code and tests.
"""

from .engines import attach_engine, close_engine, initialize_engine
from .errors import handle_workflow_error, recover_from_error
from .models import (
    EngineCapabilities,
    EngineInitializationConfig,
    EngineInitializationResult,
    EngineStatus,
    ErrorAction,
    ErrorContext,
    ErrorHandlingConfig,
    ErrorHandlingResult,
    ExtensionConfig,
    MonitoringConfig,
    ParsedWorkflow,
    ResourceAllocation,
    ResourceRequirements,
    StateChange,
    StateManagementResult,
    StateMetadata,
    TaskDispatchConfig,
    TaskDispatchResult,
    TaskPriority,
    TaskStatus,
    ValidationError,
    WorkflowError,
    WorkflowParsingResult,
    WorkflowState,
)
from .tasks import cancel_task, dispatch_task, get_task_status
from .workflows import get_workflow_state, parse_workflow, persist_workflow_state, start_workflow, update_workflow_state

__all__ = [
    "EngineCapabilities",
    "EngineInitializationConfig",
    "EngineInitializationResult",
    "EngineStatus",
    "ErrorAction",
    "ErrorContext",
    "ErrorHandlingConfig",
    "ErrorHandlingResult",
    "ExtensionConfig",
    "MonitoringConfig",
    "ParsedWorkflow",
    "ResourceAllocation",
    "ResourceRequirements",
    "StateChange",
    "StateManagementResult",
    "StateMetadata",
    "TaskDispatchConfig",
    "TaskDispatchResult",
    "TaskPriority",
    "TaskStatus",
    "ValidationError",
    "WorkflowError",
    "WorkflowParsingResult",
    "WorkflowState",
    "attach_engine",
    "cancel_task",
    "close_engine",
    "dispatch_task",
    "get_task_status",
    "get_workflow_state",
    "handle_workflow_error",
    "initialize_engine",
    "parse_workflow",
    "persist_workflow_state",
    "recover_from_error",
    "start_workflow",
    "update_workflow_state",
]
