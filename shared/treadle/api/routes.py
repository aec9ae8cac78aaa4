"""The map of the API: one table that the dispatcher, the policy's test and the OpenAPI document read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ..auth import Permission
from . import callbacks, calls, letters, people, shapes
from .calls import BASE, Reply, Request

if TYPE_CHECKING:
    from ..operations import Operations

Call = Callable[[Request, "Operations"], Reply]

KIB = 1024
JSON_TYPES = ("application/json",)
PATCH_TYPES = (*JSON_TYPES, "application/merge-patch+json")  # RFC 7396
DEFINITION_BYTES = 1024 * KIB  # the language's own limit of a document
INPUT_BYTES = 5 * 1024 * KIB  # Lambda takes 6 MB with the event around it


class Special(StrEnum):
    """Answers that need no engine, nor a token."""

    HEALTH = "health"
    OPENAPI = "openapi"


@dataclass(frozen=True, slots=True)
class Route:
    """`needs`: the permissions that the caller must all have; empty: public. `body` is None where a body means nothing.
    `is_definition`: the body is the text of a definition, JSON or YAML, and reaches the checker as it came."""

    method: str
    path: str
    name: str
    summary: str
    does: Call | Special
    answers: Mapping[int, str]  # status -> what comes: a name in openapi.SCHEMAS
    needs: tuple[Permission, ...] = ()
    query: type[shapes.Shape] = shapes.NoQuery
    body: type[shapes.Shape] | None = None
    media_types: tuple[str, ...] = JSON_TYPES
    is_definition: bool = False
    takes_attributes: bool = False
    takes_key: bool = False
    takes_match: bool = False
    max_bytes: int = INPUT_BYTES
    refuses: tuple[str, ...] = ()  # codes beyond those that every route can answer with
    by_callback: bool = False  # the token in the path is the credential

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple((BASE + self.path).split("/"))

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(part[1:-1] for part in self.segments if part.startswith("{"))

    def match(self, segments: Sequence[str]) -> dict[str, str] | None:
        """The path's parameters, or None: another address."""
        own = self.segments
        if len(own) != len(segments):
            return None
        found = {part[1:-1]: given for part, given in zip(own, segments, strict=True) if part.startswith("{")}
        is_same = all(part.startswith("{") or part == given for part, given in zip(own, segments, strict=True))
        return found if is_same and all(found.values()) else None


_RUN = {202: "Run"}
_ABSENT = ("not-found",)
_NOT_NOW = ("not-found", "wrong-state")


def _get(path: str, name: str, summary: str, does: Call, answer: str, **more: Any) -> Route:
    return Route("GET", path, name, summary, does, {200: answer}, **{"needs": (Permission.READ,), **more})


def _act(
    verb: str, name: str, summary: str, does: Call, needs: Permission, body: type[shapes.Shape] = shapes.Nothing, *refuses: str
) -> Route:
    return Route("POST", f"/runs/{{run}}/{verb}", name, summary, does, _RUN, needs=(needs,), body=body, refuses=(*_NOT_NOW, *refuses))


def _once(path: str, name: str, summary: str, does: Call) -> Route:
    """Starts a run; the same key again gives the same one."""
    needs = (Permission.START,)
    refuses = (*_ABSENT, "invalid-input", "idempotency-conflict")
    return Route("POST", path, name, summary, does, _RUN, needs=needs, body=shapes.Again, takes_key=True, refuses=refuses)


def _callback(verb: str, name: str, summary: str, does: Call, body: type[shapes.Shape]) -> Route:
    refuses = ("not-found", "already-used", "too-late", "rate-limited", "unavailable")
    path = f"/callbacks/{{token}}/{verb}"
    return Route("POST", path, name, summary, does, {200: "Nothing"}, body=body, refuses=refuses, by_callback=True)


ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/workflows",
        "registerWorkflow",
        "Register a version of a workflow.",
        calls.register,
        {201: "Registration", 200: "Registration"},
        needs=(Permission.REGISTER,),
        is_definition=True,
        max_bytes=DEFINITION_BYTES,
        refuses=("version-conflict", "invalid-definition"),
    ),
    Route(
        "POST",
        "/workflows/validate",
        "validateWorkflow",
        "Check a definition; nothing is kept.",
        calls.validate,
        {200: "Validation"},
        needs=(Permission.READ,),
        is_definition=True,
        max_bytes=DEFINITION_BYTES,
    ),
    _get("/workflows", "listWorkflows", "The registered workflows.", calls.list_workflows, "Listing", query=shapes.Page),
    _get("/workflows/{workflow}", "getWorkflow", "A workflow's newest version.", calls.get_workflow, "Workflow", refuses=_ABSENT),
    _get(
        "/workflows/{workflow}/versions/{version}",
        "getWorkflowVersion",
        "One version of a workflow.",
        calls.get_workflow,
        "Workflow",
        refuses=_ABSENT,
    ),
    Route(
        "POST",
        "/workflows/{workflow}/runs",
        "startRun",
        "Start a run; the same key and body again give the same run.",
        calls.start_run,
        _RUN,
        needs=(Permission.START,),
        body=shapes.StartRun,
        takes_key=True,
        refuses=("not-found", "idempotency-conflict", "invalid-input"),
    ),
    Route(
        "POST",
        "/runs",
        "runDefinition",
        "Run a definition without registering it.",
        calls.run_definition,
        _RUN,
        needs=(Permission.REGISTER, Permission.START),
        body=shapes.RunDefinition,
        takes_key=True,
        refuses=("idempotency-conflict", "invalid-definition", "invalid-input"),
    ),
    _get("/runs", "listRuns", "Runs, newest first.", calls.list_runs, "Listing", query=shapes.RunsQuery, takes_attributes=True),
    _get("/runs/{run}", "getRun", "One run with its steps.", calls.get_run, "Run", query=shapes.RunQuery, refuses=_ABSENT),
    _get(
        "/runs/{run}/history",
        "getHistory",
        "What happened in a run, in order.",
        calls.get_history,
        "Listing",
        needs=(Permission.HISTORY,),
        refuses=_ABSENT,
    ),
    _act("pause", "pauseRun", "Dispatch nothing new until it is resumed.", calls.pause, Permission.CONTROL, shapes.Reason),
    _act("resume", "resumeRun", "Go on after a pause.", calls.resume, Permission.CONTROL, shapes.Reason),
    _act("hold", "holdRun", "Keep it, whatever `data_retention` says.", calls.hold, Permission.HOLD, shapes.Hold),
    _act("release", "releaseRun", "End a legal hold.", calls.release, Permission.HOLD, shapes.Reason),
    _act("cancel", "cancelRun", "End the run; steps that run are told.", calls.cancel, Permission.CONTROL, shapes.Reason),
    Route(
        "PATCH",
        "/runs/{run}/plan",
        "amendRun",
        "Change the steps that have not begun: the whole definition as it shall be.",
        people.amend,
        {200: "Amended"},
        needs=(Permission.REGISTER,),
        is_definition=True,
        takes_match=True,
        max_bytes=DEFINITION_BYTES,
        refuses=(*_NOT_NOW, "step-locked", "precondition-failed", "invalid-definition", "precondition-required"),
    ),
    Route(
        "POST",
        "/runs/{run}/plan/difference",
        "compareRun",
        "What amending it would change; nothing is written.",
        people.difference,
        {200: "Difference"},
        needs=(Permission.READ,),
        is_definition=True,
        max_bytes=DEFINITION_BYTES,
        refuses=("not-found", "invalid-definition"),
    ),
    Route(
        "PATCH",
        "/runs/{run}",
        "updateRun",
        "Change attributes, metadata or whether it goes on: a JSON merge patch.",
        people.update,
        {200: "Updated"},
        needs=(Permission.CONTROL,),
        body=shapes.Update,
        media_types=PATCH_TYPES,
        takes_match=True,
        refuses=(*_NOT_NOW, "conflict", "precondition-failed", "precondition-required"),
    ),
    _get(
        "/runs/{run}/retry",
        "getRetry",
        "What a retry would run again, and what it would keep.",
        people.prospect,
        "Prospect",
        query=shapes.RetryQuery,
        refuses=_NOT_NOW,
    ),
    _get(
        "/runs/{run}/rerun",
        "getRerun",
        "Which steps a new run would run, and which results it would begin with.",
        people.rerun_prospect,
        "Prospect",
        query=shapes.AgainQuery,
        refuses=_ABSENT,
    ),
    _once("/runs/{run}/rerun", "rerunRun", "A new run with the same input and plan.", people.rerun),
    Route(
        "POST",
        "/runs/{run}/checkpoints",
        "takeCheckpoint",
        "Keep what the run has come to.",
        people.take_checkpoint,
        {202: "Checkpoint"},
        needs=(Permission.CONTROL,),
        body=shapes.Nothing,
        refuses=_ABSENT,
    ),
    _get(
        "/runs/{run}/checkpoints", "listCheckpoints", "Those of a run, oldest first.", people.list_checkpoints, "Listing", refuses=_ABSENT
    ),
    _get(
        "/checkpoints/{checkpoint}/restore",
        "getRestore",
        "Which steps a restored run would run, and which results it would begin with.",
        people.restore_prospect,
        "Prospect",
        query=shapes.AgainQuery,
        refuses=_ABSENT,
    ),
    _once("/checkpoints/{checkpoint}/restore", "restoreCheckpoint", "A new run that goes on from a checkpoint.", people.restore),
    _act(
        "retry",
        "retryRun",
        "Go on from the steps that failed, or from a named one.",
        calls.retry,
        Permission.CONTROL,
        shapes.Retry,
        "invalid-input",
    ),
    _act(
        "signals/{name}",
        "sendSignal",
        "Send a signal; it is kept until a step takes it.",
        calls.signal,
        Permission.CONTROL,
        shapes.Signal,
        "invalid-input",
    ),
    _act("steps/{step}/approve", "approveStep", "Approve what waits for a person.", calls.approve, Permission.APPROVE, shapes.Opinion),
    _act(
        "steps/{step}/reject", "rejectStep", "Reject it: the step fails with `Rejected`.", calls.reject, Permission.APPROVE, shapes.Opinion
    ),
    _act(
        "steps/{step}/decide",
        "decideStep",
        "Retry, skip or fail a step that failed and waits.",
        calls.decide,
        Permission.CONTROL,
        shapes.Decision,
    ),
    _get("/tasks/{run}/{step}", "getTask", "A step of a run.", people.task, "Task", query=shapes.TaskQuery, refuses=_ABSENT),
    _get(
        "/tasks/{run}/{step}/input",
        "getTaskInput",
        "What the step's latest attempt was given; secrets are `***`.",
        people.task_input,
        "TaskInput",
        refuses=(*_ABSENT, "payload-too-large"),
    ),
    Route(
        "POST",
        "/tasks/{run}/{step}/cancel",
        "cancelTask",
        "Skip a step that has not begun, or fail one that waits; the run goes on.",
        people.cancel_task,
        _RUN,
        needs=(Permission.CONTROL,),
        body=shapes.Reason,
        refuses=(*_NOT_NOW, "step-locked", "conflict"),
    ),
    _get("/approvals", "listApprovals", "What the caller is asked.", people.approvals, "Listing", query=shapes.QuestionsQuery),
    _get(
        "/audit",
        "getAudit",
        "Who asked for what, from the first record on.",
        people.audit,
        "Trail",
        needs=(Permission.AUDIT,),
        query=shapes.Page,
    ),
    _get(
        "/dead-letters",
        "listDeadLetters",
        "Messages that were given up after too many deliveries, newest first.",
        letters.page,
        "Listing",
        query=shapes.LettersQuery,
    ),
    _get("/dead-letters/{letter}", "getDeadLetter", "One of them, with the message.", letters.show, "DeadLetter", refuses=_ABSENT),
    Route(
        "POST",
        "/dead-letters/redrive",
        "redriveDeadLetters",
        "Send them again, each to its own queue.",
        letters.redrive,
        {200: "Redriven"},
        needs=(Permission.CONTROL,),
        body=shapes.Redrive,
        refuses=_ABSENT,
    ),
    Route(
        "POST",
        "/dead-letters/{letter}/drop",
        "dropDeadLetter",
        "Drop one for good; the answer says what is lost.",
        letters.drop,
        {200: "DeadLetter"},
        needs=(Permission.CONTROL,),
        body=shapes.Reason,
        refuses=_ABSENT,
    ),
    _get("/stats", "getStats", "How many workflows and runs there are.", calls.stats, "Stats"),
    _callback("succeed", "succeedCallback", "End a waiting attempt with a result.", callbacks.succeed, callbacks.Success),
    _callback("fail", "failCallback", "End a waiting attempt with an error.", callbacks.fail, callbacks.Failure),
    _callback("heartbeat", "beatCallback", "Say that a waiting attempt goes on.", callbacks.heartbeat, callbacks.Beat),
    Route("GET", "/health", "getHealth", "Whether the API answers, and whether the sweeper is on time.", Special.HEALTH, {200: "Health"}),
    Route("GET", "/openapi.json", "getOpenApi", "This document.", Special.OPENAPI, {200: "OpenApi"}),
)
