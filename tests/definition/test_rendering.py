"""How diagnostics look to people, to code scanners and to GitHub."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from treadle.definition import Checked, Checker
from treadle.definition.rendering import to_github, to_json, to_sarif, to_text

TEXT = "id: w\nname: W\nversion: 1.0.0\nsteps:\n  - id: a\n    set: 1\n    afer: [b]\n    compensate: {task: refund}\n"


def test_people_see_the_line_and_a_caret(checker: Checker) -> None:
    checked = checker.check(TEXT)

    assert to_text(checked.diagnostics, checked.text, "order.yaml") == (
        "order.yaml:7:5: error: there is no key `afer` here [unknown-field]\n"
        "    7 |     afer: [b]\n"
        "      |     ^\n"
        "  hint: did you mean `after`?\n"
        "\n"
        "order.yaml:8:17: warning: compensations run only under `onFailure: compensate` [unused-compensate]\n"
        "    8 |     compensate: {task: refund}\n"
        "      |                 ^\n"
        "\n"
        "1 error, 1 warning"
    )


def test_the_caret_stands_right_behind_tabs_and_in_long_lines(checker: Checker) -> None:
    text = '{"id": "w", "name": "W", "version": "1.0.0",\n\t"steps": [' + '{"id": "a", "set": "' + "x" * 500 + '", "wait": 5}]}'
    checked = checker.check(text)
    rows = to_text(checked.diagnostics, checked.text).splitlines()
    excerpt, caret = next((row, rows[number + 1]) for number, row in enumerate(rows) if "bad-duration" in rows[number - 1])

    assert len(excerpt) < 200
    assert excerpt[caret.index("^")] == "5"


@pytest.mark.parametrize(
    ("before", "cells"),
    [("plain", 5), ("日本", 4), ("\U0001f600", 2), ("e\u0301", 1), ("\u0661", 1), ("a\u200db", 3)],
    ids=["letters", "East Asian", "an emoji", "an accent of its own", "another digit", "what is not shown is a sign"],
)
def test_the_caret_stands_below_its_character_however_wide_those_before_it_are(checker: Checker, before: str, cells: int) -> None:
    checked = checker.check(f'id: w\nname: W\nversion: 1.0.0\nsteps:\n  - {{id: a, set: "{before}", afer: 1}}\n')
    _, _, caret, *_ = to_text(checked.diagnostics, checked.text).splitlines()

    assert caret.index("^") == len('    5 |   - {id: a, set: "') + cells + len('", ')


def test_of_what_is_cut_the_sum_is_no_more_than_a_least(checker: Checker) -> None:
    steps = [{"id": f"s{number}", "set": 1, "afer": []} for number in range(300)]
    checked = checker.check({"id": "w", "name": "W", "version": "1.0.0", "steps": steps})

    assert to_text(checked.diagnostics).endswith("\n\nat least 200 errors: of one code no more than 200 are told")


def test_without_a_text_there_is_the_path(checker: Checker) -> None:
    checked = checker.check({"id": "w", "name": "W", "version": "1.0.0", "steps": [{"id": "a"}]})

    assert to_text(checked.diagnostics).startswith("definition#/steps/0: error: a step needs an action [no-action]")


def test_control_characters_of_the_document_do_not_reach_the_terminal(checker: Checker) -> None:
    checked = checker.check("id: w\nname: W\nversion: 1.0.0\nsteps: [{id: a, set: \x1b[31m}]\n")

    assert "\x1b" not in to_text(checked.diagnostics, checked.text)


def test_colour_is_asked_for(checker: Checker) -> None:
    checked = checker.check(TEXT)

    assert "\x1b[1;31merror" in to_text(checked.diagnostics, checked.text, colour=True)


def test_nothing_wrong_is_nothing_said() -> None:
    assert to_text([]) == ""
    assert to_json([]) == {"valid": True, "diagnostics": []}


def test_json_has_every_field(checker: Checker) -> None:
    shown = to_json(checker.check(TEXT).diagnostics)

    assert shown["valid"] is False
    assert shown["diagnostics"][0] == {
        "code": "unknown-field", "severity": "error", "message": "there is no key `afer` here", "path": "/steps/0/afer",
        "line": 7, "column": 5, "hint": "did you mean `after`?",
    }  # fmt: skip


def test_sarif_names_rules_and_places(checker: Checker) -> None:
    log = to_sarif([("flows/order.yaml", checker.check(TEXT).diagnostics)])
    (run,) = log["runs"]

    assert (log["version"], [rule["id"] for rule in run["tool"]["driver"]["rules"]]) == ("2.1.0", ["unknown-field", "unused-compensate"])
    assert [(result["ruleId"], result["level"], result["ruleIndex"]) for result in run["results"]] == [
        ("unknown-field", "error", 0),
        ("unused-compensate", "warning", 1),
    ]
    assert run["results"][0]["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "flows/order.yaml"},
        "region": {"startLine": 7, "startColumn": 5},
    }


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("../flows/order.yaml", "../flows/order.yaml"),
        ("my flows/a%b:é.yaml", "my%20flows/a%25b%3A%C3%A9.yaml"),
        ("flows\\order.yaml", "flows/order.yaml"),
        ("/srv/my flows/order.yaml", "file:///srv/my%20flows/order.yaml"),
    ],
)
def test_sarif_names_files_by_references(checker: Checker, file: str, uri: str) -> None:
    (run,) = to_sarif([(file, checker.check(TEXT).diagnostics)])["runs"]

    assert {result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in run["results"]} == {uri}


def test_github_gets_one_annotation_a_line(check: Callable[[Any], Checked]) -> None:
    checked = check('steps: [{id: "a%:,\\n", set: 1}]\n')

    assert to_github(checked.diagnostics, "a,b.yaml").splitlines() == [
        "::error file=a%2Cb.yaml,title=treadle bad-value,line=4,col=14::"
        "a step's id has letters, digits and `_`, a letter first, at most 64 characters (did you mean `a`?)"
    ]
