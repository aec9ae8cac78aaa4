"""The sample payloads in events/, given to the real handlers on the local stack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from treadle.local.cloud import REGION
from treadle.local.invocation import context_of
from treadle.local.stack import Stack

EVENTS = Path(__file__).parents[2] / "events"
RUN = "01JDA8Z7Q5T3M9V0W2X4Y6B8CD"  # in the samples of messages
PLAN = "b94d27b9934d3e08a52e52d7da7dabfac484efe3"
TENANT = "acme"  # of the HTTP samples' token


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(skip_time=True) as opened:
        yield opened


def deliver(stack: Stack, function: str, name: str, run: str = RUN, plan: str = PLAN) -> Any:
    """`run` and `plan` stand where the sample has its own."""
    event = json.loads((EVENTS / f"{name}.json").read_text().replace(RUN, run).replace(PLAN, plan))
    with stack.pump.request():
        return stack.invoke(function, event, context_of(stack.cloud.functions[function], REGION, stack.cloud.account))


def outcome(stack: Stack, tenant: str, workflow: str) -> Any:
    """Of the newest run, once it has ended."""

    def look() -> Any:
        runs, _ = stack.operations.runs(tenant, workflow=workflow)
        return runs[0] if runs and runs[0].ended_at else None

    found = stack.pump.wait(look, 60)
    assert found is not None
    return stack.operations.show(tenant, found.id).output


def test_registering_and_starting_over_http(stack: Stack) -> None:
    assert deliver(stack, "api", "http_register")["statusCode"] == 201
    started = deliver(stack, "api", "http_start")
    assert started["statusCode"] == 202
    assert outcome(stack, TENANT, "greeting") == {"text": "Hello, Ada!"}
    assert json.loads(deliver(stack, "api", "http_start")["body"])["id"] == json.loads(started["body"])["id"]


def test_objects_in_the_inbox(stack: Stack) -> None:
    definition = json.loads(json.loads((EVENTS / "http_register.json").read_text())["body"])
    s3 = stack.cloud.clients.s3
    s3.put_object(Bucket=stack.cloud.names.inbox, Key="definitions/greeting.yaml", Body=json.dumps(definition).encode())
    assert deliver(stack, "parser", "s3_definition") == {"batchItemFailures": []}
    s3.put_object(Bucket=stack.cloud.names.inbox, Key="inputs/greeting/ada.json", Body=b'{"name": "Ada"}')
    assert deliver(stack, "parser", "s3_input") == {"batchItemFailures": []}
    assert outcome(stack, stack.wiring.tenant, "greeting") == {"text": "Hello, Ada!"}


@pytest.mark.parametrize("name", ["bus_workflow_submitted", "bus_run_requested"])
def test_events_that_ask_for_a_run(stack: Stack, name: str) -> None:
    deliver(stack, "parser", "bus_workflow_submitted")
    assert deliver(stack, "parser", name) == {"batchItemFailures": []}
    assert outcome(stack, stack.wiring.tenant, "greeting") == {"text": "Hello, Ada!"}


@pytest.mark.parametrize(
    ("name", "trigger"),
    [
        ("bus_anything", {"event": {"source": ["shop"]}, "input": {"name": "${event.detail.name}"}}),
        ("s3_object", {"s3": {"bucket": "lake", "prefix": "reports/"}, "input": {"name": "${event.key}"}}),
        ("sqs_schedule_due", {"schedule": "rate(1 day)", "input": {"name": "${event.schedule}"}}),
    ],
)
def test_what_starts_a_workflow_that_listens(name: str, trigger: dict[str, Any]) -> None:
    definition = json.loads(json.loads((EVENTS / "http_register.json").read_text())["body"])
    with Stack(skip_time=True) as stack:
        stack.wiring.tenant = "default"  # as in the samples
        with stack.pump.request():
            stack.operations.register("default", definition | {"version": "99.0.0", "triggers": [trigger]})
            stack.cloud.clock.jump_to(stack.cloud.clock.now() + 86_400_000)
        assert deliver(stack, "parser", name) == {"batchItemFailures": []}
        assert "Hello, " in outcome(stack, "default", "greeting")["text"]


@pytest.mark.parametrize(
    ("function", "name"), [("dispatcher", "sqs_lane_step"), ("completions", "sqs_completions"), ("errors", "sqs_errors")]
)
def test_messages_about_a_step_that_ended_long_ago_change_nothing(stack: Stack, function: str, name: str) -> None:
    deliver(stack, "parser", "bus_workflow_submitted")
    assert outcome(stack, stack.wiring.tenant, "greeting")
    (run, *_), _ = stack.operations.runs(stack.wiring.tenant, workflow="greeting")
    before = stack.operations.show(stack.wiring.tenant, run.id)
    plan = stack.operations.definition_of(stack.wiring.tenant, run.id).hash
    assert deliver(stack, function, name, run.id, plan) == {"batchItemFailures": []}
    assert stack.operations.show(stack.wiring.tenant, run.id) == before


def test_the_sweep(stack: Stack) -> None:
    assert set(deliver(stack, "sweeper", "schedule_sweep")) == {"sent"}
