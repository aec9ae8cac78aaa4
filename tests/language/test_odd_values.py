"""What templates give may be anything: a value that cannot be used fails its step, and nothing else ever breaks."""

from __future__ import annotations

import pytest
from treadle.simulation.driver import MemoryEngine

from tests.language.cases import Case, Way, each_way, play

UNUSABLE = [
    ("a failure's name that is a number", "fail: {error: '${input.number}'}"),
    ("a failure's name that is empty", "fail: {error: '${input.empty}'}"),
    ("a failure's name that is a list", "fail: {error: '${input.list}'}"),
    ("an event's type that is a number", "emit: {type: '${input.number}'}"),
    ("an event's type that is too long", "emit: {type: '${input.long}'}"),
    ("an event's source that is null", "emit: {type: T, source: '${input.nothing}'}"),
    ("an event's source that is the engine's", "emit: {type: T, source: '${input.engine}'}"),
    ("an event's source that is AWS's", "emit: {type: T, source: '${input.aws}'}"),
    ("an event that is too large", "emit: {type: T, detail: '${input.huge}'}"),
    ("a time that is a number", "wait: {until: input.number}"),
    ("a time that is none", "wait: {until: input.long}"),
    ("somebody who is a number", "approval: {by: ['${input.number}']}"),
    ("a key that is very long", "set: '${{\"a\": 1}[input.huge]}'"),
]
INPUT = {
    "number": 3,
    "empty": "",
    "list": ["x"],
    "long": "x" * 300,
    "nothing": None,
    "engine": "treadle",
    "aws": "aws.s3",
    "huge": "x" * 300_000,
}

CASES = [
    *(
        Case(f"{what} fails its step", f"steps: [{{id: a, {action}}}]", input=INPUT, status="failed", error="ExpressionError")
        for what, action in UNUSABLE
    ),
    *(
        Case(
            f"{what} fails what undoes a step",
            f"""
            errorHandling: {{onFailure: compensate}}
            steps:
              - {{id: a, set: 1, compensate: {{{action}}}}}
              - {{id: b, after: [a], fail: {{error: Broken}}}}
            """,
            input=INPUT,
            status="failed",
            error="Broken",
            compensated=False,
        )
        for what, action in UNUSABLE
        if not action.startswith("approval")
    ),
    Case(
        "a failure's message is text, whatever it was",
        "steps: [{id: a, fail: {error: E, message: '${input}'}, catch: [{errors: ['*'], output: '${error.message}'}]}]",
        input={"n": 1},
        outputs={"a": '{"n":1}'},
    ),
    Case(
        "a failure's message has its end cut off when it is very long",
        "steps: [{id: a, fail: {error: E, message: '${input}'}, catch: [{errors: ['*'], output: '${size(error.message)}'}]}]",
        input="x" * 600_000,
        outputs={"a": 4096},
    ),
    Case("an event may carry any value", "steps: [{id: a, emit: {type: T, detail: '${input}'}}]", input=[1, "x"]),
    Case("an event may carry a text", "steps: [{id: a, emit: {type: T, detail: '${input}'}}]", input="x"),
    Case("an event may be called as one of the engine's", "steps: [{id: a, emit: {type: RunFailed, detail: {advance: true, status: x}}}]"),
]


@each_way(CASES)
def test_odd_values(case: Case, way: Way) -> None:
    play(case, way)


@pytest.mark.parametrize("detail", [{"advance": True, "x": 1}, [1], "x", None, {}])
def test_what_an_event_carries_arrives_as_it_is(detail: object) -> None:
    engine = MemoryEngine()
    step = {"id": "a", "emit": {"type": "Happened", "detail": detail}}
    engine.run({"id": "w", "name": "W", "version": "1.0.0", "steps": [step]})
    (event,) = [event for event in engine.cloud.bus.events if event["detail-type"] == "Happened"]
    assert event["detail"]["data"] == ({} if detail is None else detail)
    assert "advance" not in event["detail"]
