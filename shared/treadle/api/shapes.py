"""What requests carry and lists answer, as pydantic models: the reader checks with them, the OpenAPI document shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from ..core.errors import Rejected
from ..definition.diagnostics import pointer
from .problems import refusal
from .reading import Attribute, Moment, NewAttribute, Version

MAX_PAGE = 1000


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, defer_build=True)


# ------------------------------------------------------------------------------------------------ bodies


class StartRun(Shape):
    """A run of a registered workflow."""

    input: Any = Field(default_factory=dict, description="Checked against the workflow's `input` schema.")
    version: Version | None = Field(None, description="Default: the newest one registered.")
    attributes: dict[str, Attribute] | None = Field(None, description="Search attributes, beside those that the workflow gives.")
    priority: Literal["low", "normal", "high", "critical"] | None = None


class RunDefinition(Shape):
    """A run of a definition that is not registered."""

    definition: dict[str, Any] | str = Field(description="A workflow definition; or its text, in JSON or YAML.")
    input: Any = Field(default_factory=dict)


class Signal(Shape):
    payload: Any = Field(None, description="Any JSON: the output of the step that waits for the signal.")


class Opinion(Shape):
    """What an approver may say beside yes or no. Who it was comes from the token."""

    comment: Annotated[str, Field(max_length=2000)] | None = None


class Decision(Shape):
    """What becomes of a failed step that waits for a person."""

    choice: Literal["retry", "skip", "fail"]
    input: Any = Field(None, description="With `retry`: the step's input instead of the one that failed.")
    output: Any = Field(None, description="With `skip`: the step's output.")
    reason: Annotated[str, Field(max_length=2000)] | None = None


class Hold(Shape):
    """Why the run has to be kept; the audit trail and the history keep it."""

    reason: Annotated[str, Field(min_length=1, max_length=2000)]


class Reason(Shape):
    """Why; the history keeps it."""

    reason: Annotated[str, Field(max_length=2000)] | None = None


class Retry(Reason):
    from_step: str | None = Field(None, alias="from", description="A step's path. Default: the steps that failed.")
    input: Any = Field(None, description="Another input for the run.")


class Again(Shape):
    """How a new run differs from the one that it is begun from."""

    from_step: str | None = Field(None, alias="from", description="A step: it and all that comes after it are run again.")
    input: Any = Field(None, description="Another input.")


class Update(Shape):
    """A JSON merge patch: a null removes a member, what is not named stays."""

    attributes: dict[str, NewAttribute] | None = Field(None, description="Search attributes.")
    metadata: dict[str, Any] | None = Field(None, description="Whatever belongs to the run, for people and programs around it.")
    data: dict[str, Any] | None = Field(None, description="The founding spec's name of `metadata`.")
    status: Literal["paused", "running", "cancelled"] | None = Field(None, description="As `pause`, `resume` and `cancel` do.")


class Nothing(Shape):
    """No fields: the body may be left out."""


# ------------------------------------------------------------------------------------------------ queries


class Page(Shape):
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 100
    cursor: Annotated[str, Field(min_length=1, max_length=2000)] | None = Field(None, description="`next` of the page before.")


class RunsQuery(Page):
    """Runs, newest first. `attribute.NAME=VALUE` chooses by search attribute."""

    workflow: Annotated[str, Field(min_length=1)] | None = None
    status: Literal["pending", "running", "paused", "waiting", "compensating", "succeeded", "failed", "cancelled", "timedOut"] | None = None
    started_after: Moment | None = None
    started_before: Moment | None = None


class RunQuery(Shape):
    full: bool = Field(False, description="Payloads over 64 KiB in place, not as `{$ref}`.")
    cursor: Annotated[str, Field(min_length=1, max_length=2000)] | None = Field(None, description="`stepsCursor` of the page before.")


class QuestionsQuery(Page):
    """What people are asked, newest first."""

    kind: Literal["approval", "decision"] | None = None


class LettersQuery(Page):
    """Messages that were given up, newest first."""

    queue: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(None, description="`lane-normal`, `errors` and so on.")
    run: Annotated[str, Field(min_length=1, max_length=200)] | None = None


Letter = Annotated[str, Field(min_length=1, max_length=200)]


class Redrive(Shape):
    """Which dead letters are sent again: those named, or all that fit. With neither: all."""

    letters: Annotated[list[Letter], Field(max_length=500)] | None = None
    queue: str | None = None
    run: str | None = None
    cursor: str | None = Field(None, description="`next` of the answer before: a request sends at most some hundreds.")


class TaskQuery(Shape):
    full: bool = Field(False, description="Large payloads in place, not as references.")


class RetryQuery(Shape):
    from_step: str | None = Field(None, alias="from", description="A step's path. Default: the steps that failed.")


class AgainQuery(Shape):
    from_step: str | None = Field(None, alias="from", description="A step: it and all that comes after it would be run again.")


class NoQuery(Shape):
    pass


# ------------------------------------------------------------------------------------------------ answers


class Validation(Shape):
    valid: bool
    diagnostics: list[dict[str, Any]]


class Registration(Shape):
    id: str
    version: str
    plan: str = Field(description="Content hash of the compiled plan.")
    created: bool = Field(description="False: the same content was registered before.")


class Listing(Shape):
    items: list[dict[str, Any]]
    next: str | None = Field(description="Cursor of the next page; null: this was the last.")


class Difference(Shape):
    """The ids of steps."""

    added: list[str]
    changed: list[str]
    removed: list[str]


class Task(Shape):
    """A step of a run, and what a run shows of it."""

    model_config = ConfigDict(extra="allow")

    id: str = Field(description="RUN/PATH")
    run: str
    workflow: str
    step: str = Field(description="Its path.")
    status: str
    attempts: int
    pool: str = Field(default="", description="Of a task: whose workers run it.")
    seen: dict[str, Any] = Field(
        default_factory=dict,
        description="What the task was seen to need anywhere, in this week and the last: `attempts` that succeeded and their `meanMs`, "
        "`measured` ones and the most memory of them, `peakMemoryMb`. With `performance.resource_optimization`.",
    )


class TaskInput(Shape):
    """What the latest attempt of a step was given."""

    model_config = ConfigDict(extra="allow")

    run: str
    step: str = Field(description="Its path.")
    attempt: int
    input: Any = Field(description="Secrets are `***`: what is sent back with them has the secrets again.")
    from_: str = Field(alias="from", description="`definition`; `person`: one gave it in the place of that.")
    template: Any = Field(description="As the definition has it.")
    secrets: list[str] = Field(description="The names of those that are in it.")


class Prospect(Shape):
    """What a retry would do, by paths of steps."""

    reopened: list[str] = Field(description="They are run again, and all that comes after them.")
    kept: list[str] = Field(description="Their results stand.")


class Checkpoint(Shape):
    id: str
    run: str
    workflow: str
    version: str
    at: str
    why: str = Field(description="`asked`, `interval` (by itself) or `amend` (by itself, before the run was amended).")
    steps: list[str] = Field(description="The steps whose results it has; those inside of loops and groups are not named.")


class Kept(Shape):
    id: str
    why: str


class Redriven(Shape):
    redriven: list[str] = Field(description="The letters that were sent again.")
    kept: list[Kept] = Field(description="Those that could only come back.")
    next: str | None = Field(description="Where a further request goes on; null: these were all.")


class DeadLetter(Shape):
    """A message that was given up."""

    id: str
    queue: str
    kind: str
    what: str = Field(description="What the message says.")
    why: str = Field(description="Why the last delivery failed.")
    receives: int
    sent_at: str
    died_at: str
    age_seconds: int
    run: str | None
    path: str | None
    body: str | None = Field(None, description="The message itself.")
    lost: str | None = Field(None, description="What is lost when it is dropped.")


class Head(Shape):
    n: int = Field(description="How many records there are.")
    hash: str = Field(description="The last one's.")


class Trail(Listing):
    """A page of the audit trail, from its first record on."""

    head: Head


class Pass(Shape):
    """The sweeper's last pass."""

    at: str
    took_ms: int
    sent: int = Field(description="Messages that it sent again.")
    behind_ms: int = Field(description="How long ago the earliest of what it found was due.")
    late: bool = Field(description="It should have come by again for more than two intervals.")


class Health(Shape):
    status: Literal["ok", "degraded"]
    why: str | None = Field(description="Why it is degraded.")
    sweeper: Pass | None = Field(description="null: it never came by, or nobody knows.")
    version: str


class Stats(Shape):
    workflows: int
    runs: dict[str, int] = Field(description="Number of runs by status.")
    complete: bool = Field(description="False: there are more than were counted.")


class Problem(Shape):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    diagnostics: list[dict[str, Any]] | None = None


# ------------------------------------------------------------------------------------------------ checking

Fitted = TypeVar("Fitted", bound=Shape)


def fit_body(shape: type[Fitted], value: Any) -> Fitted:
    """Strictly: `"5"` is no number. Raises Rejected with all faults (unknown-field, missing-field, bad-type, bad-value)."""
    try:
        return shape.model_validate(value, strict=True)
    except ValidationError as faults:
        raise _refusal(shape, faults) from None


def fit_query(shape: type[Fitted], parameters: Mapping[str, str]) -> Fitted:
    """Text is turned into the numbers and booleans that the shape asks for. Raises Rejected as `fit_body` does."""
    try:
        return shape.model_validate_strings(parameters)
    except ValidationError as faults:
        raise _refusal(shape, faults) from None


def _refusal(shape: type[Shape], faults: ValidationError) -> Rejected:
    found = list(_found(shape, faults))
    refused = refusal(found[0]["code"], found[0]["message"])
    refused.diagnostics = list(found)
    return refused


def _found(shape: type[Shape], faults: ValidationError) -> Iterator[dict[str, str]]:
    known = [field.alias or name for name, field in shape.model_fields.items()]
    for fault in faults.errors(include_url=False, include_input=False):
        name = ".".join(str(part) for part in fault["loc"])
        code = _CODES.get(fault["type"], "bad-type" if fault["type"].endswith(("_type", "_parsing")) else "bad-value")
        message = {"unknown-field": f"there is no field `{name}`", "missing-field": f"the field `{name}` is missing"}.get(
            code, f"{f'`{name}`' if name else 'the body'} {_wanted(fault)}"
        )
        near = get_close_matches(name, known, 1) if code == "unknown-field" else []
        yield {"code": code, "message": f"{message}; did you mean `{near[0]}`?" if near else message, "path": pointer(fault["loc"])}


def _wanted(fault: Any) -> str:
    """In our words, not pydantic's."""
    limits = {name: value for name, value in fault.get("ctx", {}).items() if name != "error"}
    text = _WANTED.get(fault["type"])
    return text.format(**limits).replace("'", "`") if text else str(fault["msg"]).removeprefix("Value error, ")


_WANTED = {
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
}
_CODES = {"extra_forbidden": "unknown-field", "missing": "missing-field"}
