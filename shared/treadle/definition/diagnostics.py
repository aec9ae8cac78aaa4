"""What validation says: every fault at once, each with a code, a place and, where there is one, a hint.

A `Fault` is found by the checks and knows its place as a path into the document; `Document.diagnose` (reading.py) turns it
into a `Diagnostic`, which knows its line and column. Codes are part of the contract: add, never rename.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

Path = tuple[str | int, ...]  # from the root of the document to a value

MAX_PER_CODE = 200  # diagnostics of one code that are told; more have one cause


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"  # does not make a definition invalid


class Code(StrEnum):
    """Every code with what it means (also the rules' descriptions in SARIF)."""

    SYNTAX = "syntax"
    UNSAFE_YAML = "unsafe-yaml"
    DUPLICATE_KEY = "duplicate-key"
    MISSING_FIELD = "missing-field"
    UNKNOWN_FIELD = "unknown-field"
    BAD_TYPE = "bad-type"
    BAD_VALUE = "bad-value"
    BAD_DURATION = "bad-duration"
    BAD_SCHEDULE = "bad-schedule"
    BAD_EXPRESSION = "bad-expression"
    UNKNOWN_REFERENCE = "unknown-reference"
    UNORDERED_REFERENCE = "unordered-reference"
    NO_ACTION = "no-action"
    SEVERAL_ACTIONS = "several-actions"
    DUPLICATE_STEP = "duplicate-step"
    UNKNOWN_STEP = "unknown-step"
    CYCLE = "cycle"
    CONFLICTING_DEPENDENCIES = "conflicting-dependencies"
    BAD_JOIN = "bad-join"
    UNKNOWN_TASK = "unknown-task"
    NO_SUCH_RESOURCES = "no-such-resources"
    LIMIT_EXCEEDED = "limit-exceeded"
    UNREACHABLE_STEP = "unreachable-step"
    RETRY_EXCEEDS_TIMEOUT = "retry-exceeds-timeout"
    UNUSED_COMPENSATE = "unused-compensate"
    UNUSED_CHECKPOINT = "unused-checkpoint"
    UNKNOWN_TARGET = "unknown-target"
    SCHEMA_MISMATCH = "schema-mismatch"


WARNINGS = frozenset({
    Code.UNREACHABLE_STEP, Code.RETRY_EXCEEDS_TIMEOUT, Code.UNUSED_COMPENSATE, Code.UNUSED_CHECKPOINT, Code.UNKNOWN_TARGET,
    Code.SCHEMA_MISMATCH,
})  # fmt: skip

MEANING = {
    Code.SYNTAX: "The text is not JSON or YAML.",
    Code.UNSAFE_YAML: "YAML beyond plain data: anchors, aliases, merge keys, tags, several documents, keys that are not strings.",
    Code.DUPLICATE_KEY: "A key occurs twice in one map.",
    Code.MISSING_FIELD: "A required key is not there.",
    Code.UNKNOWN_FIELD: "A key that the language does not have.",
    Code.BAD_TYPE: "A value of the wrong JSON type.",
    Code.BAD_VALUE: "A value that is not among the allowed ones.",
    Code.BAD_DURATION: "Not a duration.",
    Code.BAD_SCHEDULE: "Not a cron(...) or rate(...) schedule.",
    Code.BAD_EXPRESSION: "An expression that cannot be parsed or type-checked.",
    Code.UNKNOWN_REFERENCE: "An expression uses a name that does not exist there.",
    Code.UNORDERED_REFERENCE: "An expression reads a step that does not surely end before.",
    Code.NO_ACTION: "A step does nothing.",
    Code.SEVERAL_ACTIONS: "A step has more than one action.",
    Code.DUPLICATE_STEP: "Two steps have the same id.",
    Code.UNKNOWN_STEP: "There is no such step in this scope.",
    Code.CYCLE: "Steps that wait for each other.",
    Code.CONFLICTING_DEPENDENCIES: "`after` and `dependencies` contradict each other.",
    Code.BAD_JOIN: "A join that is no join, or that can never be satisfied.",
    Code.UNKNOWN_TASK: "There is no task of that name.",
    Code.NO_SUCH_RESOURCES: "No worker pool has that much.",
    Code.LIMIT_EXCEEDED: "Larger than the engine takes.",
    Code.UNREACHABLE_STEP: "No outcome of what comes before can ever start the step.",
    Code.RETRY_EXCEEDS_TIMEOUT: "The back-offs outlast the run's timeout.",
    Code.UNUSED_COMPENSATE: "No failure mode uses the compensation.",
    Code.UNUSED_CHECKPOINT: "Results of several steps are never kept together: each is kept at once.",
    Code.UNKNOWN_TARGET: "The engine's configuration names nobody so.",
    Code.SCHEMA_MISMATCH: "An expression that can have no value, as far as schemas tell.",
}


class Diagnostic(BaseModel):
    """One fault, as users and programs get it."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    code: Code = Field(description="What is wrong, for programs.")
    severity: Severity = Field(description="Only errors make a definition invalid.")
    message: str = Field(description="What is wrong, for people.")
    path: str = Field(description="JSON pointer (RFC 6901) to the value; empty for the document.", examples=["/steps/0/retry/delay"])
    line: int | None = Field(default=None, description="From 1; null where the definition came as data, not as text.")
    column: int | None = Field(default=None, description="From 1, in characters.")
    hint: str | None = Field(default=None, description="What may have been meant.")

    def __str__(self) -> str:
        place = f"{self.line}:{self.column}: " if self.line else f"{self.path}: " if self.path else ""
        return f"{place}{self.severity}: {self.message} [{self.code}]" + (f" ({self.hint})" if self.hint else "")


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault on its way to a diagnostic.

    `at_key`: it is the last key of `path` that is wrong, not its value. `offset`: index of the character in the string at
    `path`. `index`: index of the character in the document's text (faults of reading, which have no path yet).
    """

    code: Code
    message: str
    path: Path = ()
    hint: str | None = None
    at_key: bool = False
    offset: int | None = None
    index: int | None = None

    @property
    def severity(self) -> Severity:
        return Severity.WARNING if self.code in WARNINGS else Severity.ERROR


def pointer(path: Path) -> str:
    """RFC 6901: `("steps", 0, "a/b")` is `/steps/0/a~1b`."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def shown(value: Any) -> str:
    """A value within a message: short, and on one line."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def kind(value: Any) -> str:
    """The JSON type of a value, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "a map"
