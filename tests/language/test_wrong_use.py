"""What the language refuses, action by action and modifier by modifier: the code that validation gives, and nothing else."""

from __future__ import annotations

import pytest
from treadle.simulation.driver import MemoryEngine

from tests.language.cases import Work, definition

ONE = "steps: [{id: a, "
WRONG = [
    # ------------------------------------------------------------------------------------------------ the document
    ("no steps at all", "steps: []", "bad-value"),
    ("steps that are a map", "steps: {a: 1}", "bad-type"),
    ("a document without steps", "output: 1", "missing-field"),
    ("an unknown key", "stepz: []\nsteps: [{id: a, set: 1}]", "unknown-field"),
    ("a timeout that is a number", "timeout: 5\nsteps: [{id: a, set: 1}]", "bad-type bad-duration"),
    ("a timeout without unit", "timeout: '5'\nsteps: [{id: a, set: 1}]", "bad-duration"),
    ("dependencies of unknown steps", "dependencies: {a: [nobody]}\nsteps: [{id: a, set: 1}]", "unknown-step"),
    (
        "dependencies that contradict after",
        "dependencies: {b: [c]}\nsteps: [{id: a, set: 1}, {id: b, after: [a], set: 1}, {id: c, set: 1}]",
        "conflicting-dependencies",
    ),
    ("an input schema that is none", "input: {type: nonsense}\nsteps: [{id: a, set: 1}]", "bad-value"),
    ("an overflow that is unknown", "concurrency: {key: input.k, limit: 1, overflow: drop}\nsteps: [{id: a, set: 1}]", "bad-value"),
    ("checkpoint by both", "checkpoint: {steps: 1, every: 1s}\nsteps: [{id: a, set: 1}]", "bad-value"),
    ("an onFailure that is unknown", "errorHandling: {onFailure: explode}\nsteps: [{id: a, set: 1}]", "bad-value"),
    ("a trigger of two kinds", "triggers: [{schedule: rate(1 hour), s3: {}}]\nsteps: [{id: a, set: 1}]", "bad-value"),
    ("a schedule that is none", "triggers: [{schedule: sometimes}]\nsteps: [{id: a, set: 1}]", "bad-schedule"),
    # ------------------------------------------------------------------------------------------------ actions
    ("no action", ONE + "when: 'true'}]", "no-action"),
    ("two actions", ONE + "set: 1, wait: 5s}]", "several-actions"),
    ("a task that nobody knows", ONE + "task: nobody}]", "unknown-task"),
    ("with beside another action", ONE + "set: 1, with: {x: 1}}]", "bad-value unknown-field"),
    ("a wait that is no duration", ONE + "wait: soon}]", "bad-duration"),
    ("a wait that is a number", ONE + "wait: 5}]", "bad-type bad-duration"),
    ("a wait until nothing", ONE + "wait: {}}]", "missing-field"),
    ("a signal without name", ONE + "signal: {timeout: 5s}}]", "missing-field"),
    ("a signal that is a text", ONE + "signal: go}]", "bad-type"),
    ("an approval by a text", ONE + "approval: {by: ann}}]", "bad-type"),
    ("a child without id", ONE + "workflow: {input: 1}}]", "missing-field"),
    ("a child of a version that is none", ONE + "workflow: {id: child, version: latest}}]", "bad-value"),
    ("an event without type", ONE + "emit: {detail: 1}}]", "missing-field"),
    ("an event in the engine's name", ONE + "emit: {type: X, source: treadle}}]", "bad-value"),
    ("a switch without cases", ONE + "switch: []}]", "bad-value"),
    ("a case for a step that is not there", ONE + "switch: [{when: 'true', then: nobody}]}]", "unknown-step"),
    ("a case that chooses itself", ONE + "switch: [{when: 'true', then: a}]}]", "cycle"),
    ("else before the end", "steps: [{id: s, switch: [{else: a}, {when: 'true', then: a}]}, {id: a, set: 1}]", "bad-value"),
    ("a group without steps", ONE + "group: {steps: []}}]", "bad-value"),
    ("a group's inner id taken outside", "steps: [{id: a, set: 1}, {id: g, group: {steps: [{id: a, set: 1}]}}]", "duplicate-step"),
    ("after a step of another scope", "steps: [{id: g, group: {steps: [{id: a, set: 1}]}}, {id: b, after: [a], set: 1}]", "unknown-step"),
    (
        "an inner step that is read outside",
        "steps: [{id: g, group: {steps: [{id: a, set: 1}]}}, {id: b, after: [g], set: '${steps.a.output}'}]",
        "unknown-reference",
    ),
    ("fail without a name", ONE + "fail: {message: m}}]", "missing-field"),
    # ------------------------------------------------------------------------------------------------ ids and edges
    ("an id with a dash", "steps: [{id: a-b, set: 1}]", "bad-value"),
    ("an id that means something", "steps: [{id: 'in', set: 1}]", "bad-value"),
    ("the same id twice", "steps: [{id: a, set: 1}, {id: a, set: 2}]", "duplicate-step"),
    ("after itself", ONE + "after: [a], set: 1}]", "cycle"),
    ("a circle", "steps: [{id: a, after: [b], set: 1}, {id: b, after: [a], set: 1}]", "cycle"),
    ("after nobody", ONE + "after: [nobody], set: 1}]", "unknown-step"),
    ("an edge on a word that is unknown", "steps: [{id: a, set: 1}, {id: b, after: [{step: a, on: sometimes}], set: 1}]", "bad-value"),
    ("a join of a word that is unknown", "steps: [{id: a, set: 1}, {id: b, after: [a], join: most, set: 1}]", "bad-join"),
    ("a join of none", "steps: [{id: a, set: 1}, {id: b, after: [a], join: 0, set: 1}]", "bad-join"),
    ("a join of more than there are", "steps: [{id: a, set: 1}, {id: b, after: [a], join: 2, set: 1}]", "bad-join"),
    # ------------------------------------------------------------------------------------------------ expressions
    ("an expression that is none", ONE + "when: 'input.x >', set: 1}]", "bad-expression"),
    ("a template that is none", ONE + "set: '${input.}'}]", "bad-expression"),
    ("a name that does not exist", ONE + "set: '${inputs.x}'}]", "unknown-reference"),
    ("a step that does not exist", ONE + "set: '${steps.nobody.output}'}]", "unknown-reference"),
    ("a step that does not come before", "steps: [{id: a, set: 1}, {id: b, set: '${steps.a.output}'}]", "unordered-reference"),
    ("item outside of a forEach", ONE + "set: '${item}'}]", "unknown-reference"),
    ("previous outside of a repeat", ONE + "set: '${previous}'}]", "unknown-reference"),
    ("result outside of output", ONE + "set: '${result}'}]", "unknown-reference"),
    ("secrets outside of with", ONE + "set: '${secrets.key}'}]", "unknown-reference"),
    ("item in the step's own forEach", ONE + "forEach: '[item]', set: 1}]", "unknown-reference"),
    ("an expression that is too long", ONE + f"when: '{'true && ' * 700}true', set: 1}}]", "limit-exceeded"),
    # ------------------------------------------------------------------------------------------------ modifiers
    ("forEach and repeat", ONE + "forEach: '[1]', repeat: {while: 'false', max: 1}, set: 1}]", "bad-value"),
    ("maxConcurrency without forEach", ONE + "maxConcurrency: 2, set: 1}]", "bad-value"),
    ("maxConcurrency of none", ONE + "forEach: '[1]', maxConcurrency: 0, set: 1}]", "bad-value"),
    ("tolerate without forEach", ONE + "tolerate: {failures: 1}, set: 1}]", "bad-value"),
    ("tolerate by both", ONE + "forEach: '[1]', tolerate: {failures: 1, percent: 1}, set: 1}]", "bad-value"),
    ("tolerate more than all", ONE + "forEach: '[1]', tolerate: {percent: 101}, set: 1}]", "bad-value"),
    ("repeat without max", ONE + "repeat: {while: 'true'}, set: 1}]", "missing-field"),
    ("repeat by both", ONE + "repeat: {while: 'true', until: 'true', max: 1}, set: 1}]", "bad-value"),
    ("repeat more than is allowed", ONE + "repeat: {while: 'true', max: 100001}, set: 1}]", "limit-exceeded bad-value"),
    ("retry more than is allowed", ONE + "retry: {maxAttempts: 1000}, set: 1}]", "limit-exceeded bad-value"),
    ("retry of no attempt", ONE + "retry: {maxAttempts: 0}, set: 1}]", "bad-value"),
    ("a back-off that is unknown", ONE + "retry: {maxAttempts: 2, backoff: random}, set: 1}]", "bad-value"),
    ("a catch without errors", ONE + "catch: [{output: 1}], set: 1}]", "missing-field"),
    ("a catch by both", "steps: [{id: a, catch: [{errors: ['*'], then: b, output: 1}], set: 1}, {id: b, set: 1}]", "bad-value"),
    ("a catch by none", ONE + "catch: [{errors: ['*']}], set: 1}]", "bad-value missing-field"),
    ("a catch for a step that is not there", ONE + "catch: [{errors: ['*'], then: nobody}], set: 1}]", "unknown-step"),
    ("a compensation without action", ONE + "compensate: {timeout: 5s}, set: 1}]", "no-action"),
    ("a cache without ttl", ONE + "cache: {key: '1'}, task: echo}]", "missing-field"),
    ("a priority that is unknown", ONE + "priority: urgent, set: 1}]", "bad-value"),
    ("resources that nobody has", ONE + "resources: {memory: 500GB}, task: echo}]", "no-such-resources"),
    ("idempotent that is a text", ONE + "idempotent: 'yes', set: 1}]", "bad-type"),
    ("an unknown modifier", ONE + "unless: 'true', set: 1}]", "unknown-field"),
]


@pytest.mark.parametrize(("text", "codes"), [pytest.param(text, codes, id=name) for name, text, codes in WRONG])
def test_wrong_use_is_refused_with_its_code(text: str, codes: str) -> None:
    """`codes`: where the language page leaves it open, any one of them."""
    engine = MemoryEngine(Work().tasks())
    found = {str(fault.code) for fault in engine.validate(definition(text)) if fault.severity == "error"}
    assert len(found) == 1, found
    assert found <= set(codes.split())
