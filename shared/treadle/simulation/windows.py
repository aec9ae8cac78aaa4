"""The window of a scope: of all that can happen, the part of which every order is tried.

Before it opens and after it has closed all goes in order, one worker after another, requests first. What it is told by are
patterns of what happened (`dispatcher store.put s#a ended*`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

ALWAYS = "*"
Happened = Sequence[tuple[str, str]]  # (who, what)


@dataclass(frozen=True, slots=True)
class Window:
    """`opens`: once this has happened; `closes`: once one of these has happened after that. `once`: requests are made only after
    this; `wakes`: who stands still goes on only after this. `keep`: messages that are left alone until it opens."""

    opens: str = ALWAYS
    closes: tuple[str, ...] = ()
    once: str = ALWAYS
    wakes: str = ALWAYS
    keep: tuple[str, ...] = ()

    def is_open(self, happened: Happened) -> bool:
        is_open = self.opens == ALWAYS
        for _, what in happened if self.closes or not is_open else ():
            if is_open and any(fnmatchcase(what, pattern) for pattern in self.closes):
                return False
            is_open = is_open or fnmatchcase(what, self.opens)
        return is_open

    def may_ask(self, happened: Happened) -> bool:
        return _has_come_to(self.once, happened)

    def may_wake(self, happened: Happened) -> bool:
        return _has_come_to(self.wakes, happened)

    def leaves_alone(self, body: str, happened: Happened) -> bool:
        is_kept = any(fnmatchcase(body, pattern) for pattern in self.keep)
        return is_kept and not _has_come_to(self.opens, happened)

    def state(self, happened: Happened) -> str:
        """What of the past makes a difference to what may happen next."""
        return f"{self.is_open(happened)} {[_has_come_to(pattern, happened) for pattern in (self.opens, self.once, self.wakes)]}"


def _has_come_to(pattern: str, happened: Happened) -> bool:
    return pattern == ALWAYS or any(fnmatchcase(what, pattern) for _, what in happened)
