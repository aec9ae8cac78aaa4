"""Views of a run's steps: every path of the plan, and every item and iteration that was begun. Of a group's attempts the last.

A run may have a million items. So they are read a partition at a time, in the plan's order, from behind a path on and no further than
a page of them reaches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .core import paths
from .core.errors import Rejected
from .core.model import Json, Outcome, State, StepError, StepStatus
from .core.moments import rfc3339
from .core.plan import CHOSEN, PLAIN, Plan, Scope, Step
from .engine.addresses import input_address
from .engine.items import child_of, decode, error_of, run_key, step_key
from .engine.names import tries
from .engine.run import Run
from .engine.snapshot import read_partition
from .engine.stopping import WHY, WHY_INSIDE
from .ports import Item
from .views import StepView

UNREADABLE = "what is stored of it cannot be read"  # how a step says so
MOST_STEPS = 1_000_000  # in one view, where a run is shown whole
PARTITIONS = 64  # that are looked through for a page, however little is in them
_RUN_FIRST, _GROUP_FIRST = f"{WHY['stop']} first", f"{WHY_INSIDE} first"
_PART = re.compile(r"([A-Za-z]\w*)(?:\[([0-9]{1,9})\])?", re.ASCII)

Placed = Callable[[Json], Json]  # a payload as it is shown
Part = tuple[str, int | None]  # of a path: `notify[3]` is ("notify", 3)


@dataclass(frozen=True, slots=True)
class Found:
    """A path and what is stored of it. `over`: why what has not begun never will; None while it may."""

    path: str
    item: Item | None
    over: str | None
    is_there: bool = True  # items of a loop that have not begun are none of its paths


class Steps:
    """Of one run, as they are stored now."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.pages: dict[str, dict[str, Item]] = {}

    def get(self, key: str) -> Item | None:
        pk, _ = step_key(self.run.id, key)
        if pk not in self.pages:
            self.pages[pk] = read_partition(self.run, pk)
        return self.pages[pk].get(key)

    def page(self, placed: Placed, cursor: str | None, limit: int) -> tuple[dict[str, StepView], str | None]:
        """At most `limit` of them, from behind the path `cursor` on, and the cursor of the next page, if there may be more.

        Raises Rejected("bad-value") for a cursor that is no path of the run.
        """
        behind = [] if cursor is None else parts_of(self.run.plan, cursor)
        if behind is None:
            raise Rejected("bad-value", f"this is no cursor of this list: {(cursor or '')[:100]}")
        shown: dict[str, StepView] = {}
        last, partitions = cursor, max(PARTITIONS, limit // PARTITIONS)
        for found in self._inside("", self.run.plan.root, self._over, behind):
            if len(shown) == limit or len(self.pages) > partitions:
                return shown, last
            last = found.path
            if found.is_there:
                shown[found.path] = step_view(self.run, found.item, found.over, placed)
        return shown, None

    def one(self, path: str, placed: Placed) -> StepView | None:
        """None: there is no such path."""
        parts = parts_of(self.run.plan, path)
        for found in () if parts is None else self._inside("", self.run.plan.root, self._over, parts, shows=True):
            if found.path == path:
                return step_view(self.run, found.item, found.over, placed) if found.is_there else None
            if not path.startswith(found.path):
                break  # what lies on the path comes first
        return None

    @property
    def _over(self) -> str | None:
        return _RUN_FIRST if self.run.status.is_final else None

    def _inside(self, scope_key: str, scope: Scope, over: str | None, behind: Sequence[Part], *, shows: bool = False) -> Iterator[Found]:
        """What stands in the scope. `behind`: the path behind which it begins; what lies on it is left out, unless it `shows`."""
        steps = list(scope.steps.values())
        if behind:
            on_it, *steps = steps[list(scope.steps).index(behind[0][0]) :]
            yield from self._of(paths.join(scope_key, on_it.id), on_it, over, behind, shows=shows)
        for step in steps:
            yield from self._of(paths.join(scope_key, step.id), step, over, ())

    def _of(self, key: str, step: Step, over: str | None, behind: Sequence[Part], *, shows: bool = False) -> Iterator[Found]:
        item = self.get(key)
        if not behind or shows:
            yield Found(paths.shown(key), item, over and (self._blocked_by(key, step) or over))
        if item is None:
            return
        if item.get("state") == State.ENDED:
            over = _RUN_FIRST if item.get("why") in WHY.values() else _GROUP_FIRST
        if step.is_loop and paths.index(key) is None:
            first = behind[0][1] if behind else None
            for number in self._numbers(key, step, item, first or 0):
                child = paths.item(key, number)
                if self.get(child) is None:
                    yield Found(paths.shown(child), None, over, is_there=False)
                else:
                    yield from self._of(child, step, over, behind if number == first else (), shows=shows)
        elif step.inner is not None and not _never_ran(item):
            scope_key = paths.inside(key, max(1, item.get("attempt", 1)))
            yield from self._inside(scope_key, step.inner, over, behind[1:], shows=shows)

    def _numbers(self, key: str, step: Step, item: Item, first: int) -> Iterator[int]:
        """Of a forEach all its items; of a repeat until the first that was not begun."""
        if step.for_each is not None:
            yield from range(first, item.get("n", 0))
            return
        while self.get(paths.item(key, first)) is not None:
            yield first
            first += 1

    def _blocked_by(self, key: str, step: Step) -> str | None:
        """A failure that the step waited for keeps it from running, whatever else stopped."""
        if step.join != "all":
            return None
        for source in (edge.source for edge in step.edges if edge.on in (PLAIN, CHOSEN)):
            before = self.get(paths.join(paths.scope(key), source)) or {}
            if before.get("state") == State.ENDED and before["outcome"] == Outcome.FAILED:
                return f"dependency {source} failed"
        return None


def parts_of(plan: Plan, path: str) -> list[Part] | None:
    """None: the plan has no such path."""
    found: list[Part] = []
    scope: Scope | None = plan.root
    for text in path.split("."):
        part = _PART.fullmatch(text)
        step = scope.steps.get(part[1]) if scope and part else None
        if part is None or step is None or (found and _is_whole_loop(plan, found[-1])):
            return None
        found.append((part[1], None if part[2] is None else int(part[2])))
        if part[2] is not None and not step.is_loop:
            return None
        scope = step.inner
    return found


def _is_whole_loop(plan: Plan, part: Part) -> bool:
    return part[1] is None and plan.steps[part[0]].is_loop


def _never_ran(item: Item) -> bool:
    return "fault" in item or (item["state"] == State.ENDED and Outcome(item["outcome"]).is_skip)


# ------------------------------------------------------------------------------------------------ one of them


def step_view(run: Run, item: Item | None, over: str | None, placed: Placed) -> StepView:
    if item is not None and "fault" in item:
        return StepView(status=StepStatus.WAITING.value, why=f"{UNREADABLE}: {item['fault']}")
    if item is None or item["state"] == State.RELEASED or (over and item["state"] == State.CLAIMED):
        if over:  # an end is written when nothing is under way: a claim that is there came behind it, and never ran
            return StepView(status=StepStatus.SKIPPED.value, why=over)
        in_line = item is not None and "look" in item and "place" in item
        return StepView(status=StepStatus.PENDING.value, why="stands in line for a place of its concurrency" if in_line else None)
    state = State(item["state"])
    error = error_of(item.get("error"))
    times: dict[str, Any] = {"started_at": rfc3339(item["started_at"]) if "started_at" in item else None}
    told: dict[str, Any] = {"attempts": item.get("attempt", 0) - item.get("base", 0)}
    told["error"] = _shown_error(run, item, error) if error else None
    if state is State.ENDED:
        output = placed(decode(item["output"])) if "output" in item else None
        ended_at = rfc3339(item["ended_at"])
        return StepView(
            status=Outcome(item["outcome"]).status.value, output=output, ended_at=ended_at, why=item.get("why"), **told, **times
        )
    status, why = _under_way(state, item)
    return StepView(status=status.value, why=why, **told, **times)


def _shown_error(run: Run, item: Item, error: StepError) -> dict[str, Json]:
    """With where the input is shown that it came of, and the child run that failed. What a retry took back has neither any more."""
    told, key = error.to_json(), item["sk"][2:]
    if not (item.get("attempt") and item["sk"].startswith("s#")):
        return told
    step = run.plan.steps.get(paths.step_id(key))
    if step is not None and step.action == "workflow":
        child = child_of(run.id, key, item["attempt"], item.get("gen", 1), tries(run, key))
        told |= {"run": child} if run.world.store.get(run_key(child)) else {}
    address = input_address(run, key)
    return told | ({"input": address} if address else {})


def _under_way(state: State, item: Item) -> tuple[StepStatus, str | None]:
    match state:
        case State.WAITING:
            until = f" until {rfc3339(item['until'])}" if "until" in item else ""
            return StepStatus.WAITING, f"waits for {_what(item['wait'])}{until}"
        case State.RETRY if "until" in item:
            return StepStatus.WAITING, f"tried again at {rfc3339(item['until'])}"
        case _:
            return StepStatus.RUNNING, None


def _what(wait: dict[str, Any]) -> str:
    match wait["for"]:
        case "signal":
            return f"signal {wait['name']}"
        case "child":
            return f"run {wait['child']}"
        case "person":
            return "a person's decision"
        case "approval":
            return "an approval"
        case kind:
            return f"a {kind}"
