"""What `--tasks`, `--config` and `--secrets` name. What is wrong with it is wrong usage: a sentence with the place in the
user's own file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from os.path import relpath
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..definition import Diagnostic


class options_in_use:
    """Around what loads them. Whatever the user's own module raised as it was imported is told; other faults pass."""

    def __init__(self, tasks: Sequence[str] = ()) -> None:
        self._tasks = tasks

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        if not isinstance(fault, Exception):
            return
        place = self._place(trace)
        if isinstance(fault, SyntaxError):
            raise click.UsageError(f"--tasks: {_near(str(fault.filename))}:{fault.lineno}: {fault.msg}") from None
        from ..hooks import BrokenHook
        from ..tasks.registry import BrokenTask

        if isinstance(fault, BrokenHook | BrokenTask):
            raise click.UsageError(str(fault)) from None
        if place:
            raise click.UsageError(f"--tasks: {place}: {type(fault).__name__}: {fault}") from None
        if isinstance(fault, ImportError):
            raise click.UsageError(f"--tasks: {fault}") from None
        if isinstance(fault, ValueError):
            raise click.UsageError(f"--config: {fault}") from None

    def _place(self, trace: TracebackType | None) -> str:
        """The innermost line of a module of tasks, or nothing."""
        found = ""
        for frame, line in walk_tb(trace):
            name = str(frame.f_globals.get("__name__", ""))
            if name in self._tasks or name.startswith("treadle_tasks_"):
                found = f"{_near(frame.f_code.co_filename)}:{line}"
        return found


def secrets_in_use(file: Path | None) -> dict[str, Any]:
    """Those of the file, and of the variables TREADLE_SECRET_NAME that the file does not name."""
    from ..definition.reading import read
    from ..local.secrets import from_environment, texts

    found: dict[str, Any] = from_environment(os.environ)
    if file is None:
        return found
    document = read(file)
    if document.faults:
        first = document.diagnose(document.faults)[0]
        raise click.UsageError(f"--secrets: {file}:{first.line}:{first.column}: {first.code}: it cannot be read as JSON or YAML")
    if not isinstance(document.value, dict):
        raise click.UsageError(f"--secrets: {file} is not a map of names and texts")
    try:
        return found | texts(document.value)
    except ValueError as fault:
        raise click.UsageError(f"--secrets: {file}: {fault}") from None


def tell_tasks(faults: Iterable[Diagnostic], tasks: Iterable[str], sources: Sequence[str]) -> None:
    """Where a definition names a task that there is not: those that there are, and where others would come from."""
    if not any(fault.code == "unknown-task" for fault in faults):
        return
    where = f"from {', '.join(sources)}" if sources else "your own come with --tasks FILE"
    click.echo(f"tasks that there are: {', '.join(sorted(tasks))} ({where})", err=True)


def tell_warnings(warnings: Iterable[object]) -> None:
    """Keys of the configuration that have no effect yet."""
    for warning in warnings:
        click.echo(warning, err=True)


def tell_notification(line: str) -> None:
    """Here nobody is told; a deployed engine would have."""
    click.echo(f"treadle: {line}", err=True)


def _near(file: str) -> str:
    """As the user would write it."""
    near = relpath(file)
    return file if near.startswith("..") else near
