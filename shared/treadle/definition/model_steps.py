"""The language, as pydantic models: a step, its actions and its modifiers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic.alias_generators import to_camel

from .diagnostics import Code
from .types import (
    ABSENT,
    TAG,
    Attempts,
    Count,
    CountFromZero,
    Cpu,
    Duration,
    ErrorPattern,
    Expression,
    Iterations,
    Join,
    Json,
    JsonSchema,
    Size,
    StepId,
    StepName,
    Version,
    WorkflowId,
    either,
    wrong,
)

ACTIONS = ("task", "set", "wait", "signal", "approval", "workflow", "emit", "switch", "group", "fail")
COMPENSATIONS = ("task", "set", "wait", "workflow", "emit", "fail")  # those that end by themselves: undoing waits for nobody


def one_of(*keys: str, **more: Any) -> ConfigDict:
    """Exactly one of the keys, and what else is so, as the JSON Schema says it."""
    return ConfigDict(json_schema_extra={"oneOf": required(*keys), **more})


def required(*keys: str) -> list[Any]:
    return [{"required": [key]} for key in keys]


def together(*pairs: tuple[str, str]) -> dict[str, Any]:
    """Both keys of a pair, as the JSON Schema says it."""
    return {"anyOf": [{"required": [*pair]} for pair in pairs]}


class Language(BaseModel):
    """What all maps of the language have in common: camelCase keys, no unknown ones, no conversion between types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel, defer_build=True)

    def _given(self, keys: tuple[str, ...]) -> list[str]:
        given = {field.alias or name for name, field in type(self).model_fields.items() if name in self.model_fields_set}
        return [key for key in keys if key in given]

    def require_exactly_one(self, *keys: str) -> None:
        self.require_one(*keys)
        self.require_at_most_one(*keys)

    def require_one(self, *keys: str) -> None:
        if not self._given(keys):
            raise wrong(Code.MISSING_FIELD, f"needs {_or(keys)}")

    def require_at_most_one(self, *keys: str) -> None:
        given = self._given(keys)
        if len(given) > 1:
            raise wrong(Code.BAD_VALUE, f"{' and '.join(f'`{key}`' for key in given)} exclude each other")


def _or(keys: tuple[str, ...]) -> str:
    return " or ".join(f"`{key}`" for key in keys)


# ------------------------------------------------------------------------------------------------ actions


class WaitUntil(Language):
    until: Expression = Field(description="Gives a timestamp.")


class Signal(Language):
    """Waits until the run gets a signal of this name; gives its payload."""

    name: str = Field(min_length=1, max_length=200, description="Of the signal.")
    timeout: Duration = Field(default=ABSENT)
    schema_: JsonSchema = Field(default=ABSENT, alias="schema", description="A payload that breaks it is refused.")


class Approval(Language):
    """Waits for a person; gives `{decision, by, comment}`."""

    timeout: Duration = Field(default=ABSENT)
    by: list[str] = Field(default=ABSENT, description="Who may decide.")
    message: str = Field(default=ABSENT, description="What is asked. May hold templates.")


class Child(Language):
    """A run of another workflow; gives its output."""

    id: WorkflowId = Field(description="Of the workflow.")
    version: Version = Field(default=ABSENT, description="Default: the latest when the step starts.")
    input: Json = Field(default=ABSENT, description="Template of its input.")
    wait: bool = Field(default=ABSENT, description="false: gives the child's run id at once.")


class Emit(Language):
    """Puts an event on the bus; gives its id."""

    type: str = Field(min_length=1, max_length=128, description="The event's type.")
    source: str = Field(
        default=ABSENT,
        min_length=1,
        max_length=256,
        description="The event's source. `treadle` and `aws.` are reserved.",
        json_schema_extra={"not": {"pattern": r"^(treadle$|aws\.)"}},
    )
    detail: Json = Field(default=ABSENT, description="Template of what it says.")

    @model_validator(mode="after")
    def _is_not_someone_else(self) -> Emit:
        source = self.source or ""
        if source == "treadle" or source.startswith("aws."):
            raise wrong(Code.BAD_VALUE, f"the source {source[:40]!r} is reserved", inside=("source",))
        return self


class Case(Language):
    when: Expression
    then: either(str=StepName, list=list[StepName]) = Field(description="The step, or steps, that are chosen.")  # type: ignore[valid-type]


class Else(Language):
    else_: either(str=StepName, list=list[StepName]) = Field(  # type: ignore[valid-type]
        alias="else", description="The step, or steps, that are chosen when no case holds."
    )


CaseOrElse = Annotated[
    Annotated[Case, Tag(TAG + "case")] | Annotated[Else, Tag(TAG + "else")],
    Discriminator(lambda value: TAG + ("else" if isinstance(value, dict) and "else" in value else "case")),
]


class Fail(Language):
    error: str = Field(min_length=1, max_length=200, description="The error's name.")
    message: str = Field(default=ABSENT, description="May hold templates.")


class Group(Language):
    """A nested workflow in a scope of its own; gives `output`, or the outputs of its last steps."""

    steps: list[Step] = Field(min_length=1, description="Steps in a scope of their own.")
    dependencies: dict[str, list[str]] = Field(default=ABSENT, description="Step id to the steps it comes after, within the group.")
    output: Json = Field(default=ABSENT, description="A template. Default: the outputs of its last steps.")


# ------------------------------------------------------------------------------------------------ modifiers


On = Literal["succeeded", "failed", "skipped", "done"]


class Edge(Language):
    step: StepName
    on: On = Field(default=ABSENT, description="How the source has to end.")


class Tolerate(Language):
    model_config = one_of("failures", "percent")

    failures: CountFromZero = Field(default=ABSENT, description="So many items may fail.")
    percent: float = Field(default=ABSENT, ge=0, le=100, description="Such a part of the items may fail.")

    @model_validator(mode="after")
    def _is_whole(self) -> Tolerate:
        self.require_exactly_one("failures", "percent")
        return self


class Repeat(Language):
    model_config = one_of("while", "until")

    while_: Expression = Field(default=ABSENT, alias="while", description="Tested before each iteration.")
    until: Expression = Field(default=ABSENT, description="Tested after each iteration.")
    max: Iterations = Field(description="Past it: error LoopLimit.")
    delay: Duration = Field(default=ABSENT, description="Between iterations.")

    @model_validator(mode="after")
    def _is_whole(self) -> Repeat:
        self.require_exactly_one("while", "until")
        return self


Backoff = Literal["fixed", "linear", "exponential"]


Jitter = Literal["none", "full"]


class Retry(Language):
    max_attempts: Attempts = Field(default=ABSENT, description="Counts the first.")
    backoff: Backoff = Field(default=ABSENT, description="How the delay grows. Default: exponential.")
    delay: Duration = Field(default=ABSENT)
    multiplier: float = Field(default=ABSENT, gt=0, le=1000, description="Of an exponential back-off. Default: 2.")
    max_delay: Duration = Field(default=ABSENT)
    jitter: Jitter = Field(default=ABSENT, description="full: a random part of the delay. Default: full.")
    on: list[ErrorPattern] = Field(default=ABSENT, description="Default: every error that is not permanent.")
    except_: list[ErrorPattern] = Field(default=ABSENT, alias="except", description="Errors that are not tried again.")


class Catch(Language):
    """Handles the failure of the last attempt: goes on with another step, or succeeds with `output`."""

    model_config = one_of("then", "output")

    errors: list[ErrorPattern] = Field(min_length=1, description="The errors it handles.")
    then: StepName = Field(default=ABSENT)
    output: Json = Field(default=ABSENT, description="A template over `error`: the step succeeds with it.")

    @model_validator(mode="after")
    def _is_whole(self) -> Catch:
        self.require_exactly_one("then", "output")
        return self


class Cache(Language):
    key: Expression
    ttl: Duration


Priority = Literal["low", "normal", "high", "critical"]


class Resources(Language):
    cpu: Cpu = Field(default=ABSENT, description="Virtual processors.")
    memory: Size = Field(default=ABSENT, description="Main memory.")
    storage: Size = Field(default=ABSENT, description="Temporary disk.")


class TaskConcurrency(Language):
    """At most `limit` tasks with this key at once, across all runs."""

    key: Expression
    limit: Count = Field(description="Tasks at once for each key.")


class Simple(Language):
    """The actions that lead to no other step, of which a step and a compensation have exactly one."""

    task: str = Field(default=ABSENT, min_length=1, max_length=200, description="Runs a task; gives its result.")
    with_: Json = Field(default=ABSENT, alias="with", description="The task's input, a template. Default: {}.")
    set: Json = Field(default=ABSENT, description="Computes a value.")
    wait: either(str=Duration, dict=WaitUntil) = Field(default=ABSENT, description="A durable timer; gives null.")  # type: ignore[valid-type]
    signal: Signal = Field(default=ABSENT)
    approval: Approval = Field(default=ABSENT)
    workflow: Child = Field(default=ABSENT)
    emit: Emit = Field(default=ABSENT)
    fail: Fail = Field(default=ABSENT, description="Fails with an error.")


class Compensation(Simple):
    """Undoes a step; `output` is the step's output, `error` the run's error."""

    model_config = one_of(*COMPENSATIONS, dependentRequired={"with": ["task"]})

    retry: Retry = Field(default=ABSENT, description="Attempts of the undoing. Default: as the step's.")
    timeout: Duration = Field(default=ABSENT)
    resources: Resources = Field(default=ABSENT, description="What the undoing needs.")


class Step(Simple):
    """One step: exactly one action, and any modifiers."""

    model_config = one_of(
        *ACTIONS,
        dependentRequired={"with": ["task"], "maxConcurrency": ["forEach"], "tolerate": ["forEach"]},
        **{"not": together(("forEach", "repeat"), ("switch", "forEach"), ("switch", "repeat"))},
    )

    id: StepId = Field(description="Unique in the whole document, nested steps included.")
    switch: list[CaseOrElse] = Field(default=ABSENT, min_length=1, description="The first case that holds chooses the path.")
    group: Group = Field(default=ABSENT)
    after: list[either(str=StepName, dict=Edge)] = Field(default=ABSENT, description="Edges into this step.")  # type: ignore[valid-type]
    join: Join = Field(default=ABSENT, description="How many edges it takes. Default: all.")
    when: Expression = Field(default=ABSENT, description="false: the step is bypassed.")
    for_each: Expression = Field(default=ABSENT, description="Gives a list or a map; the action runs once for each item.")
    max_concurrency: Count = Field(default=ABSENT, description="Items at once.")
    tolerate: Tolerate = Field(default=ABSENT, description="How many items may fail.")
    repeat: Repeat = Field(default=ABSENT, description="Runs the action again and again.")
    retry: Retry = Field(default=ABSENT, description="Attempts of the step, of each item or iteration.")
    timeout: Duration = Field(default=ABSENT, description="Of one attempt.")
    heartbeat: Duration = Field(default=ABSENT, description="An attempt that is silent for longer fails.")
    catch: list[Catch] = Field(default=ABSENT, description="What handles its failure: the first entry that matches.")
    compensate: Compensation = Field(default=ABSENT)
    output: Json = Field(default=ABSENT, description="A template over `result`.")
    cache: Cache = Field(default=ABSENT, description="An earlier result of the same task and key is taken.")
    priority: Priority = Field(default=ABSENT, description="The lane that the task waits in. Default: normal.")
    resources: Resources = Field(default=ABSENT, description="What the task needs: it runs in the smallest pool that fits.")
    concurrency: TaskConcurrency = Field(default=ABSENT)
    idempotent: bool = Field(default=ABSENT, description="Running it twice does no harm.")
