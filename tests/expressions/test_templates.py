"""Templates: where `${EXPR}` begins and ends, and what is put in its place. The expression language here is only look-up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from treadle.core.errors import ExpressionFault
from treadle.core.expressions import Hole, Names, References, as_text, evaluate, holes, render, split


class LookUp:
    """An expression language whose expressions are names."""

    def references(self, text: str) -> References:
        return References(frozenset({text}), frozenset())

    def evaluate(self, text: str, names: Names) -> Any:
        try:
            return names[text]
        except KeyError:
            raise ExpressionFault(f"`{text}` has no value here") from None


NAMES = {"n": 7, "d": 2.0, "yes": True, "none": None, "s": "≤${n}≥", "l": [1, "a", None], "m": {"k": [1.5]}}

SPLITS: list[tuple[str, list[str | tuple[str, int]]]] = [
    ("", []),
    ("plain", ["plain"]),
    ("$", ["$"]),
    ("costs $5 {x}", ["costs $5 {x}"]),
    ("${a}", [("a", 2)]),
    ("${}", [("", 2)]),
    ("${ a }", [(" a ", 2)]),
    ("x ${a} y", ["x ", ("a", 4), " y"]),
    ("${a}${b}", [("a", 2), ("b", 6)]),
    ("$${a}", ["${a}"]),
    ("$${a", ["${a"]),
    ("a $${b} ${c}", ["a ${b} ", ("c", 10)]),
    ("$$${a}", ["$${a}"]),
    ("${{'a': {'b': 1}}.a}", [("{'a': {'b': 1}}.a", 2)]),
    ("${'}'}", [("'}'", 2)]),
    ("${'{'}", [("'{'", 2)]),
    ('${"it\'s }"}', [('"it\'s }"', 2)]),
    (r"${'\'}'}", [(r"'\'}'", 2)]),
    (r"${r'\'}", [(r"r'\'", 2)]),
    (r"${br'\'}", [(r"br'\'", 2)]),
    (r"${b'\'}'}", [(r"b'\'}'", 2)]),
    (r"${'\\'}", [(r"'\\'", 2)]),
    ("${'''a'}b'''}", [("'''a'}b'''", 2)]),
    ("${''}", [("''", 2)]),
    ("${'' + ''}x", [("'' + ''", 2), "x"]),
    ("${'${a}'}", [("'${a}'", 2)]),
    ("}${a}{", ["}", ("a", 3), "{"]),
]


@pytest.mark.parametrize(("text", "pieces"), SPLITS, ids=[text or "(empty)" for text, _ in SPLITS])
def test_a_string_is_split_into_text_and_holes(text: str, pieces: list[str | tuple[str, int]]) -> None:
    assert list(split(text)) == [piece if isinstance(piece, str) else Hole(*piece) for piece in pieces]


@pytest.mark.parametrize(
    ("text", "column"),
    [("${", 1), ("${a", 1), ("a ${b", 3), ("${'}", 1), ("${{}", 1), ("$${a} ${", 7), (r"${'\'}", 1), ("${a}${'", 5)],
)
def test_a_hole_that_does_not_end_is_named_by_its_column(text: str, column: int) -> None:
    with pytest.raises(ExpressionFault) as caught:
        split(text)
    assert caught.value.column == column


RENDERED: list[tuple[Any, Any]] = [
    ("plain", "plain"),
    (5, 5),
    (None, None),
    ([True, 1.5], [True, 1.5]),
    ("${n}", 7),
    ("${d}", 2.0),
    ("${yes}", True),
    ("${none}", None),
    ("${l}", [1, "a", None]),
    ("${m}", {"k": [1.5]}),
    ("${n} ", "7 "),
    ("${n}${n}", "77"),
    ("a${yes}${none}", "atruenull"),
    ("v: ${d}", "v: 2.0"),
    ("v: ${l} ${m}", 'v: [1,"a",null] {"k":[1.5]}'),
    ("${s}", "≤${n}≥"),
    ("<${s}>", "<≤${n}≥>"),
    ("$${n}", "${n}"),
    ({"${n}": "${n}"}, {"${n}": 7}),
    ([{"a": ["${n}", "x${n}"]}], [{"a": [7, "x7"]}]),
]


@pytest.mark.parametrize(("template", "value"), RENDERED, ids=[str(template) for template, _ in RENDERED])
def test_a_template_is_filled_in(template: Any, value: Any) -> None:
    found = render(template, LookUp(), NAMES)
    assert found == value
    assert type(found) is type(value)


def test_holes_are_listed_in_document_order() -> None:
    assert [hole.text for hole in holes({"b": ["${1}", "x ${2} ${3}"], "a": "${4}", "n": 5, "e": "$${no}"})] == ["1", "2", "3", "4"]


def test_a_fault_in_a_hole_is_the_templates() -> None:
    with pytest.raises(ExpressionFault, match="`missing` has no value here"):
        render({"a": ["${missing}"]}, LookUp(), NAMES)


@pytest.mark.parametrize(("value", "text"), [("s", "s"), (1, "1"), (True, "true"), (None, "null"), ({"ä": [1]}, '{"ä":[1]}'), ("", "")])
def test_values_within_text(value: Any, text: str) -> None:
    assert as_text(value) == text


def test_a_bare_expression_may_be_a_json_value_that_stands_for_itself() -> None:
    assert evaluate("n", LookUp(), NAMES) == 7
    assert evaluate(False, LookUp(), NAMES) is False
    assert evaluate([1, "n"], LookUp(), NAMES) == [1, "n"]


@given(st.text(alphabet="$${}'\"\\ra b", max_size=30))
def test_splitting_loses_nothing(text: str) -> None:
    try:
        pieces = split(text)
    except ExpressionFault as fault:
        event("a hole that does not end")
        beginning = (fault.column or 0) - 1
        pieces = (text[beginning : beginning + 2],)
    if pieces == ("${",):
        return
    back = "".join(piece.replace("${", "$${") if isinstance(piece, str) else f"${{{piece.text}}}" for piece in pieces)
    assert split(back) == pieces
    for piece in pieces:
        if isinstance(piece, Hole):
            assert text[piece.offset : piece.offset + len(piece.text)] == piece.text


@given(st.text(max_size=30))
def test_escaped_text_comes_back_as_it_was(text: str) -> None:
    rendered = render(text.replace("${", "$${"), LookUp(), {})
    assert rendered == text or "$${" in text  # `$${` has no escape of its own: `$$` stays two characters before it
