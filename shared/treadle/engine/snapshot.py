"""Every step item of a run: off the hot path, for views, compensation and repair."""

from __future__ import annotations

from collections.abc import Iterator

from ..core import paths
from ..core.model import Outcome, State
from ..core.plan import Scope
from ..ports import Item
from .items import is_fact, step_key
from .run import Run


def snapshot(run: Run) -> dict[str, Item]:
    """By key. The root's partition first, then those of every loop that is met."""
    return dict(one_by_one(run))


def one_by_one(run: Run) -> Iterator[tuple[str, Item]]:
    """The same, read as far as it is asked for: of a loop's items no more than one page is held at a time."""
    seen: set[str] = set()
    todo = [step_key(run.id, "x")[0]]
    while todo:
        pk = todo.pop()
        if pk in seen:
            continue
        seen.add(pk)
        items = read_partition(run, pk)
        for key, item in items.items():
            todo += partitions_of(run, key, item)
        yield from items.items()


def failures(run: Run) -> int:
    """How many steps have failed, items of loops included."""
    return sum(is_fact(item) and item["outcome"] in (Outcome.FAILED, Outcome.CAUGHT) for _, item in one_by_one(run))


def read_partition(run: Run, pk: str) -> dict[str, Item]:
    items: dict[str, Item] = {}
    cursor = None
    while True:
        page = run.world.store.query(pk, prefix="s#", after=cursor)
        items |= {item["sk"][2:]: item for item in page.items}
        cursor = page.after
        if cursor is None:
            return items


def partitions_of(run: Run, key: str, item: Item) -> list[str]:
    """Of a loop's items. A repeat tells by its last full page that there may be another."""
    step = run.plan.steps.get(paths.step_id(key))
    if step is None or not step.is_loop:
        return []
    number = paths.index(key)
    if number is None:
        if "fault" in item or (item["state"] == State.ENDED and item["outcome"] in ("bypassed", "dead", "blocked")):
            return []
        pages = -(-item["n"] // paths.PAGE) if "n" in item else 1
        return [step_key(run.id, paths.item(key, page * paths.PAGE))[0] for page in range(max(1, pages))]
    if (number + 1) % paths.PAGE == 0:
        return [step_key(run.id, paths.item(paths.whole(key), number + 1))[0]]
    return []


def archived(run: Run, live: dict[str, Item]) -> list[tuple[int, str, Item]]:
    """(generation, key, item) of what was reopened by a retry. `live`: the snapshot, which knows of loops that ran again."""
    found: list[tuple[int, str, Item]] = []
    seen: set[str] = set()
    todo = [step_key(run.id, "x")[0], *(pk for key, item in live.items() for pk in partitions_of(run, key, item))]
    while todo:
        pk = todo.pop()
        if pk in seen:
            continue
        seen.add(pk)
        for item in _archived_in(run, pk):
            _, generation, key = item["sk"].split("#", 2)
            found.append((int(generation.partition(".")[0]), key, item))
            todo += partitions_of(run, key, item)
    return found


def _archived_in(run: Run, pk: str) -> list[Item]:
    items: list[Item] = []
    cursor = None
    while True:
        page = run.world.store.query(pk, prefix="a#", after=cursor)
        items += page.items
        cursor = page.after
        if cursor is None:
            return items


def scope_at(run: Run, scope_key: str) -> Scope:
    return run.plan.scopes[paths.step_id(scope_key)] if scope_key else run.plan.root
