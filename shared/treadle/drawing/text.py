"""Pictures as text for other tools to draw: Mermaid and Graphviz."""

from __future__ import annotations

from collections.abc import Iterator

from .graph import Definition, Edge, Kind, Node, Scope, read

# What is drawn around a label in Mermaid, by action.
_SHAPES = {
    "task": ("[", "]"),
    "set": ("[/", "/]"),
    "wait": ("([", "])"),
    "signal": ("([", "])"),
    "approval": ("([", "])"),
    "workflow": ("[[", "]]"),
    "emit": (">", "]"),
    "switch": ("{", "}"),
    "fail": ("{{", "}}"),
}
MERMAID_EDGES, MERMAID_SIZE = 500, 50_000  # from there on Mermaid refuses, unless its page says otherwise
_DOT_SHAPES = {"switch": "diamond", "fail": "octagon", "workflow": "box3d", "wait": "oval", "signal": "oval", "approval": "oval"}


def mermaid(definition: Definition) -> str:
    """A Mermaid flowchart."""
    scope = read(definition)
    names = {node.path: f"n{number}" for number, node in enumerate(scope.walk())}
    body = list(_mermaid_scope(scope, "", names, "  "))
    edges = sum(len(each.edges) for each in (scope, *(node.inner for node in scope.walk() if node.inner)))
    return "\n".join(["flowchart TD", *_beyond_mermaid(edges, sum(map(len, body))), *body]) + "\n"


def _beyond_mermaid(edges: int, size: int) -> Iterator[str]:
    """What Mermaid refuses as it is usually set up is said in a comment, which it takes nowhere else."""
    if edges >= MERMAID_EDGES or size >= MERMAID_SIZE:
        told = "Mermaid refuses that unless its maxEdges and maxTextSize are raised; svg and html draw it"
        yield f"  %% {edges} edges, {size} characters: {told}"


def _mermaid_scope(scope: Scope, prefix: str, names: dict[str, str], indent: str) -> Iterator[str]:
    for node in scope.nodes:
        name, label = names[node.path], _mermaid_text(*_label(node))
        if node.inner:
            yield f'{indent}subgraph {name}["{label}"]'
            yield from _mermaid_scope(node.inner, f"{node.path}.", names, indent + "  ")
            yield f"{indent}end"
        else:
            left, right = _SHAPES.get(node.action, ("[", "]"))
            yield f'{indent}{name}{left}"{label}"{right}'
    for edge in scope.edges:
        arrow = "-->" if edge.kind is Kind.PLAIN else "-.->"
        label = f'|"{_mermaid_text(_shortened(edge.label, 60))}"|' if edge.label else ""
        yield f"{indent}{names[prefix + edge.source]} {arrow}{label} {names[prefix + edge.target]}"


def _mermaid_text(*lines: str) -> str:
    """Anything but letters, digits and harmless signs as a character code, so that no label can end itself or hold markup."""
    return "<br>".join("".join(char if char.isalnum() or char in " _-.,:/()+" else f"#{ord(char)};" for char in line) for line in lines)


def dot(definition: Definition) -> str:
    """A Graphviz digraph; groups are clusters, and an edge to a group ends at its border."""
    scope = read(definition)
    lines = [
        f"digraph {_quoted(str(definition.get('id', 'workflow')))} {{",
        f"  label={_quoted(str(definition.get('name', '')))}; labelloc=t; compound=true; rankdir=TB;",
        '  fontname="Helvetica"; fontsize=11;',
        '  node [shape=box, style=rounded, fontname="Helvetica", fontsize=11];',
        '  edge [fontname="Helvetica", fontsize=9];',
        *_dot_scope(scope, "", "  "),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _dot_scope(scope: Scope, prefix: str, indent: str) -> Iterator[str]:
    nodes = {node.id: node for node in scope.nodes}
    for node in scope.nodes:
        label = _quoted("\n".join(_label(node)))
        if node.inner:
            yield f"{indent}subgraph {_quoted(f'cluster_{node.path}')} {{"
            yield f"{indent}  label={label}; style=rounded;"
            yield f"{indent}  {_quoted(node.path)} [shape=point, style=invis];"  # what the group's own edges hold on to
            yield from _dot_scope(node.inner, f"{node.path}.", indent + "  ")
            yield f"{indent}}}"
        else:
            # only boxes are rounded: of a rounded diamond the edges would end beside its corners
            shape = f", shape={_DOT_SHAPES[node.action]}, style=solid" if node.action in _DOT_SHAPES else ""
            yield f"{indent}{_quoted(node.path)} [label={label}{shape}];"
    for edge in scope.edges:
        yield f"{indent}{_quoted(prefix + edge.source)} -> {_quoted(prefix + edge.target)}{_dot_attributes(edge, nodes)};"


def _dot_attributes(edge: Edge, nodes: dict[str, Node]) -> str:
    attributes = [] if edge.kind is Kind.PLAIN else ["style=dashed"]
    if edge.label:
        attributes.append(f"label={_quoted(_shortened(edge.label, 60))}")
    if nodes[edge.source].inner:
        attributes.append(f"ltail={_quoted(f'cluster_{nodes[edge.source].path}')}")
    if nodes[edge.target].inner:
        attributes.append(f"lhead={_quoted(f'cluster_{nodes[edge.target].path}')}")
    return f" [{', '.join(attributes)}]" if attributes else ""


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", " ")
    return f'"{escaped}"'


def _label(node: Node) -> tuple[str, ...]:
    about = f"{node.action} {node.subject}".strip()
    return (node.id, _shortened(about, 60), *(_shortened(mark, 60) for mark in node.marks))


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
