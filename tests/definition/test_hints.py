"""What who comes from elsewhere writes, and what he is told to write here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from treadle.definition import Checked
from treadle.definition.slips import FUNCTIONS

CASES = [
    # text, its line and column, hint, id
    ("steps:\n  - id: a\n    task: echo\n    Next: b\n", (7, 5), "`after` stands in the step that follows", "next"),
    ("startAt: a\nsteps: [{id: a, set: 1}]\n", (4, 1), "a step without `after` starts at once", "startAt"),
    ("steps: [{id: a, task: echo, matrix: {x: [1]}}]\n", (4, 29), "`forEach` is the word", "a matrix"),
    ("steps: [{id: a, task: echo, trigger_rule: all_done}]\n", (4, 29), "`join` is the word", "a trigger rule"),
    ("steps: [{id: a, task: echo, startToCloseTimeout: 5s}]\n", (4, 29), "`timeout` is the word", "a timeout with a longer name"),
    ("steps: [{id: a, task: echo, retry: {initialInterval: 5s}}]\n", (4, 37), "`delay` is the word", "the first interval"),
    ("steps: [{id: a, task: echo, catch: [{errors: ['*'], next: a, output: 1}]}]\n", (4, 53), "`then` is the word", "next in a catch"),
    ("onFailure: stop\nsteps: [{id: a, set: 1}]\n", (4, 1), "`errorHandling` is the word", "onFailure outside of its map"),
    ("description: of it\nsteps: [{id: a, set: 1}]\n", (4, 1), "`metadata` is the word", "a description"),
    ("steps: [{id: my-step, set: 1}]\n", (4, 14), "`my_step`", "a step's id with a hyphen"),
    ("steps: [{id: a, workflow: {id: MyFlow}}]\n", (4, 32), "`my-flow`", "a workflow's id with capitals"),
    ("steps: [{id: a, wait: 1h30m}]\n", (4, 23), "`PT1H30M`", "hours and minutes"),
    ("steps: [{id: a, wait: 1d 5s}]\n", (4, 23), "`P1DT5S`", "days and seconds"),
    ("steps: [{id: a, wait: 1.5h}]\n", (4, 23), "`90m`", "a fraction of hours"),
    ("steps: [{id: a, wait: 0.25s}]\n", (4, 23), "`250ms`", "a fraction of seconds"),
    ("steps: [{id: a, wait: 2w}]\n", (4, 23), "`14d`", "weeks"),
    ("steps: [{id: a, wait: 2026-12-24}]\n", (4, 23), "`{until:", "a date"),
    ("steps: [{id: a, set: 1}, {id: b, after: [a], join: '1', set: 1}]\n", (4, 52), "without quotes: 1", "a join in quotes"),
    ("steps: [{id: a, task: echo, forEach: '[1]', tolerate: {percent: 5%}}]\n", (4, 65), "`5`", "a per cent sign"),
    ("steps: [{id: g, group: [{id: x, set: 1}]}]\n", (4, 24), "`{steps: [...]}`", "a group that is a list"),
    ("steps:\n  - id: a\n    approval:\n", (6, 14), "`{}`", "an approval that says nothing"),
    ("steps:\n  - id: a\n    task:\n", (6, 10), "leave the key out", "a key with nothing behind it"),
    ("steps:\n  a: {set: 1}\n", (5, 3), "begins with `- `", "a map in the place of a list"),
    ("steps: [{id: a, set: 1, when: input.x = 1}]\n", (4, 39), "`==`", "one equals sign"),
    ("steps: [{id: a, set: 1, when: 'input.x and true'}]\n", (4, 40), "`&&`", "and"),
    ("steps: [{id: a, set: 1, when: 'input.x or true'}]\n", (4, 40), "`||`", "or"),
    ("steps: [{id: a, set: 1, when: not input.x}]\n", (4, 35), "`!`", "not"),
    ("steps: [{id: a, set: 1, when: input.x == None}]\n", (4, 42), "`null`", "None"),
    ("steps: [{id: a, set: 1, when: “input.x”}]\n", (4, 31), "straight quotes", "curly quotes"),
    ("steps: [{id: a, set: 1, when: len(input) > 1}]\n", (4, 31), "`size`", "another function's name"),
    ("steps: [{id: a, set: 1, when: input.s.startswith('a')}]\n", (4, 39), "`startsWith`", "a function with other capitals"),
    ('steps: [{id: a, set: "${{ input.x }}"}]\n', (4, 35), "one pair of braces", "two pairs of braces"),
    ("steps: [{id: a, set: \"${'a' + 1}\"}]\n", (4, 29), "`string(...)`", "a text and a number"),
    ("steps: [{id: a, set: '${now()}'}]\n", (4, 25), "`run.startedAt`", "what time it is"),
    ("steps: [{id: a, set: '${context.id}'}]\n", (4, 25), "`run`", "a context"),
    ("concurrency: {key: args.x, limit: 1}\nsteps: [{id: a, set: 1}]\n", (4, 20), "`input`", "arguments"),
    ("steps:\n  - id: a\n    set: 1\n  id: b\n", (7, 3), "in the same column", "an entry without its dash"),
    ("steps: [{id: a, set: 1, when: ''}]\n", (4, 32), "leave the key out", "an expression of nothing"),
    ('steps: [{id: a, set: 1}, {id: b, after: [a], set: "${a.output}"}]\n', (4, 54), "`steps.a`", "a step without `steps.`"),
    ('steps: [{id: a, set: 1}, {id: b, after: [a], set: "1 ${ steps.a.outputs }"}]\n', (4, 65), "`output`", "a field of a step"),
    ("steps: [{id: a, set: 1, catch: [{errors: ['*'], then: a}]}]\n", (4, 55), "`retry`", "a catch that goes on with its own step"),
    ("steps: [{id: a, task: echo, with: {x: ${input.x}}}]\n", (4, 40), "stands in quotes", "a template that is cut off by its brace"),
    ("steps:\n  - id: a\n\t  set: 1\n", (6, 1), "not with tabs", "a tab before a key"),
    ("steps:\n  - id: a\n    set: 1\n    when: !input.x\n", (7, 11), "begins with `!` stands in quotes", "not, as YAML reads it"),
    ("steps: [{id: a, task: echo, retry: {on: [*]}}]\n", (4, 43), "begins with `*` stands in quotes", "a star by itself"),
    ("steps: [{id: a, task: echo, retry: {on: [*Card]}}]\n", (4, 42), "begins with `*` stands in quotes", "a star before a name"),
    ("steps:\n  - id: a\n    set: 1\n    when: 'a' == input.x\n", (7, 15), "in other quotes", "a text, and more behind it"),
    ("steps:\n  - id: a\n    set: 1\n    task\n", (7, 5), "a key ends with `:`", "a key without its colon, at the end"),
    ("steps:\n  - id: a\n    task\n    set: 1\n", (6, 5), "a key ends with `:`", "a key without its colon"),
    ("steps:\n  -id: a\n   set: 1\n", (6, 7), "in line 5 a blank is missing behind `-`", "no blank behind a dash"),
    ("steps:\n  - id:a\n    set: 1\n", (6, 8), "in line 5 a blank is missing behind `id:`", "no blank behind a colon"),
    ("steps:\n\u00a0\u00a0- {id: a, set: 1}\n", (5, 16), "a blank that is no space", "blanks that are no spaces"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "hint"), [pytest.param(*case[:3], id=case[3]) for case in CASES])
def test_a_slip_has_a_hint_at_its_place(check: Callable[[Any], Checked], text: str, place: tuple[int, int], hint: str) -> None:
    told = check(text).errors

    assert any((fault.line, fault.column) == place and hint in (fault.hint or "") for fault in told), told


@pytest.mark.parametrize(("text", "hint"), [("None", "`null`"), ("True", "`true`"), ("False", "`false`")])
def test_words_of_python_have_a_hint_in_json(check: Callable[[Any], Checked], text: str, hint: str) -> None:
    (told,) = check('{"id": "w", "name": ' + text + "}").errors

    assert (told.code, told.column) == ("syntax", 21)
    assert hint in (told.hint or "")


def test_a_duration_that_is_too_long_is_not_told_in_another_form(check: Callable[[Any], Checked]) -> None:
    (told,) = check("steps: [{id: a, wait: 40000d}]\n").errors

    assert told.hint is None


@pytest.mark.parametrize("action", ["signal: {name: x}", "approval: {}"])
def test_a_compensation_that_would_wait_for_somebody_is_told_that_it_cannot(check: Callable[[Any], Checked], action: str) -> None:
    (told,) = check(f"steps: [{{id: a, set: 1, compensate: {{{action}}}}}]\n").errors

    assert (told.code, told.message) == ("no-action", f"`{action.partition(':')[0]}` is no action of a compensation, and it needs one")


def test_a_join_that_cannot_come_about_is_told_once(check: Callable[[Any], Checked]) -> None:
    told = check("steps: [{id: a, set: 1}, {id: b, after: [a], join: 2, set: 1}]\n").diagnostics

    assert [fault.code.value for fault in told] == ["bad-join"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_that_hints_name_are_there(check: Callable[[Any], Checked], name: str) -> None:
    forms = (
        f"{name}(input.x)",
        f"input.{name}()",
        f"input.{name}('a')",
        f"input.{name}(1)",
        f"input.{name}('a', 'b')",
        f"input.{name}(x, x == 1)",
    )
    told = [check(f'steps: [{{id: a, set: 1, when: "{form}"}}]\n').errors for form in forms]

    assert () in told
