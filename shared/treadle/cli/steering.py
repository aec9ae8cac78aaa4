"""Verbs that steer a run, against a running engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .definitions import sent
from .exits import Exit
from .many import dry, each
from .options import JSON, SOURCE, json_value, many_options, output_option, reason_option, target_options
from .output import print_prospect, print_run, print_value
from .target import remote


def _done(form: str, view: dict[str, Any], what: str) -> None:
    for warning in view.get("warnings", ()):
        click.echo(f"treadle: {warning}", err=True)
    if form == "table":
        click.echo(f"{view['id']} {what}; now {view['status']}", err=True)
    else:
        print_run(form, view)


def _plain(verb: str, what: str) -> click.Command:
    """A verb that takes nothing but a run."""

    @click.command(verb)
    @click.argument("run")
    @reason_option
    @target_options
    @output_option()
    def command(run: str, reason: str | None, form: str, **target: Any) -> None:
        _done(form, remote(**target).act(run, verb, {"reason": reason}), what)

    return command


@click.command
@click.argument("run")
@click.option("--reason", required=True, help="Why it has to be kept; the audit trail keeps it.")
@target_options
@output_option()
def hold(run: str, reason: str, form: str, **target: Any) -> None:
    """Keep RUN, whatever the engine's data_retention says, until it is released."""
    _done(form, remote(**target).act(run, "hold", {"reason": reason}), "is held")


def _opinion(verb: str, what: str) -> click.Command:
    """`approve` and `reject`: who says it is whose token it is."""

    @click.command(verb)
    @click.argument("run")
    @click.argument("step")
    @click.option("--comment", help="Kept with the decision.")
    @target_options
    @output_option()
    def command(run: str, step: str, comment: str | None, form: str, **target: Any) -> None:
        _done(form, remote(**target).act_on_step(run, step, verb, {"comment": comment}), f"{step} {what}")

    return command


@click.command
@click.argument("run")
@click.argument("name")
@click.option("--payload", type=json_value, metavar=JSON, help="What the waiting step gets as its output.")
@target_options
@output_option()
def signal(run: str, name: str, payload: Any, form: str, **target: Any) -> None:
    _done(form, remote(**target).signal(run, name, payload), f"got the signal {name}")


@click.command
@click.argument("run")
@click.argument("step")
@click.argument("choice", type=click.Choice(["retry", "skip", "fail"]))
@click.option("--input", "value", type=json_value, metavar=JSON, help="With retry: the step's input instead of the one that failed.")
@click.option("--result", "output", type=json_value, metavar=JSON, help="With skip: the step's output.")
@click.option("--reason", help="Kept with the decision.")
@target_options
@output_option()
def decide(run: str, step: str, choice: str, value: Any, output: Any, reason: str | None, form: str, **target: Any) -> None:
    body = {"choice": choice, "input": value, "output": output, "reason": reason}
    _done(form, remote(**target).act_on_step(run, step, "decide", body), f"{step}: {choice}")


@click.command
@click.argument("run", required=False)
@click.option("--step", metavar="STEP", help="Only this step, which has not begun or waits; the run goes on.")
@click.option("--dry-run", "is_dry", is_flag=True, help="With --workflow or --status: only say which runs match.")
@reason_option
@many_options
@target_options
@output_option()
def cancel(
    run: str | None,
    step: str | None,
    is_dry: bool,
    reason: str | None,
    workflow: str | None,
    status: str | None,
    is_sure: bool,
    form: str,
    **target: Any,
) -> int:
    """End RUN, or with --workflow or --status every run that matches."""
    engine = remote(**target)
    if run is None:
        if step is not None:
            raise click.UsageError("--step is of one RUN")
        filters = _filters(workflow, status)
        if is_dry:
            return dry(engine, filters, "cancel", lambda one: {"status": engine.show(one)["status"]}, form)
        return each(engine, filters, "cancel", lambda one: engine.act(one, "cancel", {"reason": reason}), is_sure=is_sure, form=form)
    _refuse_both(workflow, status)
    if is_dry:
        raise click.UsageError("--dry-run is of the runs that --workflow or --status finds")
    if step is not None:
        _done(form, engine.cancel_step(run, step, reason), f"{step} is cancelled")
    else:
        _done(form, engine.act(run, "cancel", {"reason": reason}), "is being cancelled")
    return Exit.OK


@click.command
@click.argument("run", required=False)
@click.option("--from", "from_step", metavar="STEP", help="Go on from this step instead of those that failed.")
@click.option("--input", "value", type=json_value, metavar=JSON, help="Another input for the run.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Only say what would be run again, and which results are kept.")
@reason_option
@many_options
@target_options
@output_option()
def retry(
    run: str | None,
    from_step: str | None,
    value: Any,
    is_dry: bool,
    reason: str | None,
    workflow: str | None,
    status: str | None,
    is_sure: bool,
    form: str,
    **target: Any,
) -> int:
    """Go on with RUN, or with --workflow or --status every run that matches, from the steps that failed."""
    engine = remote(**target)
    body = {"from": from_step, "input": value, "reason": reason}
    if run is None:
        filters = _filters(workflow, status)
        if is_dry:
            return dry(engine, filters, "retry", lambda one: engine.prospect(["runs", one, "retry"], from_step), form)
        return each(engine, filters, "retry", lambda one: engine.act(one, "retry", body), is_sure=is_sure, form=form)
    _refuse_both(workflow, status)
    if is_dry:
        print_prospect(form, engine.prospect(["runs", run, "retry"], from_step))
    else:
        _done(form, engine.act(run, "retry", body), "goes on")
    return Exit.OK


def _filters(workflow: str | None, status: str | None) -> dict[str, str]:
    given = {name: value for name, value in (("workflow", workflow), ("status", status)) if value}
    if not given:
        raise click.UsageError("name a RUN, or say which ones with --workflow or --status")
    return given


def _refuse_both(workflow: str | None, status: str | None) -> None:
    if workflow or status:
        raise click.UsageError("give a RUN or a filter, not both")


@click.command
@click.argument("run")
@click.argument("file", type=SOURCE)
@click.option("--if-match", "etag", metavar="ETAG", help="Only if the run is still at this version. Default: as it is now.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Only say what would be changed.")
@target_options
@output_option()
def amend(run: str, file: Path, etag: str | None, is_dry: bool, form: str, **target: Any) -> int:
    """Change the steps of RUN that have not begun: FILE is the whole definition as it shall be."""
    engine = remote(**target)
    version = etag or engine.show(run)["etag"]
    found = sent(file, lambda text, media_type: engine.difference(run, text, media_type))
    if found is None:
        return Exit.FAILED
    _tell_difference(form if is_dry else "table", found)
    if is_dry:
        return Exit.OK
    view = sent(file, lambda text, media_type: engine.amend(run, text, media_type, version))
    if view is None:
        return Exit.FAILED
    _done(form, view, "amended")
    return Exit.OK


def _tell_difference(form: str, found: dict[str, list[str]]) -> None:
    """For people on stderr: what is asked for is the run."""
    if form != "table":
        print_value(form, found)
        return
    for name, sign, colour in (("added", "+", "green"), ("changed", "~", "yellow"), ("removed", "-", "red")):
        for step in found[name]:
            click.secho(f"{sign} {step}", fg=colour, err=True)
    if not any(found.values()):
        click.echo("no step is another", err=True)


COMMANDS = {
    "signal": signal,
    "approve": _opinion("approve", "approved"),
    "reject": _opinion("reject", "rejected"),
    "decide": decide,
    "pause": _plain("pause", "pauses"),
    "resume": _plain("resume", "goes on"),
    "cancel": cancel,
    "hold": hold,
    "release": _plain("release", "is held by nobody"),
    "retry": retry,
    "amend": amend,
}
