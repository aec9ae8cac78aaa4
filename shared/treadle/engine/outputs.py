"""What a forEach gives: the outputs of its items in their order, put together as text.

Law: what is in memory grows with that text alone, never with what its values would be as objects: a million of these are more
than a worker has. Chunks are read a few at a time, and their lists are joined without being looked into.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..core import paths
from ..core.model import Json
from ..ports import Item
from .items import REF, chunk_key, decode, encode, is_fact, is_ref, step_key
from .run import Run

MOST_BYTES = 64 * 1024 * 1024  # of a loop's outputs together: a worker holds the text some four times as it is put away
READ_AT_ONCE = 100  # chunks: one call
_REFERS = '{"' + REF + '"'


class TooLarge(Exception):
    """The outputs cannot be held together."""


def collect(run: Run, loop: str, header: Item, *, in_chunks: bool) -> str:
    """The JSON of the list: from what the chunks kept together, if they did, the others from the items' own facts. Raises TooLarge."""
    pieces: list[str] = []
    size = 0
    for piece in _in_order(run, loop, header["n"], in_chunks):
        pieces.append(piece)
        size += len(piece)
        if size > MOST_BYTES:
            told = f"the outputs of all items have more than {MOST_BYTES} bytes together"
            raise TooLarge(f"{told}: let each item put away what is large, and give where it is")
    return f"[{','.join(pieces)}]"


def _in_order(run: Run, loop: str, count: int, in_chunks: bool) -> Iterator[str]:
    """Outputs of one or more items each, as JSON without the list's brackets."""
    at = 0
    for chunk in _chunks(run, loop, count) if in_chunks else ():
        if chunk["low"] >= at:  # else its range was handed out otherwise before, and its last items stand by themselves
            yield from _of_facts(run, loop, at, chunk["low"])
            yield _of_chunk(run, loop, chunk)
            at = chunk["high"]
    yield from _of_facts(run, loop, at, count)


def _chunks(run: Run, loop: str, count: int) -> Iterator[Item]:
    """The ended chunks. One that was shortened says where the next one begins (`high`)."""
    size = run.world.settings.chunk_size
    for first in range(0, count, size * READ_AT_ONCE):
        lows = range(first, min(first + size * READ_AT_ONCE, count), size)
        found = run.world.store.get_many([chunk_key(run.id, loop, low) for low in lows])
        for low in lows:
            chunk, end = found.get(chunk_key(run.id, loop, low)), min(low + size, count)
            while chunk is not None:
                if "outputs" in chunk:
                    yield chunk
                has_next = chunk["low"] < chunk["high"] < end
                chunk = run.world.store.get(chunk_key(run.id, loop, chunk["high"])) if has_next else None


def _of_chunk(run: Run, loop: str, chunk: Item) -> str:
    text = _text(run, chunk["outputs"])
    left = chunk.get("open", ())
    if not left and REF not in text:
        return text[1:-1]
    values: list[Json] = decode(text)
    by_number = dict(enumerate(values, chunk["low"]))
    pieces = {number: encode(run.world.load(value)) for number, value in by_number.items() if number not in left}
    for number in left:
        pieces[number] = next(_of_facts(run, loop, number, number + 1))
    return ",".join(pieces[number] for number in by_number)


def _of_facts(run: Run, loop: str, low: int, high: int) -> Iterator[str]:
    for first in range(low, high, paths.PAGE):
        keys = [step_key(run.id, paths.item(loop, number)) for number in range(first, min(first + paths.PAGE, high))]
        found = run.world.store.get_many(keys)
        for key in keys:
            item = found.get(key)
            yield _text(run, item["output"]) if item is not None and is_fact(item) and "output" in item else "null"


def _text(run: Run, kept: str) -> str:
    """JSON as an item holds it, or as the blob does that it refers to."""
    value: Json = decode(kept) if kept.startswith(_REFERS) else None
    return run.world.blobs.get(value[REF][5:]).decode() if is_ref(value) else kept
