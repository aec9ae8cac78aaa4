"""The order in which the engine did things, for the reference interpreter to follow.

Of what could happen at one instant the page says nothing about which is first, so each order is allowed. To judge what the
engine made of one of them, the reference goes through the same one: `Trail` is what the engine wrote, in the order of its
writes, and `Trail.turn` says whose turn is next among those that could move.

Law: a trail only chooses between orders that the reference could take by itself. It never makes anything happen, so what the
reference comes to under it is allowed by the page, whatever the trail says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..core import paths
from ..core.model import Outcome
from ..engine.items import step_key
from ..ports import Item, Key
from .reference_values import CUT, FAILED, HELD, NEXT, OVER

NEVER = float("inf")  # behind all whose turn is known
INSTANT_MS = 59_000  # the engine's timers may be late by less; generated durations are whole minutes

BEGIN, FAIL, END, CANCEL, UNDO, HOLD, REST = "begin", "fail", "end", "cancel", "undo", "hold", "rest"

RESTS = ("compensating", "succeeded", "failed", "cancelled", "timedOut")  # no step of the run goes on


@dataclass
class Trail:
    """Implements `reference_values.Choices`. `start`: what the engine's clock shows more than the reference's (ms)."""

    now: Callable[[], int]
    start: int = 0
    seen: dict[tuple[str, str], list[tuple[int, int]]] = field(default_factory=dict)  # (path, kind) -> (when, number) of each
    starters: dict[str, tuple[str, ...]] = field(default_factory=dict)  # path of a join `any` or N -> the sources it saw
    where: dict[str, str] = field(default_factory=dict)  # run id -> what its paths begin with
    _callers: dict[str, str] = field(default_factory=dict)  # run id -> the step that starts it, whether it waits for it or not
    _count: int = 0
    _begun: set[tuple[Key, int, int]] = field(default_factory=set)
    _known: set[str] = field(default_factory=set)  # runs that have begun
    _pending: set[str] = field(default_factory=set)  # runs that wait for a place
    _in_line: set[str] = field(default_factory=set)
    _timed_out: set[tuple[str, int]] = field(default_factory=set)
    _at_rest: set[tuple[str, int]] = field(default_factory=set)

    # ------------------------------------------------------------------------------------------- what the engine does

    def note(self, path: str, kind: str) -> None:
        self._count += 1
        self.seen.setdefault((path, kind), []).append((self.now(), self._count))

    def wrote(self, key: Key, item: Item | None) -> None:
        """An item of the table."""
        pk, sk = key
        if item is not None and sk == "semaphore":
            self._asked_for_places([*item["holders"], *(entry[0] for entry in item["waiting"])])
        run_id = pk.partition("#")[0]
        if item is None or (run_id not in self.where and sk != "!"):
            return
        if sk == "!":
            self._control(run_id, item)
        elif sk.startswith("s#"):
            self._step(run_id, key, item)
        elif sk.startswith("undo#") and item["state"] == "claimed" and item["attempt"] == 1:
            self.note(self._path(run_id, item["of"]), UNDO)

    def _asked_for_places(self, everybody: list[str]) -> None:
        for run_id in everybody:
            if run_id in self.where and run_id not in self._in_line:
                self._in_line.add(run_id)
                self.note(self.where[run_id], BEGIN)

    def _control(self, run_id: str, item: Item) -> None:
        if run_id not in self.where:
            self.where[run_id] = f"{self._callers.get(run_id, '')}/" if self.where else ""  # of a compensation: by no step
        if item["status"] == "pending":
            self._pending.add(run_id)  # it begins when it asks for a place, and again when it has it
        elif run_id not in self._known or run_id in self._pending:
            self._known.add(run_id)
            self._pending.discard(run_id)
            self.note(self.where[run_id], BEGIN)
        if item["status"] == "paused" or item.get("stop") == "cancel":
            self.note(self.where[run_id], HOLD)
        if item.get("stop") == "timeout" and (run_id, item.get("gen", 1)) not in self._timed_out:
            self._timed_out.add((run_id, item.get("gen", 1)))
            self.note(self.where[run_id], END)
        if item["status"] in RESTS and (run_id, item.get("gen", 1)) not in self._at_rest:
            self._at_rest.add((run_id, item.get("gen", 1)))
            self.note(self.where[run_id], REST)

    def _step(self, run_id: str, key: Key, item: Item) -> None:
        path, attempt, gen = self._path(run_id, key[1][2:]), item.get("attempt", 1), item.get("gen", 1)
        match item["state"]:
            case "ended":
                self._begin(key, path, attempt, gen)
                self.note(path, CANCEL if item["outcome"] == Outcome.CANCELLED else END)
                if "next" in item:
                    self._begin(step_key(run_id, item["next"]), self._path(run_id, item["next"]), 1, gen)
            case "released" if (key, attempt, gen) in self._begun:
                self._begun.discard((key, attempt, gen))
                self.seen[path, BEGIN].pop()
            case "released":
                pass
            case state:
                self._begin(key, path, attempt, gen)
                if state == "retry":
                    self.note(path, FAIL)
        if item.get("wait", {}).get("for") == "child":
            self._callers[item["wait"]["child"]] = path
        if "saw" in item:
            self.starters[path] = tuple(item["saw"])

    def _begin(self, key: Key, path: str, attempt: int, gen: int) -> None:
        if (key, attempt, gen) not in self._begun:
            self._begun.add((key, attempt, gen))
            self.note(path, BEGIN)

    def _path(self, run_id: str, key: str) -> str:
        return self.where.get(run_id, "") + paths.shown(key)

    # --------------------------------------------------------------------------------------- what the reference asks

    def turn(self, label: str, has_begun: bool, now: int) -> float:
        if label.endswith(NEXT):
            return self._number(label.removesuffix(NEXT), BEGIN, now)
        if label.endswith(FAILED):
            return self._number(label.removesuffix(FAILED), END, now)
        if label.endswith(CUT):
            return self._number(label.removesuffix(CUT), CANCEL, now)
        if label.endswith(HELD):
            return self._number(label.removesuffix(HELD), HOLD, now)
        if label.endswith(OVER):
            return self._number(label.removesuffix(OVER), REST, now)
        return min(self._number(label, kind, now) for kind in ((FAIL, END) if has_begun else (BEGIN, FAIL, END)))

    def starter(self, path: str) -> str | None:
        saw = self.starters.get(path, ())
        return saw[0] if len(saw) == 1 else None

    def undone(self, path: str, now: int, before: int) -> float:
        """Not what was undone before a retry."""
        numbers = [number for when, number in self.seen.get((path, UNDO), ()) if when >= self.start + now]
        return numbers[before] if before < len(numbers) else NEVER

    def _number(self, label: str, kind: str, now: int) -> float:
        at = self.start + now
        return next((number for when, number in self.seen.get((label, kind), ()) if at <= when < at + INSTANT_MS), NEVER)
