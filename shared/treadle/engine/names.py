"""What an expression may see: the names of language page section 4, bound to what has happened so far.

Only the facts that the expression's step names are read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..core import paths
from ..core.advance import Fact
from ..core.errors import Conflict
from ..core.expressions import Later
from ..core.model import Json
from ..core.moments import rfc3339
from ..ports import Item
from .items import decode, is_ref, step_key
from .run import Run

ANEW = "anew"  # on the run: a person had one of its loops tried anew


def names(run: Run, key: str, *, seen: Iterable[str] | None = None) -> dict[str, Any]:
    """For the expressions of the step at `key`. `seen`: the sources that its join `any` or N saw; None: as its item says."""
    step = run.step(key)
    named = step.named if paths.index(key) is None else step.item_named
    bound: dict[str, Any] = {}
    if "input" in named.roots:
        bound["input"] = run.input
    if "run" in named.roots:
        bound["run"] = about(run)
    if "steps" in named.roots:
        bound["steps"] = steps_seen(run, paths.scope(key), named.steps, key, but=step.id, seen=seen)
    if named.roots & {"item", "index", "iteration", "previous"}:
        bound |= loop_names(run, key)
    return bound


def about(run: Run) -> dict[str, Json]:
    control = run.control
    return {"id": run.id, "workflow": control["workflow"], "version": control["version"], "startedAt": rfc3339(control["started_at"])}


def steps_seen(
    run: Run, scope_key: str, reads: Iterable[str], of: str, *, but: str = "", seen: Iterable[str] | None = None
) -> dict[str, Any]:
    """`steps`: each named step of this scope or one around it; null for one that was not seen. `of`: the key of the step whose
    expressions these are, or of the group whose output it is; "" for the run's."""
    wanted = {name: key for name in _expand(run, scope_key, reads) if name != but and (key := visible(run, scope_key, name)) is not None}
    found = run.find_facts(wanted.values())
    never = {"output": None, "outcome": "skipped", "error": None, "attempts": 0}  # of a stopping scope: it will not start any more
    unseen = _unseen(run, of, wanted, seen)
    return {name: None if name in unseen else as_seen(run, found[key]) if key in found else never for name, key in wanted.items()}


def _unseen(run: Run, key: str, named: Collection[str], seen: Iterable[str] | None) -> set[str]:
    """Those that a join `any` or N did not see: its sources are null for the whole step, and for what is inside of it."""
    unseen: set[str] = set()
    at, saw = key, seen
    while at:
        step = run.step(at)
        sources = set() if step.join in ("all", "done") else {edge.source for edge in step.edges}.intersection(named)
        if sources:
            saw = saw if saw is not None else _header(run, at if paths.index(at) is None else paths.whole(at)).get("saw")
            unseen |= sources.difference(sources if saw is None else saw)
        scope_key = paths.scope(at)
        at, saw = paths.owner(scope_key)[0] if scope_key else "", None
    return unseen


def _expand(run: Run, scope_key: str, reads: Iterable[str]) -> list[str]:
    """`*` (a step named by a value) stands for every step that can be seen."""
    listed = list(reads)
    if "*" not in listed:
        return listed
    every = list(listed)
    at = scope_key
    while True:
        every += list((run.plan.scopes[paths.step_id(at)] if at else run.plan.root).steps)
        if not at:
            return [name for name in dict.fromkeys(every) if name != "*"]
        at = paths.scope(paths.owner(at)[0])


def visible(run: Run, scope_key: str, name: str) -> str | None:
    """The key of step `name` as seen from inside `scope_key`: there, or in a scope around it."""
    home = run.plan.scope_of.get(name)
    at = scope_key
    while home is not None:
        if (paths.step_id(at) if at else "") == home.id:
            return paths.join(at, name)
        if not at:
            return None
        at = paths.scope(paths.owner(at)[0])
    return None


def as_seen(run: Run, fact: Fact) -> Mapping[str, Json]:
    error = {"name": fact.error.name, "message": fact.error.message} if fact.error else None
    known: dict[str, Json] = {"outcome": fact.outcome.status.value, "error": error, "attempts": fact.attempts}
    if is_ref(fact.output):
        return Later(known, "output", lambda: run.output_of(fact))
    return known | {"output": fact.output}


def loop_names(run: Run, key: str) -> dict[str, Json]:
    """`item` and `index` of the nearest forEach around the key, `iteration` and `previous` of the nearest repeat."""
    bound: dict[str, Json] = {}
    for instance in loop_instances(key):
        number = paths.index(instance) or 0
        if run.step(instance).for_each is not None:
            if "index" not in bound:
                bound |= {"item": loop_item(run, instance), "index": number}
        elif "iteration" not in bound:
            bound |= {"iteration": number, "previous": _previous(run, instance, number)}
    return bound


def loop_instances(key: str) -> list[str]:
    """Innermost first: `f[3].g[1].x` -> [`f[3].g[1]`, `f[3]`]"""
    found = []
    at = key
    while at:
        without_attempt = paths.owner(at)[0]
        if paths.index(without_attempt) is not None:
            found.append(without_attempt)
        at = paths.scope(at)
    return found


def tries(run: Run, key: str) -> str:
    """Which try it is of the loops around, such as `2.1`, innermost first; "" where a person had none of them tried anew."""
    if ANEW not in run.control:
        return ""
    found = [int(_header(run, paths.whole(instance)).get("attempt", 1)) for instance in loop_instances(key)]
    return ".".join(map(str, found)) if any(number > 1 for number in found) else ""


def _previous(run: Run, instance: str, number: int) -> Json:
    if number == 0:
        return None
    before = paths.item(paths.whole(instance), number - 1)
    return run.output_of(run.find_facts([before])[before])


def loop_item(run: Run, instance: str) -> Json:
    """The value of one forEach item: from the loop's own item when the list is small, else from its page."""
    if instance not in run.loop_items:
        loop, number = paths.whole(instance), paths.index(instance) or 0
        header = _header(run, loop)
        low, values = loop_values(run, loop, header, number)
        run.loop_items |= {paths.item(loop, low + at): value for at, value in enumerate(values)}
    if instance not in run.loop_items:
        raise Conflict(f"the loop of {instance} has ended: it holds no items any more")
    return run.loop_items[instance]


def _header(run: Run, loop: str) -> Item:
    if loop not in run.headers:
        run.headers[loop] = run.world.store.get(step_key(run.id, loop)) or {}
    return run.headers[loop]


def loop_values(run: Run, loop: str, header: Mapping[str, Any], number: int) -> tuple[int, list[Json]]:
    """(index of the first, values): the page of the loop's list that has item `number`."""
    if "list" in header:
        return 0, decode(header["list"])
    page = number // paths.PAGE
    item = run.world.store.get((f"{run.id}#{loop}#{page}", "list"))
    return page * paths.PAGE, run.world.load(decode(item["list"])) if item else []
