"""Checks in one line: `check("steps: ...")` completes a document with its head and gives what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from treadle.cel import Cel
from treadle.definition import Checked, Checker

HEAD = "id: w\nname: W\nversion: 1.0.0\n"  # three lines: what a test writes begins on line 4
TASKS = frozenset({"echo", "charge", "refund"})


@pytest.fixture(scope="session")
def checker() -> Checker:
    return Checker(TASKS, Cel())


@pytest.fixture(scope="session")
def check(checker: Checker) -> Callable[[Any], Checked]:
    def checked(source: Any) -> Checked:
        if isinstance(source, str) and not source.startswith("{"):
            source = HEAD + source
        return checker.check(source)

    return checked
