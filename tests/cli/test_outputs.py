"""Where output goes that is no file and no test: full disks, pipes that nobody reads any more, terminals with and without colours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TREADLE = [sys.executable, "-c", "from treadle.cli import main; main()"]
BAD = "id: w\nname: W\nversion: 1.0.0\nsteps: [{id: a}]\n"


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    file = tmp_path / "bad.yaml"
    file.write_text(BAD)
    return file


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_a_full_disk_is_told_as_what_it_is() -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run([*TREADLE, "schema"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (1, "treadle: the output cannot be written: No space left on device\n")


@pytest.mark.parametrize("verb", ["openapi", "validate"])
def test_who_has_read_enough_is_told_neither_of_success_nor_of_failure(verb: str, bad: Path) -> None:
    """An invalid definition is not fine because nobody read why; a list of which the first line was wanted has not failed."""
    reading, writing = os.pipe()
    os.close(reading)
    arguments = [verb, str(bad)] if verb == "validate" else [verb]
    ended = subprocess.run([*TREADLE, *arguments], stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)

    assert ended.returncode == 141
    assert "should not have happened" not in ended.stderr


def test_without_a_stdout_the_exit_status_says_it(bad: Path) -> None:
    code = f"import os, sys; os.close(1); os.execv(sys.executable, {[*TREADLE, 'validate', str(bad)]!r})"
    ended = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (1, "invalid\n")


@pytest.mark.parametrize(
    ("variables", "has_colours"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
    ],
    ids=["a terminal has", "NO_COLOR", "an empty NO_COLOR is none", "a dumb terminal"],
)
def test_colours(bad: Path, variables: dict[str, str], has_colours: bool) -> None:
    master, terminal = os.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | variables
    subprocess.run([*TREADLE, "validate", str(bad)], stdout=terminal, stderr=subprocess.DEVNULL, env=environment, check=False)
    os.close(terminal)
    said = os.read(master, 4096)
    os.close(master)

    assert b"error" in said
    assert (b"\x1b[" in said) is has_colours
