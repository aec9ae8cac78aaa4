"""The same verb for many runs: those that a filter finds, one after another, with how far it has come on stderr."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from ..core.errors import Rejected
from .exits import Exit
from .output import print_table, print_value
from .remote import Remote

TELL_EVERY = 50  # runs

Act = Callable[[str], Mapping[str, Any]]


def each(engine: Remote, filters: Mapping[str, Any], verb: str, act: Act, *, is_sure: bool, form: str) -> int:
    """All are found before the first one is touched: what is done changes which ones match."""
    found = matching(engine, filters)
    if found and not is_sure:
        click.confirm(f"{verb} {len(found)} runs?", abort=True, err=True)
    done: list[str] = []
    refused: list[dict[str, str]] = []
    for run in found:
        try:
            act(run)
            done.append(run)
        except Rejected as refusal:
            refused.append({"run": run, "code": refusal.code, "message": refusal.message})
        if (len(done) + len(refused)) % TELL_EVERY == 0:
            click.echo(f"{len(done) + len(refused)} of {len(found)}", err=True)
    if form == "table":
        _tell_refused(refused)
        click.echo(f"{verb}: {len(done)} of {len(found)} runs", err=True)
    else:
        print_value(form, {"done": done, "refused": refused})
    return Exit.CONFLICT if refused else Exit.OK


def dry(engine: Remote, filters: Mapping[str, Any], verb: str, look: Act, form: str) -> int:
    """What `each` would do: of every run that matches, what `look` says of it."""
    found: list[Mapping[str, Any]] = []
    refused: list[dict[str, str]] = []
    for run in matching(engine, filters):
        try:
            found.append({"run": run, **look(run)})
        except Rejected as refusal:
            refused.append({"run": run, "code": refusal.code, "message": refusal.message})
        if (len(found) + len(refused)) % TELL_EVERY == 0:
            click.echo(f"{len(found) + len(refused)} looked at", err=True)
    if form != "table":
        print_value(form, {"runs": found, "refused": refused})
        return Exit.OK
    columns = tuple(found[0]) if found else ("run",)
    print_table([{name: ", ".join(value) if isinstance(value, list) else value for name, value in one.items()} for one in found], columns)
    _tell_refused(refused)
    click.echo(f"{verb} would be for {len(found)} runs; nothing was done", err=True)
    return Exit.OK


def _tell_refused(refused: list[dict[str, str]]) -> None:
    for one in refused:
        click.echo(f"{one['run']}: {one['message']} [{one['code']}]", err=True)


def matching(engine: Remote, filters: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        items, cursor = engine.runs(**filters, limit=1000, cursor=cursor)
        found += [item["id"] for item in items]
        if cursor is None:
            return found
