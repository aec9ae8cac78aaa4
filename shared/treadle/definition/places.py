"""Where a document holds expressions, and which names exist at each place: section by section, the rules of the language."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .diagnostics import Path
from .graph import Node, Scope, as_map, entries

_RUN = frozenset({"input", "steps", "run"})
_EACH = frozenset({"item", "index"})
_REPEAT = frozenset({"iteration", "previous"})


@dataclass(frozen=True, slots=True)
class Place:
    """`is_bare`: a string here is one expression; otherwise it may hold `${EXPR}`. `is_after_step`: evaluated once the step
    has ended, so that it may read the step itself."""

    path: Path
    value: Any
    names: frozenset[str]
    is_bare: bool = False
    is_after_step: bool = False


def document_places(document: dict[str, Any]) -> Iterator[Place]:
    """What is evaluated before there is a run, or as it begins."""
    concurrency = as_map(document.get("concurrency"))
    yield Place(("concurrency", "key"), concurrency.get("key"), frozenset({"input", "run"}), is_bare=True)
    attributes = as_map(as_map(document.get("metadata")).get("attributes"))
    yield Place(("metadata", "attributes"), attributes, frozenset({"input"}))
    for path, trigger in entries(("triggers",), document.get("triggers")):
        yield Place((*path, "input"), as_map(trigger).get("input"), frozenset({"event"}))


def run_output_place(document: dict[str, Any]) -> Place:
    return Place(("output",), document.get("output"), _RUN)


def group_place(scope: Scope) -> Place:
    """The output of a group: sees the steps inside, and what the group itself sees."""
    assert scope.owner is not None  # only groups have owners, and only they are asked
    return Place((*scope.path, "output"), scope.raw.get("output"), _within(scope.owner))


def node_places(node: Node) -> Iterator[Place]:
    outside = _around(node)
    inside = _within(node)
    raw = node.raw
    for key in ("when", "forEach"):  # for the step as a whole
        if key in raw:
            yield Place((*node.path, key), raw[key], outside, is_bare=True)
    for owner, key in (("repeat", "while"), ("repeat", "until"), ("cache", "key"), ("concurrency", "key")):
        if owner in raw:
            yield Place((*node.path, owner, key), as_map(raw[owner]).get(key), inside, is_bare=True)
    yield from _action_places(node.path, raw, inside)
    for path, case in entries((*node.path, "switch"), raw.get("switch")):
        yield Place((*path, "when"), as_map(case).get("when"), inside, is_bare=True)
    if "output" in raw:
        yield Place((*node.path, "output"), raw["output"], inside | {"result"})
    for path, entry in entries((*node.path, "catch"), raw.get("catch")):
        yield Place((*path, "output"), as_map(entry).get("output"), outside | {"error"})
    if "compensate" in raw:
        yield from _action_places((*node.path, "compensate"), node.compensate, outside | {"output", "error"}, is_after_step=True)


def _action_places(path: Path, raw: dict[str, Any], names: frozenset[str], *, is_after_step: bool = False) -> Iterator[Place]:
    """`raw`: a step or a compensation."""
    if "with" in raw:
        yield Place((*path, "with"), raw["with"], names | {"secrets"}, is_after_step=is_after_step)
    for key in ("set", "fail", "emit", "approval"):
        if key in raw:
            yield Place((*path, key), raw[key], names, is_after_step=is_after_step)
    if "workflow" in raw:
        yield Place((*path, "workflow", "input"), as_map(raw["workflow"]).get("input"), names, is_after_step=is_after_step)
    if "wait" in raw:
        yield Place((*path, "wait", "until"), as_map(raw["wait"]).get("until"), names, is_bare=True, is_after_step=is_after_step)


def _around(node: Node) -> frozenset[str]:
    """Names for a step as a whole: those of the run, and of the loops around it."""
    names = _RUN
    owner = node.scope.owner
    while owner is not None:
        names |= _loop_names(owner)
        owner = owner.scope.owner
    return names


def _within(node: Node) -> frozenset[str]:
    """Names for one item or iteration of a step."""
    return _around(node) | _loop_names(node)


def _loop_names(node: Node) -> frozenset[str]:
    return (_EACH if "forEach" in node.raw else frozenset()) | (_REPEAT if "repeat" in node.raw else frozenset())
