"""The page of the configuration names every key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel
from treadle.config import Configuration
from treadle.config.model import Section

from tests.config import mutations

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/reference/configuration.md").read_text(encoding="utf-8")


def keys(model: type[BaseModel], path: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from keys(inner, f"{path}{name}.")
        else:
            yield path + name


def test_every_key_has_tests_that_fail_without_it() -> None:
    """That they do: `make mutations`."""
    assert set(mutations.ROWS) == set(keys(Configuration))
    for test in {mutations.place(test) for tests in mutations.ROWS.values() for test in tests}:
        file, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), test


def test_every_key_has_its_line() -> None:
    """Written whole, or after another one of the same section."""
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    told = {f"`{key}`" for key in keys(Configuration)}
    missing = [
        key
        for key in told
        if not any(key in row or (key[1:].rpartition(".")[0] in row and f"`{key.rpartition('.')[2]}" in row) for row in rows)
    ]
    assert missing == []
