"""Exit statuses, and how what went wrong becomes one and a sentence."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import click

from ..core.errors import Conflict, Rejected, TreadleError, Unavailable


class Exit(IntEnum):
    OK = 0
    FAILED = 1  # the run failed, or the definition (or the run's input) is invalid
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    CANCELLED = 5
    UNAVAILABLE = 6
    TIMEOUT = 124
    INTERRUPTED = 130
    UNREAD = 141  # a closed pipe, as a shell tells SIGPIPE: neither fine nor failed


_OF_STATUS = {404: Exit.NOT_FOUND, 409: Exit.CONFLICT, 412: Exit.CONFLICT, 422: Exit.FAILED, 429: Exit.UNAVAILABLE}


def of_run(status: str) -> Exit:
    """Of a run that has ended, or that rests until somebody acts."""
    return {"failed": Exit.FAILED, "timedOut": Exit.FAILED, "cancelled": Exit.CANCELLED}.get(status, Exit.OK)


def of_error(error: TreadleError) -> Exit:
    """Says what is wrong on stderr; the status to end with."""
    if isinstance(error, Rejected):
        click.echo(f"treadle: {error.message} [{error.code}]", err=True)
        if len(error.diagnostics) > 1 or not all(_message(only) in error.message for only in error.diagnostics):
            for diagnostic in error.diagnostics:
                click.echo(f"  {one_line(diagnostic)}", err=True)
        return _OF_STATUS.get(error.status, Exit.UNAVAILABLE if error.status >= 500 else Exit.USAGE)
    click.echo(f"treadle: {error}", err=True)
    if isinstance(error, Conflict):
        return Exit.CONFLICT
    return Exit.UNAVAILABLE if isinstance(error, Unavailable) else Exit.FAILED


def _message(diagnostic: Any) -> str:
    return str(diagnostic.get("message")) if isinstance(diagnostic, dict) else str(diagnostic.message)


def one_line(diagnostic: Any) -> str:
    """A diagnostic (a model, or a map from the HTTP API) as one line."""
    if not isinstance(diagnostic, dict):
        return str(diagnostic)
    place = f"{diagnostic['line']}:{diagnostic['column']}: " if diagnostic.get("line") else f"{diagnostic.get('path') or '/'}: "
    hint = f" ({diagnostic['hint']})" if diagnostic.get("hint") else ""
    return f"{place}{diagnostic.get('message')} [{diagnostic.get('code')}]{hint}"
