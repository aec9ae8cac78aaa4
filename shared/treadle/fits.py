"""What a request has to fit before anything is done: schemas, the engine's own settings, the version that the caller has seen."""

from __future__ import annotations

from typing import Any

from .core.errors import Rejected
from .core.model import Json
from .core.plan import Plan
from .definition.defaults import one_at_a_time, with_error_handling, with_own_concurrency
from .definition.schemas import violations
from .definition.spelling import nearest
from .engine import Settings
from .engine.run import Run

MAX_SIGNAL_NAME = 200  # as in a definition


def completed(settings: Settings, document: dict[str, Any]) -> dict[str, Any]:
    """A definition with what the engine's settings say where it says nothing. Raises Rejected("invalid-definition")."""
    handled = with_error_handling(document, settings.defaults)
    if not settings.one_at_a_time:
        return handled
    if own := sorted(with_own_concurrency(document)):
        told = f"this engine runs one step of a run at a time: no step has a concurrency of its own, as {', '.join(own)} would"
        raise Rejected("invalid-definition", told, status=422)
    return one_at_a_time(handled)


def check_input(plan: Plan, given: Json) -> None:
    """Raises Rejected("invalid-input") with every fault."""
    schema = plan.source.get("input")
    if schema is not None:
        _refuse_unfit(violations(schema, given), f"the input does not fit the schema of {plan.workflow}")


def check_signal(run: Run, name: str, payload: Json) -> list[str]:
    """Against the schema of every step that waits for a signal of this name; what the sender is to be told. Raises
    Rejected("invalid-input"), or "bad-value" for a name that no signal has."""
    if not 0 < len(name) <= MAX_SIGNAL_NAME:
        raise Rejected("bad-value", f"a signal's name has 1 to {MAX_SIGNAL_NAME} characters, not {len(name)}")
    waiting = [step for step in run.plan.steps.values() if step.action == "signal"]
    for step in waiting:
        if step.spec["name"] == name and "schema" in step.spec:
            told = f"the payload does not fit what step {step.id} expects of signal {name}"
            _refuse_unfit(violations(step.spec["schema"], payload), told)
    return _unheard(name, {str(step.spec["name"]) for step in waiting})


def _unheard(name: str, waited_for: set[str]) -> list[str]:
    if name in waited_for:
        return []
    near = nearest(name, sorted(waited_for))
    others = near or (f"its signals are {', '.join(sorted(waited_for)[:5])}" if waited_for else "it waits for no signal")
    return [f"no step of the plan waits for the signal {name} ({others}); it is kept, should an amendment bring such a step"]


def check_version(run: Run, expected: str | None) -> None:
    """`expected`: the version (`etag`) that the caller has seen; None: whichever it is. Raises Rejected("precondition-failed")."""
    if expected is not None and expected != str(run.control["rev"]):
        told = f"run {run.id} is at version {run.control['rev']}, not {expected}: look at it again before you change it"
        raise Rejected("precondition-failed", told, status=412)


def _refuse_unfit(faults: list[tuple[str, str]], what: str) -> None:
    """Raises Rejected("invalid-input") with every fault."""
    if faults:
        place, message = faults[0]
        shown = [{"code": "invalid-input", "severity": "error", "path": at, "message": fault} for at, fault in faults]
        raise Rejected("invalid-input", f"{what}: {message}" + (f" (at {place})" if place else ""), status=422, diagnostics=shown)
