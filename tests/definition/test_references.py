"""Names in expressions: which exist where, which steps have surely ended, and at which column an expression is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from treadle.definition import Checked
from treadle.regexes import TOO_MANY

ORDER = [
    # steps, the codes of the errors, id
    ("{id: a, set: 1}, {id: b, set: '${steps.a.output}'}", ["unordered-reference"], "a step beside it"),
    ("{id: a, set: 1}, {id: b, after: [a], set: '${steps.a.output}'}", [], "a direct source"),
    ("{id: a, set: 1}, {id: b, after: [a], set: 1}, {id: c, after: [b], set: '${steps.a.output}'}", [], "a source's source"),
    ("{id: a, set: 1}, {id: b, set: 1}, {id: c, after: [a, b], set: 1}, {id: d, after: [c], set: '${steps.a.output}'}", [],
        "a join all has waited for both"),
    ("{id: a, set: 1}, {id: b, set: 1}, {id: c, after: [a, b], join: any, set: '${steps.a == null}'}", [],
        "a join any may name its sources"),
    ("{id: a, set: 1}, {id: b, set: 1}, {id: c, after: [a, b], join: any, set: 1}, {id: d, after: [c], set: '${steps.a.output}'}",
     ["unordered-reference"], "but not those who come after it"),
    ("{id: t, set: 1}, {id: a, after: [t], set: 1}, {id: b, after: [t], set: 1}, "
     "{id: c, after: [a, b], join: any, set: '${steps.t.output}'}", [],
     "what is before every source of a join any"),
    ("{id: t, set: 1}, {id: a, after: [t], set: 1}, {id: b, set: 1}, {id: c, after: [a, b], join: any, set: '${steps.t.output}'}",
     ["unordered-reference"], "what is before one source only of a join any"),
    ("{id: t, set: 1}, {id: a, after: [t], set: 1}, {id: b, after: [t], set: 1}, {id: c, set: 1}, "
     "{id: d, after: [a, b, c], join: 2, set: '${steps.t.output}'}", [],
     "two of three: no two sources avoid what is before two of them"),
    ("{id: t, set: 1}, {id: a, after: [t], set: 1}, {id: b, set: 1}, {id: c, set: 1}, "
     "{id: d, after: [a, b, c], join: 2, set: '${steps.t.output}'}",
     ["unordered-reference"], "two of three: what is before one of them may be avoided"),
    ("{id: s, switch: [{when: 'true', then: a}]}, {id: a, set: '${steps.s.output.chosen}'}", [], "a switch comes before its cases"),
    ("{id: a, fail: {error: E}, catch: [{errors: ['*'], then: m}]}, {id: m, set: '${steps.a.error.name}'}", [],
        "and a catch before its step"),
    ("{id: a, set: '${steps.a.output}'}", ["unordered-reference"], "its own step"),
    ("{id: a, set: 1, compensate: {task: refund, with: '${steps.a.output}'}}", [], "a compensation may read its own step"),
    ("{id: a, set: 1}, {id: g, after: [a], group: {steps: [{id: b, set: '${steps.a.output}'}]}}", [],
        "an inner step sees what is before its group"),
    ("{id: a, set: 1}, {id: g, group: {steps: [{id: b, set: '${steps.a.output}'}]}}", ["unordered-reference"], "and nothing beside it"),
    ("{id: g, group: {steps: [{id: b, set: '${steps.g.output}'}]}}", ["unordered-reference"], "nor the group itself"),
    ("{id: g, group: {steps: [{id: b, set: 1}]}}, {id: c, after: [g], set: '${steps.b.output}'}", ["unknown-reference"],
        "outside only the group is seen"),
    ("{id: g, group: {steps: [{id: b, set: 1}], output: '${steps.b.output}'}}", [], "a group's output sees the inner steps"),
    ("{id: g, group: {steps: [{id: b, set: 1}]}, output: '${steps.b.output}'}", ["unknown-reference"], "the output of its step does not"),
    ("{id: a, set: 1}, {id: b, after: [a], set: '${steps[input.name].output}'}", [], "a step chosen when it runs"),
    ("{id: chrge, set: 1}, {id: b, set: '${steps.charge.output}'}", ["unknown-reference"], "a step that is not there"),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "codes"), [pytest.param(*case[:2], id=case[2]) for case in ORDER])
def test_a_step_reads_what_has_surely_ended(check: Callable[[Any], Checked], steps: str, codes: list[str]) -> None:
    assert [d.code.value for d in check(f"errorHandling: {{onFailure: compensate}}\nsteps: [{steps}]\n").diagnostics] == codes


NAMES = [
    ("when: inputs.x", "input", "a typing error"),
    ("when: item == 1, forEach: '[1]'", "forEach", "when is for the step as a whole"),
    ("forEach: '[item]'", "forEach", "so is forEach itself"),
    ("forEach: '[1]', catch: [{errors: ['*'], output: '${item}'}]", "forEach", "and catch"),
    ("when: iteration == 1", "repeat", "an iteration outside a loop"),
    ("when: previous == 1", "repeat", "the previous output outside a loop"),
    ("when: result == 1", "output", "a result before there is one"),
    ("when: error == null", "catch", "an error outside a catch"),
    ("when: output == null", "compensate", "an output outside a compensation"),
    ("when: secrets.X == ''", "with", "a secret in a condition"),
    ("output: '${secrets.X}'", "with", "a secret in an output"),
    ("when: event.x == 1", "trigger", "an event within the run"),
]


@pytest.mark.parametrize(("modifier", "hint"), [pytest.param(*case[:2], id=case[2]) for case in NAMES])
def test_a_name_that_does_not_exist_there_is_told(check: Callable[[Any], Checked], modifier: str, hint: str) -> None:
    (told,) = check(f"steps: [{{id: a, set: 1, {modifier}}}]\n").errors

    assert told.code == "unknown-reference"
    assert hint in (told.hint or "")


@pytest.mark.parametrize(
    "modifiers",
    [
        pytest.param("forEach: input.l, set: '${item} ${index}', output: '${result + item}', cache: {key: item.k, ttl: 1h}",
            id="forEach"),
        pytest.param("repeat: {until: previous == iteration, max: 2}, set: '${previous} ${iteration}', output: '${result}'", id="repeat"),
        pytest.param("set: 1, catch: [{errors: ['*'], output: '${error.name} ${run.id}'}]", id="catch"),
        pytest.param("set: 1, compensate: {task: refund, with: '${output} ${error.message} ${secrets.K} ${steps.a.output}'}",
            id="compensate"),
        pytest.param("forEach: input.l, group: {steps: [{id: b, when: item == 1, forEach: item, set: '${index}'}], output: '${item}'}",
            id="a group in a loop"),
    ],
)  # fmt: skip
def test_names_exist_where_the_language_gives_them(check: Callable[[Any], Checked], modifiers: str) -> None:
    assert check(f"errorHandling: {{onFailure: compensate}}\nsteps: [{{id: a, {modifiers}}}]\n").diagnostics == ()


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param("metadata: {attributes: {a: '${run.id}'}}", id="attributes see only the input"),
        pytest.param("triggers: [{schedule: rate(1 day), input: '${input}'}]", id="triggers see only the event"),
        pytest.param("concurrency: {key: steps.a.output, limit: 1}", id="the key of a run is known before it starts"),
        pytest.param("output: '${item}'", id="the output of the run is not in a loop"),
    ],
)
def test_what_is_evaluated_outside_of_steps_sees_less(check: Callable[[Any], Checked], rest: str) -> None:
    assert [d.code.value for d in check(f"steps: [{{id: a, set: 1}}]\n{rest}\n").errors] == ["unknown-reference"]


COLUMNS = [
    # the document from line 4 on, with § before the character that is wrong
    ("steps:\n  - id: a\n    set: ${input.x §] 2}\n", "plain"),
    ("steps: [{id: a, set: \"${input.x §] 2}\"}]\n", "in double quotes"),
    ("steps: [{id: a, set: '${input.x §] 2}'}]\n", "in single quotes"),
    ("steps: [{id: a, set: 'it''s ${input.x §] 2}'}]\n", "behind a doubled quote"),
    ("steps: [{id: a, set: \"\\u00e9\\t\\\" ${input.x §] 2}\"}]\n", "behind escapes"),
    ("steps: [{id: a, set: \"é😀 ${input.x §] 2}\"}]\n", "behind characters of several bytes"),
    ("steps:\n  - id: a\n    set: |\n      one\n      two ${input.x §] 2}\n", "in a block"),
    ("steps:\n  - id: a\n    set: >-\n      one\n      two ${input.x §] 2}\n", "in a folded block"),
    ("steps:\n  - id: a\n    set: >\n\n      one\n\n\n      two ${input.x §] 2}\n", "behind blank lines that are folded"),
    ("steps:\n  - id: a\n    set: >\n      one\n       more\n\n      two\n      ${input.x §] 2}\n", "behind lines that are kept"),
    ("steps:\n  - id: a\n    set: |2\n       one\n      two ${input.x §] 2}\n", "in a block that says how far it is indented"),
    ("steps:\n  - id: a\n    set:\n      - |1-\n         two ${input.x §] 2}\n", "in such a block that is an item of a list"),
    ("steps:\n  - id: a\n    set: \"one\n      two ${input.x §] 2}\"\n", "in a string over two lines"),
    ("steps:\n  - id: a\n    set: 'one\n\n\n      two ${input.x §] 2}'\n", "in a string with blank lines"),
    ("steps:\n  - id: a\n    set: \"one \\\n\n      two ${input.x §] 2}\"\n", "behind the end of a line that is escaped"),
    ("steps: [{id: a, set: 1, when: 'input.x §] 2'}]\n", "a bare expression"),
    ("steps: [{id: a, set: '${1} and §${2'}]\n", "a template that never ends"),
]  # fmt: skip


@pytest.mark.parametrize("marked", [pytest.param(case[0], id=case[1]) for case in COLUMNS])
def test_a_bad_expression_is_told_at_its_column(check: Callable[[Any], Checked], marked: str) -> None:
    before = marked.split("§")[0]
    (told,) = check(marked.replace("§", "")).errors

    assert told.code == "bad-expression"
    assert (told.line, told.column) == (4 + before.count("\n"), len(before) - before.rfind("\n"))


def test_in_json_too(check: Callable[[Any], Checked]) -> None:
    text = '{"id": "w", "name": "W", "version": "1.0.0",\n "steps": [{"id": "a", "set": "\\u00e9\\n \\ud83d\\ude00 ${input.x ] 2}"}]}'
    (told,) = check(text).errors

    assert (told.code.value, told.line, told.column) == ("bad-expression", 2, text.split("\n")[1].index("]") + 1)


PLACES = [
    # the step's modifiers, with a mark before what is told to be wrong; id
    ('set: "all: ${1 + ^inptu.x}"', "a name"),
    ("set: \"${['inptu', ^inptu.x]}\"", "a name, not the text before it"),
    ('set: "${[input.inptu, ^inptu]}"', "a name, not the field before it"),
    ("set: 1, when: input.x > 1 && ^steps.b.output", "a step that is not there"),
    ('set: "${^steps . b.output} ${steps.b.output}"', "the first of several"),
    ("set: \"${^steps['b'].output}\"", "a step that is written otherwise: its expression"),
    ('set: "\\u00e9\\t${^result}"', "behind what is escaped"),
]


@pytest.mark.parametrize("marked", [pytest.param(case[0], id=case[1]) for case in PLACES])
def test_what_does_not_exist_is_told_where_it_is_written(check: Callable[[Any], Checked], marked: str) -> None:
    before = "steps: [{id: a, "
    (told,) = check(f"{before}{marked.replace('^', '')}}}]\n").errors

    assert (told.code.value, told.line, told.column) == ("unknown-reference", 4, len(before) + marked.index("^") + 1)


def test_a_template_where_a_bare_expression_is_due_is_hinted_at(check: Callable[[Any], Checked]) -> None:
    (told,) = check("steps: [{id: a, set: 1, when: '${input.x}'}]\n").errors

    assert told.code == "bad-expression"
    assert "without `${`" in (told.hint or "")


# ------------------------------------------------------------------------------------------------ regular expressions altogether


def _matching(patterns: list[str]) -> str:
    return "".join(f"  - {{id: a{n}, set: 1, when: \"'x'.matches('{pattern}')\"}}\n" for n, pattern in enumerate(patterns))


def test_all_regular_expressions_of_a_definition_have_a_bound_together(check: Callable[[Any], Checked]) -> None:
    large = [f"x{{0,{900 - n}}}" for n in range(14)]  # some 1,800 instructions each: eleven are within the bound, a twelfth is not
    assert check("steps:\n" + _matching(large[:11])).is_valid
    told = check("steps:\n" + _matching(large) + "  - {id: b, set: 1, when: '1 +'}\n").errors
    assert [d.path for d in told] == ["/steps/11/when", "/steps/12/when", "/steps/13/when", "/steps/14/when"]
    assert {d.message for d in told[:3]} == {TOO_MANY}, "what needs none of them is looked at as ever"


def test_those_of_schemas_count_as_well_and_so_do_those_that_are_refused(check: Callable[[Any], Checked]) -> None:
    schema = ", ".join(f"p{n}: {{pattern: 'x{{0,{900 - n}}}'}}" for n in range(6))
    inside = check(f"input: {{properties: {{{schema}}}}}\nsteps:\n" + _matching([f"x{{0,{800 - n}}}" for n in range(8)])).errors
    assert [d.path for d in inside] == ["/steps/5/when", "/steps/6/when", "/steps/7/when"]
    refused = check("steps:\n" + _matching([f"x{{0,{999 - n}}}{{0,99}}" for n in range(11)] + ["fine"])).errors
    assert len(refused) == 12
    assert [d.message == TOO_MANY for d in refused] == [False] * 11 + [True]


def test_the_same_one_counts_once(check: Callable[[Any], Checked]) -> None:
    assert check("steps:\n" + _matching(["x{0,900}"] * 30)).is_valid
