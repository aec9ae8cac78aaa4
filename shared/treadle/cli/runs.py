"""Verbs that start runs and look at them, against a running engine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from .definitions import sent
from .exits import Exit, of_run
from .live import Live
from .options import DEFINITION, input_option, output_option, pair, target_options, timeout_option
from .output import print_json, print_lines, print_list, print_run, print_table, print_value
from .remote import Remote, changes, is_final
from .target import remote
from .telling import shortened, told

LOOK_EVERY_S = 0.5


@click.command
@click.argument("file", type=DEFINITION)
@target_options
@output_option()
def submit(file: Path, form: str, **target: Any) -> int:
    """Register the definition in FILE (`-`: stdin). The same content again changes nothing."""
    engine = remote(**target)
    made = sent(file, engine.register)
    if made is None:
        return Exit.FAILED
    if form == "table":
        click.echo(f"{made['id']} {made['version']} {'registered' if made['created'] else 'was registered before'}")
    else:
        print_value(form, made)
    return Exit.OK


@click.command
@click.argument("workflow")
@input_option
@click.option("--version", help="Default: the newest.")
@click.option("--attribute", "attributes", type=pair, metavar="NAME=VALUE", multiple=True, help="A search attribute. May be repeated.")
@click.option("--priority", type=click.Choice(["low", "normal", "high", "critical"]))
@click.option("--key", help="Idempotency key: the same key and input again give the same run.")
@click.option("--watch", "is_followed", is_flag=True, help="Follow it to its end.")
@timeout_option
@target_options
@output_option()
def start(
    workflow: str,
    value: Any,
    version: str | None,
    attributes: tuple[tuple[str, Any], ...],
    priority: str | None,
    key: str | None,
    is_followed: bool,
    timeout_s: float | None,
    form: str,
    **target: Any,
) -> int:
    engine = remote(**target)
    run = engine.start(workflow, value, key=key, version=version, attributes=dict(attributes) or None, priority=priority)
    if is_followed:
        click.echo(f"run {run['id']}", err=True)
        return _follow(engine, run["id"], form, timeout_s)
    if form == "table":
        click.echo(run["id"])
    else:
        print_run(form, run)
    return Exit.OK


@click.command
@click.option("--workflow", help="Only this workflow's.")
@click.option("--status", help="Only those with this status.")
@click.option(
    "--attribute",
    "attributes",
    type=pair,
    metavar="NAME=VALUE",
    multiple=True,
    help="Only with this search attribute.",
)
@click.option("--started-after", metavar="TIME", help="Such as 2026-11-23T00:00:00Z.")
@click.option("--started-before", metavar="TIME")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--cursor", help="Where the page before ended.")
@target_options
@output_option()
def runs(
    workflow: str | None,
    status: str | None,
    attributes: tuple[tuple[str, Any], ...],
    started_after: str | None,
    started_before: str | None,
    limit: int,
    cursor: str | None,
    form: str,
    **target: Any,
) -> None:
    by_attribute = {f"attribute.{name}": str(value).lower() if isinstance(value, bool) else value for name, value in attributes}
    items, after = remote(**target).runs(
        workflow=workflow,
        status=status,
        startedAfter=started_after,
        startedBefore=started_before,
        limit=limit,
        cursor=cursor,
        **by_attribute,
    )
    print_list(form, items, after, ("id", "workflow", "version", "status", "startedAt", "endedAt"))


@click.command
@click.argument("run")
@click.option("--full", is_flag=True, help="Large payloads in place, not as references.")
@click.option("--cursor", help="The next page of steps.")
@target_options
@output_option()
def show(run: str, full: bool, cursor: str | None, form: str, **target: Any) -> None:
    engine = remote(**target)
    print_run(form, engine.show(run, full=full, cursor=cursor))
    if form == "table":
        kept, _ = engine.page(f"/runs/{run}/checkpoints")
        if kept:
            many = "a checkpoint" if len(kept) == 1 else f"{len(kept)} checkpoints, the last"
            click.echo(f"it has {many} of {kept[-1]['at']} ({kept[-1]['why']}): treadle checkpoint {run} --list", err=True)


@click.command
@click.argument("run")
@timeout_option
@target_options
@output_option()
def watch(run: str, timeout_s: float | None, form: str, **target: Any) -> int:
    return _follow(remote(**target), run, form, timeout_s)


@click.command
@click.argument("run")
@click.option("--all", "is_whole", is_flag=True, help="Each item of long loops as well, not only those that failed.")
@target_options
@output_option()
def history(run: str, is_whole: bool, form: str, **target: Any) -> None:
    items = remote(**target).history(run)
    if form == "json":
        print_json(items)
    elif form == "jsonl":
        print_lines(items)
    else:
        shown = items if is_whole else shortened(items)
        lines = [{"at": item["at"], "path": item["path"], "what": told(item)} for item in shown]
        print_table(lines, ("at", "path", "what"), whole="what")
        if len(shown) < len(items):
            click.echo(f"{len(items) - len(shown)} lines of items that did well are left out: --all", err=True)


def _follow(engine: Remote, run: str, form: str, timeout_s: float | None) -> int:
    """To its end; the status to exit with. Lines of `jsonl` are the views as they change."""
    live = Live(is_quiet=form == "jsonl")
    ends_at = time.monotonic() + timeout_s if timeout_s is not None else None
    view: dict[str, Any] = {}
    for view in changes(engine, run, lambda: _has_waited(ends_at)):
        live.show(view)
        if form == "jsonl":
            print_lines([view])
    if form != "jsonl":
        print_run(form, view, with_steps=not live.is_drawing)
    return of_run(view["status"]) if is_final(view) else Exit.TIMEOUT


def _has_waited(ends_at: float | None) -> bool:
    """Waits until it is time to look again; False where the time is up."""
    left = LOOK_EVERY_S if ends_at is None else ends_at - time.monotonic()
    if left <= 0:
        return False
    time.sleep(min(LOOK_EVERY_S, left))
    return True


COMMANDS = {"submit": submit, "start": start, "runs": runs, "show": show, "watch": watch, "history": history}
