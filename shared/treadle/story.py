"""The history of a run: what happened and who did what, in order. Folded from facts, archived facts and acts; no log beside them.

Each entry has `at`, `what` and `path` (None: the run as a whole). `what` is `RunStarted`, `Acted` (somebody did something: `act`,
`by`, and what was said with it), `StepStarted`, `AttemptFailed` (one that was not the step's last), `StepWaits` (now, and for
what: `why`), `StepEnded`, `UndoStarted` and `UndoEnded` (of a step's compensation), `RunEnded`, `Escalated` (a rung of the ladder
was reached: its `level`, whom it is to `notify`, its `action`), `ThresholdExceeded` (with the `action` that the workflow has for
it), `Notified` or `NotificationFailed` (a `target`, of an `event`), or `MessageGivenUp` (of a dead letter, with its `queue`, its
`kind` and `why`). What a retry took back has the `generation` it was of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import acts
from .core import paths
from .core.model import Outcome, State, StepStatus
from .core.moments import rfc3339
from .deadletters import all_told_to
from .engine.items import body_key, error_of
from .engine.run import Run
from .engine.snapshot import archived, snapshot
from .engine.tries import tries_of
from .engine.world import World
from .ports import Item
from .stepping import step_view
from .viewing import as_kept, shown_status

Entry = dict[str, Any]
Place = tuple[int, list[int]]  # in the story: the time, and where among what happened at that time

_OF_THE_ENGINE = {acts.ESCALATED: "Escalated", acts.THRESHOLD: "ThresholdExceeded"}
_FIRST, _BEFORE, _UNDOING, _LAST = -2, -1, (1 << 60) - 1, 1 << 60


def history(world: World, control: Item) -> list[Entry]:
    run = Run(world.lenient(), control["pk"], control)
    items = snapshot(run)
    told: list[tuple[Place, Entry]] = [_began(run), *map(_acted, acts.of_run(run))]
    for generation, key, item in archived(run, items):
        told += [(place, {**entry, "generation": generation}) for place, entry in _of_step(run, key, item, items)]
    for key, item in items.items():
        told += _of_step(run, key, item, items)
    for number, item in enumerate(_undone(run)):
        told += _of_undo(item, number)
    for at, letter in all_told_to(world, run.id) if "dead" in control else ():
        told.append(((at, [_BEFORE]), {"at": rfc3339(at), "what": "MessageGivenUp", **letter}))
    if control.get("ended_at"):
        told.append(((control["ended_at"], [_LAST]), _ended(run)))
    return [entry for _, entry in sorted(told, key=lambda placed: placed[0])]


def _began(run: Run) -> tuple[Place, Entry]:
    by = (run.world.store.get(body_key(run.id)) or {}).get("by")
    at = run.control["started_at"]
    return (at, [_FIRST]), {"at": rfc3339(at), "what": "RunStarted", "path": None} | ({"by": by} if by else {})


def _ended(run: Run) -> Entry:
    entry: Entry = {"at": rfc3339(run.control["ended_at"]), "what": "RunEnded", "path": None, "status": shown_status(run.status)}
    return entry | {name: run.control[name] for name in ("error", "compensated") if run.control.get(name) is not None}


def _acted(act: acts.Act) -> tuple[Place, Entry]:
    entry: Entry = {"at": rfc3339(act.at), "what": "Acted", "path": None, "act": act.verb, "by": act.by, **act.told}
    if act.verb == acts.NOTIFIED:
        entry = {"at": entry["at"], "what": "NotificationFailed" if "error" in act.told else "Notified", "path": None, **act.told}
    if act.verb in _OF_THE_ENGINE:
        entry = {"at": entry["at"], "what": _OF_THE_ENGINE[act.verb], "path": None, **act.told}
        return (act.at, [_LAST - 2 if act.verb == acts.THRESHOLD else _LAST - 3]), entry
    return (act.at, [_BEFORE]), entry


def _of_step(run: Run, key: str, item: Item, items: Mapping[str, Item]) -> Iterator[tuple[Place, Entry]]:
    path, step, among = paths.shown(key), step_view(run, item, over=None, placed=as_kept), _among(key, item, items)
    if step.started_at:
        yield (item["started_at"], [*among, 0]), {"at": step.started_at, "what": "StepStarted", "path": path}
    for n, each in enumerate(tries_of(item)):
        error = {"name": each.name, "message": each.message}
        shown_try = {"at": rfc3339(each.failed_at), "what": "AttemptFailed", "path": path, "attempt": each.number, "error": error}
        yield (each.failed_at, [*among, 1, n]), shown_try
    if step.status == StepStatus.WAITING and step.why and "attempt_at" in item:
        since: int = item.get("wait", item).get("failed_at", item["attempt_at"])
        yield (since, [*among, 1, _LAST]), {"at": rfc3339(since), "what": "StepWaits", "path": path, "why": step.why}
    if step.ended_at:
        shown: Entry = {"at": step.ended_at, "what": "StepEnded", "path": path, "status": step.status, "attempts": step.attempts}
        told = ({"error": step.error} if step.error else {}) | ({"why": step.why} if step.why else {})
        yield (item["ended_at"], [*among, 2]), shown | told


def _undone(run: Run) -> list[Item]:
    """What was done to undo, before retries of the run as well: one item for each step, in the order it was gone through."""
    found: list[Item] = []
    page = 0
    while items := run.world.store.query(f"{run.id}#undo#{page}", prefix="undo#").items if run.plan.compensates else []:
        found += items
        page += 1
    return found


def _of_undo(item: Item, number: int) -> Iterator[tuple[Place, Entry]]:
    path = paths.shown(item["of"])
    yield (item["started_at"], [_UNDOING, number, 0]), {"at": rfc3339(item["started_at"]), "what": "UndoStarted", "path": path}
    if item["state"] == State.ENDED:
        ended: Entry = {"at": rfc3339(item["ended_at"]), "what": "UndoEnded", "path": path, "attempts": item["attempt"]}
        ended["status"] = Outcome(item["outcome"]).status.value
        error = error_of(item.get("error"))
        yield (item["ended_at"], [_UNDOING, number, 1]), ended | ({"error": error.to_json()} if error else {})


def _among(key: str, item: Item, items: Mapping[str, Item]) -> list[int]:
    """Of what has the same time: a step after its predecessors, and what is inside of it between its start and its end."""
    found: list[int] = []
    around = paths.scope(key)
    if paths.index(key) is not None:
        found = _around(paths.whole(key), items)
    elif around:
        found = _around(paths.owner(around)[0], items)
    return [*found, item.get("seq", _LAST)]


def _around(key: str, items: Mapping[str, Item]) -> list[int]:
    return [*_among(key, items.get(key, {}), items), 1]
