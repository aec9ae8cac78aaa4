"""What schemas tell of an expression before anything runs: only what is certain, as a warning, with a hint."""

from __future__ import annotations

from typing import Any

import pytest
from treadle import task
from treadle.cel import Cel
from treadle.core.expressions import Patience
from treadle.definition import Checker
from treadle.definition.diagnostics import Code
from treadle.tasks import Registry

CLOSED = {"type": "object", "additionalProperties": False}
INPUT = {
    **CLOSED,
    "properties": {
        "amount": {"type": "integer"},
        "rate": {"type": "number"},
        "tags": {"type": "array"},
        "maybe": {"type": ["string", "null"]},
        "size": {"enum": ["s", "m"]},
        "open": {"type": "object"},
        "any": {},
        "of": {"additionalProperties": {"type": "string"}, "type": "object"},
        "who": {**CLOSED, "properties": {"name": {"type": "string"}}},
        "tree": {"$ref": "#/$defs/tree"},
        "either": {"anyOf": [{"type": "string"}, {**CLOSED, "properties": {"a": {}}}, {**CLOSED, "properties": {"b": {}}}]},
        "loop": {"$ref": "#/$defs/loop"},
    },
    "$defs": {"tree": {**CLOSED, "properties": {"left": {"$ref": "#/$defs/tree"}}}, "loop": {"$ref": "#/$defs/loop"}},
}


@task(output={**CLOSED, "properties": {"receipt": {"type": "string"}}})
def charge(given: Any) -> Any:
    return {"receipt": "r"}


CHECKER = Checker(Registry([charge, *(task for name in ("echo",) if (task := Registry.load().find(name)))]), Cel())


def told(*steps: dict[str, Any], **more: Any) -> list[tuple[str, str, str | None]]:
    document = {"id": "w", "name": "W", "version": "1.0.0", "input": INPUT, "steps": list(steps), **more}
    return [(found.code.value, found.message, found.hint) for found in CHECKER.check(document).diagnostics]


def of(expression: str) -> list[tuple[str, str, str | None]]:
    return told({"id": "a", "set": f"${{{expression}}}"})


NEVER = [
    ("input.amont", "`input` has no field `amont`", "did you mean `amount`?"),
    ("input['amont']", "`input` has no field `amont`", "did you mean `amount`?"),
    ("input.who.nmae + '!'", "`input.who` has no field `nmae`", "did you mean `name`?"),
    ("input.tree.left.left.right", "`input.tree.left.left` has no field `right`", None),
    ("input.either.c", "`input.either` has no field `c`", None),
    ("input.amount.cents", "`input.amount` is a number, which has no field `cents`", None),
    ("input.tags.first", "`input.tags` is a list, which has no field `first`", None),
    ("input.of.x.y", "`input.of.x` is a string, which has no field `y`", None),
    ("has(input.wo.name)", "`input` has no field `wo`", "did you mean `who`?"),
    ("input.amount + 'x'", "`+` cannot be applied to a number and a string", None),
    ("input.who + input.who", "`+` cannot be applied to a map and a map", None),
    ("input.maybe * 2", "`*` cannot be applied to a string and a number", None),
    ("input.size - 1", "`-` cannot be applied to a string and a number", None),
    ("input.amount > 'x'", "`>` cannot be applied to a number and a string", None),
    ("(input.rate + input.rate) + 'x'", "`+` cannot be applied to a number and a string", None),
    ("size(input.amount)", "`size` cannot be applied to a number (input.amount)", None),
    ("input.tags.startsWith('x')", "`startsWith` cannot be applied to a list (input.tags)", None),
    ("!input.amount", "`!` cannot be applied to a number (input.amount)", None),
    ("-input.who.name", "`-` cannot be applied to a string (input.who.name)", None),
    ("[1].map(x, input.amont)", "`input` has no field `amont`", "did you mean `amount`?"),
]


@pytest.mark.parametrize(("expression", "message", "hint"), NEVER, ids=[expression for expression, *_ in NEVER])
def test_what_can_never_have_a_value_is_a_warning(expression: str, message: str, hint: str | None) -> None:
    assert of(expression) == [("schema-mismatch", message, hint)]


PERHAPS = [
    "input.amount + 1",
    "input.amount + 1.5",
    "input.rate + input.amount",
    "input.open.anything.at.all",
    "input.any + 'x'",
    "input.of.x + 'y'",
    "input.either.b",
    "input.maybe + 'x'",
    "input.maybe == null ? 'none' : input.maybe",
    "has(input.nope)",
    "input.amount == 'x'",
    "input.tags + ['a']",
    "input.tags[0].name",
    "input.tags.map(t, t.name + 1)",
    "input.loop.x",
    "'n' in input.tags",
    "input.size < 'z'",
    "string(input.amount) + 'x'",
    "input.tree.left",
    "input",
]


@pytest.mark.parametrize("expression", PERHAPS)
def test_what_may_have_one_is_let_be(expression: str) -> None:
    assert of(expression) == []


STEPS = [
    pytest.param({"id": "a", "task": "charge"}, "${steps.a.output.reciept}", "receipt", id="a task that says what it gives"),
    pytest.param({"id": "a", "set": {"total": "${input.amount}"}}, "${steps.a.output.totl}", "total", id="a set"),
    pytest.param(
        {"id": "a", "task": "echo", "output": {"total": 1}}, "${steps.a.output.totl}", "total", id="what a step's output makes of it"
    ),
    pytest.param({"id": "a", "approval": {}}, "${steps.a.output.comments}", "comment", id="an approval"),
    pytest.param({"id": "a", "set": 1}, "${steps.a.error.mesage}", "message", id="an error"),
]


@pytest.mark.parametrize(("step", "text", "meant"), STEPS)
def test_what_a_step_gives_is_known_where_something_says_it(step: dict[str, Any], text: str, meant: str) -> None:
    ((code, _, hint),) = told(step, {"id": "b", "after": ["a"], "set": text})
    assert (code, hint) == ("schema-mismatch", f"did you mean `{meant}`?")


OPEN = [
    pytest.param({"task": "charge", "catch": [{"errors": ["*"], "output": {"other": 1}}]}, id="a catch may give something else"),
    pytest.param({"task": "echo"}, id="a task that does not say"),
    pytest.param({"task": "charge", "repeat": {"max": 2, "while": "true"}}, id="a loop that may not run"),
    pytest.param({"set": "${input.any}"}, id="any value"),
]


@pytest.mark.parametrize("step", OPEN)
def test_what_may_be_otherwise_is_let_be(step: dict[str, Any]) -> None:
    assert told({"id": "a", **step}, {"id": "b", "after": ["a"], "set": "${steps.a.output.other}"}) == []


def test_fields_that_the_language_does_not_have_are_errors() -> None:
    found = told({"id": "a", "set": 1}, {"id": "b", "after": ["a"], "set": "${steps.a.outptu} ${run.started}"})
    assert [(code, hint) for code, _, hint in found] == [
        ("unknown-reference", "did you mean `output`?"),
        ("unknown-reference", "did you mean `startedAt`?"),
    ]


def test_a_task_s_result_is_known_in_the_output_of_its_step_and_its_output_in_what_undoes_it() -> None:
    step = {"id": "a", "task": "charge", "output": "${result.reciept}", "compensate": {"set": "${output.x}"}}
    found = told(step, errorHandling={"onFailure": "compensate"})
    assert found == [("schema-mismatch", "`result` has no field `reciept`", "did you mean `receipt`?")]


def test_without_tasks_nothing_is_known_of_them() -> None:
    document = {"id": "w", "name": "W", "version": "1.0.0", "steps": [{"id": "a", "task": "x", "output": "${result.y}"}]}
    assert not Checker(None, Cel()).check(document).diagnostics


def test_a_warning_makes_no_definition_invalid() -> None:
    document = {"id": "w", "name": "W", "version": "1.0.0", "input": INPUT, "steps": [{"id": "a", "set": "${input.amont}"}]}
    checked = CHECKER.check(document)
    assert (checked.is_valid, [found.code for found in checked.diagnostics]) == (True, [Code.SCHEMA_MISMATCH])


@pytest.mark.parametrize("key", ["anyOf", "allOf", "oneOf"])
def test_alternatives_within_alternatives_are_looked_at_until_patience_ends(key: str) -> None:
    """Thirty definitions, each of which is twice the next one: a billion ways to the last."""
    references = {f"d{number}": {key: [{"$ref": f"#/$defs/d{number + 1}"}] * 2} for number in range(30)}
    schema = {"$ref": "#/$defs/d0", "$defs": {**references, "d30": {"type": "string"}}}
    patience = Patience(1_000)
    Cel().mismatches("input.x + 1", {"input": schema}, patience)
    assert -2_000 < patience.alternatives < 0
