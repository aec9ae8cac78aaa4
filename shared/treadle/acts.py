"""What people did to a run: one small item an act, in the run's own partition; its history is told from these and the facts.

Law: the item is written before the act and taken back when the act is refused. So nothing is done to a run that its history
does not tell; where a process died in between, it tells what was asked for and did not come to be.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .core.errors import Conflict, Rejected
from .core.model import SCHEMA, Json
from .engine.items import decode, encode
from .engine.run import Run
from .ports import Item

PREFIX = "act#"


@dataclass(frozen=True, slots=True)
class Act:
    """`verb`: as on the command line. `by`: None where nobody is known. `told`: what was said with it, by name."""

    at: int
    verb: str
    by: str | None
    told: dict[str, Json] = field(default_factory=dict)


@contextmanager
def noted(run: Run, verb: str, by: str | None, **told: Json) -> Iterator[None]:
    """Around an act. What is None is left out."""
    now = run.now
    key = (run.id, f"{PREFIX}{now:015d}#{run.world.new_fence():012x}")
    item: Item = {"pk": key[0], "sk": key[1], "schema": SCHEMA, "at": now, "verb": verb}
    item |= {"by": by} if by is not None else {}
    item |= {"told": encode(said)} if (said := {name: value for name, value in told.items() if value is not None}) else {}
    item |= {"expires": run.control["expires"]} if "expires" in run.control else {}
    run.world.store.put(item)
    try:
        yield
    except (Rejected, Conflict):
        run.world.store.delete(key)
        raise


def of_run(run: Run) -> list[Act]:
    """In the order they were asked for."""
    found: list[Act] = []
    after = None
    while True:
        page = run.world.store.query(run.id, prefix=PREFIX, after=after)
        found += [_act(item) for item in page.items]
        after = page.after
        if after is None:
            return found


def _act(item: dict[str, Any]) -> Act:
    return Act(item["at"], item["verb"], item.get("by"), decode(item["told"]) if "told" in item else {})
