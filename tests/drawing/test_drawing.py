"""Every picture is whole, clear of overlaps, safe to open, and the same each time."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import combinations, pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from treadle.drawing import FORMATS, draw
from treadle.drawing.graph import Kind, Scope, read
from treadle.drawing.layout import Box, arrange, header, label_width
from treadle.drawing.view import duration, spans, states

CLAIM: dict[str, Any] = {
    "id": "claim",
    "name": "Claim",
    "version": "1.0.0",
    "steps": [
        {"id": "route", "switch": [{"when": "input.amount > 1000", "then": ["review", "pay"]}, {"else": "pay"}]},
        {"id": "review", "approval": {"by": ["ann"]}},
        {"id": "pay", "task": "pay", "catch": [{"errors": ["Declined"], "then": "manual"}], "compensate": {"task": "refund"}},
        {"id": "manual", "signal": {"name": "paid"}},
        {
            "id": "letters",
            "after": ["pay"],
            "forEach": "input.parties",
            "group": {"steps": [{"id": "render", "task": "render"}, {"id": "mail", "task": "mail"}], "dependencies": {"mail": ["render"]}},
        },
        {"id": "poll", "after": ["pay"], "repeat": {"until": "previous.done", "max": 5}, "wait": "5s"},
        {"id": "alarm", "after": [{"step": "poll", "on": "failed"}], "emit": {"type": "alarm"}},
        {"id": "close", "after": ["letters", "poll", "alarm"], "join": "done", "when": "input.close", "set": {"ok": True}},
    ],
}
VIEW: dict[str, Any] = {
    "id": "r1",
    "workflow": "claim",
    "version": "1.0.0",
    "status": "failed",
    "input": {"amount": 5},
    "output": None,
    "error": {"name": "Boom", "message": "it broke", "step": "poll"},
    "startedAt": "2026-11-23T00:00:00.000Z",
    "endedAt": "2026-11-23T00:01:00.000Z",
    "attributes": {"customer": "acme"},
    "cost": {"usd": 0.0000123, "calls": {"dynamodb.UpdateItem": 3, "sqs.SendMessage": 1}},
    "steps": {
        "route": {"status": "succeeded", "attempts": 1, "startedAt": "2026-11-23T00:00:00.000Z", "endedAt": "2026-11-23T00:00:01.000Z"},
        "review": {"status": "skipped", "attempts": 0, "why": "not chosen by route"},
        "pay": {
            "status": "succeeded",
            "attempts": 3,
            "output": {"receipt": 7},
            "startedAt": "2026-11-23T00:00:01.000Z",
            "endedAt": "2026-11-23T00:00:20.500Z",
        },
        "letters": {"status": "running", "attempts": 1, "startedAt": "2026-11-23T00:00:21.000Z", "endedAt": None},
        "letters[0].render": {
            "status": "succeeded",
            "attempts": 1,
            "startedAt": "2026-11-23T00:00:21.000Z",
            "endedAt": "2026-11-23T00:00:22.000Z",
        },
        "letters[1].render": {"status": "failed", "attempts": 1, "error": {"name": "Late", "message": "too slow"}},
        "poll": {"status": "failed", "attempts": 5, "error": {"name": "Boom", "message": "it broke"}},
    },
}


# ------------------------------------------------------------------------------------------------ any definition


@st.composite
def scopes(draw: st.DrawFn, depth: int = 2, prefix: str = "s") -> dict[str, Any]:
    """Valid definitions of any shape: edges of all kinds, to later steps only, groups within groups."""
    count = draw(st.integers(1, 9))
    names = [f"{prefix}{number}" for number in range(count)]
    steps: list[dict[str, Any]] = []
    for number, name in enumerate(names):
        step: dict[str, Any] = {"id": name}
        earlier, later = st.sampled_from(names[:number] or [name]), st.sampled_from(names[number + 1 :] or [name])
        if number:
            on = st.sampled_from(["failed", "done"])
            step["after"] = draw(st.lists(earlier | st.builds(lambda a, b: {"step": a, "on": b}, earlier, on), max_size=4))
        kind = draw(st.sampled_from(["task", "switch", "group", "wait"]))
        if kind == "group" and depth:
            step["group"] = draw(scopes(depth=depth - 1, prefix=f"{name}_"))
        elif kind == "switch" and number + 1 < count:
            step["switch"] = [{"when": draw(st.text(max_size=40)), "then": draw(st.lists(later, min_size=1, max_size=3))}]
        else:
            step["task"] = draw(st.text(min_size=1, max_size=60))
        if draw(st.booleans()):
            step["forEach"] = draw(st.text(max_size=30))
        if draw(st.booleans()):
            step["retry"] = {"maxAttempts": 3}
        steps.append(step)
    return {"id": "any", "name": draw(st.text(max_size=20)), "version": "1.0.0", "steps": steps}


def paths(scope: Scope) -> list[str]:
    return [node.path for node in scope.walk()]


def all_edges(scope: Scope) -> int:
    return len(scope.edges) + sum(all_edges(node.inner) for node in scope.walk() if node.inner and node in scope.nodes)


def contains(outer: Box, inner: Box) -> bool:
    return (
        outer.x <= inner.x
        and outer.y + header(outer.node) <= inner.y + 0.01
        and inner.x + inner.width <= outer.x + outer.width
        and inner.y + inner.height <= outer.y + outer.height
    )


def overlap(one: Box, other: Box) -> bool:
    aside = one.x + one.width <= other.x or other.x + other.width <= one.x
    above = one.y + one.height <= other.y or other.y + other.height <= one.y
    return not aside and not above


@settings(max_examples=120, deadline=None)
@given(scopes())
def test_every_step_has_its_own_place(definition: dict[str, Any]) -> None:
    scope = read(definition)
    layout = arrange(scope)
    assert sorted(box.node.path for box in layout.boxes) == sorted(paths(scope))
    assert len(layout.wires) == all_edges(scope)
    for box in layout.boxes:
        assert 0 <= box.x <= box.x + box.width <= layout.width + 0.01
        assert 0 <= box.y <= box.y + box.height <= layout.height + 0.01
    for one, other in combinations(layout.boxes, 2):
        if other.node.path.startswith(f"{one.node.path}."):
            assert contains(one, other)
        elif not one.node.path.startswith(f"{other.node.path}."):
            assert not overlap(one, other)


@settings(max_examples=60, deadline=None)
@given(scopes(depth=0))
def test_edges_go_forward_and_run_across_no_step(definition: dict[str, Any]) -> None:
    layout = arrange(read(definition))
    for wire in layout.wires:
        along = [point[0 if layout.is_horizontal else 1] for point in wire.points]
        assert along == sorted(along)
        for (ax, ay), (bx, by) in zip(wire.points, wire.points[1:], strict=False):
            if ax == bx or ay == by:  # the straight parts run through layers, the curves in the gaps between them
                middle = ((ax + bx) / 2, (ay + by) / 2)
                assert not any(box.x < middle[0] < box.x + box.width and box.y < middle[1] < box.y + box.height for box in layout.boxes)


@settings(max_examples=60, deadline=None)
@given(scopes())
def test_svg_is_well_formed_and_draws_each_step_once(definition: dict[str, Any]) -> None:
    root = ElementTree.fromstring(draw("svg", definition))
    drawn = [element.get("data-step") for element in root.iter() if element.get("data-step")]
    assert sorted(str(path) for path in drawn) == sorted(paths(read(definition)))
    wires = [element for element in root.iter() if (element.get("class") or "").startswith("wire")]
    assert len(wires) == all_edges(read(definition))


@settings(max_examples=40, deadline=None)
@given(scopes(), st.sampled_from(FORMATS))
def test_a_picture_is_the_same_each_time(definition: dict[str, Any], format: str) -> None:
    assert draw(format, definition) == draw(format, json.loads(json.dumps(definition)))


@settings(max_examples=60, deadline=None)
@given(scopes())
def test_mermaid_names_each_step_once_and_no_label_ends_early(definition: dict[str, Any]) -> None:
    text = draw("mermaid", definition)
    scope = read(definition)
    assert text.startswith("flowchart TD\n")
    for number, _ in enumerate(scope.walk()):
        assert len(re.findall(rf"^\s*(?:subgraph )?n{number}[\[(>{{]", text, re.MULTILINE)) == 1
    assert len(re.findall(r"-->|-\.->", text)) == all_edges(scope)
    assert all(line.count('"') in (0, 2) for line in text.splitlines())


@settings(max_examples=60, deadline=None)
@given(scopes())
def test_dot_names_each_step_once(definition: dict[str, Any]) -> None:
    text = draw("dot", definition)
    scope = read(definition)
    for path in paths(scope):
        assert len(re.findall(rf'^\s*"{re.escape(path)}" \[', text, re.MULTILINE)) == 1
    assert len(re.findall(r'^\s*"[\w.]+" -> "[\w.]+"', text, re.MULTILINE)) == all_edges(scope)


def test_only_boxes_are_rounded_in_dot() -> None:
    picture = draw("dot", {"id": "w", "steps": [{"id": "s", "switch": [{"else": "a"}]}, {"id": "a", "task": "work"}]})
    assert '"s" [label="s\\nswitch", shape=diamond, style=solid];' in picture
    assert '"a" [label="a\\ntask work"];' in picture


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_reads_it() -> None:
    done = subprocess.run(["dot", "-Tplain"], input=draw("dot", CLAIM), capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# ------------------------------------------------------------------------------------------------ what is drawn how


def test_what_leads_to_one_step_in_one_way_is_one_edge_with_one_label() -> None:
    """Thirty catches of one step that go on with the same one had thirty labels in one place."""
    catches = [{"errors": [f"Error{number}"], "then": "mend"} for number in range(30)]
    cases = [{"when": "input.a", "then": ["mend", "end"]}, {"else": "mend"}]
    after = [{"step": "try", "on": "skipped"}, {"step": "try", "on": "failed"}, {"step": "choose"}]
    steps = [{"id": "try", "task": "t", "catch": catches}, {"id": "choose", "switch": cases}, {"id": "mend", "set": 1}]
    edges = {
        (edge.source, edge.target, edge.kind): edge.label
        for edge in read({"steps": [*steps, {"id": "end", "set": 1, "after": after}]}).edges
    }

    assert edges.pop(("try", "mend", "catch")).startswith("catch Error0, Error1, Error2")
    assert edges == {
        ("choose", "mend", "choice"): "input.a, or else",
        ("choose", "end", "choice"): "input.a",
        ("try", "end", "outcome"): "on skipped, failed",
        ("choose", "end", "plain"): "",
    }


def test_edges_say_what_they_are() -> None:
    kinds = {(edge.source, edge.target, edge.kind, edge.label) for edge in read(CLAIM).edges}
    assert ("route", "review", Kind.CHOICE, "input.amount > 1000") in kinds
    assert ("route", "pay", Kind.CHOICE, "input.amount > 1000, or else") in kinds
    assert ("pay", "manual", Kind.CATCH, "catch Declined") in kinds
    assert ("poll", "alarm", Kind.OUTCOME, "on failed") in kinds
    assert ("pay", "letters", Kind.PLAIN, "") in kinds


def test_switches_and_catches_are_dashed_everywhere() -> None:
    assert '-.->|"input.amount #62; 1000, or else"|' in draw("mermaid", CLAIM)
    assert 'style=dashed, label="catch Declined"' in draw("dot", CLAIM)
    assert 'class="wire catch"' in draw("svg", CLAIM)


def test_loops_are_marked() -> None:
    picture = draw("svg", CLAIM)
    assert picture.count('class="card behind"') == 2
    assert "for each input.parties" in picture
    assert "repeat until previous.done" in picture


def test_labels_into_one_step_stand_clear_of_each_other_and_of_it() -> None:
    sources = [{"id": name, "set": 1} for name in "abcd"]
    ons = zip("abcd", ("failed", "done", "skipped", "succeeded"), strict=True)
    scope = read({"steps": [*sources, {"id": "z", "after": [{"step": source, "on": on} for source, on in ons], "set": 1}]})
    layout = arrange(scope)
    labels = [(wire.label_at[0], wire.label_at[1], label_width(wire.edge)) for wire in layout.wires]
    target = next(box for box in layout.boxes if box.node.id == "z")
    assert len(labels) == 4
    for (x, y, width), (other_x, other_y, other_width) in combinations(labels, 2):
        assert abs(y - other_y) >= 16 or abs(x - other_x) >= (width + other_width) / 2
    assert all(y + 8 < target.y for _, y, _ in labels)


def test_labels_from_left_to_right_end_before_the_arrow_and_stand_clear_of_each_other() -> None:
    cases = [{"when": f"input.kind == '{'k' * number}'", "then": f"t{number}"} for number in range(15)]
    targets = [{"id": f"t{number}", "task": "work"} for number in range(15)]
    layout = arrange(read({"steps": [{"id": "route", "switch": cases}, *targets]}))
    assert layout.is_horizontal
    ends = [(wire.points[-1][0] - wire.label_at[0] - label_width(wire.edge) / 2, wire.label_at[1]) for wire in layout.wires]
    assert len(ends) == 15
    assert all(before_end > 12 for before_end, _ in ends)  # the head of an arrow is as long
    assert all(below - above >= 16 for above, below in pairwise(sorted(y for _, y in ends)))


def test_mermaid_says_when_it_is_too_much_for_mermaid() -> None:
    def wide(count: int) -> dict[str, Any]:
        return {
            "id": "w",
            "name": "W",
            "steps": [{"id": "a", "set": 1}, *({"id": f"s{n}", "after": ["a"], "set": 1} for n in range(count))],
        }

    assert "%%" not in draw("mermaid", wide(499))
    assert "  %% 500 edges" in draw("mermaid", wide(500)).splitlines()[1]


def test_both_forms_of_dependencies_are_one_edge() -> None:
    definition = {"steps": [{"id": "a", "task": "x"}, {"id": "b", "after": ["a"], "task": "x"}], "dependencies": {"b": ["a"]}}
    assert len(read(definition).edges) == 1


def test_an_edge_to_a_step_that_is_not_there_is_left_out() -> None:
    assert read({"steps": [{"id": "a", "after": ["ghost"], "task": "x"}]}).edges == ()


def test_a_run_colours_the_graph() -> None:
    root = ElementTree.fromstring(draw("svg", CLAIM, VIEW))
    classes = {element.get("data-step"): element.get("class") for element in root.iter() if element.get("data-step")}
    assert classes["pay"] == "step leaf succeeded"
    assert classes["poll"] == "step leaf failed"
    assert classes["review"] == "step leaf skipped"
    assert classes["letters"] == "step group running"
    assert classes["letters.render"] == "step leaf failed"  # one of its iterations did
    assert classes["close"] == "step leaf pending"


def test_iterations_are_counted_for_the_step_that_is_written() -> None:
    known = states(VIEW)
    assert known["letters.render"].counts == {"failed": 1, "succeeded": 1}
    assert known["pay"].attempts == 3
    assert known["review"].why == "not chosen by route"


def test_the_timeline_has_what_started() -> None:
    found = spans(VIEW)
    assert [span.path for span in found] == ["route", "pay", "letters[0].render", "letters"]
    assert (found[1].start_s, found[1].end_s, found[1].attempts) == (1.0, 20.5, 3)
    assert (found[3].end_s, found[3].is_open) == (60.0, True)


def test_the_page_of_a_run_tells_its_story() -> None:
    page = draw("html", CLAIM, VIEW)
    for words in (
        "failed",
        "Boom",
        "it broke",
        "1 min",
        "$0.0000123",
        "not chosen by route",
        "&quot;receipt&quot;: 7",
        "acme",
        "Timeline",
        "×3",
    ):
        assert words in page


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 ms"), (0.34, "340 ms"), (2.5, "2.5 s"), (59.94, "59.9 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (273600, "3 d 4 h")],
)
def test_durations_are_read_easily(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    "view", [{}, {"status": "pending", "steps": {}}, {"status": "running", "steps": None, "startedAt": "soon", "cost": None}]
)
def test_a_view_that_knows_little_is_drawn(view: dict[str, Any]) -> None:
    assert "Claim" in draw("html", CLAIM, view)


# ------------------------------------------------------------------------------------------------ safe to open

EVIL = "</title></style></script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>\x00\x1b\ud800"


class Elements(HTMLParser):
    """The elements and attributes that a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def evil(value: Any) -> Any:
    """The same shape, with every text that is not a word of the language replaced."""
    keep = {"id", "after", "dependencies", "then", "else", "step", "on", "join", "startedAt", "endedAt"}
    if isinstance(value, dict):
        return {key: inner if key in keep else evil(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [evil(inner) for inner in value]
    return EVIL if isinstance(value, str) else value


@pytest.mark.parametrize("view", [None, VIEW])
@pytest.mark.parametrize("format", ["svg", "html"])
def test_no_text_becomes_markup(format: str, view: dict[str, Any] | None) -> None:
    def elements(definition: Any, seen: Any) -> list[tuple[str, list[str]]]:
        parser = Elements()
        parser.feed(draw(format, definition, seen))
        return [(tag, sorted(attributes)) for tag, attributes in parser.seen if tag not in ("rect", "text", "path")]

    assert elements(evil(CLAIM), evil(view)) == elements(CLAIM, view)


def test_no_text_ends_a_label_of_another_format() -> None:
    mermaid, dot = draw("mermaid", evil(CLAIM)), draw("dot", evil(CLAIM))
    assert "<script" not in mermaid
    assert all(line.count('"') in (0, 2) for line in mermaid.splitlines())
    assert not re.search(r'(?<!\\)"[^"]*<script>(?:[^"\\]|\\.)*$', dot, re.MULTILINE)


def test_svg_with_evil_text_is_still_xml() -> None:
    ElementTree.fromstring(draw("svg", evil(CLAIM), evil(VIEW)))


def test_the_page_asks_for_nothing() -> None:
    page = draw("html", CLAIM, VIEW)
    parser = Elements()
    parser.feed(page)
    for tag, attributes in parser.seen:
        assert not {"src", "href", "xlink:href", "srcset", "action", "onload", "onclick"} & attributes.keys(), tag
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page


# ------------------------------------------------------------------------------------------------ large ones


def layered(width: int, depth: int) -> dict[str, Any]:
    def steps() -> Iterator[dict[str, Any]]:
        for layer in range(depth):
            for number in range(width):
                before = [f"s{layer - 1}_{(number + shift) % width}" for shift in (0, 1)] if layer else []
                yield {"id": f"s{layer}_{number}", "after": sorted(set(before)), "task": "work"}

    return {"id": "large", "name": "Large", "version": "1.0.0", "steps": list(steps())}


@pytest.mark.parametrize(("width", "depth"), [(1, 500), (500, 1), (25, 20), (250, 2)])
def test_large_workflows_are_drawn_without_overlaps(width: int, depth: int) -> None:
    layout = arrange(read(layered(width, depth)))
    assert len(layout.boxes) == width * depth
    rows: dict[float, list[Box]] = {}
    for box in layout.boxes:
        rows.setdefault(box.x if layout.is_horizontal else box.y, []).append(box)
    for row in rows.values():
        row.sort(key=lambda box: (box.x, box.y))
        assert not any(overlap(one, other) for one, other in pairwise(row))
