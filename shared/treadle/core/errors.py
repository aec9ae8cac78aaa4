"""Errors in three families, by what happens next. They carry fields and write their own sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class TreadleError(Exception):
    """The root of everything that the engine raises on purpose."""


class Rejected(TreadleError):
    """The caller's fault: told at once, never retried. `status` is the HTTP status of the answer."""

    def __init__(self, code: str, message: str, *, status: int = 400, diagnostics: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.diagnostics = list(diagnostics)


class NotFound(Rejected):
    def __init__(self, what: str, name: str, where: str = "") -> None:
        super().__init__("not-found", f"there is no {what} {name}{where and f': {where}'}", status=404)
        self.what = what


class WrongState(Rejected):
    """The run or step is not in a state that allows it."""

    def __init__(self, message: str) -> None:
        super().__init__("wrong-state", message, status=409)


class Conflict(TreadleError):
    """Somebody was faster: read what is there and decide again."""


class Unavailable(TreadleError):
    """The world's fault: let the queue deliver again."""


class Corrupted(TreadleError):
    """A stored item or a message that no version of the engine could have written: it is set aside, not retried for ever."""


class Newer(TreadleError):
    """Written by a newer version of the engine: it goes back to its queue, for a worker of that version."""


class TaskError(Exception):
    """Raised by a task to fail with a name of its own.

    `permanent`: no retry unless a policy names the error. `details`: any JSON, shown with the error.
    """

    def __init__(self, name: str, message: str = "", details: Any = None, permanent: bool = False) -> None:
        super().__init__(message)
        self.name = str(name)
        self.message = str(message)
        self.details = details
        self.permanent = permanent


class ExpressionFault(TreadleError):
    """An expression that cannot be parsed (then `column`, from 1, in its text) or that failed while it was evaluated."""

    def __init__(self, message: str, column: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.column = column
