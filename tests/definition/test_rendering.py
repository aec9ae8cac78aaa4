"""How diagnostics look to people, to code scanners and to GitHub."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


def test_github_gets_one_annotation_a_line(check: Callable[[Any], Checked]) -> None:
    checked = check('steps: [{id: "a%:,\\n", set: 1}]\n')

    assert to_github(checked.diagnostics, "a,b.yaml").splitlines() == [
        "::error file=a%2Cb.yaml,title=treadle bad-value,line=4,col=14::a step's id looks like ^[A-Za-z][A-Za-z0-9_]{0,63}$"
    ]
