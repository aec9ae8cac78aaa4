"""Effects of the functions and error cases that docs/spec-map.md lists, and the tests that fail without them (mutations.py)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Effect:
    """What `text` of `file` does; with `instead` in its place it is not done, and `test` (FILE::NAME) fails."""

    file: str
    text: str
    instead: str
    test: str

    def taken_away(self) -> str:
        """The whole file. Raises ValueError where the text is not there just once."""
        source = (ROOT / self.file).read_text(encoding="utf-8")
        if source.count(self.text) != 1:
            raise ValueError(f"{self.file} has {self.text!r} {source.count(self.text)} times: say here what it is now")
        return source.replace(self.text, self.instead)


def _spec(module: str, text: str, instead: str, test: str) -> tuple[Effect, ...]:
    return (Effect(f"shared/treadle/{module}.py", text, instead, f"tests/spec/test_spec.py::test_{test}"),)


NEVER = "if False:"
_WRONG = "a_workflow_that_is_wrong_is_told"
_CANNOT = "a_task_that_cannot_be_dispatched_is_refused"
_DISPATCHED = "a_dispatched_task_has_the_lane_the_pool_and_the_retries_it_was_given"
_ENGINE, _PARSING, _STATE = "Engine initialization: ", "Workflow parsing: ", "State management: "
_TASKS, _ERRORS = "Task dispatching: ", "Error handling: "

FUNCTIONS: dict[str, tuple[Effect, ...]] = {
    "initialize_engine": _spec("spec/engines", "priorities=list(LANES)", "priorities=[]", "an_engine_says_what_it_can_do"),
    "parse_workflow": _spec("spec/workflows", "stages=stages(plan.root)", "stages=[]", "a_parsed_workflow_says_what_may_run_when"),
    "update_workflow_state": _spec(
        "spec/workflows",
        "changes, _ = attached.operations.update(",
        "changes, _ = (lambda *a, **b: ([], 0))(",
        "updates_are_told_as_changes",
    ),
    "get_workflow_state": _spec(
        "spec/workflows", 'completed_steps=by_status.get("succeeded", [])', "completed_steps=[]", "the_state_of_a_run_follows_its_steps"
    ),
    "persist_workflow_state": _spec(
        "spec/workflows",
        "kept = attached.operations.checkpoint(attached.tenant, workflow_id)",
        'kept = {"id": ""}',
        "a_persisted_state_can_be_restored_into_a_new_run",
    ),
    "dispatch_task": _spec("spec/tasks", 'changes["priority"] = wanted.priority.value', "pass", _DISPATCHED),
    "cancel_task": _spec("spec/tasks", '{"when": "false"}', "{}", "a_task_that_has_not_begun_can_be_cancelled"),
    "get_task_status": _spec(
        "spec/tasks",
        "TaskStatus(_task(current(engine_id), task_id)[2].status)",
        "TaskStatus.PENDING",
        "a_task_that_has_not_begun_can_be_cancelled",
    ),
    "handle_workflow_error": _spec(
        "spec/errors",
        "next_attempt(step.retry, known, attempt, 1.0)",
        "None",
        "what_becomes_of_an_error_is_what_the_engine_would_do",
    ),
    "recover_from_error": _spec(
        "spec/errors", "operations.retry(tenant,", "(lambda *a, **b: None)(tenant,", "a_failed_run_recovers_from_its_error"
    ),
}

ERROR_CASES: dict[str, tuple[Effect, ...]] = {
    _ENGINE + "configuration validation errors": _spec(
        "config/model", "ge=1, le=MAX_RUNS", "le=MAX_RUNS", "an_engine_that_cannot_be_says_why"
    ),
    _ENGINE + "resource allocation failures": _spec("config/model", "ge=1, le=MAX_RUNS", "ge=1", "an_engine_that_cannot_be_says_why"),
    _ENGINE + "extension loading failures": _spec(
        "config/checks", "if extension.name not in known:", NEVER, "an_engine_that_cannot_be_says_why"
    ),
    _ENGINE + "persistence initialization errors": _spec(
        "spec/engines", "stack.operations.workflows(TENANT, limit=1)", "pass", "an_engine_whose_table_does_not_answer_says_so"
    ),
    _PARSING + "invalid workflow structure": _spec("spec/workflows", "if fault.severity is Severity.ERROR]", "if False]", _WRONG),
    _PARSING + "circular dependency detection": _spec("definition/cycles", "Fault(Code.CYCLE,", "Fault(Code.BAD_VALUE,", _WRONG),
    _PARSING + "missing required fields": _spec("definition/structure", 'case "missing":', 'case "absent":', _WRONG),
    _PARSING + "unsupported workflow patterns": _spec("definition/structure", 'case "extra_forbidden":', 'case "extra":', _WRONG),
    _STATE + "state corruption detection": _spec(
        "spec/workflows", "if broken:", NEVER, "a_state_that_no_engine_can_have_written_is_told_as_corrupt"
    ),
    _STATE + "persistence failures": _spec(
        "spec/workflows",
        "    view = attached.operations.show(attached.tenant, workflow_id, limit=MOST_STEPS)\n",
        "    try:\n        view = attached.operations.show(attached.tenant, workflow_id, limit=MOST_STEPS)\n"
        '    except Exception as lost:\n        raise Corrupted("lost") from lost\n',
        "persistence_that_fails_is_told_wherever_it_is_met",
    ),
    _STATE + "concurrent modification conflicts": _spec(
        "spec/workflows", "patch, expected=expected_etag)", "patch)", "a_state_that_somebody_else_changed_is_not_overwritten"
    ),
    _STATE + "invalid state transitions": _spec(
        "engine/control",
        'if not written.ok and not is_set(change, written.item):\n        raise WrongState(f"run {run.id} is {run.status.value}: it',
        NEVER + '\n        raise WrongState(f"it',
        "a_transition_that_is_none_is_refused",
    ),
    _TASKS + "resource allocation failures": _spec("spec/tasks", "if pool is None:", NEVER, _CANNOT),
    _TASKS + "task scheduling conflicts": _spec("spec/tasks", 'if standing.status not in ("pending", "queued"):', NEVER, _DISPATCHED),
    _TASKS + "timeout violations": _spec("spec/tasks", "if not 0 < wanted.timeout <= longest:", NEVER, _CANNOT),
    _TASKS + "priority queue management errors": _spec(
        "spec/models", '    LOW = "low"\n', '    LOW = "low"\n    URGENT = "urgent"\n', "a_priority_that_is_none_is_refused"
    ),
    _ERRORS + "error classification failures": _spec(
        "spec/models",
        "name: str = Field(min_length=1)\n    message",
        "name: str\n    message",
        "an_error_that_cannot_be_classified_is_refused",
    ),
    _ERRORS + "recovery strategy failures": _spec(
        "spec/errors", 'if step.status != "failed":', NEVER, "there_is_no_recovery_from_what_has_not_failed"
    ),
    _ERRORS + "escalation policy violations": _spec(
        "definition/model",
        "after_attempts: Count",
        "after_attempts: Json",
        "an_escalation_policy_that_could_not_be_followed_is_refused",
    ),
    _ERRORS + "error propagation issues": _spec(
        "engine/waits",
        "return ending.error_in(control) if status is RunStatus.FAILED else",
        "return",
        "an_error_reaches_whoever_waits_for_it",
    ),
}
