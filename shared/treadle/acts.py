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
NOTIFIED = "notified"  # the engine's own: somebody was told of the run, or could not be
ESCALATED, THRESHOLD = "escalate", "threshold"  # its own as well (`engine.escalation`): a rung was reached, too much had failed


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
    item = _item(run, verb, f"{run.world.new_fence():012x}", told) | ({"by": by} if by is not None else {})
    run.world.store.put(item)
    try:
        yield
    except (Rejected, Conflict):
        run.world.store.delete((item["pk"], item["sk"]))
        raise


def note(run: Run, verb: str, identity: str, **told: Json) -> None:
    """Something that was done about the run, after the fact."""
    run.world.store.put(_item(run, verb, identity, told))


def _item(run: Run, verb: str, identity: str, told: dict[str, Json]) -> Item:
    now = run.now
    item: Item = {"pk": run.id, "sk": f"{PREFIX}{now:015d}#{identity}", "schema": SCHEMA, "at": now, "verb": verb}
    item |= {"told": encode(said)} if (said := {name: value for name, value in told.items() if value is not None}) else {}
    return item | ({"expires": run.control["expires"]} if "expires" in run.control else {})


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
