"""Engines that were initialised in this process, and which of them the other functions speak to: the last one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..config import InvalidConfiguration
from ..core.errors import Rejected, TreadleError
from ..local.stack import TENANT, Stack
from ..operations import Operations
from ..topology import LANES
from .models import EngineCapabilities, EngineInitializationConfig, EngineInitializationResult, EngineStatus

PATTERNS = ("sequential", "parallel", "conditional", "loop", "group", "child workflow", "compensation", "human decision")


@dataclass(slots=True)
class Attached:
    """`request`: around whatever changes something. `documents`: of runs whose plan was changed here, the definition now."""

    operations: Operations
    tenant: str
    request: Callable[[], Any]
    close: Callable[[], None]
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)


_engines: dict[str, Attached] = {}


def initialize_engine(
    config: EngineInitializationConfig | dict[str, Any], *, tasks: Any = (), stack_of: Callable[..., Stack] = Stack
) -> EngineInitializationResult:
    """A whole engine in this process, with its own table and queues; `close_engine` ends it. It raises nothing: configuration,
    extensions, tasks or back ends that cannot be are the result's `errors`. `stack_of`: what makes those back ends."""
    engine_id = f"engine-{uuid.uuid4()}"
    opened = ExitStack()
    try:
        given = config if isinstance(config, EngineInitializationConfig) else EngineInitializationConfig.model_validate(config)
        stack = opened.enter_context(stack_of(tasks, config={"workflow_engine": {"initialization": given.model_dump(exclude_none=True)}}))
        stack.operations.workflows(TENANT, limit=1)
    except InvalidConfiguration as fault:
        return _failed(engine_id, [str(finding) for finding in fault.findings])
    except (ValueError, ImportError, TreadleError) as fault:  # pydantic's errors are ValueErrors
        opened.close()
        return _failed(engine_id, [str(fault)])
    _engines[engine_id] = Attached(stack.operations, TENANT, stack.pump.request, opened.close)
    able = EngineCapabilities(
        tasks=sorted(stack.tasks), priorities=list(LANES), patterns=list(PATTERNS), max_concurrent_workflows=given.max_concurrent_workflows
    )
    return EngineInitializationResult(success=True, engine_id=engine_id, status=EngineStatus.READY, capabilities=able)


def _failed(engine_id: str, errors: list[str]) -> EngineInitializationResult:
    return EngineInitializationResult(
        success=False, engine_id=engine_id, status=EngineStatus.FAILED, capabilities=EngineCapabilities(), errors=errors
    )


def attach_engine(operations: Operations, tenant: str) -> str:
    """Speak to an engine that somebody else made, such as a deployed one (`wiring.current().operations`); its id."""
    engine_id = f"engine-{uuid.uuid4()}"
    _engines[engine_id] = Attached(operations, tenant, _nothing_around, lambda: None)
    return engine_id


@contextmanager
def _nothing_around() -> Iterator[None]:
    yield


def close_engine(engine_id: str) -> None:
    """Runs that are under way end with it, where it lives in this process."""
    attached = _engines.pop(engine_id, None)
    if attached is not None:
        attached.close()


def current(engine_id: str | None = None) -> Attached:
    """Raises Rejected where none was initialised."""
    found = _engines.get(engine_id) if engine_id else next(reversed(_engines.values()), None)
    if found is None:
        raise Rejected("not-found", "no engine is initialised: call initialize_engine first", status=404)
    return found
