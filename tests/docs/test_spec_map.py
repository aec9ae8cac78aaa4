"""The map of the founding specification: each of its error cases is in it, and what it names is there."""

from __future__ import annotations

import re

import pytest

from tests.docs import mutations
from tests.docs.test_pages import ROOT

MAP = (ROOT / "docs/spec-map.md").read_text(encoding="utf-8")
CASES = {
    "Engine initialization": [
        "configuration validation errors", "resource allocation failures",
        "extension loading failures", "persistence initialization errors",
    ],
    "Workflow parsing": [
        "invalid workflow structure", "circular dependency detection", "missing required fields", "unsupported workflow patterns",
    ],
    "State management": [
        "state corruption detection", "persistence failures", "concurrent modification conflicts", "invalid state transitions",
    ],
    "Task dispatching": [
        "resource allocation failures", "task scheduling conflicts", "timeout violations", "priority queue management errors",
    ],
    "Error handling": [
        "error classification failures", "recovery strategy failures", "escalation policy violations", "error propagation issues",
    ],
}  # fmt: skip


def rows() -> list[list[str]]:
    """Of the table of error cases: function, case, how it is told, its tests."""
    table = MAP.partition("| function | error case |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_each_error_case_that_is_listed_has_a_row() -> None:
    found: dict[str, list[str]] = {}
    function = ""
    for first, case, told, _ in rows():
        function = first or function
        found.setdefault(function, []).append(case)
        assert told
    assert found == CASES


def test_each_row_has_a_test_that_there_is() -> None:
    there = set(re.findall(r"^def (test_\w+)", (ROOT / "tests/spec/test_spec.py").read_text(encoding="utf-8"), re.MULTILINE))
    for row in rows():
        named = re.findall(r"`(test_\w+)`", row[-1])
        assert named, row
        assert set(named) <= there, row


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:shared|tests|infra|functions)/[\w./]+)`", MAP))))
def test_what_the_map_names_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def test_no_row_leaves_its_test_open() -> None:
    tables = [line for line in MAP.splitlines() if line.startswith("|") and line.endswith("| |") and "not yet" not in line]
    assert [line for line in tables if "`get_task_status`" not in line] == []


def named_by_row() -> dict[str, str]:
    """Of every table: the row's name, as `make mutations` has it, and the cell with its tests."""
    found, function = {}, ""
    for first, case, _, tests in rows():
        function = first or function
        found[f"{function}: {case}"] = tests
    for table in re.findall(r"^\| (function \| is|line) \|.*\n\|[-|]+\n((?:\|.*\n?)+)", MAP, re.MULTILINE):
        for line in table[1].splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            found[cells[0].replace("`", "")] = "`tests/spec/test_spec.py`" if table[0].startswith("function") else cells[-1]
    return found


def test_each_row_has_an_effect_that_can_be_taken_away() -> None:
    assert named_by_row().keys() == mutations.ROWS.keys()


@pytest.mark.parametrize("row", mutations.ROWS)
def test_an_effect_is_there_and_its_test_is_one_of_the_row(row: str) -> None:
    """That it fails without: `make mutations`."""
    named = re.findall(r"`(test_\w+|tests/[\w./]+)`", named_by_row()[row])
    for effect in mutations.ROWS[row]:
        compile(effect.taken_away(), effect.file, "exec")
        file, _, test = effect.test.partition("::")
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8")
        assert test in named or any(file.startswith(name) for name in named), effect.test
