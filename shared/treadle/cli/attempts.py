"""Verbs about a single attempt of a step: what it was given, and how it ends where somebody else has it in hand."""

from __future__ import annotations

import sys
from typing import Any

import click

from .exits import Exit
from .options import JSON, json_value, output_option, target_options
from .output import print_json, print_value
from .target import remote


@click.command("task")
@click.argument("run")
@click.argument("step")
@target_options
@output_option()
def show_task(run: str, step: str, form: str, **target: Any) -> None:
    """One STEP by itself: how it stands, its result, the pool whose workers run it, and what its task was seen to need."""
    print_value(form, remote(**target).task(run, step))


@click.command("input")
@click.argument("run")
@click.argument("step")
@target_options
@output_option()
def show_input(run: str, step: str, form: str, **target: Any) -> int:
    """What the latest attempt of STEP was given, on stdout: to be edited, and handed to `decide RUN STEP retry --input @FILE`."""
    found = remote(**target).input_of(run, step)
    if form != "table":
        print_value(form, found)
        return Exit.OK
    if error := found.get("error"):
        click.echo(f"it was given nothing: {error['name']}: {error['message']}; the definition has:", err=True)
        print_json(found["template"])
        return Exit.FAILED
    whose = "a person" if found["from"] == "person" else "the definition"
    click.echo(f"attempt {found['attempt']} of {step}, as {whose} has it", err=True)
    if found["secrets"]:
        names = ", ".join(found["secrets"])
        click.echo(f"*** stands for a secret ({names}): leave it, and it is filled in again", err=True)
    print_json(found["input"])
    return Exit.OK


@click.command
@click.argument("own", metavar="TOKEN")
@click.argument("what", type=click.Choice(["succeed", "fail", "heartbeat"]))
@click.option("--result", "value", type=json_value, metavar=JSON, help="With succeed: the step's result.")
@click.option("--error", metavar="NAME", help="With fail: the error's name.")
@click.option("--message", help="With fail: what happened.")
@click.option("--details", type=json_value, metavar=JSON, help="With fail: whatever else there is to say.")
@click.option("--permanent", "is_permanent", is_flag=True, help="With fail: another attempt would be no use.")
@target_options
@output_option()
def callback(own: str, what: str, form: str, **given: Any) -> None:
    """End the attempt that TOKEN was given for, or say that it goes on. TOKEN: the token or its address; `-`: it is read from stdin."""
    said = {name: given.pop(name) for name in ("value", "error", "message", "details", "is_permanent")}
    body = _body(what, said)
    token = sys.stdin.readline().strip() if own == "-" else own
    answer = remote(**given).callback(token.rstrip("/").rpartition("/")[2], what, body)
    if form == "table":
        click.echo({"succeed": "it has succeeded", "fail": "it has failed", "heartbeat": "it goes on"}[what], err=True)
    else:
        print_value(form, answer)


_TAKES: dict[str, dict[str, str]] = {"succeed": {"value": "output"}, "heartbeat": {},
          "fail": {"error": "name", "message": "message", "details": "details", "is_permanent": "permanent"}}  # fmt: skip


def _body(what: str, said: dict[str, Any]) -> dict[str, Any]:
    takes = _TAKES[what]
    given = {name: value for name, value in said.items() if value not in (None, False)}
    if foreign := [name for name in given if name not in takes]:
        option = {"value": "result", "is_permanent": "permanent"}.get(foreign[0], foreign[0])
        raise click.UsageError(f"--{option} is not for {what}")
    if what == "fail" and "error" not in given:
        raise click.UsageError("fail needs the error's name: --error NAME")
    return {takes[name]: value for name, value in given.items()}


COMMANDS = {"task": show_task, "input": show_input, "callback": callback}
