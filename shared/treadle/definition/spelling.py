"""Hints for names that were mistyped, within a budget: ten thousand unknown names among ten thousand known ones would take hours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import Any

_LONGEST = 200  # characters of a name that is looked for
_ALIKE = 0.6  # of 1.0: difflib's own measure of what is alike
_EFFORT = 40_000  # pairs of characters that are compared, of some 0.1 µs each; who mistyped more than some names needs no further hint
_EFFORT_BY_CHARACTER = 4  # of the names that are known: of a large document all are looked at once

# Keys of other engines, and of everyday speech, that look like none of this language.
_OTHERWISE = {
    "after": ("depends_on", "dependson", "depends", "dependencies", "needs", "requires"),
    "when": ("if", "condition"),
    "with": ("input", "inputs", "params", "parameters", "args", "arguments"),
    "task": ("run", "uses", "call", "action", "function"),
    "forEach": ("map", "loop", "items", "with_items", "withitems", "itemspath", "matrix", "strategy"),
    "catch": ("onerror", "on_error", "onfailure", "on_failure", "rescue", "continue-on-error"),
    "wait": ("sleep", "delay", "pause"),
    "workflow": ("child", "subworkflow"),
    "set": ("pass", "value", "result"),
    "switch": ("choice", "choices", "branch", "branches", "case"),
    "group": ("parallel", "sequence", "block", "steps", "iterator", "itemprocessor"),
    "then": ("next", "goto"),
    "errors": ("errorequals",),
    "delay": ("intervalseconds", "initialinterval", "retry_delay", "interval"),
    "multiplier": ("backoffrate", "backoffcoefficient", "factor"),
    "except": ("nonretryableerrortypes",),
    "join": ("trigger_rule", "triggerrule"),
    "timeout": ("starttoclosetimeout", "scheduletoclosetimeout", "execution_timeout", "deadline"),
    "steps": ("jobs", "tasks", "states", "activities", "nodes", "spec"),
    "triggers": ("on", "schedule", "schedule_interval", "cron"),
    "errorHandling": ("onfailure", "on_failure", "onerror", "retry", "retries"),
    "metadata": ("description", "labels", "annotations", "tags", "comment"),
    "else": ("default", "otherwise"),
}
_MEANT: dict[str, tuple[str, ...]] = {}
for _key, _others in _OTHERWISE.items():
    for _other in _others:
        _MEANT[_other] = (*_MEANT.get(_other, ()), _key)

# What is written in another way here: a key that there is beside it, and how.
_NEXT = "what comes next says so: `after` stands in the step that follows"
_OTHER_FORM = {
    "next": ("after", _NEXT),
    "end": ("after", _NEXT),
    "startat": ("steps", "a step without `after` starts at once"),
    **dict.fromkeys(("seconds", "minutes", "hours", "duration", "for"), ("until", "a duration stands there by itself: `wait: 30s`")),
}


def otherwise(name: str, known: Sequence[str]) -> str | None:
    """A hint where another word is usual for one of the known keys."""
    meant = next((key for key in _MEANT.get(name.lower(), ()) if key in known), None)
    if meant:
        return f"`{meant}` is the word for it here"
    beside, told = _OTHER_FORM.get(name.lower(), ("", ""))
    return told if beside in known else None


class Effort:
    """How much may still be compared."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self.left = _EFFORT + _EFFORT_BY_CHARACTER * sum(map(len, known))

    def spend(self, pairs: int) -> bool:
        """False once there is none left."""
        self.left -= pairs
        return self.left > 0


class Speller:
    """Of one text: the same slip is often made many times, and looked up once."""

    def __init__(self, known: Iterable[Any] = ()) -> None:
        self._known = tuple(name for name in known if isinstance(name, str))
        self._effort = Effort(self._known)
        self._told: dict[tuple[str, tuple[str, ...] | None], str | None] = {}

    def hint(self, name: str, among: Sequence[str] | None = None) -> str | None:
        """A sentence with the nearest known name, or None. `among`: others than those that it was made with."""
        asked = (name, None if among is None else tuple(among))
        if asked not in self._told:
            if self._effort.left <= 0:
                return None
            self._told[asked] = nearest(name, self._known if among is None else among, self._effort)
        return self._told[asked]


def nearest(name: str, known: Iterable[Any], effort: Effort | None = None) -> str | None:
    """A hint with the known name that looks most like `name`; None if none does, or none of those that there is `effort` for."""
    if len(name) > _LONGEST:
        return None
    by_folded = {other.casefold(): other for other in known if isinstance(other, str)}
    found = _most_alike(name.casefold(), by_folded, effort or Effort(by_folded))
    return None if found is None else f"did you mean `{by_folded[found]}`?"


def _most_alike(name: str, candidates: Iterable[str], effort: Effort) -> str | None:
    """As `difflib.get_close_matches`, without a further look at those that cannot be more alike than one that was found."""
    matcher = SequenceMatcher(b=name)
    best = (_ALIKE, "")
    for other in candidates:
        both = len(name) + len(other)
        if not effort.spend(2):
            break
        if both and (2 * min(len(name), len(other)) / both, other) < best:
            continue
        if not effort.spend(both + 20):
            break
        matcher.set_seq1(other)
        if (matcher.quick_ratio(), other) < best:
            continue
        if not effort.spend(len(name) * len(other)):
            break
        best = max(best, (matcher.ratio(), other))
    return best[1] or None
