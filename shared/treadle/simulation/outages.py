"""An AWS service that is away for a while: every call of one port answers an error, from some call on, for so long.

Nothing may be lost by it: no dead letter, no attempt taken for lost, and the result is the one of a quiet day (`rest.check`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from ..ports import Clock
from .faults import Kind

PORTS: Final = ("store", "lanes", "bus", "blobs")


@dataclass
class Outage:
    """`port` is one of PORTS, `begins` the number of the first call behind which it is away. `clock`: the simulation's, given by it."""

    port: str
    begins: int
    lasts_ms: int
    fired: Counter[tuple[str, Kind]] = field(default_factory=Counter)
    clock: Clock | None = None
    ends_at: int | None = None

    @classmethod
    def parse(cls, text: str) -> Outage:
        """`bus:12:3600`: the bus, from call 12 on, for an hour. Raises ValueError."""
        port, begins, seconds = text.split(":")
        if port not in PORTS:
            raise ValueError(f"{port} is none of {', '.join(PORTS)}")
        return cls(port, int(begins), int(seconds) * 1000)

    def __str__(self) -> str:
        return f"{self.port}:{self.begins}:{self.lasts_ms // 1000}"

    def at(self, number: int, site: str) -> Kind | None:
        now = self.clock.now() if self.clock else 0
        if self.ends_at is None and number >= self.begins:
            self.ends_at = now + self.lasts_ms
        is_over = self.ends_at is None or now >= self.ends_at
        if is_over or site.partition(" ")[2].partition(".")[0] != self.port:
            return None
        self.fired[site, Kind.THROTTLED] += 1
        return Kind.THROTTLED
