"""Verbs about definitions: check them, draw them, print the schemas."""

from __future__ import annotations

import sys
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .exits import Exit
from .options import SOURCE, output_option, tasks_option
from .output import print_json, print_lines

if TYPE_CHECKING:
    from ..definition import Checked, Diagnostic

FORMATS = ("mermaid", "dot", "svg", "html")  # treadle.drawing.FORMATS, known here so that --help imports nothing


@click.command
@click.argument("files", type=SOURCE, nargs=-1, required=True, metavar="FILE...")
@tasks_option
@output_option("sarif", "github")
def validate(files: tuple[Path, ...], tasks: tuple[str, ...], form: str) -> int:
    """Check definitions. Without --tasks any name of a task is taken."""
    known = _tasks(tasks)
    checked = {file: check(file, known) for file in files}
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
        click.echo("valid" if is_valid else "invalid", err=True)  # beside the data, which is empty for a definition without faults
    return Exit.OK if is_valid else Exit.FAILED


@click.command
@click.argument("file", type=SOURCE)
@click.option("--format", "form", type=click.Choice(FORMATS), default="mermaid", show_default=True)
def graph(file: Path, form: str) -> int:
    """Draw the definition in FILE."""
    from ..drawing import draw

    checked = check(file, None)
    if checked.document is None:
        show(file, checked.diagnostics, checked.text, is_error=True)
        return Exit.FAILED
    click.echo(draw(form, checked.document))
    return Exit.OK


@click.command
def schema() -> None:
    from ..definition import schema as of_definitions

    print_json(of_definitions())


@click.command
def openapi() -> None:
    from ..api.openapi import document

    print_json(document())


def check(file: Path, tasks: Container[str] | None) -> Checked:
    """`tasks`: the names that there are; None: any name is taken."""
    from ..cel import Cel
    from ..definition import Checker

    return Checker(tasks, Cel()).check(file)


def show(file: Path, faults: Sequence[Diagnostic], text: str | None, *, is_for_github: bool = False, is_error: bool = False) -> None:
    """As a compiler would: file:line:column, the line of `text`, a caret, a hint."""
    from ..definition.rendering import to_github, to_text

    if is_for_github:
        told = to_github(faults, str(file))
    else:
        told = to_text(faults, text, str(file), colour=(sys.stderr if is_error else sys.stdout).isatty())
    if told:
        click.echo(told, err=is_error)


@contextmanager
def options_in_use() -> Iterator[None]:
    """What is wrong with what `--tasks` and `--config` name is wrong usage, and a sentence."""
    try:
        yield
    except (ImportError, SyntaxError) as fault:
        raise click.UsageError(f"--tasks: {fault}") from None
    except ValueError as fault:
        raise click.UsageError(f"--config: {fault}") from None


def _json(file: Path, checked: Checked) -> list[dict[str, Any]]:
    return [{**found.model_dump(mode="json"), "file": str(file)} for found in checked.diagnostics]


def _tasks(sources: Sequence[str]) -> Container[str] | None:
    if not sources:
        return None
    from ..tasks import Registry

    with options_in_use():
        return Registry.load(*sources)


COMMANDS = {"validate": validate, "graph": graph, "schema": schema, "openapi": openapi}
