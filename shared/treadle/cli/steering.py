"""Verbs that steer a run, against a running engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .definitions import sent
from .exits import Exit
from .options import JSON, SOURCE, json_value, output_option, target_options
from .output import print_run
from .target import remote


def _done(form: str, view: dict[str, Any], what: str) -> None:
    if form == "table":
        click.echo(f"{view['id']} {what}; now {view['status']}", err=True)
    else:
        print_run(form, view)


def _plain(verb: str, what: str) -> click.Command:
    """A verb that takes nothing but a run."""

    @click.command(verb)
    @click.argument("run")
    @target_options
    @output_option()
    def command(run: str, form: str, **target: Any) -> None:
        _done(form, remote(**target).act(run, verb), what)

    return command


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
@click.argument("run")
@click.option("--from", "from_step", metavar="STEP", help="Go on from this step instead of those that failed.")
@click.option("--input", "value", type=json_value, metavar=JSON, help="Another input for the run.")
@target_options
@output_option()
def retry(run: str, from_step: str | None, value: Any, form: str, **target: Any) -> None:
    _done(form, remote(**target).act(run, "retry", {"from": from_step, "input": value}), "goes on")


@click.command
@click.argument("run")
@click.argument("file", type=SOURCE)
@click.option("--if-match", "etag", metavar="ETAG", help="Only if the run is still at this version. Default: as it is now.")
@target_options
@output_option()
def amend(run: str, file: Path, etag: str | None, form: str, **target: Any) -> int:
    """Change the steps of RUN that have not begun: FILE is the whole definition as it shall be."""
    engine = remote(**target)
    version = etag or engine.show(run)["etag"]
    view = sent(file, lambda text, media_type: engine.amend(run, text, media_type, version))
    if view is None:
        return Exit.FAILED
    _done(form, view, "amended")
    return Exit.OK


COMMANDS = {
    "signal": signal,
    "approve": _opinion("approve", "approved"),
    "reject": _opinion("reject", "rejected"),
    "decide": decide,
    "pause": _plain("pause", "pauses"),
    "resume": _plain("resume", "goes on"),
    "cancel": _plain("cancel", "is being cancelled"),
    "retry": retry,
    "amend": amend,
}
