"""What is valid, however unusual it looks; and warnings, which do not make a definition invalid."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from treadle.cel import Cel
from treadle.definition import Checked, Checker, schema
from treadle.definition.model import examples

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"

VALID = {
    "no, on, off and yes are strings": r"""
steps:
  - {id: on, set: off}
  - {id: y, after: [{step: on, on: done}], set: {no: yes, at: 12:30:00}}
""",
    "comments and block scalars": r"""
# c
steps:
  - id: a # c
    approval:
      message: |
        Look: "this", {that}, # no
""",
    "a literal template": r"""
steps: [{id: a, set: "$${steps.nowhere.output} and $${ not closed"}]
""",
    "braces and quotes within expressions": r"""
steps: [{id: a, set: ["${'}'}", "${{'a': {'b': 1}}.a.b}", "${'\\'}'}"]}]
""",
    "a variable of a macro": r"""
steps: [{id: a, set: "${input.l.filter(own, own > 1).map(x, x * 2)}"}]
""",
    "ids and names at their longest": r"""
steps: [{id: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, set: ключ}]
""",
    "a boolean or a list in place of an expression": r"""
steps: [{id: a, when: true, forEach: [1, 2], set: '${item}'}]
""",
    "null where any JSON may stand": r"""
steps: [{id: a, set: null, output: null}]
output: null
""",
    "both forms of edges with the same content": r"""
steps: [{id: a, set: 1}, {id: b, after: [a], set: 1}]
dependencies: {b: [a]}
""",
    "edges of both forms on different steps": r"""
steps: [{id: a, set: 1}, {id: b, set: 1}, {id: c, after: [b], set: 1}]
dependencies: {b: [a]}
""",
    "two edges from one step": r"""
steps: [{id: a, set: 1}, {id: b, after: [{step: a, on: succeeded}, {step: a, on: failed}], set: 1}]
""",
    "a group with dependencies and an output of its own": r"""
steps: [{id: g, group: {steps: [{id: a, set: 1}, {id: b, set: '${steps.a.output}'}], dependencies: {b: [a]}, output: '${steps.b.output}'}}]
""",
    "every kind of trigger": r"""
steps: [{id: a, set: 1}]
triggers:
  - {schedule: rate(1 minute)}
  - {schedule: 'cron(0/15 8-17 ? * MON-FRI *)'}
  - {event: {source: [shop]}, input: {order: '${event.detail.id}'}}
  - {s3: {prefix: in/, suffix: .csv}, input: '${event}'}
""",
    "the whole of errorHandling": r"""
steps: [{id: a, set: 1}]
errorHandling:
  retry: {maxAttempts: 5, backoff: linear, delay: 1s, multiplier: 1.5, maxDelay: 5m, jitter: full, on: ['*'], except: [X]}
  onFailure: wait
  escalation: [{afterAttempts: 3, notify: oncall}, {afterFailure: 1h, action: fail, severity: critical}]
  thresholds: {maxFailedSteps: 10, failureRate: 0.5, window: 5m, action: pause}
""",
    "the older names of errorHandling": r"""
steps: [{id: a, set: 1}]
errorHandling: {retryAttempts: 3, backoffStrategy: exponential, escalationPolicy: automatic, errorThresholds: {maxFailedSteps: 1}}
""",
    "attributes as templates over the input": r"""
steps: [{id: a, set: 1}]
metadata: {owner: shop, attributes: {customer: '${input.customer}', n: 1, b: true}, more: {x: [1]}}
""",
    "every action": r"""
steps:
  - {id: a, task: echo}
  - {id: b, set: 1}
  - {id: c, wait: PT1M}
  - {id: d, wait: {until: "timestamp('2030-01-01T00:00:00Z')"}}
  - {id: e, signal: {name: paid, timeout: 1h, schema: {type: object}}}
  - {id: f, approval: {}}
  - {id: g, workflow: {id: child, version: 1.0.0, input: {x: '${input}'}, wait: false}}
  - {id: h, emit: {type: Done, source: shop, detail: {a: '${input.a}'}}}
  - {id: i, switch: [{when: input.x, then: j}, {else: [k]}]}
  - {id: j, fail: {error: E, message: 'no ${input.x}'}}
  - {id: k, group: {steps: [{id: l, set: 1}]}}
""",
    "every modifier": r"""
steps:
  - id: a
    task: echo
    with: {key: '${secrets.API_KEY}'}
    cache: {key: input.k, ttl: 1h}
    priority: high
    resources: {cpu: 2 cores, memory: 2GB, storage: 10GB}
    concurrency: {key: input.k, limit: 2}
    idempotent: true
    timeout: 5m
    heartbeat: 30s
    catch: [{errors: ['Card*'], output: '${error.name}'}]
  - {id: b, after: [a], join: done, task: echo, repeat: {while: iteration < 3, max: 5, delay: 1s}, with: '${previous}'}
""",
}


@pytest.mark.parametrize("name", VALID)
def test_it_is_valid_and_nothing_is_lost(check: Callable[[Any], Checked], name: str) -> None:
    checked = check(VALID[name].lstrip())

    assert checked.diagnostics == ()
    assert check(json.dumps(checked.document)).document == checked.document
    assert check(checked.document).document == checked.document


WARNINGS = {
    "unused-compensate": ("steps: [{id: a, set: 1, compensate: {task: refund}}]\n", (4, 37)),
    "retry-exceeds-timeout": (
        "timeout: 1m\nsteps: [{id: a, task: echo, retry: {maxAttempts: 5, backoff: fixed, delay: 1m, jitter: none}}]\n",
        (5, 36),
    ),
    "unused-checkpoint": ("checkpoint: {steps: 5}\nsteps: [{id: a, set: 1}]\n", (4, 21)),
    "unreachable-step": ("steps: [{id: a, fail: {error: E}}, {id: b, after: [a], set: 1}]\n", (4, 41)),
}


@pytest.mark.parametrize("code", WARNINGS)
def test_a_warning_leaves_the_definition_valid(check: Callable[[Any], Checked], code: str) -> None:
    text, place = WARNINGS[code]
    checked = check(text)

    assert [(d.code.value, d.severity.value, d.line, d.column) for d in checked.diagnostics] == [(code, "warning", *place)]
    assert checked.document is not None


@pytest.mark.parametrize(
    ("steps", "unreachable"),
    [
        pytest.param("{id: a, set: 1}, {id: b, after: [{step: a, on: skipped}], set: 1}", ["b"], id="a root is never skipped"),
        pytest.param("{id: a, when: input.x, set: 1}, {id: b, after: [{step: a, on: skipped}], set: 1}", [], id="unless it has a when"),
        pytest.param("{id: a, set: 1}, {id: b, after: [{step: a, on: failed}], set: 1}", [], id="every action may fail"),
        pytest.param("{id: a, fail: {error: E}}, {id: b, after: [{step: a, on: succeeded}], set: 1}", ["b"], id="fail never succeeds"),
        pytest.param(
            "{id: a, fail: {error: E}, catch: [{errors: ['*'], output: 1}]}, {id: b, after: [a], set: 1}", [], id="unless it is caught"
        ),
        pytest.param(
            "{id: a, set: 1}, {id: b, after: [{step: a, on: succeeded}, {step: a, on: failed}], join: 2, set: 1}",
            ["b"],
            id="one outcome at a time"
        ),
        pytest.param(
            "{id: a, fail: {error: E}}, {id: b, after: [a], set: 1}, {id: c, after: [b], join: done, set: 1}",
            ["b"],
            id="join done always runs",
        ),
        pytest.param("{id: s, switch: [{when: input.x, then: a}]}, {id: a, set: 1}, {id: b, after: [a], set: 1}", [], id="a chosen path"),
    ],
)  # fmt: skip
def test_a_step_that_nothing_can_start_is_warned_of(check: Callable[[Any], Checked], steps: str, unreachable: list[str]) -> None:
    checked = check(f"steps: [{steps}]\n")

    assert checked.errors == ()
    assert [d.message.split("`")[1] for d in checked.diagnostics] == unreachable


def test_the_examples_of_the_schema_are_valid(checker: Checker) -> None:
    from treadle.cel import Cel

    for example in examples():
        assert Checker(None, Cel()).check(example).diagnostics == ()


def test_the_schema_is_one_and_agrees_with_the_checker() -> None:
    Draft202012Validator.check_schema(schema())
    validator = Draft202012Validator(schema())
    assert all(validator.is_valid(example) for example in schema()["examples"])
    for wrong in ({"steps": []}, {"extra": 1}, {"timeout": 5}, {"steps": [{"id": "a"}]}, {"steps": [{"id": "a", "set": 1, "wait": "1s"}]}):
        assert not validator.is_valid({**examples()[0], **wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        {"task": "echo", "catch": [{"errors": ["*"]}]},
        {"task": "echo", "catch": [{"errors": ["*"], "then": "b", "output": 1}]},
        {"task": "echo", "repeat": {"max": 3}},
        {"task": "echo", "repeat": {"while": "true", "until": "true", "max": 3}},
        {"task": "echo", "forEach": "input.x", "repeat": {"until": "true", "max": 3}},
        {"task": "echo", "forEach": "input.x", "tolerate": {}},
        {"task": "echo", "forEach": "input.x", "tolerate": {"failures": 1, "percent": 1}},
        {"set": 1, "task": "echo"},
        {"set": 1, "with": {}},
        {"set": 1, "maxConcurrency": 2},
        {"set": 1, "tolerate": {"failures": 1}},
        {"switch": [{"else": "b"}], "forEach": "input.x"},
        {"switch": [{"else": "b"}], "repeat": {"until": "true", "max": 3}},
        {"set": 1, "compensate": {"set": 1, "with": {}}},
        {"emit": {"type": "x", "source": "treadle"}},
        {"emit": {"type": "x", "source": "aws.s3"}},
        {"task": "echo", "catch": [{"errors": ["C*d"], "output": 1}]},
        {"task": "echo", "resources": {"cpu": "two"}},
        {"task": "echo", "resources": {"memory": "2"}},
        {"wait": "P1Y"},
        {"wait": "Pfingsten"},
        {"workflow": {"id": "w", "version": "1.0"}},
        {"signal": {"name": "s", "schema": {"type": "objekt"}}},
    ],
)
def test_what_excludes_each_other_does_so_in_the_schema_too(checker: Checker, wrong: dict[str, Any]) -> None:
    document = {"id": "w", "name": "W", "version": "1.0.0", "steps": [{"id": "a", **wrong}, {"id": "b", "set": 1}]}

    assert not checker.check(document).is_valid
    assert not Draft202012Validator(schema()).is_valid(document)


BESIDE: list[dict[str, Any]] = [
    {"version": "1.0"},
    {"errorHandling": {"escalation": [{"afterAttempts": 2}]}},
    {"errorHandling": {"escalation": [], "escalationPolicy": "manual"}},
    {"errorHandling": {"thresholds": {"action": "pause"}}},
    {"triggers": [{"event": {"source": "shop"}}]},
    {"triggers": [{"event": {"source": []}}]},
    {"input": {"properties": {"a": {"required": True}}}},
    {"input": {"properties": {"a": {"items": [{"minLength": -1}]}}}},
    {"input": {"allOf": []}},
]


@pytest.mark.parametrize("wrong", [{"triggers": [{}]}, {"checkpoint": {}}, {"errorHandling": {"escalation": [{"notify": "ops"}]}}, *BESIDE])
def test_and_beside_the_steps(checker: Checker, wrong: dict[str, Any]) -> None:
    document = {"id": "w", "name": "W", "version": "1.0.0", "steps": [{"id": "a", "set": 1}], **wrong}

    assert not checker.check(document).is_valid
    assert not Draft202012Validator(schema()).is_valid(document)


def test_the_schema_describes_each_key_and_shows_each_map() -> None:
    """What an editor shows beside the cursor."""
    models = {"Workflow": schema(), **schema()["$defs"]}
    assert models.pop("JsonSchema")["properties"].keys() >= {
        "type",
        "properties",
        "required",
        "items",
        "enum",
    }  # JSON Schema's own keywords

    def is_described(key: dict[str, Any]) -> bool:
        return "description" in key or ("$ref" in key and "description" in models[key["$ref"].rpartition("/")[2]])

    keys = [(f"{title}.{name}", key) for title, model in models.items() for name, key in model["properties"].items()]
    assert [name for name, key in keys if not is_described(key)] == []
    shown = [(shape, example) for _, shape in keys for example in shape.get("examples", ())]
    assert len(shown) > 50
    for shape, example in shown:
        assert Draft202012Validator({"$defs": schema()["$defs"], **shape}).is_valid(example), (shape, example)
    for title, model in models.items():
        validator = Draft202012Validator({"$defs": schema()["$defs"], **({"$ref": f"#/$defs/{title}"} if title != "Workflow" else model)})
        assert model["examples"]
        assert [fault.message for example in model["examples"] for fault in validator.iter_errors(example)] == []


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*/workflow.yaml")), ids=lambda file: file.parent.name)
def test_the_schema_takes_every_example(file: pathlib.Path) -> None:
    document = Checker(None, Cel()).check(file).document
    assert [fault.message for fault in Draft202012Validator(schema()).iter_errors(document)] == []


@pytest.mark.parametrize("right", [" 2gb ", "1.5 GiB", "512MB"])
def test_the_schema_takes_what_the_checker_takes(checker: Checker, right: str) -> None:
    step = {
        "id": "a",
        "task": "echo",
        "resources": {"memory": right, "cpu": "2 CORES"},
        "timeout": "P1DT0,5H",
        "retry": {"on": ["*", "Card*"]},
    }
    dependencies = {"a": ["b"], "c": {"type": ["string", "null"], "multipleOf": 0.5, "minLength": 1.0}}
    document = {"id": "w", "name": "W", "version": "1.0.0-rc.1+b-1", "steps": [step], "input": {"dependencies": dependencies}}

    assert checker.check(document).is_valid
    assert [fault.message for fault in Draft202012Validator(schema()).iter_errors(document)] == []


def test_a_file_is_read_by_its_path(checker: Checker, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "w.yaml"
    file.write_text("id: w\nname: W\nversion: 1.0.0\nsteps: [{id: a, set: ключ}]\n", encoding="utf-8")

    assert checker.check(file).document == {"id": "w", "name": "W", "version": "1.0.0", "steps": [{"id": "a", "set": "ключ"}]}


def test_the_document_is_a_copy_of_the_data_it_came_from(checker: Checker) -> None:
    given: dict[str, Any] = {"id": "w", "name": "W", "version": "1.0.0", "steps": [{"id": "a", "set": {"x": 1}}]}
    document = checker.check(given).document
    given["steps"][0]["set"]["x"] = 2

    assert document is not None
    assert document["steps"][0]["set"] == {"x": 1}
