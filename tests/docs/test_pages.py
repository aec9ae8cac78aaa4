"""The pages are true: definitions in them are valid, and the tutorial, followed to the letter, gives what it says.

In the tutorial a block whose first line is `# NAME` is that file; each `$ ` line of a console block is run in a shell, and
what is shown below it has to come out (`...` stands for anything).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from treadle.cel import Cel
from treadle.cli import VERBS, treadle
from treadle.definition import Checker

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?<![\w/-])treadle ([a-z]+)( [^\n`|#$]*)?")
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def blocks(page: Path, *languages: str) -> Iterator[tuple[str, str]]:
    for language, body in FENCE.findall(page.read_text(encoding="utf-8")):
        if language in languages:
            yield language, body


DEFINITIONS = [
    pytest.param(body, id=f"{page.relative_to(ROOT)}:{number}")
    for page in PAGES
    for number, (_, body) in enumerate(blocks(page, "yaml"))
    if re.search(r"^id: ", body, re.MULTILINE) and re.search(r"^steps:", body, re.MULTILINE)
]


@pytest.mark.parametrize("text", DEFINITIONS)
def test_a_definition_on_a_page_is_valid(text: str) -> None:
    """Without a list of tasks any name will do."""
    assert [str(fault) for fault in Checker(None, Cel()).check(text).diagnostics] == []


@pytest.mark.parametrize("page", [*PAGES, *sorted((ROOT / "examples").rglob("*.md"))], ids=lambda page: str(page.relative_to(ROOT)))
def test_each_option_of_a_command_on_a_page_is_there(page: Path) -> None:
    written = [match for match in COMMAND.findall(page.read_text(encoding="utf-8")) if match[0] in VERBS]
    options = {(verb, option) for verb, rest in written for option in re.findall(r"(?<=\s)--[a-z][a-z-]*", rest)}
    assert sorted((verb, option) for verb, option in options if option not in options_of(verb)) == []


def options_of(verb: str) -> set[str]:
    command = treadle.get_command(click.Context(treadle), verb)
    assert command is not None
    commands = [command, *(command.commands.values() if isinstance(command, click.Group) else ())]
    return {"--help", *(option for each in commands for parameter in each.params for option in parameter.opts)}


@pytest.mark.timeout(180)
def test_the_tutorial_works_to_the_letter(tmp_path: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for language, body in blocks(ROOT / "docs/tutorial.md", "python", "yaml", "console"):
        named = re.match(r"# (\w+\.\w+)\n", body)
        if named:
            (tmp_path / named[1]).write_text(body)
        elif language == "console":
            command, shown = body.removeprefix("$ ").split("\n", 1)
            done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
            assert as_pattern(shown).search(done.stdout), f"$ {command}\n{done.stdout}{done.stderr}"


def as_pattern(shown: str) -> re.Pattern[str]:
    return re.compile(r".*".join(re.escape(piece.strip("\n")) for piece in shown.split("...")), re.DOTALL)
