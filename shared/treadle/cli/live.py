"""A run while it runs, on stderr: a table that is drawn again in place on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from typing import Any

import click

from . import is_dumb, without_colours
from .output import COLOURS, duration, mark, seconds_between

UP = "\x1b[{}F"
CLEAR = "\x1b[K"
CLEAR_BELOW = "\x1b[J"
FULL = 40  # rows, where the terminal does not say


class Live:
    """Shown views of one run. `close` leaves the last picture standing."""

    def __init__(self, *, is_quiet: bool = False) -> None:
        self._is_quiet = is_quiet
        self.is_drawing = sys.stderr.isatty() and not is_dumb() and not is_quiet
        self._seen: dict[str, tuple[str, int]] = {}
        self._advice = ""
        self._rows = 0

    def show(self, view: Mapping[str, Any], advice: str = "") -> None:
        """`advice`: a line for as long as it holds."""
        if self._is_quiet:
            return
        if self.is_drawing:
            self._draw(view, advice)
        else:
            self._tell(view, advice)

    def _tell(self, view: Mapping[str, Any], advice: str) -> None:
        for path, step in view["steps"].items():
            now = (step["status"], step.get("attempts") or 0)
            if self._seen.get(path) != now and step["status"] != "pending":
                click.echo(_line(path, step, max(map(len, view["steps"]))), err=True)
            self._seen[path] = now
        if advice and advice != self._advice:
            click.echo(advice, err=True)
        self._advice = advice

    def _draw(self, view: Mapping[str, Any], advice: str) -> None:
        size = shutil.get_terminal_size((100, FULL))
        lines = [*_picture(view, size.lines - 2 - bool(advice)), *([advice] if advice else [])]
        begun = UP.format(self._rows) if self._rows else ""
        if without_colours():
            lines = [click.unstyle(line) for line in lines]
        drawn = "".join(f"{_cut(line, size.columns)}{CLEAR}\n" for line in lines)
        click.echo(begun + drawn + CLEAR_BELOW, err=True, nl=False, color=True)  # the cursor moves also without colours
        self._rows = len(lines)


def _picture(view: Mapping[str, Any], room: int) -> list[str]:
    """The run and its steps; where there is no room for all, those that have ended well are only counted."""
    steps = view["steps"]
    status = click.style(view["status"], COLOURS.get(view["status"]), bold=True)
    done = sum(step["status"] in ("succeeded", "skipped") for step in steps.values())
    head = f"{view['workflow']} {status}  {done}/{len(steps)} steps"
    if len(steps) + 1 > room:
        steps = {path: step for path, step in steps.items() if step["status"] not in ("succeeded", "skipped", "pending")}
    width = max(map(len, steps), default=0)
    return [head, *(_line(path, step, width) for path, step in list(steps.items())[: room - 1])]


def _line(path: str, step: Mapping[str, Any], width: int) -> str:
    parts = [mark(step["status"]), path.ljust(width), click.style(step["status"].ljust(9), COLOURS.get(step["status"]))]
    if step.get("startedAt") and step.get("endedAt"):
        parts.append(duration(seconds_between(step["startedAt"], step["endedAt"])))
    if (step.get("attempts") or 0) > 1:
        parts.append(f"attempt {step['attempts']}")
    if step.get("error"):
        parts.append(f"{step['error']['name']}: {_plain(step['error'].get('message', ''))}")
    elif step.get("why"):
        parts.append(_plain(step["why"]))
    return " ".join(parts).rstrip()


def _plain(text: str) -> str:
    """A task's words cannot speak to the terminal."""
    return "".join(char if char.isprintable() else " " for char in text)[:200]


def _cut(line: str, columns: int) -> str:
    """The first `columns` characters that are seen; colours take no room."""
    seen, at = 0, 0
    while at < len(line) and seen < columns:
        if line[at] == "\x1b":
            at = line.index("m", at) + 1
        else:
            seen, at = seen + 1, at + 1
    return line if at >= len(line) else line[:at] + "\x1b[0m"
