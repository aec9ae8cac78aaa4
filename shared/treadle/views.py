"""A run as users see it: one JSON shape from the command line, the HTTP API and Python."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class View(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, defer_build=True)


class StepView(View):
    """`why` says in a few words why a step was skipped, waits or was cancelled."""

    status: str
    output: Any = None
    error: dict[str, Any] | None = None
    attempts: int = 0
    started_at: str | None = None
    ended_at: str | None = None
    why: str | None = None


class DeadLetterView(View):
    """A message of the run that was given up after too many deliveries: `treadle dlq show ID`."""

    id: str
    at: str
    queue: str
    kind: str
    why: str
    path: str | None = None


class CostView(View):
    """A model from counts and list prices, not a bill: what the run's recorded steps cost in the design."""

    usd: float = 0.0
    calls: dict[str, int] = Field(default_factory=dict)


class RunView(View):
    """`steps` maps a step's path (`group.inner`, `notify[3]`) to its state. Times are RFC 3339 in UTC.
    `warnings` are about the request that this answers."""

    id: str
    workflow: str
    version: str
    status: str
    input: Any = None
    output: Any = None
    error: dict[str, Any] | None = None
    compensated: bool | None = None
    attributes: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)
    started_at: str | None = None
    ended_at: str | None = None
    etag: str = "0"
    steps: dict[str, StepView] = Field(default_factory=dict)
    steps_cursor: str | None = None
    legal_hold: dict[str, Any] | None = None
    dead_letters: list[DeadLetterView] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    cost: CostView = Field(default_factory=CostView)
