"""What people see: tables, lines while a run goes on, how fast `--help` is there."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from treadle.cli import VERBS, live, output
from treadle.cli.exits import Exit, of_run
from treadle.cli.live import Live

from tests.api.fakes import view
from tests.cli.conftest import Call


class Terminal(io.StringIO):
    encoding = "utf-8"  # type: ignore[assignment]  # StringIO has none

    def isatty(self) -> bool:
        return True


def moved(status: str, **step: Any) -> dict[str, Any]:
    shown = view("r1", "running")
    shown["steps"]["charge"] |= {"status": status, **step}
    return shown


def test_help_lists_every_verb(call: Call) -> None:
    result = call("--help")
    assert result.status == 0
    assert all(f"\n  {verb} " in result.out for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(call: Call, verb: str) -> None:
    result = call(verb, "--help")
    assert result.status == 0
    assert "Usage: treadle" in result.out


def test_every_verb_is_on_its_page() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/cli.md").read_text()
    assert [verb for verb in VERBS if not re.search(rf"`{verb}[ `]", page)] == []


def test_what_nobody_foresaw_is_a_sentence_too() -> None:
    program = "import sys\nfrom treadle import cli\nsys.argv = ['treadle', 'x']\ncli.status_of = lambda arguments: 1 // 0\ncli.main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "this should not have happened: ZeroDivisionError" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_a_terminal_cannot_show_is_shown_by_its_number() -> None:
    program = "import click\nfrom treadle import cli\ncli.status_of = lambda arguments: click.echo('\u65e5 \xe9') or 0\ncli.main()"
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"\\u65e5 \xe9\n", b"")


def test_help_imports_nothing_that_is_slow() -> None:
    heavy = [
        "boto3",
        "botocore",
        "pydantic",
        "yaml",
        "jsonschema",
        "moto",
        "treadle.definition",
        "treadle.local",
        "treadle.api",
        "http.client",
    ]
    program = f"""
import sys
from treadle.cli import status_of
status = status_of(["--help"])
sys.exit([name for name in {heavy!r} if name in sys.modules] or status)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_run_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_run("table", view("r1", "failed"))
    out = capsys.readouterr().out
    assert "failed after 2m 5s" in out
    assert "CardDeclined: no money (step charge)" in out
    assert out.splitlines()[-1].split() == ["charge", "succeeded", "2", '{"ok":true}']


def test_cells_cannot_speak_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table([{"a": "\x1b[31mred\x07\nnext"}], ["a"])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert len(out.splitlines()) == 2


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0ms"), (0.12, "120ms"), (3.44, "3.4s"), (125, "2m 5s"), (3720, "1h 2m"), (3 * 86400 + 4 * 3600, "3d 4h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert output.duration(seconds) == text


@pytest.mark.parametrize(("status", "code"), [("succeeded", 0), ("failed", 1), ("timedOut", 1), ("cancelled", 5)])
def test_how_a_run_ended_is_the_exit_status(status: str, code: int) -> None:
    assert of_run(status) == Exit(code)


def test_away_from_a_terminal_each_change_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Live()
    for seen in (moved("pending"), moved("running", attempts=1), moved("running", attempts=1), moved("succeeded", attempts=1)):
        shown.show(seen)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[2] for line in lines] == ["running", "succeeded"]


def test_on_a_terminal_the_picture_is_drawn_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    shown = Live()
    shown.show(moved("running"))
    shown.show(moved("succeeded"))
    assert terminal.getvalue().count(live.UP.format(2)) == 1
    assert "order" in terminal.getvalue()


def test_a_picture_that_shrinks_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("LINES", "6")
    many = view("r1")
    step = many["steps"]["charge"]
    shown = Live()
    shown.show({**many, "steps": {f"s{at}": {**step, "status": "running"} for at in range(9)}}, "waiting: you")
    shown.show({**many, "steps": {f"s{at}": {**step, "status": "succeeded"} for at in range(9)}})
    first, last = terminal.getvalue().split(live.UP.format(4))
    assert "waiting: you" in first
    assert len(last.splitlines()) == 2
    assert last.endswith(f"\n{live.CLEAR_BELOW}")


def test_advice_is_said_once_away_from_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Live()
    for seen in (moved("running"), moved("waiting"), moved("waiting")):
        shown.show(seen, "waiting: you" if seen["steps"]["charge"]["status"] == "waiting" else "")
    assert capsys.readouterr().err.count("waiting: you") == 1


def test_a_cursor_can_be_pasted_into_a_shell(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_list("table", [{"id": "a"}], "order|2026#x", ["id"])
    assert capsys.readouterr().err == "there are more: --cursor 'order|2026#x'\n"


def test_an_empty_list_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_list("table", [], None, ["id"])
    assert capsys.readouterr().err == "there are none\n"


def test_a_picture_never_needs_more_room_than_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("LINES", "10")
    monkeypatch.setenv("COLUMNS", "40")
    many = view("r1")
    many["steps"] = {f"notify[{at}]": {**many["steps"]["charge"], "status": "running", "why": "w" * 100} for at in range(500)}
    Live().show(many)
    lines = terminal.getvalue().splitlines()
    assert len(lines) <= 10
    assert all(len(_plain(line)) <= 40 for line in lines)


def _plain(line: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line)
