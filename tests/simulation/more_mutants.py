"""More faults of the protocol: of what is shown, kept secret and left over, and of what two versions of the engine owe each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from treadle import deliveries, viewing
from treadle.engine import World, compensation, reading
from treadle.engine.secrecy import Mask
from treadle.engine.segment import Segment
from treadle.ports import Change, Condition, Item, Key, Written
from treadle.simulation import table
from treadle.simulation.fleet import ADDED

from .mutants import Delegating, Forgetful, Mutant, setting, unconditional

DUE = ("due", "due_shard")


class Erasing(Delegating):
    """What this version does not know is left out of what it writes."""

    def put(self, item: Item, condition: Condition | None = None) -> Written:
        return self._port.put({name: value for name, value in item.items() if name != ADDED}, condition)


class Undue(Delegating):
    """Nothing is ever in the due index."""

    def put(self, item: Item, condition: Condition | None = None) -> Written:
        return self._port.put({name: value for name, value in item.items() if name not in DUE}, condition)

    def update(self, key: Key, change: Change, condition: Condition | None = None) -> Written:
        return self._port.update(key, replace(change, set={name: it for name, it in change.set.items() if name not in DUE}), condition)


def alone(*kinds: str) -> Callable[[World], World]:
    """No message of these kinds is sent, and nobody comes by."""
    return lambda world: replace(world, store=Undue(world.store), lanes=Forgetful(world.lanes, *kinds))


def _is_semaphore(key: Key, written: Any) -> bool:
    return key[1] == "semaphore"


def _undoes_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    to_undo = compensation.to_undo
    monkeypatch.setattr(compensation, "to_undo", lambda run: [*to_undo(run), *to_undo(run)[:1]])


def _forgets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    to_undo = compensation.to_undo
    monkeypatch.setattr(compensation, "to_undo", lambda run: to_undo(run)[1:])


def _fails_at_what_is_met(monkeypatch: pytest.MonkeyPatch) -> None:
    def follow(self: Segment, item: Item) -> None:
        raise RuntimeError("somebody was faster")

    monkeypatch.setattr(Segment, "follow", follow)


def _takes_for_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_known", lambda item: None)
    monkeypatch.setattr(reading, "guarded", lambda condition: condition)


MORE = [
    Mutant(
        "a write that the client repeats is another's", "I13", "compensate-by-waiting", patch=setting(table, "same", lambda *two: False)
    ),
    Mutant("what a step gave is not shown", "I4", "chain", patch=setting(viewing.Payloads, "shown", lambda self, value: None)),
    Mutant("secrets are not hidden", "I18", "secrets", patch=setting(Mask, "text", lambda self, text: text)),
    Mutant("places are given out blindly", "I15", "one-at-a-time children-in-line newest-wins", unconditional(_is_semaphore)),
    Mutant("who meets a fact fails", "I17", "chain diamond", patch=_fails_at_what_is_met),
    Mutant("nobody is woken or comes by", "I9", "wait", alone("wake")),
    Mutant("a step is undone twice", "I20", "compensate", patch=_undoes_twice),
    Mutant("one step is not undone", "I20", "compensate", patch=_forgets_one),
]

VERSIONS = [
    Mutant("what a newer version wrote is taken for known", "I21", "wide-join newest-wins", patch=_takes_for_known, rollouts=True),
    Mutant(
        "what a newer version wrote is written over",
        "I21",
        "pause pause-waiting for-each-lanes",
        patch=setting(reading, "guarded", lambda condition: condition),
        rollouts=True,
    ),
    Mutant(
        "a message of a newer version is dropped",
        "I21",
        "chain diamond",
        patch=setting(deliveries, "_sent_anew", lambda record, met: True),
        rollouts=True,
    ),
    Mutant(
        "a message waits for a newer version until it is a dead letter",
        "I10",
        "wide-fan diamond chain",
        patch=setting(deliveries, "_sent_anew", lambda record, met: False),
        rollouts=True,
    ),
    Mutant(
        "what a newer version added is lost",
        "I21",
        "signal two-signals",
        lambda world: replace(world, store=reading.Checked(Erasing(world.raw))),
        rollouts=True,
    ),
]
