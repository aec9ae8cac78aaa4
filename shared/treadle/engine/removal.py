"""The end of a run's data: a run that has ended is removed when its time is over, unless somebody holds it.

The laws:
- The first write of a removal is the mark on the control item, under the condition that nobody holds the run and that it has not
  been opened again: of a removal, a hold and a retry that meet, one wins. From the mark on the run is not found any more.
- The control item goes last. Whoever dies on the way is followed by one whom the sweeper sends, until there is nothing left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ..core import paths
from ..core.plan import Scope
from ..ports import Absent, AtMost, Change, Item, Key, OneOf, all_of
from . import tolerance
from .checkpoints import LINE, drop_named
from .compensation import undo_page
from .items import cursor_key, join_key, run_key
from .joins import nodes_of
from .loops import ITEMS
from .progress import END, READ_SIBLINGS
from .retention import FINAL, HOLD, MARK
from .run import Run, blobs_of
from .world import World

LATER_MS: Final = 86_400_000
MARGIN_MS: Final = 5_000  # of an invocation: what is left is gone on with by the next delivery


def remove(world: World, run_id: str, deadline: int) -> int | None:
    """All of the run. Returns when to go on with it (ms); None: it is done, or it stays."""
    run = Run(world, run_id)
    found = world.store.get(run_key(run_id))
    if found is None:
        return None
    run.control = found
    if MARK not in found and (_is_awaited(run) or not _marked(run)):
        return None
    for key in _keys(run):
        if world.clock.now() + MARGIN_MS > deadline:
            return world.clock.now()
        world.store.delete(key)
    for name in world.blobs.under(blobs_of(run_id)):
        world.blobs.remove(name)
    world.store.delete(run_key(run_id))
    return None


def _is_awaited(run: Run) -> bool:
    """Its parent has not ended, and may still have to read what came of it: it is looked at again later."""
    parent = run.world.store.get(run_key(run.control["parent"]["run"])) if "parent" in run.control else None
    if parent is None or parent["status"] in FINAL:
        return False
    run.world.store.update(run_key(run.id), Change(set={"due": run.now + LATER_MS}), AtMost("due", run.now))
    return True


def _marked(run: Run) -> bool:
    now = run.now
    its_time_is_over = AtMost("due", now)
    nobody_holds_it = Absent(HOLD)
    change = Change(set={MARK: now}, add={"rev": 1}, remove=("list_pk", "list_sk"))
    written = run.world.store.update(run_key(run.id), change, all_of(OneOf("status", FINAL), its_time_is_over, nobody_holds_it))
    run.control = written.item or run.control
    return written.ok


# ------------------------------------------------------------------------------------------------ what there is of a run


def _keys(run: Run) -> Iterator[Key]:
    """Of all its items but the control item. A partition is read whole before anything of it is given, and those that are found by
    way of it come before it: who begins again finds them again."""
    todo, partitions, seen = [run.id], [], set[str]()
    containers: set[str] = {""}
    while todo:
        pk = todo.pop()
        if pk in seen:
            continue
        seen.add(pk)
        partitions.append(pk)
        for item in _all(run, pk):
            key = _step_of(item["sk"])
            if key is not None:
                todo += _pages(run, key, item)
                containers |= _inside(run, key, item)
    yield from _counted(run, containers)
    yield from reversed([*_cursors(run, seen)])  # the last first: they are found by counting from 0 on
    yield from reversed([*_undone(run)])
    for pk in reversed(partitions):
        for item in list(_all(run, pk)):
            if item["sk"].startswith(LINE) and pk == run.id:
                drop_named(run.world, item["sk"].rpartition("#")[2])
            if item["sk"] != "!":
                yield pk, item["sk"]


def _all(run: Run, pk: str) -> Iterator[Item]:
    after = None
    while True:
        page = run.world.raw.query(pk, after=after)
        yield from page.items
        after = page.after
        if after is None:
            return


def _step_of(sk: str) -> str | None:
    """The key of a step, or of one that a retry has put aside."""
    if sk.startswith("s#"):
        return sk[2:]
    return sk.split("#", 2)[2] if sk.startswith("a#") else None


def _pages(run: Run, key: str, item: Mapping[str, Any]) -> Iterable[str]:
    """Partitions of the items of a loop, or the next one of a repeat that has filled this one."""
    number = paths.index(key)
    if number is not None:
        return [_page(run, paths.whole(key), number // paths.PAGE + 1)] if (number + 1) % paths.PAGE == 0 else []
    step = run.plan.steps.get(paths.step_id(key))
    if not (step.is_loop if step is not None else "n" in item):
        return []
    return [_page(run, key, page) for page in range(max(1, -(-item.get("n", 0) // paths.PAGE)))]


def _page(run: Run, loop: str, page: int) -> str:
    return f"{run.id}#{loop}#{page}"


def _inside(run: Run, key: str, item: Mapping[str, Any]) -> set[str]:
    """The scopes that attempts of a group have opened, and the loop itself: what joins are counted in."""
    step = run.plan.steps.get(paths.step_id(key))
    if step is None:
        return set()
    opened = {paths.inside(key, attempt) for attempt in range(1, item.get("attempt", 1) + 1)} if step.inner is not None else set()
    return opened | ({f"{key}\x00{item['n']}"} if step.is_loop and paths.index(key) is None and "n" in item else set())


def _counted(run: Run, containers: Iterable[str]) -> Iterator[Key]:
    """Nodes of wide joins, in each generation."""
    for container in containers:
        loop, is_loop_, count = container.partition("\x00")
        wide = {ITEMS: int(count)} if is_loop_ else _wide(run, container)
        for name, width in wide.items():
            for generation in range(1, run.generation + 1):
                yield from run.world.store.get_many([join_key(run.id, generation, loop, name, *node) for node in nodes_of(width)])
        if is_loop_:
            yield from run.world.store.get_many(list(tolerance.keys_of(run, loop, int(count))))


def _wide(run: Run, container: str) -> dict[str, int]:
    scope: Scope | None = run.plan.scopes.get(paths.step_id(container)) if container else run.plan.root
    if scope is None:
        return {}
    found = {step.id: len(step.edges) for step in scope.steps.values() if len({edge.source for edge in step.edges}) > READ_SIBLINGS}
    return found | ({END: len(scope.last)} if len(scope.last) > READ_SIBLINGS else {})


def _cursors(run: Run, partitions: Iterable[str]) -> Iterator[Key]:
    """Of the lanes of loops, in each generation: numbered from 0 on."""
    loops = {pk[len(run.id) + 1 :].rpartition("#")[0] for pk in partitions if pk != run.id}
    for loop in loops:
        for generation in range(1, run.generation + 1):
            number = 0
            while run.world.store.get(key := cursor_key(run.id, generation, loop, number)) is not None:
                yield key
                number += 1


def _undone(run: Run) -> Iterator[Key]:
    if run.plan.compensates:
        page = 0
        while items := list(_all(run, undo_page(run.id, page))):
            yield from ((item["pk"], item["sk"]) for item in items)
            page += 1
