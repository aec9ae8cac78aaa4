"""Payloads in views of runs: in place, or as references to where they are kept.

What a user sees does not tell how it is stored: a payload of at most SMALL is in place, also where it is an object by itself. An
answer has an end, so that a view reads and carries at most MOST of such objects; what is behind that is shown as it is kept.
"""

from __future__ import annotations

from .core.errors import NotFound
from .core.model import Json
from .engine.items import INLINE_LIMIT, REF, decode, is_ref
from .engine.world import World
from .ports import TooLarge

SMALL = 64 * 1024  # bytes as JSON
MOST = 4 * 1024 * 1024  # bytes; an answer of Lambda's has at most 6 MB


def as_kept(value: Json) -> Json:
    """Nothing is read."""
    return {REF: value[REF]} if is_ref(value) else value


class Payloads:
    """Of one view. `full`: all of them in place, however large."""

    def __init__(self, world: World, *, full: bool) -> None:
        self._world, self._full = world, full
        self._left = MOST
        self._known: dict[str, Json] = {}  # a loop's items often have the same

    def shown(self, value: Json) -> Json:
        """What was removed is shown as kept: what is left of it is its name."""
        if not is_ref(value):
            return value
        try:
            return self._world.load(value) if self._full else self._small(value)
        except NotFound:
            return as_kept(value)

    def _small(self, value: Json) -> Json:
        name = value[REF]
        if name not in self._known:
            self._known[name] = self._read(value) if self._left > 0 else as_kept(value)
        return self._known[name]

    def _read(self, value: Json) -> Json:
        self._left -= INLINE_LIMIT  # a look is not for nothing
        try:
            content = self._world.blobs.get(value[REF].removeprefix("blob:"), most=SMALL)
        except TooLarge:
            return as_kept(value)
        self._left -= max(0, len(content) - INLINE_LIMIT)
        return decode(content.decode())
