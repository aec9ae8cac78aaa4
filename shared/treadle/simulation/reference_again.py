"""The reference interpreter, beside the runs: a retry of one that has ended.

"Goes on from the failed steps (or from a named step, with edited input), keeping the outputs of what succeeded." What comes after
a step that runs again is decided again; a `join: any` or N that ran for other sources stays. Only for documents without groups
and loops, inside of which the page does not say what is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .processes import Future
from .reference_outside import Limits
from .reference_scopes import Scope
from .reference_values import End, How, Json

if TYPE_CHECKING:
    from .reference import RunOf

RETRIABLE = ("failed", "cancelled", "timedOut")


def reopen(run: RunOf, entry: Mapping[str, Json]) -> bool:
    """False: refused. Else the run is as it was when nothing of what runs again had begun."""
    top, named = run.top, entry.get("from")
    if run.status not in RETRIABLE or top is None or (named is not None and named not in top.steps):
        return False
    again = {name for name in top.steps if name == named or _runs_again(run, top, name)}
    gone = again | _after(run, top, again)
    run.kept = {name: end for name, end in top.ends.items() if name not in gone and end.how is not How.UNSTARTED}
    run.records = {name: record for name, record in run.records.items() if name in run.kept}
    if "input" in entry:
        run.env = run.env.having(input=entry["input"])
    run.limits = Limits(run.limits.rule)
    run.status, run.output, run.failure, run.compensated = "running", None, None, None
    run.undone = set()
    run.cancelled = Future(run.kernel)
    run.resumed = Future(run.kernel)
    run.resumed.succeed(None)
    return True


def _runs_again(run: RunOf, top: Scope, name: str) -> bool:
    end = top.ends.get(name)
    if end is None or end.how is How.UNSTARTED:
        return True  # what cleaned up without it does so again
    is_loose = end.how is How.FAILED and not top.is_handled(name)
    return is_loose or end.how is How.CANCELLED or name in run.undone


def _after(run: RunOf, top: Scope, again: set[str]) -> set[str]:
    found: set[str] = set()
    todo = list(again)
    while todo:
        for edge in top.out_of[todo.pop()]:
            if edge.target not in found and not _stands_without(run, top, edge.target, again | found):
                found.add(edge.target)
                todo.append(edge.target)
    return found


def _stands_without(run: RunOf, top: Scope, name: str, reopened: set[str]) -> bool:
    """It began for sources that stay."""
    if top.steps[name].get("join", "all") in ("all", "done") or name not in top.begun:
        return False
    return reopened.isdisjoint(run.records[name].before)


def preset(scope: Scope, kept: Mapping[str, End]) -> None:
    """What the scope begins with."""
    for name, end in kept.items():
        scope.ends[name] = end
        scope.seen[name] = end.seen(scope.run.records[name].attempts)
        scope.begun.add(name)
