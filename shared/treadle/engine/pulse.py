"""What is under way in a part of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

OVERDUE_MS: Final = 90_000  # a message this late is taken for lost
LOOK_AGAIN_MS: Final = 15 * 60_000


@dataclass
class Pulse:
    """What is under way in a part of the run. `moving`: ends by itself; `people`: waits for somebody; `due`: when to look again."""

    moving: int = 0
    undated: int = 0  # of these, how many without a time at which to look again
    people: int = 0
    due: list[int] = field(default_factory=list)

    def __iadd__(self, other: Pulse) -> Pulse:
        self.moving += other.moving
        self.undated += other.undated
        self.people += other.people
        self.due += other.due
        return self

    @property
    def is_still(self) -> bool:
        return not self.moving and not self.people

    def moves(self, at: int | None = None) -> None:
        self.moving += 1
        if at is None:
            self.undated += 1
        else:
            self.due.append(at)
