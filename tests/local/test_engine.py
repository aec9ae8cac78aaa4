"""LocalEngine and `treadle dev`: the real handlers over the local cloud."""

from __future__ import annotations

import json
import logging
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from treadle import TaskContext, TaskError, task, topology
from treadle.core.errors import Rejected
from treadle.local.dev import Dev, serve
from treadle.testing import LocalEngine

PATIENCE_S = 60  # for what comes at once where the machine has nothing else to do


def workflow(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "w", "name": "W", "version": "1.0.0", "steps": list(steps), **more}


@task
def double(given: dict[str, Any]) -> dict[str, Any]:
    return {"n": given["n"] * 2}


@task
def refuse(given: dict[str, Any], context: TaskContext) -> None:
    raise TaskError("Refused", f"attempt {context.attempt}", permanent=True)


@task
def halve(given: str) -> str:
    """Of a pair of surrogates."""
    half = "\ud83d"
    if given == "raise":
        raise ValueError(half)
    if given == "tell":
        raise TaskError("Halved", "no", details={"half": half}, permanent=True)
    return half


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    with LocalEngine(tasks=[double, refuse, halve], skip_time=True) as it:
        yield it


DOUBLE = workflow({"id": "a", "task": "double", "with": {"n": "${input.n}"}})


def test_a_run_from_start_to_end(engine: LocalEngine) -> None:
    run = engine.run(DOUBLE, input={"n": 21})
    assert (run.status, run.steps["a"].output) == ("succeeded", {"n": 42})


def test_a_failed_run_says_why(engine: LocalEngine) -> None:
    run = engine.run(workflow({"id": "a", "task": "refuse"}))
    assert run.status == "failed"
    assert run.error is not None
    assert run.error["name"] == "Refused"


def test_a_definition_may_be_text_or_a_path(engine: LocalEngine, tmp_path: Path) -> None:
    file = tmp_path / "w.json"
    file.write_text(json.dumps(DOUBLE))
    for definition in (json.dumps(DOUBLE), str(file), file):
        assert engine.run(definition, input={"n": 1}).status == "succeeded"


def test_tasks_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "tasks.py"
    file.write_text("from treadle import task\n\n@task\ndef double(given):\n    return {'n': given['n'] * 2}\n")
    with LocalEngine(tasks=str(file)) as engine:
        assert engine.run(DOUBLE, input={"n": 4}).steps["a"].output == {"n": 8}


def test_the_same_version_may_have_other_content(engine: LocalEngine) -> None:
    engine.run(workflow({"id": "a", "set": 1}))
    assert engine.run(workflow({"id": "a", "set": 2})).output == {"a": 2}


def test_a_refusal_is_raised_with_its_code_and_diagnostics(engine: LocalEngine) -> None:
    with pytest.raises(Rejected) as refused:
        engine.start(workflow({"id": "a", "task": "no-such-task"}))
    assert refused.value.code == "invalid-definition"
    assert refused.value.diagnostics


@pytest.mark.parametrize("value", [float("nan"), [float("-inf")], 2**63, [-(2**64)], {1, 2}, b"x", {"half": "\ud83d"}], ids=repr)
def test_what_is_no_json_is_refused(engine: LocalEngine, value: Any) -> None:
    run_id = engine.start(workflow({"id": "pay", "signal": {"name": "paid"}}))
    for act in (lambda: engine.start(DOUBLE, value), lambda: engine.signal(run_id, "paid", value)):
        with pytest.raises(Rejected) as refused:
            act()
        assert refused.value.code == ("invalid-number" if isinstance(value, float | int | list) else "invalid-input")


@pytest.mark.parametrize(
    ("asked", "name", "told"),
    [("give", "OutputInvalid", "no JSON"), ("raise", "ValueError", "\\ud83d"), ("tell", "Halved", "no")],
)
def test_half_of_a_surrogate_pair_fails_the_task_and_not_its_worker(
    engine: LocalEngine, asked: str, name: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("treadle.tasks"), "disabled", True)  # a report of tests cannot hold it either
    error = engine.run(workflow({"id": "a", "task": "halve", "with": asked})).error
    assert error is not None
    assert (error["name"], told in error["message"]) == (name, True)


def test_days_take_no_time_and_are_in_the_result(engine: LocalEngine) -> None:
    run = engine.run(workflow({"id": "a", "wait": "30d"}))
    assert run.started_at is not None
    assert run.ended_at is not None
    assert run.ended_at[:10] > run.started_at[:10]


def test_a_test_may_act_before_the_next_timer_fires(engine: LocalEngine) -> None:
    run_id = engine.start(workflow({"id": "pay", "signal": {"name": "paid", "timeout": "1d"}}))
    engine.wait(run_id, status="waiting")
    engine.signal(run_id, "paid", {"amount": 5})
    run = engine.wait(run_id)
    assert (run.status, run.steps["pay"].output) == ("succeeded", {"amount": 5})


def test_waiting_for_what_cannot_come_any_more_ends_at_once(engine: LocalEngine) -> None:
    run_id = engine.start(DOUBLE, input={"n": 1})
    engine.wait(run_id)
    with pytest.raises(TimeoutError, match="succeeded, not waiting"):
        engine.wait(run_id, status="waiting", timeout=PATIENCE_S)


def test_waiting_too_long_raises(engine: LocalEngine) -> None:
    run_id = engine.start(workflow({"id": "a", "signal": {"name": "never"}}))
    with pytest.raises(TimeoutError):
        engine.wait(run_id, timeout=0.2)
    assert engine.cancel(run_id).id == run_id


def test_an_unknown_run_is_not_found(engine: LocalEngine) -> None:
    with pytest.raises(Rejected) as refused:
        engine.wait("no-such-run")
    assert refused.value.code == "not-found"


def test_tasks_of_one_run_work_at_the_same_time() -> None:
    barrier = threading.Barrier(8)

    @task
    def meet(given: Any) -> None:
        barrier.wait(PATIENCE_S)

    with LocalEngine(tasks=[meet]) as engine:
        assert engine.run(workflow(*({"id": f"s{n}", "task": "meet"} for n in range(8)))).status == "succeeded"


def test_a_worker_that_dies_is_replaced_when_its_lease_is_over() -> None:
    with LocalEngine(tasks=[double], skip_time=True) as engine:
        engine.stack.pump.kill()
        run = engine.run(DOUBLE, input={"n": 3})
        assert run.steps["a"].output == {"n": 6}
        assert engine.stack.pump.counts.killed == 1


@pytest.mark.parametrize("calls", [2, 4])
def test_a_step_that_is_to_run_at_most_once_has_failed_with_its_worker(calls: int) -> None:
    """Claimed by itself, or (after four calls) by the fact of the one before it."""
    once = {"task": "double", "with": {"n": 1}, "retry": {"except": ["Interrupted"]}}
    with LocalEngine(tasks=[double], skip_time=True) as engine:
        engine.stack.pump.kill(calls=calls)
        run = engine.run(workflow({"id": "a", **once}, {"id": "b", "after": ["a"], **once}))
        assert engine.stack.pump.counts.killed == 1
    assert (run.status, run.error and run.error["name"]) == ("failed", "Interrupted")


def test_nothing_is_swept_or_skipped_in_a_run_that_does_not_wait() -> None:
    with LocalEngine(tasks=[double], skip_time=True) as engine:
        engine.run(DOUBLE, input={"n": 3})
        assert (engine.stack.pump.counts.sweeps, engine.stack.pump.counts.jumps) == (0, 0)


def test_two_engines_at_once() -> None:
    with LocalEngine(tasks=[double]) as one, LocalEngine(tasks=[double]) as other:
        run_id = one.start(DOUBLE, input={"n": 1})
        assert one.wait(run_id).status == "succeeded"
        with pytest.raises(Rejected):
            other.show(run_id)


# ----------------------------------------------------------------------------------------------------------- treadle dev


@pytest.fixture(scope="module")
def dev() -> Iterator[Dev]:
    with serve(tasks=[double]) as it:
        yield it


def ask(dev: Dev, method: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {token or dev.token}", "content-type": "application/json"}
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(dev.url + path, content, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read())


def test_a_run_over_http(dev: Dev) -> None:
    status, started = ask(dev, "POST", "/v1/runs", {"definition": DOUBLE, "input": {"n": 2}})
    assert status == 202
    found = dev.stack.pump.wait(lambda: seen if (seen := ask(dev, "GET", f"/v1/runs/{started['id']}")[1])["endedAt"] else None, 10)
    assert found is not None
    assert found["steps"]["a"]["output"] == {"n": 4}


def test_no_token_no_answer(dev: Dev) -> None:
    assert ask(dev, "GET", "/v1/runs", token="none")[0] == 401


def test_an_object_in_the_inbox_registers_and_one_starts(dev: Dev) -> None:
    names = dev.stack.cloud.names
    session = boto3.Session(aws_access_key_id="any", aws_secret_access_key="key", region_name="us-east-1")
    s3 = session.client("s3", endpoint_url=dev.endpoint_url)
    s3.put_object(Bucket=names.inbox, Key="definitions/w.json", Body=json.dumps({**DOUBLE, "id": "dropped"}).encode())
    assert dev.stack.pump.wait(lambda: ask(dev, "GET", "/v1/workflows/dropped")[0] == 200 or None, 10)
    s3.put_object(Bucket=names.inbox, Key="inputs/dropped/1.json", Body=b'{"n": 5}')
    found = dev.stack.pump.wait(lambda: ask(dev, "GET", "/v1/runs?workflow=dropped&status=succeeded")[1].get("items") or None, 10)
    assert found


def test_what_nobody_is_answered_for_is_told(dev: Dev) -> None:
    told: list[str] = []
    dev.stack.tell_refusals(told.append)
    clients, names = dev.stack.cloud.clients, dev.stack.cloud.names
    with dev.stack.pump.request():
        clients.s3.put_object(Bucket=names.inbox, Key="definitions/bad.yaml", Body=b"id: w")
        entry = {"EventBusName": names.bus, "Source": "shop", "DetailType": "WorkflowSubmitted", "Detail": "{}"}
        clients.events.put_events(Entries=[entry])  # type: ignore[list-item]
    assert dev.stack.pump.wait(lambda: len(told) >= 2 or None, PATIENCE_S)
    assert sorted(told) == [
        "refused event shop WorkflowSubmitted: the event's detail has no definition",
        f"refused s3://{names.inbox}/definitions/bad.yaml: the definition has 3 faults; the first: `name` is missing",
    ]


def test_every_message_of_a_run_was_taken(dev: Dev) -> None:
    assert dev.stack.pump.quiet()
    assert dev.stack.cloud.dead_letters() == {}
    assert {name: len(dev.stack.cloud.queues[name]) for name in (queue.name for queue in topology.QUEUES)} == dict.fromkeys(
        (queue.name for queue in topology.QUEUES), 0
    )
