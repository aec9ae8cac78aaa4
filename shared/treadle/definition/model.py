"""The language, as pydantic models: what a document may hold, key by key. Steps with their actions are in model_steps.py.

The models check structure and give the JSON Schema. What needs more than one place at once (edges, references, cycles) is
checked on the plain document, so that a fault here hides none there.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from .model_steps import Backoff, Language, Retry, Step, one_of, required, together
from .types import (
    ABSENT,
    Attribute,
    Count,
    CountFromZero,
    Duration,
    EventPattern,
    Expression,
    Json,
    JsonSchema,
    Retries,
    Schedule,
    Version,
    WorkflowId,
    either,
)

__all__ = ["Workflow"]


OnFailure = Literal["stop", "continue", "compensate", "wait"]


Action = Literal["fail", "pause", "cancel"]  # What the engine does by itself when an escalation or a threshold says so.


Level = Literal["info", "warning", "error", "critical"]


class Rung(Language):
    """A rung of the escalation ladder: when it is reached, and what happens then."""

    model_config = one_of("afterAttempts", "afterFailure", anyOf=required("notify", "action"))

    after_attempts: Count = Field(default=ABSENT, description="Once the step has failed this often.")
    after_failure: Duration = Field(default=ABSENT, description="Once the failure is this old.")
    notify: str = Field(default=ABSENT, min_length=1, max_length=200, description="Who is told.")
    severity: Level = Field(default=ABSENT, description="How urgent it is. Default: error.")
    action: Action = Field(default=ABSENT, description="What is done.")

    @model_validator(mode="after")
    def _is_whole(self) -> Rung:
        self.require_exactly_one("afterAttempts", "afterFailure")
        self.require_one("notify", "action")
        return self


class Thresholds(Language):
    """When so much has failed, `action` is taken."""

    model_config = ConfigDict(json_schema_extra={"anyOf": required("maxFailedSteps", "failureRate")})

    max_failed_steps: CountFromZero = Field(default=ABSENT, description="More failed steps than this, items of loops included.")
    failure_rate: float = Field(default=ABSENT, gt=0, le=1, description="Failed steps to ended steps.")
    window: Duration = Field(default=ABSENT, description="Only what ended so recently counts.")
    action: Action = Field(default=ABSENT, description="Default: pause.")

    @model_validator(mode="after")
    def _is_whole(self) -> Thresholds:
        self.require_one("maxFailedSteps", "failureRate")
        return self


Policy = Literal["automatic", "manual"]


class ErrorHandling(Language):
    """What happens when steps fail. The last four are older names for `retry`, `escalation` and `thresholds`."""

    model_config = ConfigDict(json_schema_extra={"not": together(("escalation", "escalationPolicy"), ("thresholds", "errorThresholds"))})

    retry: Retry = Field(default=ABSENT, description="For steps that have none of their own.")
    on_failure: OnFailure = Field(default=ABSENT, description="Default: stop.")
    escalation: list[Rung] = Field(default=ABSENT, description="In order, each rung once.")
    thresholds: Thresholds = Field(default=ABSENT, description="When so much has failed, the run is paused, failed or cancelled.")
    retry_attempts: Retries = Field(default=ABSENT, description="Retries after the first attempt.")
    backoff_strategy: Backoff = Field(default=ABSENT, description="Older name of `retry.backoff`.")
    escalation_policy: either(str=Policy, list=list[Rung]) = Field(  # type: ignore[valid-type]
        default=ABSENT, description="Older name of `escalation`; `manual`: a failed step waits for a person."
    )
    error_thresholds: Thresholds = Field(default=ABSENT, description="Older name of `thresholds`.")

    @model_validator(mode="after")
    def _says_nothing_twice(self) -> ErrorHandling:
        self.require_at_most_one("escalation", "escalationPolicy")
        self.require_at_most_one("thresholds", "errorThresholds")
        return self


class Metadata(Language, extra="allow"):
    """Any JSON. `attributes` are the run's search attributes; their values may be templates over `input`."""

    attributes: dict[str, Attribute] = Field(
        default=ABSENT, description="What runs are found by: text, numbers, booleans, or templates over `input`."
    )


class Checkpoint(Language):
    """How many results of consecutive idempotent steps may be kept together."""

    model_config = one_of("steps", "every")

    steps: Count = Field(default=ABSENT, description="Results of so many idempotent steps may be kept together.")
    every: Duration = Field(default=ABSENT)

    @model_validator(mode="after")
    def _is_whole(self) -> Checkpoint:
        self.require_exactly_one("steps", "every")
        return self


Overflow = Literal["queue", "reject", "cancelOldest"]


class RunConcurrency(Language):
    """At most `limit` live runs of this workflow for each value of `key`."""

    key: Expression = Field(description="Over `input`.")
    limit: Count = Field(description="Live runs for each key.")
    overflow: Overflow = Field(default=ABSENT, description="Default: queue.")


class S3Trigger(Language):
    bucket: str = Field(default=ABSENT, min_length=3, max_length=63, description="The bucket. Default: the deployment's.")
    prefix: str = Field(default=ABSENT, max_length=1024, description="How the key begins.")
    suffix: str = Field(default=ABSENT, max_length=1024, description="How the key ends.")


class Trigger(Language):
    """What starts a run. `input` is a template over `event`."""

    model_config = one_of("schedule", "event", "s3")

    schedule: Schedule = Field(default=ABSENT, description="In UTC.")
    event: EventPattern = Field(default=ABSENT, description="An EventBridge event pattern.")
    s3: S3Trigger = Field(default=ABSENT, description="An object that is put.")
    input: Json = Field(default=ABSENT, description="Template of the run's input. Default: the event.")

    @model_validator(mode="after")
    def _is_whole(self) -> Trigger:
        self.require_exactly_one("schedule", "event", "s3")
        return self


class Workflow(Language):
    """A workflow definition."""

    id: WorkflowId = Field(description="The workflow's own id.")
    name: str = Field(min_length=1, max_length=200, description="For people.")
    version: Version = Field(description="A semantic version; what is registered under it never changes.")
    steps: list[Step] = Field(min_length=1, description="What is to be done, in any order: `after` says what comes after what.")
    dependencies: dict[str, list[str]] = Field(default=ABSENT, description="Step id to the steps it comes after: another form of `after`.")
    error_handling: ErrorHandling = Field(default=ABSENT)
    metadata: Metadata = Field(default=ABSENT)
    input: JsonSchema = Field(default=ABSENT, description="A run whose input breaks this schema is refused.")
    output: Json = Field(default=ABSENT, description="A template. Default: step id to output of every step that no other comes after.")
    timeout: Duration = Field(default=ABSENT, description="Of the whole run.")
    checkpoint: Checkpoint = Field(default=ABSENT)
    concurrency: RunConcurrency = Field(default=ABSENT)
    triggers: list[Trigger] = Field(default=ABSENT, description="What starts runs, once it is registered.")


def examples() -> list[dict[str, Any]]:
    """A document that shows most of the language (part of the JSON Schema)."""
    return [
        {
            "id": "order",
            "name": "Order fulfilment",
            "version": "1.0.0",
            "input": {"type": "object", "required": ["amount", "channels"]},
            "steps": [
                {"id": "charge", "task": "charge", "with": "${input}", "compensate": {"task": "refund"}},
                {"id": "approve", "after": ["charge"], "when": "input.amount > 1000", "approval": {"timeout": "24h"}},
                {
                    "id": "notify",
                    "after": ["approve"],
                    "forEach": "input.channels",
                    "maxConcurrency": 2,
                    "task": "notify",
                    "with": {"channel": "${item}", "receipt": "${steps.charge.output.receipt}"},
                    "retry": {"maxAttempts": 3, "backoff": "exponential", "delay": "2s"},
                },
            ],
            "errorHandling": {"onFailure": "compensate"},
            "output": {"notified": "${steps.notify.output}"},
        }
    ]
