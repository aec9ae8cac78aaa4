"""Calls that take ten entries and answer 200 although some were refused: every entry of every answer is looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.errors import Unavailable

_ATTEMPTS = 3

Entry = dict[str, Any]
Refusals = list[tuple[Entry, str]]  # which entry, and why


def deliver(batch: list[Entry], send: Callable[[list[Entry]], Refusals]) -> None:
    """Send, and send again what was refused. Raises Unavailable if something stays refused: the rest was taken."""
    reasons: list[str] = []
    for _ in range(_ATTEMPTS):
        refusals = send(batch)
        if not refusals:
            return
        batch = [entry for entry, _ in refusals]
        reasons = sorted({reason for _, reason in refusals})
    raise Unavailable(f"{len(batch)} entries were refused {_ATTEMPTS} times: {', '.join(reasons)}")
