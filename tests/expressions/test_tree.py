"""What is said of an expression is the same whether the runtime checked its types or only parsed it: one that is sound is compiled once,
and one that is not has a tree all the same, to tell of its names."""

from __future__ import annotations

import pytest
from treadle.cel import tree
from treadle.cel.programs import LANGUAGE_NAMES, _environment

from tests.expressions.test_cel import REFERENCES, VALUES
from tests.fuzz.inputs import EXPRESSIONS

SOUND = sorted({text for text, *_ in (*VALUES, *REFERENCES)} | set(EXPRESSIONS))
MATCHING = ["'a'.matches('b' + input.x)", "input.list.filter(x, x.matches('a')).size() > 0"]


@pytest.mark.parametrize("text", SOUND + MATCHING)
def test_a_checked_tree_says_what_a_parsed_one_says(text: str) -> None:
    parsed = tree.read(_environment(LANGUAGE_NAMES).compile(text, disable_check=True).serialize())
    names = _environment(LANGUAGE_NAMES | {path[0] for path in tree.accesses(parsed)})
    checked = tree.read(names.compile(text).serialize())
    for said in (tree.accesses, tree.repeated, tree.patterns):
        assert list(said(checked)) == list(said(parsed))
