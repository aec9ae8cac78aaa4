"""Verbs about what people are asked, what they asked for, and runs that begin from other runs; against a running engine."""

from __future__ import annotations

from typing import Any

import click

from .exits import Exit
from .options import JSON, again_options, json_value, output_option, target_options
from .output import print_list, print_prospect, print_run, print_table, print_value
from .remote import Remote
from .target import remote


@click.command
@click.option("--kind", type=click.Choice(["approval", "decision"]), help="Only these.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--cursor", help="Where the page before ended.")
@target_options
@output_option()
def approvals(kind: str | None, limit: int, cursor: str | None, form: str, **target: Any) -> None:
    """What you are asked: approvals and decisions about failed steps, newest first."""
    items, after = remote(**target).page("/approvals", kind=kind, limit=limit, cursor=cursor)
    shown = items if form != "table" else [{**item, "about": item.get("message") or _error(item)} for item in items]
    print_list(form, shown, after, ("run", "workflow", "step", "kind", "since", "until", "about"))


def _error(item: dict[str, Any]) -> str:
    error = item.get("error")
    return f"{error['name']}: {error.get('message', '')}" if error else ""


@click.command
@click.argument("run")
@again_options
@target_options
@output_option()
def rerun(run: str, key: str | None, from_step: str | None, value: Any, is_dry: bool, form: str, **target: Any) -> None:
    """A new run with the input and the plan of RUN; `--from STEP`: with the results of what does not come after STEP."""
    _again(remote(**target), ["runs", run, "rerun"], key, from_step, value, is_dry, form)


@click.command
@click.argument("run")
@click.option("--list", "is_listed", is_flag=True, help="Take none; list those that there are.")
@target_options
@output_option()
def checkpoint(run: str, is_listed: bool, form: str, **target: Any) -> None:
    """Keep what RUN has come to, to go on from there some other time."""
    engine = remote(**target)
    if is_listed:
        items, after = engine.page(f"/runs/{run}/checkpoints")
        shown = items if form != "table" else [{**item, "steps": ", ".join(item["steps"])} for item in items]
        print_list(form, shown, after, ("id", "version", "at", "why", "steps"))
        return
    made = engine.once(["runs", run, "checkpoints"], None)
    if form == "table":
        click.echo(made["id"])
        click.echo(f"it has the results of: {', '.join(made['steps']) or 'nothing yet'}", err=True)
    else:
        print_value(form, made)


@click.command
@click.argument("checkpoint")
@again_options
@target_options
@output_option()
def restore(checkpoint: str, key: str | None, from_step: str | None, value: Any, is_dry: bool, form: str, **target: Any) -> None:
    """A new run that goes on from CHECKPOINT; `--from STEP`: and runs STEP and what comes after it again."""
    _again(remote(**target), ["checkpoints", checkpoint, "restore"], key, from_step, value, is_dry, form)


def _again(engine: Remote, parts: list[str], key: str | None, from_step: str | None, value: Any, is_dry: bool, form: str) -> None:
    """A new run from an old one, or what would become of it."""
    if is_dry:
        print_prospect(form, engine.prospect(parts, from_step))
        return
    run = engine.once(parts, key, **{"from": from_step}, input=value)
    if form == "table":
        click.echo(run["id"])
    else:
        print_run(form, run)


@click.command
@click.argument("run")
@click.argument("patch", type=json_value, metavar=JSON)
@click.option("--if-match", "etag", metavar="ETAG", help="Only if the run is still at this version. Default: as it is now.")
@target_options
@output_option()
def update(run: str, patch: Any, etag: str | None, form: str, **target: Any) -> None:
    """Change a run's `attributes`, `metadata` or `status` by a JSON merge patch, such as '{"attributes": {"region": "eu"}}'."""
    engine = remote(**target)
    done = engine.update(run, patch, etag or engine.show(run)["etag"])
    if form != "table":
        print_value(form, done)
    elif done["changes"]:
        print_table(done["changes"], ("path", "before", "after"))
    else:
        click.echo("it was so already", err=True)


@click.command
@click.argument("what", type=click.Choice(["verify"]), required=False)
@click.option("--head", "known", metavar="N:HASH", help="With verify: a head that you kept; the trail has to hold that record.")
@target_options
@output_option()
def audit(what: str | None, known: str | None, form: str, **target: Any) -> int:
    """Who asked for what, from the first record on; `audit verify` checks that no record was changed, removed or moved."""
    from ..audit import Head, fault

    records, head = remote(**target).trail()
    if what is None:
        print_list(form, records, None, ("n", "at", "what", "by", "from", "run", "path"))
        return Exit.OK
    heads = [Head(head["n"], head["hash"]), *([_head(known)] if known else [])]
    found = next((wrong for at in heads if (wrong := fault(records, at))), None)
    if form != "table":
        told = {"n": found.n, "what": found.what, "told": found.told} if found else None
        print_value(form, {"valid": found is None, "records": len(records), "head": head, "fault": told})
    elif found:
        click.echo(f"record {found.n} was {found.what}: {found.told}")
    else:
        click.echo(f"{len(records)} records, none changed, removed or moved; the head is {head['n']}:{head['hash']}")
    return Exit.FAILED if found else Exit.OK


def _head(text: str) -> Any:
    from ..audit import Head

    number, _, name = text.partition(":")
    if not (number.isdecimal() and name):
        raise click.UsageError("--head: give N:HASH, as `treadle audit verify` prints it")
    return Head(int(number), name)


COMMANDS = {
    "approvals": approvals,
    "rerun": rerun,
    "checkpoint": checkpoint,
    "restore": restore,
    "update": update,
    "audit": audit,
}
