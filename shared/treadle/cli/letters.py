"""The verb `dlq`: messages that were delivered too often, and what is to become of them; against a running engine."""

from __future__ import annotations

from typing import Any

import click

from .exits import Exit
from .options import output_option, reason_option, target_options
from .output import duration, print_list, print_value
from .target import remote

_LINES = (("queue", "queue"), ("kind", "kind"), ("run", "run"), ("path", "step"), ("what", "what"), ("why", "why"),
          ("receives", "received"), ("sentAt", "sent at"), ("diedAt", "given up at"), ("lost", "if dropped"))  # fmt: skip


@click.group
def dlq() -> None:
    """Messages that were given up after too many deliveries. Nothing is lost by it until you drop one."""


def _filters(command: Any) -> Any:
    for option in (
        click.option("--run", metavar="RUN", help="Only those of this run."),
        click.option("--queue", metavar="NAME", help="Only those of this queue: lane-normal, completions, errors, submissions and so on."),
    ):
        command = option(command)
    return command


@dlq.command("list")
@_filters
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@click.option("--cursor", help="Where the page before ended.")
@target_options
@output_option()
def list_letters(run: str | None, queue: str | None, limit: int, cursor: str | None, form: str, **target: Any) -> None:
    """What was given up, newest first: whose it is, why, how often it was received, and how long ago."""
    items, after = remote(**target).page("/dead-letters", run=run, queue=queue, limit=limit, cursor=cursor)
    shown = items if form != "table" else [{**item, "step": item["path"], "age": duration(item["ageSeconds"])} for item in items]
    print_list(form, shown, after, ("id", "queue", "kind", "run", "step", "receives", "age", "why"))


@dlq.command()
@click.argument("letter")
@target_options
@output_option()
def show(letter: str, form: str, **target: Any) -> None:
    """One of them, with the message itself, and what would be lost by dropping it."""
    found = remote(**target).dead_letter(letter)
    if form != "table":
        print_value(form, found)
        return
    _tell(found)
    click.echo()
    click.echo(found["body"])


def _tell(found: dict[str, Any]) -> None:
    for name, said in _LINES:
        if found.get(name) is not None:
            click.echo(f"{said:<12}  {found[name]}")


@dlq.command()
@click.argument("letters", nargs=-1)
@_filters
@click.option("--all", "is_all", is_flag=True, help="Every one.")
@target_options
@output_option()
def redrive(letters: tuple[str, ...], run: str | None, queue: str | None, is_all: bool, form: str, **target: Any) -> int:
    """Send LETTERS again, or all of a --run or a --queue: each to its own queue. That is safe at any time: what was done is not done
    twice, and a message for a run that is over changes nothing."""
    if sum((bool(letters), bool(run or queue), is_all)) != 1:
        raise click.UsageError("say which: LETTERS, or --run or --queue, or --all")
    engine = remote(**target)
    sent: list[str] = []
    kept: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        done = engine.redrive(letters=list(letters) or None, run=run, queue=queue, cursor=cursor)
        sent, kept, cursor = [*sent, *done["redriven"]], [*kept, *done["kept"]], done["next"]
        if cursor is None:
            break
    if form == "table":
        click.echo(f"sent again: {len(sent)}", err=True)
        for letter in kept:
            click.echo(f"kept: {letter['why']}", err=True)
    else:
        print_value(form, {"redriven": sent, "kept": kept})
    return Exit.CONFLICT if kept else Exit.OK


@dlq.command()
@click.argument("letter")
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@reason_option
@target_options
@output_option()
def drop(letter: str, is_sure: bool, reason: str | None, form: str, **target: Any) -> None:
    """Drop LETTER for good. It says what is lost by it, and asks."""
    engine = remote(**target)
    if not is_sure:
        found = engine.dead_letter(letter)
        for name, said in _LINES:
            if found.get(name) is not None:
                click.echo(f"{said:<12}  {found[name]}", err=True)
        click.confirm("drop it for good?", abort=True, err=True)
    dropped = engine.drop(letter, reason)
    if form == "table":
        click.echo(f"{letter} dropped; lost by it: {dropped['lost']}", err=True)
    else:
        print_value(form, dropped)


COMMANDS = {"dlq": dlq}
