"""The workflows that are simulated: the catalogue beside this file, or anybody's own definition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from ..definition.reading import read
from ..engine import Settings

CATALOGUE = Path(__file__).with_name("catalogue.yaml")

Definition = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a person or another system does to the run. `after`: once so many messages were handled; None: once the
    run rests (waits, is paused, has ended)."""

    verb: str  # a method of Operations: signal, approve, reject, decide, cancel, pause, resume, retry, amend
    arguments: Mapping[str, Any] = field(default_factory=dict)
    after: int | None = None


@dataclass(frozen=True)
class Shape:
    """`loose`: paths (with what is inside of them) whose end depends on timing; `*` is all of them and the output.
    `ends`: the statuses it may end in; empty: the one it ends in when nothing goes wrong."""

    name: str
    definition: Definition
    input: Any = None
    acts: tuple[Act, ...] = ()
    children: tuple[Definition, ...] = ()
    loose: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    is_small: bool = False  # all pairs of faults are tried on it
    answers: bool = False  # whoever is asked answers: approvals are given, signals sent, failed steps skipped
    advance: str = "inline"
    tally: int | None = None  # failed items that one item holds
    cold: bool = False  # its definition comes with the request, and no worker keeps a plan
    pools: Mapping[str, Mapping[str, Any]] | None = None  # of workers, as `Settings` has them
    optimises: bool = False  # what is lost goes up a pool
    sweeps: bool = False  # it waits for longer than a message can, so that the sweeper comes by although nothing goes wrong

    @property
    def settings(self) -> Settings:
        own = Settings(self.advance, caching=not self.cold, pools=self.pools, optimises=self.optimises)
        return own if self.tally is None else replace(own, tally=self.tally)


@cache
def catalogue() -> Mapping[str, Shape]:
    """By name, in the order of the file."""
    return {name: shape_from(name, dict(written)) for name, written in read(CATALOGUE).value.items()}


def shape_from(name: str, written: dict[str, Any]) -> Shape:
    """As it is written in the catalogue."""
    children = tuple(
        _workflow(child, {"steps": body} if isinstance(body, list) else body) for child, body in written.pop("children", {}).items()
    )
    acts = tuple(_act(dict(act)) for act in written.pop("acts", ()))
    loose, ends = (tuple(written.pop(key, ())) for key in ("loose", "ends"))
    more = {"is_small": written.pop("small", False), "advance": written.pop("advance", "inline"), "sweeps": written.pop("sweeps", False)}
    more |= {"cold": written.pop("cold", False), "tally": written.pop("tally", None)}
    more |= {"pools": written.pop("pools", None), "optimises": written.pop("optimises", False)}
    return Shape(name, _workflow(name, written), None, acts, children, loose, ends, **more)


def _workflow(name: str, body: dict[str, Any]) -> Definition:
    return {"id": name, "name": name, "version": "1.0.0", **body}


def _act(written: dict[str, Any]) -> Act:
    return Act(written.pop("do"), after=written.pop("after", None), arguments=written)


def shape_of(definition: Definition, given: Any = None, children: Sequence[Definition] = ()) -> Shape:
    """Of any definition. `children`: of other workflows, which its steps may start. Where joins or timeouts make its result a matter of
    timing, only the rules that need no result are checked. Whoever is asked may answer later than a timeout allows: how it ends is a
    matter of timing too then."""
    loose = ("*",) if any(map(has_races, (definition, *children))) else ()
    ends = ("succeeded", "failed", "timedOut") if any(has_key(each, "timeout") for each in (definition, *children)) else ()
    own = Shape(str(definition["id"]), definition, given, children=tuple(children), loose=loose, ends=ends)
    return replace(own, answers=True, sweeps=True)


def has_key(value: Any, key: str) -> bool:
    if isinstance(value, dict):
        return key in value or any(has_key(inner, key) for inner in value.values())
    return isinstance(value, list) and any(has_key(inner, key) for inner in value)


def has_races(value: Any) -> bool:
    if isinstance(value, dict):
        if value.get("join", "all") not in ("all", "done") or {"timeout", "heartbeat"} & value.keys():
            return True
        return any(map(has_races, value.values()))
    return isinstance(value, list) and any(map(has_races, value))
