"""Whatever comes in, an answer comes out: no text and no data crashes the checks, and every answer has the same form."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from treadle.cel import Cel
from treadle.definition import Checked, Checker
from treadle.definition.model_steps import ACTIONS
from treadle.definition.rendering import to_sarif, to_text

CHECKER = Checker({"echo"}, Cel())

# characters that YAML takes as they are, so that the same text can be read both ways
characters = st.characters(min_codepoint=32, max_codepoint=0xD7FF, exclude_categories=["Cc"], exclude_characters="\u2028\u2029")
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(characters, max_size=8)
words = st.sampled_from(["a", "b", "c", "*", "any", "30s", "input.x", "steps.a.output", "${steps.b.output}", "${item", "1 +", "echo"])
anything = st.recursive(
    scalars | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(characters, max_size=5), inner, max_size=4),
    max_leaves=8,
)

STEP_KEYS = (
    *ACTIONS, "id", "with", "after", "join", "when", "forEach", "maxConcurrency", "tolerate", "repeat", "retry", "timeout", "catch",
    "compensate", "output",
    "cache", "priority", "resources", "concurrency", "idempotent",
)  # fmt: skip
INNER_KEYS = (
    "steps",
    "dependencies",
    "output",
    "until",
    "while",
    "max",
    "then",
    "else",
    "when",
    "errors",
    "task",
    "with",
    "step",
    "on",
    "key",
    "limit",
    "cpu",
)
DOCUMENT_KEYS = (
    "id",
    "name",
    "version",
    "dependencies",
    "errorHandling",
    "metadata",
    "input",
    "output",
    "timeout",
    "checkpoint",
    "concurrency",
    "triggers",
)

shapes = st.recursive(
    anything, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(INNER_KEYS), inner, max_size=4), max_leaves=6
)
steps = st.dictionaries(st.sampled_from(STEP_KEYS), shapes, max_size=6)
nested = st.recursive(
    steps,
    lambda inner: st.builds(lambda step, group: {**step, "group": {"steps": group}}, steps, st.lists(inner, max_size=3)),
    max_leaves=6,
)
documents = st.builds(
    lambda rest, found: {"id": "w", "name": "W", "version": "1.0.0", **rest, "steps": found},
    st.dictionaries(st.sampled_from(DOCUMENT_KEYS), shapes, max_size=4),
    st.lists(nested | shapes, max_size=6),
)


def is_an_answer(checked: Checked) -> None:
    assert (checked.document is None) == bool(checked.errors)
    for diagnostic in checked.diagnostics:
        assert diagnostic.message
        assert diagnostic.path == "" or diagnostic.path.startswith("/")
        assert (diagnostic.line is None) == (checked.text is None)
        assert diagnostic.line is None or (diagnostic.line >= 1 and diagnostic.column is not None and diagnostic.column >= 1)
    assert isinstance(to_text(checked.diagnostics, checked.text), str)
    json.dumps(to_sarif([("f", checked.diagnostics)]))


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_answered(text: str) -> None:
    is_an_answer(CHECKER.check(text))
    is_an_answer(CHECKER.check("{" + text))


@settings(deadline=None)
@given(st.text("{}[]:,-\"'#&*!|>%@` \n\ta0~<", max_size=60))
def test_any_text_of_yamls_own_characters_is_answered(text: str) -> None:
    is_an_answer(CHECKER.check(text))
    is_an_answer(CHECKER.check("id: w\nsteps: " + text))


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes_are_answered(content: bytes) -> None:
    is_an_answer(CHECKER.check(content))


@settings(deadline=None)
@given(anything)
def test_any_data_is_answered(data: Any) -> None:
    if isinstance(data, str):
        return
    is_an_answer(CHECKER.check(data))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents)
def test_any_document_of_the_languages_own_keys_is_answered(document: Any) -> None:
    is_an_answer(CHECKER.check(document))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents)
def test_data_json_and_yaml_are_told_the_same(document: Any) -> None:
    try:
        text = json.dumps(document, allow_nan=False, ensure_ascii=False)
    except ValueError:
        return
    told = [{(d.code, d.path, d.message) for d in CHECKER.check(source).diagnostics} for source in (document, text, "# YAML\n" + text)]

    assert told[1] == told[2]
    if not any(code in ("syntax", "bad-value") for code, _, _ in told[0]):  # numbers of more than 64 bits end early for data
        assert told[0] == told[1]
