"""SQS and EventBridge take ten entries and 1 MiB a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

ENTRIES_PER_CALL = 10
BYTES_PER_CALL = 1_048_576  # an entry alone, and all entries of a call together

T = TypeVar("T")


def batches(entries: Sequence[T], size_bytes: Callable[[T], int]) -> Iterator[list[T]]:
    """In order, as many in a call as fit. Raises ValueError for an entry that fits into none."""
    batch: list[T] = []
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
