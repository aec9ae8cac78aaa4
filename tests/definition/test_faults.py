"""Every fault with its code, and where it is told: line 4 is the first that a case writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from treadle.definition import Checked

STEP = "steps: [{id: a, set: 1}]\n"

CASES = [
    # code, text, (line, column) or None, part of the hint or None, id
    ("syntax", "steps:\n\t- {id: a, set: 1}\n", (5, 1), "with spaces", "a tab as indentation"),
    ("syntax", "steps: [{id: a, set: 1}\n", (4, 8), "what begins here does not end", "a list that never ends"),
    ("syntax", 'steps:\n  - {id: a, set: "open}\n', (5, 18), "what begins here does not end", "a string that never ends"),
    ("syntax", "steps: [{id: a, set: 1}\nname: X\n", (5, 1), "it began in line 4, column 8", "a list that is not ended"),
    ("syntax", "steps: [{id: a, set: @home}]\n", (4, 22), "begins with `@`", "a text that needs quotes"),
    ("syntax", "steps:\n  - id: a\n    set: a: b\n", (6, 11), "in quotes", "a colon in a text"),
    ("syntax", "steps: [{id: a, set: .nan}]\n", (4, 22), None, "NaN in YAML"),
    ("syntax", "steps: [{id: a, set: -.inf}]\n", (4, 22), None, "infinity in YAML"),
    ("bad-value", "steps: [{id: a, set: 9223372036854775808}]\n", (4, 22), None, "a whole number of 65 bits"),
    ("bad-value", "steps: [{id: a, set: 1e999}]\n", (4, 22), None, "a number beyond the greatest float"),
    ("unsafe-yaml", "steps:\n  - {id: a, set: !!python/object/apply:os.system [x]}\n", (5, 18), None, "a tag that makes an object"),
    ("unsafe-yaml", "steps: [{id: a, set: !!str 1}]\n", (4, 22), None, "a harmless tag"),
    ("unsafe-yaml", "steps: [{id: a, set: &x 1}]\n", (4, 22), None, "an anchor"),
    ("unsafe-yaml", "steps: [{id: a, set: {1: one}}]\n", (4, 23), "'1'", "a number as a key"),
    ("unsafe-yaml", "steps: [{id: a, set: {true: one}}]\n", (4, 23), None, "a boolean as a key"),
    ("unsafe-yaml", "steps: [{id: a, set: {? [a] : one}}]\n", (4, 25), None, "a list as a key"),
    ("unsafe-yaml", "steps: [{id: a, set: {<<: {b: 1}}}]\n", (4, 23), None, "a merge key"),
    ("unsafe-yaml", STEP + "---\nid: x\n", (5, 1), None, "two documents"),
    ("duplicate-key", "steps:\n  - id: a\n    set: 1\n    set: 2\n", (7, 5), None, "a key twice in a step"),
    ("duplicate-key", STEP + "name: again\n", (5, 1), None, "a key twice in the document"),
    ("missing-field", "steps:\n  - {set: 2}\n", (5, 5), None, "a step without id"),
    ("missing-field", "steps: [{id: a, set: 1, repeat: {until: 'true'}}]\n", (4, 33), None, "repeat without max"),
    ("missing-field", "steps: [{id: a, set: 1, repeat: {max: 3}}]\n", (4, 33), None, "repeat without a condition"),
    ("missing-field", "steps: [{id: a, wait: {}}]\n", (4, 23), None, "wait without until"),
    ("missing-field", "steps: [{id: a, switch: [{when: 'true'}]}]\n", (4, 26), None, "a case without then"),
    ("missing-field", "steps: [{id: a, set: 1, catch: [{errors: ['*']}]}]\n", (4, 33), None, "a catch that does nothing"),
    ("missing-field", "steps: [{id: a, signal: {}}]\n", (4, 25), None, "a signal without name"),
    ("missing-field", STEP + "checkpoint: {}\n", (5, 13), None, "an empty checkpoint"),
    ("missing-field", STEP + "triggers: [{input: {}}]\n", (5, 12), None, "a trigger that nothing pulls"),
    ("missing-field", STEP + "errorHandling: {thresholds: {action: pause}}\n", (5, 29), None, "thresholds without one"),
    ("missing-field", STEP + "errorHandling: {escalation: [{afterAttempts: 1}]}\n", (5, 30), None, "a rung that does nothing"),
    ("missing-field", STEP + "concurrency: {key: input.k}\n", (5, 14), None, "concurrency without limit"),
    ("unknown-field", "metdata: {}\n" + STEP, (4, 1), "metadata", "a typing error in the document"),
    ("unknown-field", "steps:\n  - id: b\n    afer: []\n    set: 2\n", (6, 5), "after", "a typing error in a step"),
    ("unknown-field", "steps: [{id: a, set: 1, retry: {maxAttempt: 2}}]\n", (4, 33), "maxAttempts", "in retry"),
    ("unknown-field", "steps: [{id: a, approval: {timeOut: 1h}}]\n", (4, 28), "timeout", "another case"),
    ("unknown-field", "steps: [{id: g, group: {steps: [{id: a, sett: 1, set: 1}]}}]\n", (4, 41), "set", "in a group"),
    ("unknown-field", "steps: [{id: a, switch: [{wen: 'true', when: 'true', then: []}]}]\n", (4, 27), "when", "in a case"),
    ("unknown-field", "steps: [{id: a, set: 1, after: [{step: a1, onn: done}]}, {id: a1, set: 1}]\n", (4, 44), "on", "in an edge"),
    ("unknown-field", "steps: [{id: a, set: 1, with: {x: 1}}]\n", (4, 25), None, "with beside set"),
    ("unknown-field", "steps: [{id: a, set: 1, compensate: {task: refund, after: []}}]\n", (4, 52), None, "an edge of a compensation"),
    ("unknown-field", STEP + "errorHandling: {onFailur: stop}\n", (5, 17), "onFailure", "in errorHandling"),
    ("bad-type", "steps: {a: {set: 1}}\n", (4, 8), None, "steps as a map"),
    ("bad-type", "steps: [a]\n", (4, 9), None, "a step as a string"),
    ("bad-type", "steps: [{id: a, task: echo, retry: {maxAttempts: '3'}}]\n", (4, 50), "without quotes: 3", "a number as a string"),
    ("bad-type", "steps: [{id: a, task: echo, retry: {maxAttempts: 3.5}}]\n", (4, 50), None, "a fraction where a whole number is due"),
    ("bad-type", "steps: [{id: a, task: 5}]\n", (4, 23), 'in quotes: "5"', "a task as a number"),
    ("bad-type", "steps: [{id: a, set: 1, after: a}]\n", (4, 32), None, "after as a string"),
    ("bad-type", "steps: [{id: a, set: 1, when: 5}]\n", (4, 31), None, "an expression as a number"),
    ("bad-type", "steps: [{id: a, set: 1, forEach: {a: 1}}]\n", (4, 34), None, "an expression as a map"),
    ("bad-type", "steps: [{id: a, set: 1, idempotent: 'yes'}]\n", (4, 37), None, "a boolean as a string"),
    ("bad-type", "steps: [{id: a, set: 1, after: null}]\n", (4, 32), None, "null is not the same as nothing"),
    ("bad-type", "steps: [{id: a, set: 1, join: [any]}]\n", (4, 31), None, "a join as a list"),
    ("bad-type", STEP + "metadata: {attributes: {a: [1]}}\n", (5, 28), None, "an attribute as a list"),
    ("bad-type", STEP + "dependencies: {a: b}\n", (5, 19), None, "sources as a string"),
    ("bad-type", STEP + "input: [type]\n", (5, 8), None, "a schema as a list"),
    ("bad-value", "steps: [{id: 1st, set: 1}]\n", (4, 14), None, "a step's id that begins with a digit"),
    ("bad-value", "steps: [{id: a-b, set: 1}]\n", (4, 14), None, "a step's id with a hyphen"),
    ("bad-value", "steps: [{id: in, set: 1}]\n", (4, 14), None, "a word of the expression language"),
    ("bad-value", f"steps: [{{id: {'a' * 65}, set: 1}}]\n", (4, 14), None, "an id that is too long"),
    ("bad-value", "steps: []\n", (4, 8), None, "no steps"),
    ("bad-value", "steps: [{id: a, set: 1}, {id: b, after: [{step: a, on: success}], set: 2}]\n", (4, 56), "succeeded", "no outcome"),
    ("bad-value", "steps: [{id: s, switch: [{else: a}, {when: 'true', then: a}]}, {id: a, set: 1}]\n", (4, 26), None, "else first"),
    ("bad-value", "steps: [{id: a, task: echo, retry: {backoff: exponentially}}]\n", (4, 46), "exponential", "a back-off"),
    ("bad-value", "steps: [{id: a, task: echo, retry: {maxAttempts: 0}}]\n", (4, 50), None, "no attempts"),
    ("bad-value", "steps: [{id: a, task: echo, retry: {on: ['C*d']}}]\n", (4, 42), None, "a star within a name"),
    ("bad-value", "steps: [{id: a, task: echo, forEach: '[1]', repeat: {until: 'true', max: 1}}]\n", (4, 53), None, "two loops"),
    ("bad-value", "steps: [{id: a, task: echo, maxConcurrency: 2}]\n", (4, 45), None, "maxConcurrency without forEach"),
    ("bad-value", "steps: [{id: a, switch: [{else: b}], forEach: '[1]'}, {id: b, set: 1}]\n", (4, 47), None, "a switch in a loop"),
    ("bad-value", "steps: [{id: a, task: echo, forEach: '[1]', tolerate: {failures: 1, percent: 5}}]\n", (4, 55), None, "two tolerances"),
    ("bad-value", "steps: [{id: a, task: echo, forEach: '[1]', tolerate: {percent: 101}}]\n", (4, 65), None, "more than all"),
    ("bad-value", "steps: [{id: a, emit: {type: x, source: treadle}}]\n", (4, 41), None, "the engine's own source"),
    ("bad-value", "steps: [{id: a, emit: {type: x, source: aws.s3}}]\n", (4, 41), None, "a source of AWS"),
    ("bad-value", "steps: [{id: a, workflow: {id: Up}}]\n", (4, 32), None, "a child's id"),
    ("bad-value", "steps: [{id: a, task: echo, priority: urgent}]\n", (4, 39), None, "a priority"),
    ("bad-value", "steps: [{id: a, task: echo, resources: {memory: lots}}]\n", (4, 49), None, "an amount"),
    ("bad-value", STEP + "input: {type: strin}\n", (5, 15), None, "no JSON Schema"),
    ("bad-value", STEP + "input: {$ref: 'https://example.com/s.json'}\n", (5, 15), None, "a schema elsewhere"),
    ("bad-value", STEP + "input: {$ref: '#/$defs/x'}\n", (5, 15), None, "a schema that is not there"),
    ("bad-value", STEP + "input: {pattern: '(?=a)'}\n", (5, 18), None, "a pattern that RE2 does not take"),
    ("bad-value", STEP + "input:\n  allOf:\n    - {minimum: 1}\n    - {minimum: low}\n", (8, 17), None, "no JSON Schema, deep inside"),
    ("bad-value", "steps: [{id: a, signal: {name: x, schema: {items: {pattern: '('}}}}]\n", (4, 61), None, "a pattern of a signal"),
    ("bad-value", STEP + "checkpoint: {steps: 5, every: 5m}\n", (5, 13), None, "two kinds of checkpoint"),
    ("bad-duration", "steps: [{id: a, wait: 5 minutes}]\n", (4, 23), "5m", "words"),
    ("bad-duration", "steps: [{id: a, wait: 5}]\n", (4, 23), "5s", "a number"),
    ("bad-duration", "steps: [{id: a, wait: 5y}]\n", (4, 23), None, "years"),
    ("bad-duration", "steps: [{id: a, wait: P1M}]\n", (4, 23), None, "a month of ISO 8601"),
    ("bad-duration", STEP + "timeout: -5s\n", (5, 10), None, "a negative one"),
    ("bad-schedule", STEP + "triggers: [{schedule: rate(5 parsecs)}]\n", (5, 23), None, "a unit"),
    ("bad-schedule", STEP + "triggers: [{schedule: cron(0 8 * * *)}]\n", (5, 23), None, "five fields"),
    ("no-action", "steps:\n  - {id: a, with: {x: 1}}\n", (5, 5), None, "with but no task"),
    ("no-action", "steps: [{id: a, set: 1, compensate: {with: {}}}]\n", (4, 37), None, "a compensation that does nothing"),
    ("several-actions", "steps: [{id: a, set: 1, signal: {name: x}}]\n", (4, 9), None, "two actions"),
    ("several-actions", "steps: [{id: a, set: 1, compensate: {set: 1, fail: {error: E}}}]\n", (4, 37), None, "of a compensation"),
    ("duplicate-step", "steps: [{id: a, set: 1}, {id: a, set: 1}]\n", (4, 31), None, "side by side"),
    ("duplicate-step", "steps: [{id: a, set: 1}, {id: g, group: {steps: [{id: a, set: 2}]}}]\n", (4, 55), None, "in a group"),
    ("unknown-step", "steps: [{id: chrge, set: 1}, {id: b, after: [charge], set: 1}]\n", (4, 46), "chrge", "in after"),
    ("unknown-step", "steps: [{id: b, after: [{step: x, on: done}], set: 1}]\n", (4, 32), None, "in an edge with an outcome"),
    ("unknown-step", "steps: [{id: s, switch: [{when: 'true', then: [x]}]}]\n", (4, 48), None, "in a case"),
    ("unknown-step", "steps: [{id: s, switch: [{else: x}]}]\n", (4, 33), None, "in else"),
    ("unknown-step", "steps: [{id: t, set: 1, catch: [{errors: ['*'], then: x}]}]\n", (4, 55), None, "in a catch"),
    ("unknown-step", "steps: [{id: a, set: 1}, {id: g, group: {steps: [{id: b, after: [a], set: 2}]}}]\n", (4, 66), "border",
        "across scopes"),
    ("unknown-step", STEP + "dependencies: {x: [a]}\n", (5, 16), None, "a target of dependencies"),
    ("unknown-step", STEP + "dependencies: {a: [x]}\n", (5, 20), None, "a source of dependencies"),
    ("cycle", "steps: [{id: a, after: [b], set: 1}, {id: b, after: [a], set: 1}]\n", (4, 25), "repeat", "of two"),
    ("cycle", "steps: [{id: a, after: [a], set: 1}]\n", (4, 25), None, "of one"),
    ("cycle", "steps: [{id: a, set: 1, catch: [{errors: ['*'], then: a}]}]\n", (4, 55), None, "of a catch"),
    ("conflicting-dependencies", "steps: [{id: a, set: 1}, {id: b, set: 1}, {id: c, after: [a], set: 1}]\ndependencies: {c: [a, b]}\n",
        (5, 19), None, "one more"),
    ("conflicting-dependencies", "steps: [{id: a, set: 1}, {id: c, after: [{step: a, on: failed}], set: 1}]\ndependencies: {c: [a]}\n",
        (5, 19), None, "another outcome"),
    ("bad-join", "steps: [{id: a, set: 1}, {id: b, after: [a], join: some, set: 1}]\n", (4, 52), None, "a word"),
    ("bad-join", "steps: [{id: a, set: 1}, {id: b, after: [a], join: 0, set: 1}]\n", (4, 52), None, "none"),
    ("bad-join", "steps: [{id: a, set: 1}, {id: b, after: [a], join: 2, set: 1}]\n", (4, 52), None, "more than there are"),
    ("unknown-task", "steps: [{id: a, task: chrge}]\n", (4, 23), "charge", "in a step"),
    ("unknown-task", "errorHandling: {onFailure: compensate}\nsteps: [{id: a, set: 1, compensate: {task: x}}]\n", (5, 44), None,
        "to compensate"),
    ("bad-type", "steps: [{id: a, task: echo, retry: 3}]\n", (4, 36), "`{maxAttempts: 3}`", "what is usual, without its key"),
    ("bad-type", "steps: [{id: a, signal: paid}]\n", (4, 25), "`{name: paid}`", "a name, without its key"),
    ("bad-type", "steps: [{id: a, set: 1}, {id: b, after: a, set: 1}]\n", (4, 41), "`[a]`", "one where a list may stand"),
    ("bad-value", "steps: [{id: a, task: echo, catch: [{errors: [], output: 1}]}]\n", (4, 46), None, "a list of none"),
    ("bad-value", "steps: [{id: a, set: 1}, {id: b, after: [{step: a, on: success}], set: 1}]\n", (4, 56), "`succeeded`", "an outcome"),
    ("unknown-field", "steps: [{id: a, task: echo, depends_on: []}]\n", (4, 29), "`after` is the word", "another engine's word for after"),
    ("unknown-field", "steps: [{id: a, task: echo, If: true}]\n", (4, 29), "`when` is the word", "another engine's word for when"),
    ("no-such-resources", "steps: [{id: a, task: echo, resources: {cpu: 4096 vCPU}}]\n", (4, 40), "6 vCPU", "processors"),
    ("no-such-resources", "steps: [{id: a, task: echo, resources: {memory: 11GB}}]\n", (4, 40), None, "memory"),
    ("limit-exceeded", "steps: [{id: a, set: 1, repeat: {until: 'true', max: 100001}}]\n", (4, 54), None, "iterations"),
    ("limit-exceeded", "steps: [{id: a, task: echo, retry: {maxAttempts: 102}}]\n", (4, 50), None, "retries"),
    ("limit-exceeded", STEP + "errorHandling: {retryAttempts: 101}\n", (5, 32), None, "retries by the older name"),
    ("limit-exceeded", f"steps: [{{id: a, set: 1, when: '{'true && ' * 600}true'}}]\n", (4, 31), None, "an expression"),
    ("limit-exceeded", f"steps: [{{id: a, set: {'[' * 130}{']' * 130}}}]\n", None, None, "nesting"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "text", "place", "hint"), [pytest.param(*case[:4], id=f"{case[0]}: {case[4]}") for case in CASES])
def test_a_fault_is_told_alone_and_at_its_place(
    check: Callable[[Any], Checked], code: str, text: str, place: tuple[int, int] | None, hint: str | None
) -> None:
    checked = check(text)

    assert {diagnostic.code.value for diagnostic in checked.errors} == {code}, checked.diagnostics
    told = checked.errors[0]
    assert place is None or (told.line, told.column) == place
    assert hint is None or hint in (told.hint or "")
    assert checked.document is None


def test_an_outcome_that_there_is_not_says_nothing_of_what_can_start(check: Callable[[Any], Checked]) -> None:
    checked = check("steps: [{id: a, set: 1}, {id: b, after: [{step: a, on: success}], set: 1}]\n")

    assert [diagnostic.code.value for diagnostic in checked.diagnostics] == ["bad-value"]


def test_the_same_faults_are_told_of_data_without_lines(check: Callable[[Any], Checked]) -> None:
    checked = check({"id": "w", "name": "W", "version": "1.0.0", "steps": [{"id": "a", "set": 1, "afer": []}]})

    (told,) = checked.diagnostics
    assert (told.code, told.path, told.line, told.column) == ("unknown-field", "/steps/0/afer", None, None)


def test_all_faults_are_told_at_once(check: Callable[[Any], Checked]) -> None:
    checked = check(
        "metdata: {}\n"
        "steps:\n"
        "  - {id: a, after: [b], task: nothing_like_it, wait: 1s}\n"
        "  - {id: b, after: [a, c], when: '1 +', retry: {delay: soon}}\n"
        "  - {id: b, set: '${steps.x.output}'}\n"
    )

    assert {diagnostic.code.value for diagnostic in checked.errors} == {
        "unknown-field", "unknown-task", "several-actions", "cycle", "unknown-step", "bad-expression", "bad-duration", "no-action",
        "duplicate-step",
        "unknown-reference",
    }  # fmt: skip
    assert [d.line for d in checked.diagnostics] == sorted(d.line or 0 for d in checked.diagnostics)


def test_a_cycle_is_named_along_its_edges(check: Callable[[Any], Checked]) -> None:
    checked = check(
        "steps:\n  - {id: s, switch: [{when: 'true', then: a}]}\n  - {id: a, set: 1}\n  - {id: b, set: 1}\ndependencies: {b: [a], s: [b]}\n"
    )

    assert [d.message for d in checked.errors] == ["cycle: s -> a -> b -> s"]


def test_each_knot_of_steps_is_told_once(check: Callable[[Any], Checked]) -> None:
    checked = check(
        "steps:\n  - {id: a, after: [b], set: 1}\n  - {id: b, after: [a], set: 1}\n"
        "  - {id: c, after: [d, a], set: 1}\n  - {id: d, after: [c], set: 1}\n  - {id: e, after: [d], set: 1}\n"
    )

    assert [d.message for d in checked.errors] == ["cycle: a -> b -> a", "cycle: c -> d -> c"]


def test_of_one_code_at_most_two_hundred_are_told(check: Callable[[Any], Checked]) -> None:
    checked = check("steps:\n" + "".join(f"  - {{id: s{n}, set: 1, x: 1}}\n" for n in range(300)))

    assert len(checked.errors) == 200


def test_all_faults_of_a_schema_are_told_each_at_its_place(check: Callable[[Any], Checked]) -> None:
    told = check("""input:
  type: strng
  properties:
    a: {minimum: "1", pattern: "(?=x)"}
    b: {$ref: other.json}
steps: [{id: a, signal: {name: s, schema: {required: a, items: 3}}}]
""").errors
    assert [(d.code.value, d.path, d.line) for d in told] == [
        ("bad-value", "/input/type", 5),
        ("bad-value", "/input/properties/a/minimum", 7),
        ("bad-value", "/input/properties/a/pattern", 7),
        ("bad-value", "/input/properties/b/$ref", 8),
        ("bad-value", "/steps/0/signal/schema/required", 9),
        ("bad-value", "/steps/0/signal/schema/items", 9),
    ]
