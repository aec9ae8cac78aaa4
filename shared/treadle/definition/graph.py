"""Steps, scopes and edges of a document, as far as they can be made out.

Built from the plain document, not from the models: a step with a wrong `retry` still has edges, and what is wrong with
those is told in the same breath. Whatever has the wrong shape is passed over here, for structure.py has told it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .diagnostics import Code, Fault, Path, shown
from .spelling import Speller

MAX_STEPS = 10_000
MAX_EDGES = 50_000
MAX_NESTING = 16

PLAIN, CHOSEN = "plain", "chosen"  # kinds of edge beside succeeded, failed, skipped, done


@dataclass(frozen=True, slots=True)
class Edge:
    source: str
    on: str
    path: Path = field(compare=False)  # where it is written


@dataclass(eq=False, slots=True)
class Node:
    """A step. `edges` lead into it, each (source, on) once; `is_whole`: no edge of it was passed over."""

    id: str
    index: int  # in its scope
    path: Path
    raw: dict[str, Any]
    scope: Scope
    edges: dict[Edge, Edge] = field(default_factory=dict)
    is_whole: bool = True

    @property
    def sources(self) -> Iterator[Node]:
        return (self.scope.by_id[edge.source] for edge in self.edges)

    @property
    def compensate(self) -> dict[str, Any]:
        return as_map(self.raw.get("compensate"))


@dataclass(eq=False, slots=True)
class Scope:
    """The steps that stand together: the document's (`owner` is None), or a group's (`owner` is its step)."""

    owner: Node | None
    path: Path
    raw: dict[str, Any]
    depth: int
    nodes: list[Node] = field(default_factory=list)
    by_id: dict[str, Node] = field(default_factory=dict)
    speller: Speller = field(default_factory=lambda: Speller(()))

    def is_within(self, other: Scope) -> bool:
        scope: Scope | None = self
        while scope is not None and scope is not other:
            scope = scope.owner.scope if scope.owner else None
        return scope is other


@dataclass(slots=True)
class Graph:
    scopes: list[Scope] = field(default_factory=list)  # an outer one before its inner ones
    by_id: dict[str, Node] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    is_too_large: bool = False

    @property
    def nodes(self) -> Iterator[Node]:
        return (node for scope in self.scopes for node in scope.nodes)


def build(document: dict[str, Any]) -> Graph:
    graph = Graph()
    _collect(graph, document)
    if not graph.is_too_large:
        for scope in graph.scopes:
            scope.speller = Speller(scope.by_id)
            _connect(graph, scope)
        _check_edge_count(graph)
    return graph


# ------------------------------------------------------------------------------------------------ steps


def _collect(graph: Graph, document: dict[str, Any]) -> None:
    todo = [Scope(None, (), document, 0)]
    count = 0
    while todo:
        scope = todo.pop()
        graph.scopes.append(scope)
        steps = as_list(scope.raw.get("steps"))
        count += len(steps)
        if count > MAX_STEPS:
            graph.is_too_large = True
            graph.faults.append(Fault(Code.LIMIT_EXCEEDED, f"more than {MAX_STEPS} steps", (*scope.path, "steps")))
            return
        inner = [group for number, raw in enumerate(steps) if (group := _add(graph, scope, number, raw))]
        todo += reversed(inner)


def _add(graph: Graph, scope: Scope, number: int, raw: Any) -> Scope | None:
    """Adds a step; answers the scope of its group if it is one."""
    if not isinstance(raw, dict):
        return None
    step_id = raw.get("id")
    path = (*scope.path, "steps", number)
    node = Node(step_id if isinstance(step_id, str) else "", number, path, raw, scope)
    scope.nodes.append(node)
    if isinstance(step_id, str):
        if step_id in graph.by_id:
            first = graph.by_id[step_id]
            where = f" in the group `{first.scope.owner.id}`" if first.scope.owner else ""
            graph.faults.append(Fault(Code.DUPLICATE_STEP, f"there is a step {shown(step_id)} already{where}", (*path, "id")))
        else:
            graph.by_id[step_id] = node
        scope.by_id.setdefault(step_id, node)
    group = raw.get("group")
    if not isinstance(group, dict):
        return None
    if scope.depth >= MAX_NESTING:
        graph.faults.append(Fault(Code.LIMIT_EXCEEDED, f"groups are nested deeper than {MAX_NESTING}", (*path, "group")))
        return None
    return Scope(node, (*path, "group"), group, scope.depth + 1)


# ------------------------------------------------------------------------------------------------ edges


def _connect(graph: Graph, scope: Scope) -> None:
    for node in scope.nodes:
        for path, entry in entries((*node.path, "after"), node.raw.get("after")):
            _add_after(graph, node, path, entry)
    _add_dependencies(graph, scope)
    for node in scope.nodes:
        for path, target_id in chosen_targets(node):
            if target := _find(graph, scope, target_id, path):
                _put(target, Edge(node.id, CHOSEN, path))


def _add_after(graph: Graph, node: Node, path: Path, entry: Any) -> None:
    on = PLAIN
    if isinstance(entry, dict):
        path = (*path, "step")
        on = entry.get("on", PLAIN)
        entry = entry.get("step")
    source = _find(graph, node.scope, entry, path) if isinstance(entry, str) else None
    if source is None or not isinstance(on, str):
        node.is_whole = False
    else:
        _put(node, Edge(source.id, on, path))


def _add_dependencies(graph: Graph, scope: Scope) -> None:
    path = (*scope.path, "dependencies")
    for target_id, sources in as_map(scope.raw.get("dependencies")).items():
        target = _find(graph, scope, target_id, (*path, target_id), at_key=True)
        named = [(inner, name) for inner, name in entries((*path, target_id), sources) if isinstance(name, str)]
        edges = [Edge(name, PLAIN, inner) for inner, name in named if _find(graph, scope, name, inner)]
        if target is None:
            continue
        if len(edges) < len(as_list(sources)):
            target.is_whole = False
        elif "after" in target.raw and target.is_whole and set(edges) != set(target.edges):
            message = f"`after` of `{target_id}` says otherwise: write its sources in one place, or the same in both"
            graph.faults.append(Fault(Code.CONFLICTING_DEPENDENCIES, message, (*path, target_id)))
            continue
        for edge in edges:
            _put(target, edge)


def _put(node: Node, edge: Edge) -> None:
    if node.scope.by_id.get(edge.source) is not None:
        node.edges.setdefault(edge, edge)


def _find(graph: Graph, scope: Scope, step_id: str, path: Path, *, at_key: bool = False) -> Node | None:
    node = scope.by_id.get(step_id)
    if node is None:
        elsewhere = graph.by_id.get(step_id)
        hint = "it stands in another scope, and edges do not cross a group's border" if elsewhere else scope.speller.hint(step_id)
        graph.faults.append(Fault(Code.UNKNOWN_STEP, f"there is no step {shown(step_id)} in this scope", path, hint, at_key=at_key))
    return node


def chosen_targets(node: Node) -> Iterator[tuple[Path, str]]:
    """Steps that a `switch` or a `catch` of this step names."""
    for path, case in entries((*node.path, "switch"), node.raw.get("switch")):
        for key in ("then", "else"):
            named = as_map(case).get(key)
            if isinstance(named, str):
                yield (*path, key), named
            for inner, target in entries((*path, key), named):
                if isinstance(target, str):
                    yield inner, target
    for path, entry in entries((*node.path, "catch"), node.raw.get("catch")):
        if isinstance(target := as_map(entry).get("then"), str):
            yield (*path, "then"), target


def _check_edge_count(graph: Graph) -> None:
    count = 0
    for node in graph.nodes:
        count += len(node.edges)
        if count > MAX_EDGES:
            graph.faults.append(Fault(Code.LIMIT_EXCEEDED, f"more than {MAX_EDGES} edges between steps", node.path))
            graph.is_too_large = True
            return


# ------------------------------------------------------------------------------------------------ shapes


def as_map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def entries(path: Path, value: Any) -> list[tuple[Path, Any]]:
    """The entries of a list with their paths; none of anything else."""
    return [((*path, number), entry) for number, entry in enumerate(value)] if isinstance(value, list) else []
