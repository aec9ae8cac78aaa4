"""Coming back to a step at a time. The item is the truth, the message a hint: whoever comes early looks again."""

from __future__ import annotations

from ..ports import Message
from ..topology import MAX_DELAY_S
from .run import Run


def wake(run: Run, key: str, until: int) -> list[Message]:
    """A delayed message, or none where the due index has the item (`claims.due_at`): the sweeper sends it then."""
    wait_ms = max(0, until - run.now)
    if wait_ms > MAX_DELAY_S * 1000:
        return []
    return [run.message("wake", key, delay_s=-(-wait_ms // 1000), plan=run.control["plan"], gen=run.generation)]
