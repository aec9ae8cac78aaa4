"""Verbs about definitions: check them, draw them, print the schemas."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.errors import Rejected
from .exits import Exit
from .named import options_in_use, tell_tasks
from .options import DEFINITION, config_option, output_option, tasks_option
from .output import print_json, print_lines, print_value

if TYPE_CHECKING:
    from ..definition import Checked, Checker, Diagnostic
    from ..tasks import Registry

STDIN = Path("-")
FORMATS = ("mermaid", "dot", "svg", "html")  # treadle.drawing.FORMATS, known here so that --help imports nothing


@click.command
@click.argument("files", type=DEFINITION, nargs=-1, required=True, metavar="FILE...")
@tasks_option
@config_option
@output_option("sarif", "github")
def validate(files: tuple[Path, ...], tasks: tuple[str, ...], config: Path | None, form: str) -> int:
    """Check definitions. FILE `-` is stdin. Without --tasks any name of a task is taken; without --config what the
    largest Lambda has, and any name of who is told."""
    known = tasks_of(tasks)
    checker = checker_of(known, config)
    checked = {file: check(file, checker) for file in files}
    is_valid = all(result.document is not None for result in checked.values())
    if form == "json":
        print_json({"valid": is_valid, "diagnostics": [found for file, result in checked.items() for found in _json(file, result)]})
    elif form == "jsonl":
        print_lines(found for file, result in checked.items() for found in _json(file, result))
    elif form == "sarif":
        from ..definition.rendering import to_sarif

        print_json(to_sarif([(str(file), result.diagnostics) for file, result in checked.items()], metadata.version("treadle")))
    else:
        for file, result in checked.items():
            show(file, result.diagnostics, result.text, is_for_github=form == "github")
        if known is not None:
            tell_tasks([fault for result in checked.values() for fault in result.diagnostics], known, tasks)
        click.echo("valid" if is_valid else "invalid", err=True)  # beside the data, which is empty for a definition without faults
    return Exit.OK if is_valid else Exit.FAILED


@click.command
@click.argument("file", type=DEFINITION)
@click.option("--format", "form", type=click.Choice(FORMATS), default="mermaid", show_default=True)
def graph(file: Path, form: str) -> int:
    """Draw the definition in FILE; `-` is stdin."""
    from ..drawing import draw

    checked = check(file, checker_of(None, any_size=True))
    if checked.document is None:
        show(file, checked.diagnostics, checked.text, is_error=True)
        return Exit.FAILED
    click.echo(draw(form, checked.document).rstrip("\n"))
    return Exit.OK


@click.command
@output_option()
def schema(form: str) -> None:
    from ..definition import schema as of_definitions

    print_value(form, of_definitions())


@click.command
@output_option()
def openapi(form: str) -> None:
    from ..api.openapi import document

    print_value(form, document())


def checker_of(tasks: Registry | None, config: Path | None = None, *, any_size: bool = False) -> Checker:
    """`tasks`: the names that there are; None: any name is taken. `config`: the pools that there are, and who can be told."""
    from ..cel import Cel
    from ..core.resources import LAMBDA_SIZES, Pool, offered
    from ..definition import Checker

    if config is None:
        pools = (Pool("any", math.inf, sys.maxsize, sys.maxsize),) if any_size else LAMBDA_SIZES
        return Checker(tasks, Cel(), pools)
    from ..config import effects_of, load

    with options_in_use():
        effects = effects_of(load(config).required())
    settings = effects.settings
    return Checker(tasks, Cel(), offered(settings.pools, settings.largest), effects.notified or None)


def check(file: Path, checker: Checker) -> Checked:
    return checker.check(contents(file) if file == STDIN else file)


def contents(file: Path) -> bytes:
    """Of stdin no more than shows that it is too much."""
    if file != STDIN:
        return file.read_bytes()
    from ..definition.document import MAX_BYTES

    return sys.stdin.buffer.read(MAX_BYTES + 1)


def show(file: Path, faults: Sequence[Diagnostic], text: str | None, *, is_for_github: bool = False, is_error: bool = False) -> None:
    """As a compiler would: file:line:column, the line of `text`, a caret, a hint."""
    from ..definition.rendering import to_github, to_text

    if is_for_github:
        told = to_github(faults, str(file))
    else:
        told = to_text(faults, text, str(file), colour=(sys.stderr if is_error else sys.stdout).isatty())
    if told:
        click.echo(told, err=is_error)


def sent(file: Path, send: Callable[[bytes, str], dict[str, Any]]) -> dict[str, Any] | None:
    """What an engine answers to the definition in `file`; None where it refuses it, whose faults are then shown as here."""
    text = contents(file)
    try:
        return send(text, "application/json" if text.lstrip().startswith(b"{") else "application/yaml")
    except Rejected as refused:
        if refused.code != "invalid-definition" or not refused.diagnostics:
            raise
        from ..definition import Diagnostic

        faults = [Diagnostic.model_validate(found) for found in refused.diagnostics]
    show(file, faults, text.decode(errors="replace"), is_error=True)
    return None


def _json(file: Path, checked: Checked) -> list[dict[str, Any]]:
    return [{**found.model_dump(mode="json"), "file": str(file)} for found in checked.diagnostics]


def tasks_of(sources: Sequence[str]) -> Registry | None:
    if not sources:
        return None
    from ..tasks import Registry

    with options_in_use(sources):
        return Registry.load(*sources)


COMMANDS = {"validate": validate, "graph": graph, "schema": schema, "openapi": openapi}
