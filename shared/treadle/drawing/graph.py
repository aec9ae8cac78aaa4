"""A definition as a graph: scopes of nodes and edges, nested where a step is a group.

Only what a picture needs; the definition is taken to be valid, and what it does not know (an edge to a step that is not
there) is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Definition = Mapping[str, Any]

ACTIONS = ("task", "set", "wait", "signal", "approval", "workflow", "emit", "switch", "group", "fail")


class Kind(StrEnum):
    PLAIN = "plain"  # `after`, with the outcomes that let anyone go on
    OUTCOME = "outcome"  # `after: {step, on}`
    CHOICE = "choice"  # a case of a `switch`
    CATCH = "catch"  # a failure that goes elsewhere


@dataclass(frozen=True, slots=True)
class Edge:
    source: str  # step ids, of one scope
    target: str
    kind: Kind
    label: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    id: str
    path: str  # ids from the outermost group down, joined by dots
    action: str  # one of ACTIONS
    subject: str  # what the action is about: the task's name, how long a wait is
    marks: tuple[str, ...]  # its modifiers, in a few words each
    is_loop: bool  # forEach or repeat
    inner: Scope | None  # a group's steps


@dataclass(frozen=True, slots=True)
class Scope:
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def walk(self) -> Iterator[Node]:
        """Every node, outer ones first, in document order."""
        for node in self.nodes:
            yield node
            if node.inner:
                yield from node.inner.walk()


def read(definition: Definition) -> Scope:
    """The graph of a definition, or of a `group`."""
    return _scope(definition, "")


def _scope(container: Mapping[str, Any], prefix: str) -> Scope:
    steps = [step for step in container.get("steps", ()) if isinstance(step, Mapping) and "id" in step]
    nodes = {str(step["id"]): _node(step, prefix) for step in steps}
    edges = [edge for step in steps for edge in _edges(step)]
    for target, sources in (container.get("dependencies") or {}).items():
        edges += [Edge(str(source), str(target), Kind.PLAIN) for source in sources]
    known = dict.fromkeys(edge for edge in edges if edge.source in nodes and edge.target in nodes and edge.source != edge.target)
    return Scope(tuple(nodes.values()), tuple(known))


def _node(step: Mapping[str, Any], prefix: str) -> Node:
    path = f"{prefix}{step['id']}"
    action = next((action for action in ACTIONS if action in step), "task")
    body = step.get(action)
    inner = _scope(body, f"{path}.") if action == "group" and isinstance(body, Mapping) else None
    return Node(str(step["id"]), path, action, _subject(action, body), tuple(_marks(step)), "forEach" in step or "repeat" in step, inner)


def _subject(action: str, body: Any) -> str:
    match action, body:
        case ("group" | "switch", _):
            return ""
        case ("wait", {"until": until}):
            return f"until {until}"
        case ("signal", {"name": name}):
            return str(name)
        case ("approval", {"by": list() as people}):
            return "by " + ", ".join(map(str, people))
        case ("approval", _):
            return "by a person"
        case ("workflow", {"id": workflow_id}):
            return str(workflow_id)
        case ("emit", {"type": event_type}):
            return str(event_type)
        case ("fail", {"error": error}):
            return str(error)
        case _:
            return body if isinstance(body, str) else as_json(body)


def _marks(step: Mapping[str, Any]) -> Iterator[str]:
    if "when" in step:
        yield f"when {plain(step['when'])}"
    if "forEach" in step:
        at_once = f", {step['maxConcurrency']} at once" if "maxConcurrency" in step else ""
        yield f"for each {plain(step['forEach'])}{at_once}"
    match step.get("repeat"):
        case {"while": condition}:
            yield f"repeat while {plain(condition)}"
        case {"until": condition}:
            yield f"repeat until {plain(condition)}"
    if step.get("join", "all") != "all":
        yield f"join {step['join']}"
    if isinstance(step.get("retry"), Mapping) and "maxAttempts" in step["retry"]:
        yield f"up to {step['retry']['maxAttempts']} attempts"
    if "timeout" in step:
        yield f"timeout {step['timeout']}"
    if "compensate" in step:
        undo = step["compensate"]
        yield f"undo: {undo['task']}" if isinstance(undo, Mapping) and "task" in undo else "has an undo"


def _edges(step: Mapping[str, Any]) -> Iterator[Edge]:
    """What leads from one step to another in one way is one edge: side by side their labels would cover each other."""
    here = str(step["id"])
    outcomes: dict[str, list[str]] = {}
    for source in step.get("after") or ():
        if isinstance(source, Mapping) and "on" in source:
            outcomes.setdefault(str(source.get("step")), []).append(str(source["on"]))
        else:
            yield Edge(str(source.get("step") if isinstance(source, Mapping) else source), here, Kind.PLAIN)
    for name, ons in outcomes.items():
        yield Edge(name, here, Kind.OUTCOME, f"on {', '.join(dict.fromkeys(ons))}")
    choices: dict[str, list[str]] = {}
    for case in step.get("switch") or ():
        for target in _several(case.get("then", case.get("else"))):
            choices.setdefault(target, []).append(plain(case["when"]) if "when" in case else "else")
    for target, conditions in choices.items():
        yield Edge(here, target, Kind.CHOICE, ", or ".join(dict.fromkeys(conditions)))
    caught: dict[str, list[str]] = {}
    for entry in step.get("catch") or ():
        for target in _several(entry.get("then")):
            caught.setdefault(target, []).extend(map(str, entry.get("errors", ["*"])))
    for target, errors in caught.items():
        yield Edge(here, target, Kind.CATCH, f"catch {', '.join(dict.fromkeys(errors))}")


def _several(value: Any) -> Sequence[str]:
    return [str(one) for one in value] if isinstance(value, list) else [] if value is None else [str(value)]


def plain(value: Any) -> str:
    """An expression, or the JSON value that stands for itself, on one line."""
    return " ".join((value if isinstance(value, str) else as_json(value)).split())


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
