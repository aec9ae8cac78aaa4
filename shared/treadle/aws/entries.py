"""Calls that take ten entries and answer 200 although some were refused: every entry of every answer is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..core.errors import Unavailable

ENTRIES_PER_CALL = 10
BYTES_PER_CALL = 1_048_576  # SQS and EventBridge: an entry, and all entries of a call together
_ATTEMPTS = 3

Entry = dict[str, Any]
Refusals = list[tuple[Entry, str]]  # which entry, and why


def batches(entries: Sequence[Entry], size_bytes: Callable[[Entry], int]) -> Iterator[list[Entry]]:
    """In order, as many in a call as fit. Raises ValueError for an entry that fits into none."""
    batch: list[Entry] = []
    room = BYTES_PER_CALL
    for entry in entries:
        size = size_bytes(entry)
        if size > BYTES_PER_CALL:
            raise ValueError(f"an entry of {size} bytes: at most {BYTES_PER_CALL} can be sent")
        if len(batch) == ENTRIES_PER_CALL or size > room:
            yield batch
            batch, room = [], BYTES_PER_CALL
        batch.append(entry)
        room -= size
    if batch:
        yield batch


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
