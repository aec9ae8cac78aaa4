"""Data on stdout: a table for people, one JSON value, or one a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from shlex import quote
from typing import Any

import click

from .telling import error_told

COLOURS = {
    "succeeded": "green",
    "failed": "red",
    "timedOut": "red",
    "running": "cyan",
    "queued": "cyan",
    "compensating": "yellow",
    "waiting": "yellow",
    "paused": "yellow",
    "cancelled": "magenta",
    "skipped": "bright_black",
    "pending": "bright_black",
}
STATUSES = ("succeeded", "failed", "running", "waiting", "skipped", "cancelled", "queued", "pending")
MARKS = dict(zip(STATUSES, "✓✗●◔–⊘○·", strict=True))
PLAIN_MARKS = dict(zip(STATUSES, "+x*~-/o.", strict=True))
CELL = 60


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_lines(values: Iterable[Any]) -> None:
    for value in values:
        click.echo(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def print_value(form: str, value: Any) -> None:
    """Indented, or on one line."""
    print_lines([value]) if form == "jsonl" else print_json(value)


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, whole: str = "") -> None:
    """Columns by name; long cells are cut but for those of the column `whole`, statuses coloured."""
    cells = [[_cell(row.get(column), None if column == whole else CELL) for column in columns] for row in rows]
    heads = ["".join(f" {char}" if char.isupper() else char for char in column).upper() for column in columns]
    widths = [max(len(text) for text in column) for column in zip(heads, *cells, strict=True)]
    click.secho("  ".join(head.ljust(width) for head, width in zip(heads, widths, strict=True)).rstrip(), bold=True)
    for line in cells:
        shown = [_coloured(cell) + " " * (width - len(cell)) for cell, width in zip(line, widths, strict=True)]
        click.echo("  ".join(shown).rstrip())


def print_prospect(form: str, found: Mapping[str, Sequence[str]]) -> None:
    """What would be run again, and which results kept."""
    if form != "table":
        print_value(form, found)
        return
    again = [{"step": path, "then": "run again"} for path in found["reopened"]]
    print_table(again + [{"step": path, "then": "kept"} for path in found["kept"]], ("step", "then"))


def print_list(form: str, items: Sequence[Mapping[str, Any]], after: str | None, columns: Sequence[str]) -> None:
    """A page of a list, and on stderr how to get the next one."""
    match form:
        case "json":
            print_json({"items": items, "next": after})
        case "jsonl":
            print_lines(items)
        case _:
            print_table(items, columns)
            if not items:
                click.echo("there are none", err=True)
    if after and form != "json":
        click.echo(f"there are more: --cursor {quote(after)}", err=True)


def print_run(form: str, view: Mapping[str, Any], *, with_steps: bool = True, can_ask: bool = True) -> None:
    """`with_steps`: the table has the steps too; not where they stand above it already. `can_ask`: there is an engine that can
    be asked for more."""
    if form == "table":
        _print_run_for_people(view, with_steps, can_ask)
    else:
        print_value(form, view)


def _print_run_for_people(view: Mapping[str, Any], with_steps: bool, can_ask: bool) -> None:
    click.echo(f"run       {view['id']}")
    click.echo(f"workflow  {view['workflow']} {view['version']}")
    click.echo(f"status    {click.style(view['status'], COLOURS.get(view['status']))}{_took(view)}")
    if error := view.get("error"):
        step = f" (step {error['step']})" if error.get("step") else ""
        click.echo(f"error     {click.style(error['name'], 'red')}: {error.get('message', '')}{step}")
        if can_ask and error.get("input") and error.get("step"):
            click.echo(f"given     treadle input {view['id']} {error['step']}")
    if view.get("compensated") is not None:
        click.echo(f"undone    {'everything' if view['compensated'] else 'not everything'}")
    for letter in view.get("deadLetters", ()):
        about = f" ({letter['path']})" if letter.get("path") else ""
        click.echo(f"given up  a message of {letter['queue']}{about}: {letter['why']}; treadle dlq show {letter['id']}")
    if with_steps:
        click.echo()
        steps = [{"step": path, **step, "says": _says(step)} for path, step in view.get("steps", {}).items()]
        print_table(steps, ("step", "status", "attempts", "says"))
    if view.get("stepsCursor"):
        click.echo(f"there are more steps: --cursor {quote(view['stepsCursor'])}", err=True)
    if view.get("output") is not None:
        click.echo()
        click.secho("OUTPUT", bold=True)
        print_json(view["output"])


def _says(step: Mapping[str, Any]) -> str:
    if step.get("error"):
        return error_told(step["error"])
    if step.get("why"):
        return str(step["why"])
    return "" if step.get("output") is None else json.dumps(step["output"], ensure_ascii=False, separators=(",", ":"))


def _took(view: Mapping[str, Any]) -> str:
    if not (view.get("startedAt") and view.get("endedAt")):
        return ""
    return f" after {duration(seconds_between(view['startedAt'], view['endedAt']))}"


def seconds_between(start: str, end: str) -> float:
    from datetime import datetime

    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def duration(seconds: float) -> str:
    """For people: `120ms`, `3.4s`, `2m 5s`, `1h 2m`, `3d 4h`."""
    if seconds < 60:
        return f"{seconds * 1000:.0f}ms" if seconds < 1 else f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days}d {hours}h" if days else f"{hours}h {minutes}m" if hours else f"{minutes}m {rest}s"


def mark(status: str) -> str:
    """One character for a status, such as the terminal can show."""
    marks = MARKS if "utf" in (sys.stderr.encoding or "").lower() else PLAIN_MARKS
    return click.style(marks.get(status, "?"), COLOURS.get(status))


def _coloured(cell: str) -> str:
    return click.style(cell, COLOURS[cell]) if cell in COLOURS else cell


def _cell(value: Any, most: int | None) -> str:
    text = "" if value is None else str(value)
    text = "".join(char if char.isprintable() else " " for char in text)  # no cell breaks the table or speaks to the terminal
    return text if most is None or len(text) <= most else text[: most - 1] + "…"
