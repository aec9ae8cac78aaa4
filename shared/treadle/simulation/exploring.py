"""The scopes explored, counted: what `treadle simulate --exhaustive` does and tells."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from .campaign import quietly
from .scopes import Scope, Small, scopes


@dataclass
class Explored:
    """Of one scope. `violations`: lines, each with the command that has it again. `unmet`: races that never happened."""

    name: str
    states: int
    transitions: int
    schedules: int
    ends: dict[str, int]
    races: dict[str, int]
    violations: list[str]
    is_complete: bool
    seconds: float

    @property
    def unmet(self) -> list[str]:
        return [race for race, count in self.races.items() if count == 0]

    def to_json(self) -> dict[str, Any]:
        named = ("name", "states", "transitions", "schedules", "ends", "races")
        return {name: getattr(self, name) for name in named} | {"complete": self.is_complete, "seconds": round(self.seconds, 1)}


@dataclass
class Exhaustive:
    """Contract of `treadle simulate --exhaustive -o json`."""

    scopes: list[Explored] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def violations(self) -> list[str]:
        unmet = [f"the race {race} of scope {scope.name} never happened" for scope in self.scopes for race in scope.unmet]
        return [line for scope in self.scopes for line in scope.violations] + unmet

    def to_json(self) -> dict[str, Any]:
        counted = {name: sum(getattr(scope, name) for scope in self.scopes) for name in ("states", "transitions", "schedules")}
        return {
            "scopes": [scope.to_json() for scope in self.scopes],
            **counted,
            "violations": self.violations,
            "complete": all(scope.is_complete for scope in self.scopes),
            "seconds": round(self.seconds, 1),
        }


def explore(scope: Scope) -> Explored:
    """Completely, unless something is wrong. `seconds`: of this process's own time."""
    began = time.process_time()
    found = Small(scope).explore()
    lines = [
        f"{violation}: treadle simulate --scope {scope.name} --schedule {breach.path or '0'}"
        for breach in found.breaches
        for violation in breach.violations
    ]
    if found.is_complete and found.ends.keys() != set(scope.shape.ends):
        lines.append(f"scope {scope.name} ends {', '.join(sorted(found.ends))}, not {', '.join(sorted(scope.shape.ends))}")
    races = {str(race): found.met[str(race)] for race in scope.races}
    counts = (found.states, found.transitions, found.schedules)
    return Explored(scope.name, *counts, dict(found.ends), races, lines, found.is_complete, time.process_time() - began)


def explore_all(names: Sequence[str] = (), *, jobs: int | None = None) -> Exhaustive:
    """The scopes of these names (none: all of them), over so many processes (None: one per core)."""
    began = time.monotonic()
    chosen = list(names) or list(scopes())
    count = min(jobs or os.cpu_count() or 1, len(chosen))
    if count == 1:
        found = [_work(name) for name in chosen]
    else:
        with ProcessPoolExecutor(count) as pool:
            found = list(pool.map(_work, chosen))
    return Exhaustive(found, time.monotonic() - began)


def _work(name: str) -> Explored:
    return quietly(lambda: explore(scopes()[name]))
