"""In which order the steps of a run ended: by their times, but none before what it came after.

The clocks of two workers differ, and one millisecond holds many ends. What came after what is known all the same: by edges,
by what a group or a loop holds, by iterations and attempts. So the order is one that may have been, whatever the clocks say.
"""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import TopologicalSorter

from ..core import paths
from ..core.advance import Edging, edging
from ..core.model import Outcome
from ..core.plan import Plan, Step
from ..ports import Item
from .items import fact_of, is_fact

Moment = tuple[str, str]  # a key or a scope, with what of it: `begin`, `end`; of a scope `in`, `out`
Place = tuple[int, int]  # when, and how many moments of that time it comes after


def places(plan: Plan, items: Mapping[str, Item]) -> dict[str, Place]:
    """By key, for every fact: the less the sooner. What came after something has a greater one."""
    before = _before(plan, items)
    found: dict[Moment, Place] = {}
    for moment in TopologicalSorter(before).static_order():
        what, key = moment
        own = (items[key]["ended_at"], 0) if what == "end" and key in items and is_fact(items[key]) else (0, 0)
        found[moment] = max([own, *((time, depth + 1) for time, depth in (found[it] for it in before.get(moment, ())))])
    return {key: place for (what, key), place in found.items() if what == "end"}


def _before(plan: Plan, items: Mapping[str, Item]) -> dict[Moment, set[Moment]]:
    """What each moment came right after."""
    before: dict[Moment, set[Moment]] = {}
    for key, item in items.items():
        step, number, scope_key = plan.steps.get(paths.step_id(key)), paths.index(key), paths.scope(key)
        if step is None:
            continue
        if number is None:
            before[("begin", key)] = {
                ("in", scope_key),
                *(("end", paths.join(scope_key, it)) for it in _sources(step, item, scope_key, items)),
            }
        elif step.action == "group":  # the items of others hold nothing that could come before or after something
            whole = paths.whole(key)
            before[("begin", key)] = {("begin", whole)}
            if step.repeat is not None and number:
                before[("begin", key)].add(("end", paths.item(whole, number - 1)))
            before.setdefault(("end", whole), set()).add(("end", key))
        else:
            continue
        before.setdefault(("end", key), set()).add(("begin", key))
        before.setdefault(("out", scope_key), set()).add(("end", key))
    for scope_key in [key for what, key in before if what == "out" and key]:
        owner, attempt = paths.owner(scope_key)
        before[("in", scope_key)] = {("begin", owner), *([("out", paths.inside(owner, attempt - 1))] if attempt > 1 else [])}
        before.setdefault(("end", owner), set()).add(("out", scope_key))
    return before


def _sources(step: Step, item: Item, scope_key: str, items: Mapping[str, Item]) -> set[str]:
    """A join `any` or N came after those that it saw, or after those that left too few to be live: no other is waited for."""
    if "saw" in item:
        return set(item["saw"])
    if step.join in ("all", "done") or not is_fact(item) or item["outcome"] != Outcome.DEAD:
        return {edge.source for edge in step.edges}
    ended = {edge: items.get(paths.join(scope_key, edge.source), {}) for edge in step.edges}
    not_live = [edge for edge, it in ended.items() if is_fact(it) and edging(edge, step.id, fact_of(it)) is not Edging.LIVE]
    enough = len(step.edges) - (1 if step.join == "any" else int(step.join)) + 1
    return {edge.source for edge in sorted(not_live, key=lambda edge: ended[edge]["ended_at"])[:enough]}
