"""Where notifications of a local engine go: nobody is told, what would have been sent is kept. A test that runs with the
configuration of production calls nobody out of bed."""

from __future__ import annotations

from collections.abc import Callable

from ..notifications import Notification, Undelivered


class Sink(list[Notification]):
    """What was delivered, in order. `failing`: so many deliveries fail first, as if nobody answered. `tells` is given a line for each."""

    def __init__(self) -> None:
        super().__init__()
        self.failing = 0
        self.failed: list[Notification] = []
        self.tells: Callable[[str], None] = lambda line: None

    def __call__(self, told: Notification, /) -> None:
        if self.failing > 0:
            self.failing -= 1
            self.failed.append(told)
            raise Undelivered("nobody answered: this engine was told to fail")
        self.append(told)
        self.tells(f"would tell {told.target.name} by {told.target.webhook or told.target.sns}: {told.subject.removeprefix('treadle: ')}")
