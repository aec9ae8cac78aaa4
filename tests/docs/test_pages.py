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

import pytest
from treadle.cel import Cel
from treadle.definition import Checker

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
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
