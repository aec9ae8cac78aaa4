"""Options that several verbs share, and how their values are read."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ..core.durations import parse_duration

Command = TypeVar("Command", bound=Callable[..., Any])


def json_value(text: str) -> Any:
    """JSON, `@FILE` with JSON in it, or `-` for JSON on stdin."""
    given = _text(text)
    what = {"-": "what came on stdin"}.get(text, text[1:] if text.startswith("@") else "it")
    try:
        return json.loads(given, parse_constant=_refuse, object_pairs_hook=_once)
    except json.JSONDecodeError as fault:
        hint = "" if given.strip() else "; it is empty"
        raise click.BadParameter(f"{what} is not JSON: line {fault.lineno}, column {fault.colno}: {fault.msg}{hint}") from None
    except ValueError as fault:
        raise click.BadParameter(f"{what} is not JSON: {fault}") from None


def _text(given: str) -> str:
    if given == "-":
        return sys.stdin.read()
    if not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text(encoding="utf-8")
    except OSError as fault:
        raise click.BadParameter(f"cannot read {given[1:]}: {fault.strerror}") from None
    except UnicodeDecodeError:
        raise click.BadParameter(f"cannot read {given[1:]}: it is not UTF-8") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """As over HTTP: of a key that is twice there nobody knows which value was meant."""
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {json.dumps(next(key for key in keys if keys.count(key) > 1))} is there twice")
    return value


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")


def seconds(text: str) -> float:
    """`500ms`, `30s`, `5m`, `2h`, `PT30S`, or a plain number of seconds."""
    try:
        return float(text) if text.replace(".", "", 1).isdecimal() else parse_duration(text) / 1000
    except ValueError as fault:
        raise click.BadParameter(str(fault)) from None


def pair(text: str) -> tuple[str, Any]:
    """`NAME=VALUE`; a value that is a JSON number or boolean is one."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"`{text}` is not NAME=VALUE")
    try:
        scalar = json.loads(value)
    except ValueError:
        scalar = value
    return name, scalar if isinstance(scalar, str | int | float) else value


JSON = "JSON|@FILE|-"
SOURCE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
DEFINITION = click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True, path_type=Path)  # `-`: stdin


def output_option(*more: str) -> Callable[[Command], Command]:
    """`-o`: a table for people, one JSON value, or one JSON value a line."""
    return click.option(
        "-o",
        "--output",
        "form",
        type=click.Choice(["table", "json", "jsonl", *more]),
        default="table",
        show_default=True,
        help="Form of the data.",
    )


def target_options(command: Command) -> Command:
    """`--url`, `--token`, `--stack`: which engine; gathered into one Target."""
    for option in (
        click.option("--stack", metavar="NAME", envvar="TREADLE_STACK", help="The CloudFormation stack of a deployed engine."),
        click.option("--url", envvar="TREADLE_URL", show_envvar=True, help="An engine's address. Default: the running `treadle dev`."),
        click.option("--token", envvar="TREADLE_TOKEN", show_envvar=True, help="Bearer token."),
    ):
        command = option(command)
    return command


def many_options(command: Command) -> Command:
    """Of a verb that may be for every run that a filter finds."""
    for option in (
        click.option("--workflow", metavar="ID", help="Instead of a RUN: every one of this workflow."),
        click.option("--status", metavar="STATUS", help="Instead of a RUN: every one with this status."),
        click.option("--yes", "is_sure", is_flag=True, help="Do not ask whether so many are meant."),
    ):
        command = option(command)
    return command


def again_options(command: Command) -> Command:
    """Of a verb that begins a new run from another one."""
    for option in (
        click.option("--from", "from_step", metavar="STEP", help="Run this step, and all that comes after it, again."),
        click.option("--input", "value", type=json_value, metavar=JSON, help="Another input for the new run."),
        click.option("--key", help="Idempotency key: the same key again gives the same run."),
        click.option("--dry-run", "is_dry", is_flag=True, help="Only say what would be run, and which results are kept."),
    ):
        command = option(command)
    return command


reason_option = click.option("--reason", help="Kept in the history.")
input_option = click.option("--input", "value", type=json_value, metavar=JSON, default="{}", help="The run's input.")
timeout_option = click.option("--timeout", "timeout_s", type=seconds, metavar="DURATION", help="At most so long; then exit status 124.")
tasks_option = click.option(
    "--tasks", multiple=True, metavar="MODULE_OR_FILE", help="Where tasks are: a Python file or module. May be repeated."
)
config_option = click.option("--config", type=SOURCE, metavar="FILE", help="A `workflow_engine:` file.")
secrets_option = click.option(
    "--secrets", "secrets_file", type=SOURCE, metavar="FILE", help="JSON or YAML: names and texts. Besides: variables TREADLE_SECRET_NAME."
)
