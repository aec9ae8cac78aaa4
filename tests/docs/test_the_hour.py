"""The hour of operations is true: its commands are run as they stand, in one shell, against the engine that the page starts.

What is shown below a command has to come out, `...` standing for anything. Whoever only looks looks again until it does.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.docs.test_pages import ROOT, blocks

PAGE = ROOT / "docs/how-to/an-hour-of-operations.md"
LOOKS = re.compile(r"treadle (show|approvals|history|runs|checkpoint \S+ --list)\b")
PATIENCE_S = 60.0


class Shell:
    """One bash for the whole page, so that a variable set in one block is there in the next."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._bash = subprocess.Popen(
            ["bash"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: str) -> tuple[int, str]:
        """(exit status, everything that was printed)."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{command}\nstatus=$?; echo; echo =end= $status\n")
        self._bash.stdin.flush()
        printed = []
        for line in self._bash.stdout:
            if line.startswith("=end= "):
                return int(line.split()[1]), "".join(printed)
            printed.append(line)
        raise AssertionError(f"the shell has gone away:\n{''.join(printed)}")

    def close(self) -> None:
        self._bash.kill()
        self._bash.communicate()


@contextmanager
def engine(folder: Path, environment: dict[str, str]) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """As the page starts it, but on a free port. What it says of itself, and the lines of its terminal."""
    (command,) = [body for _, body in blocks(PAGE, "sh")]
    arguments = [*command.split(), "--port", "0", "-o", "jsonl"]
    started = subprocess.Popen(arguments, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines: list[str] = []
    assert started.stdout is not None
    assert started.stderr is not None
    listener = threading.Thread(target=lambda stream: lines.extend(iter(stream.readline, "")), args=(started.stderr,), daemon=True)
    listener.start()
    try:
        yield json.loads(started.stdout.readline()), lines
    finally:
        started.terminate()
        started.wait(60)
        listener.join(5)
        started.stdout.close()
        started.stderr.close()


@pytest.mark.timeout(400)
def test_the_hour_goes_as_the_page_says(tmp_path: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for _, body in blocks(PAGE, "python", "yaml"):
        (tmp_path / body.removeprefix("# ").split("\n", 1)[0]).write_text(body)
    with engine(tmp_path, environment) as (told, terminal):
        shell = Shell(tmp_path, environment | {"TREADLE_URL": told["url"], "TREADLE_TOKEN": told["token"]})
        try:
            for language, body in blocks(PAGE, "console", "text"):
                if language == "text":
                    until(lambda shown=body: "".join(terminal), pattern_of(body))  # type: ignore[misc]
                else:
                    follow(shell, *body.removeprefix("$ ").split("\n", 1))
        finally:
            shell.close()


def follow(shell: Shell, command: str, shown: str) -> None:
    wanted = pattern_of(shown)
    if LOOKS.match(command):
        until(lambda: shell.run(command)[1], wanted)
        return
    status, printed = shell.run(command)
    assert status == 0, f"$ {command}\n{printed}"
    assert wanted.search(printed), f"$ {command}\n{printed}"


def until(look: Any, wanted: re.Pattern[str]) -> None:
    ends_at = time.monotonic() + PATIENCE_S
    pause = threading.Event()
    while not wanted.search(seen := look()):
        assert time.monotonic() < ends_at, f"this never came:\n{wanted.pattern}\n{seen}"
        pause.wait(0.2)


def pattern_of(shown: str) -> re.Pattern[str]:
    """However wide the columns of a table are, and whatever stands where the page has `...`."""
    pieces = [r"\s+".join(map(re.escape, piece.split())) for piece in shown.split("...")]
    return re.compile(".*".join(pieces), re.DOTALL)
