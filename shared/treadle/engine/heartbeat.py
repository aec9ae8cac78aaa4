"""The sweeper's heartbeat: one item that says when it last came by, how long that took, what it sent again, and how late it was.

Whatever is lost is mended by the sweeper, so that it runs is the one thing that nobody mends: it is to be seen from outside. The item
costs a write a minute, and nothing on any step's way. Of two sweepers at once, of two versions even, the last one's word stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .. import __version__
from ..core.errors import Unavailable
from ..core.model import SCHEMA
from ..ports import Item, Key
from ..topology import SWEEP_EVERY_S
from .world import World

KEY: Final[Key] = ("heartbeat", "sweeper")
LATE_MS: Final = 3 * SWEEP_EVERY_S * 1000  # two passes may be missed: a deployment, a throttled moment


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """`at`: when the pass was over. `sent`: messages. `behind_ms`: how long ago the earliest that it found was due; 0: nothing was late.
    `version`: of the engine that the sweeper is of; empty: one that did not say."""

    at: int
    took_ms: int
    sent: int
    behind_ms: int
    version: str = ""

    def is_late(self, now: int) -> bool:
        return now - self.at > LATE_MS


def beat(world: World, began: int, sent: int, earliest_due: int | None) -> None:
    """A pass is over. A heartbeat that cannot be written down is missed by whoever looks, and so is one that never was."""
    pk, sk = KEY
    behind_ms = max(0, began - earliest_due) if earliest_due is not None else 0
    now = world.clock.now()
    item: Item = {"pk": pk, "sk": sk, "schema": SCHEMA, "version": __version__, "at": now}
    item |= {"took_ms": now - began, "sent": sent, "behind_ms": behind_ms}
    store = world.raw
    try:
        store.put(item)
    except Unavailable:
        return  # what was due is sent; to fail now would send it twice


def last(world: World) -> Heartbeat | None:
    """None: the sweeper never came by. Raises Unavailable."""
    store = world.raw
    item = store.get(KEY, consistent=False)
    if item is None:
        return None
    return Heartbeat(item["at"], item["took_ms"], item["sent"], item["behind_ms"], item.get("version", ""))
