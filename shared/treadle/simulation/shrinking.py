"""Smaller cases out of a case: steps, modifiers and script entries left out, one at a time, with the edges that led to them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from ..definition import Checker
from .generate import Case


def shrunk(given: Case, checker: Checker, still_fails: Callable[[Case], bool]) -> Case:
    """The smallest valid case found that still fails."""
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for smaller in smaller_ones(given):
            if checker.check(smaller.definition).is_valid and still_fails(smaller):
                given, is_smaller = smaller, True
                break
    return given


def smaller_ones(given: Case) -> Iterator[Case]:
    for place in reversed(list(_scopes(given.definition))):
        for number in range(len(_at(given.definition, place))):
            if len(_at(given.definition, place)) > 1:
                definition = copy.deepcopy(given.definition)
                gone = _at(definition, place).pop(number)["id"]
                _forget(definition, gone)
                yield replace(given, definition=definition)
    for place in _scopes(given.definition):
        for number, step in enumerate(_at(given.definition, place)):
            for key in [key for key in step if key not in _ACTIONS and key != "id"]:
                definition = copy.deepcopy(given.definition)
                del _at(definition, place)[number][key]
                yield replace(given, definition=definition)
    for key in [key for key in given.definition if key not in ("id", "name", "version", "steps")]:
        yield replace(given, definition={name: value for name, value in given.definition.items() if name != key})
    for number in range(len(given.script)):
        yield replace(given, script=given.script[:number] + given.script[number + 1 :])


_ACTIONS = frozenset({"task", "with", "set", "wait", "signal", "approval", "workflow", "emit", "switch", "group", "fail"})
Place = tuple[int, ...]  # indexes of the steps on the way to a group's steps


def _at(definition: dict[str, Any], place: Place) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = definition["steps"]
    for number in place:
        steps = steps[number]["group"]["steps"]
    return steps


def _scopes(definition: dict[str, Any], place: Place = ()) -> Iterator[Place]:
    yield place
    for number, step in enumerate(_at(definition, place)):
        if "group" in step:
            yield from _scopes(definition, (*place, number))


def _forget(definition: dict[str, Any], gone: str) -> None:
    """Leave out the edges from and to a step that is no longer there."""
    for place in _scopes(definition):
        for step in _at(definition, place):
            if "after" in step:
                step["after"] = [edge for edge in step["after"] if gone not in (edge, edge["step"] if isinstance(edge, dict) else None)]
            for branch in step.get("switch", []):
                key = "else" if "else" in branch else "then"
                branch[key] = [target for target in branch[key] if target != gone]
            step["catch"] = [{**entry, "output": 0} if entry.get("then") == gone else entry for entry in step.get("catch", [])]
            for entry in step["catch"]:
                if entry.get("then") == gone:
                    del entry["then"]
            if not step["catch"]:
                del step["catch"]
    for target, sources in definition.get("dependencies", {}).copy().items():
        definition["dependencies"][target] = [source for source in sources if source != gone]
        if target == gone:
            del definition["dependencies"][target]
