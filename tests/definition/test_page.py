"""The reference page of the language: its examples are valid, and it names all that the language has."""

from __future__ import annotations

import pathlib
import re

import pytest
from treadle.cel import Cel
from treadle.definition import Checker, Code
from treadle.definition.slips import FUNCTIONS
from treadle.definition.structure import schema

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "reference" / "language.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES, ids=[text.split("\n")[0] for text in EXAMPLES])
def test_an_example_is_valid_as_it_stands(text: str) -> None:
    assert Checker(None, Cel()).check(text).diagnostics == ()


def test_every_function_is_there() -> None:
    assert [name for name in FUNCTIONS if f"`{name}`" not in PAGE] == []


def test_every_key_and_every_code_is_there() -> None:
    definitions = [schema(), *(definition for name, definition in schema()["$defs"].items() if name != "JsonSchema")]
    keys = {key for definition in definitions for key in definition.get("properties", {})}

    assert {word for word in keys | {code.value for code in Code} if not re.search(rf"\b{re.escape(word)}\b", PAGE)} == set()
