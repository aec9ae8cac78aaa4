"""What a call of a task comes to: its result, its failure as a value, or that the result comes later."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ..core.errors import TaskError, Unavailable
from ..core.model import Json, StepError
from ..tasks.later import LATER, Answered
from .items import decode, encode
from .results import Done, Failed, Result, Waits

if TYPE_CHECKING:
    from ..tasks.registry import Task, TaskContext
    from .secrecy import Given, Mask

MAX_MESSAGE: Final = 4096  # characters of an error's name, message and details
MOST_CAUSES: Final = 5  # of an error that are told of
MAX_CAUSE: Final = 500  # characters of one
COMES_LATER: Final = Waits({"for": "callback"}, None)  # until the step itself says how long it waits


def outcome(task: Task, given: Given, context: TaskContext) -> Result:
    """Whatever a task raises is the task's: nothing of it stops the engine. Raises Unavailable."""
    try:
        return _checked(task.run(given.value, context), given.mask)
    except Unavailable:
        raise
    except Answered:
        return COMES_LATER
    except (Exception, SystemExit) as raised:
        if not isinstance(raised, TaskError):
            context.logger.warning("task %s failed", task.name, exc_info=raised)
        return Failed(error_of(raised, task, given.mask))


def error_of(raised: BaseException, task: Task, mask: Mask) -> StepError:
    """A task raises names of its own by TaskError, others by the exception's class."""
    causes = [{"name": type(cause).__name__, "message": _short(mask.text(str(cause)))[:MAX_CAUSE]} for cause in _causes(raised)]
    details = {"causes": causes} if causes else None
    if isinstance(raised, TaskError):
        error = bounded(raised, task.permanent, mask)
        return error if error.details is not None else replace(error, details=details)
    name = type(raised).__name__
    return StepError(name, _short(mask.text(str(raised))), details, permanent=name in task.permanent)


def _causes(raised: BaseException) -> list[BaseException]:
    """What led to it, as a traceback tells it: the nearest first."""
    found: list[BaseException] = []
    while len(found) < MOST_CAUSES:
        following = raised.__cause__ or (None if raised.__suppress_context__ else raised.__context__)
        if following is None or following in found:
            break
        found.append(following)
        raised = following
    return found


def bounded(raised: TaskError, permanent: tuple[str, ...] = (), mask: Mask | None = None) -> StepError:
    """`permanent`: names of errors that are. No part of it is longer than an item can hold."""
    is_permanent = bool(raised.permanent) or raised.name in permanent
    name, message, details = raised.name, raised.message, raised.details
    if mask:
        name, message, details = mask.text(name), mask.text(message), mask.json(_plain(details))
    return StepError(_short(name), _short(message), _details(details), is_permanent)


def _short(text: str) -> str:
    text = text.encode(errors="backslashreplace").decode()  # a half of a surrogate pair cannot be kept
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"


def _details(details: Json) -> Json:
    """JSON of a bounded size, or the beginning of its text."""
    plain = _plain(details)
    text = plain if isinstance(plain, str) else encode(plain)
    return plain if len(text) <= MAX_MESSAGE else _short(text)


def _plain(details: Json) -> Json:
    """As JSON holds it, or its text."""
    try:
        encoded = encode(details)
        encoded.encode()
        return decode(encoded)
    except (TypeError, ValueError, RecursionError):
        return repr(details)


def _checked(output: Json, mask: Mask) -> Result:
    """Only JSON leaves a task, and no secret. What it returned itself is let go before it is read anew: it may be a long list."""
    if output is LATER:
        return COMES_LATER
    try:
        encoded = encode(output)
        encoded.encode()  # half of a surrogate pair is no character
    except (TypeError, ValueError, RecursionError) as fault:
        return Failed(StepError("OutputInvalid", f"the task's result is no JSON: {fault}", permanent=True))
    if ("NaN" in encoded or "Infinity" in encoded) and _has_no_json_number(output):
        told = "the task's result has a number that JSON does not know (NaN or Infinity)"
        return Failed(StepError("OutputInvalid", told, permanent=True))
    del output
    return Done(mask.json(decode(encoded)) if mask else decode(encoded))


def _has_no_json_number(value: Json) -> bool:
    match value:
        case float():
            return not math.isfinite(value)
        case dict():
            return any(_has_no_json_number(inner) for inner in value.values())
        case list() | tuple():
            return any(_has_no_json_number(inner) for inner in value)
    return False
