"""What a run's view (contract: RunView as JSON) says about each step of the picture, and about the run as a whole."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

View = Mapping[str, Any]

#: The status that speaks for several iterations of one step, first found first.
STATUSES = ("failed", "running", "waiting", "queued", "cancelled", "pending", "succeeded", "skipped")

_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class State:
    """What happened to one step of the definition, all its iterations together."""

    status: str
    counts: Mapping[str, int]  # status -> iterations, empty where there are none
    why: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Span:
    """One line of the timeline; seconds from the run's start."""

    path: str
    status: str
    start_s: float
    end_s: float
    is_open: bool
    attempts: int


def states(view: View | None) -> dict[str, State]:
    """By the step's path in the definition: `notify[3]` counts for `notify`, `loop[0].inner` for `loop.inner`."""
    grouped: dict[str, list[tuple[str, Mapping[str, Any]]]] = defaultdict(list)
    for path, step in ((view or {}).get("steps") or {}).items():
        grouped[_INDEX.sub("", path)].append((path, step))
    return {path: _state(path, several) for path, several in grouped.items()}


def _state(path: str, several: list[tuple[str, Mapping[str, Any]]]) -> State:
    own = next((step for where, step in several if where == path), None)
    iterations = Counter(str(step.get("status", "pending")) for where, step in several if where != path)
    status = str(own["status"]) if own and "status" in own else next((one for one in STATUSES if iterations[one]), "pending")
    attempts = max((int(step.get("attempts") or 0) for _, step in several), default=0)
    counts = {one: iterations[one] for one in STATUSES if iterations[one]}
    return State(status, counts, str((own or {}).get("why") or ""), attempts)


def spans(view: View) -> list[Span]:
    """The steps that have started, in the order they did; an open one lasts to the latest time that the view knows."""
    steps = view.get("steps") or {}
    times = [moment(step.get(key)) for step in (view, *steps.values()) for key in ("startedAt", "endedAt")]
    known = [time for time in times if time is not None]
    if not known:
        return []
    origin, latest = moment(view.get("startedAt")) or min(known), max(known)
    found = []
    for path, step in steps.items():
        start, end = moment(step.get("startedAt")), moment(step.get("endedAt"))
        if start is not None:
            end_s = ((end or latest) - origin).total_seconds()
            start_s = (start - origin).total_seconds()
            found.append(Span(path, str(step.get("status", "")), start_s, max(start_s, end_s), end is None, int(step.get("attempts") or 0)))
    return sorted(found, key=lambda span: (span.start_s, span.end_s))


def moment(text: Any) -> datetime | None:
    """An RFC 3339 time; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def lasted(start: Any, end: Any) -> str:
    begun, ended = moment(start), moment(end)
    return duration((ended - begun).total_seconds()) if begun and ended else ""


def duration(seconds: float) -> str:
    """`340 ms`, `2.5 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    for size, name, smaller, smaller_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name}" + (f" {rest} {smaller_name}" if rest else "")
    return f"{whole} s"
