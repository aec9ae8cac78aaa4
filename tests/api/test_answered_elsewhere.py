"""Callbacks, signals and answers of people through the API's own door, over an engine in memory: what is taken, and what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from treadle import LATER, TaskContext, task
from treadle.api.app import answer
from treadle.simulation.driver import TENANT, MemoryEngine

from tests.api.fakes import event

HEAD = "id: w\nname: W\nversion: 1.0.0\nsteps: [%s]\n"
ASKS = "{id: a, task: ask, timeout: 1h, heartbeat: 10m}"
tokens: list[str] = []


@task
def ask(given: Any, context: TaskContext) -> Any:
    tokens.append(context.callback().token)
    return LATER


@pytest.fixture
def engine() -> MemoryEngine:
    tokens.clear()
    made = MemoryEngine([ask])
    made.world.url = "https://api.example.com"
    return made


def post(engine: MemoryEngine, path: str, body: Any = None, **more: Any) -> tuple[int, str | None]:
    """(status, code) of the answer."""
    given: dict[str, Any] = {"roles": None} if "/callbacks/" in path else {"tenant": TENANT}
    answered = answer(event("POST", path, body=body, **given, **more), engine.operations)
    said = json.loads(answered["body"]) if answered.get("body") else {}
    return answered["statusCode"], said.get("code")


def waiting(engine: MemoryEngine, steps: str = ASKS) -> str:
    run_id = engine.start(HEAD % steps)
    for _ in range(1000):
        if tokens or engine.show(run_id).status == "waiting" or not engine.step():
            break
    engine.pass_time("1s")
    return run_id


def call(verb: str, token: str | None = None) -> str:
    return f"/v1/callbacks/{tokens[-1] if token is None else token}/{verb}"


# ------------------------------------------------------------------------------------------------ callbacks


@pytest.mark.parametrize(
    ("verb", "body", "answered"),
    [
        pytest.param("succeed", b"{", (400, "invalid-json"), id="no JSON"),
        pytest.param("succeed", b'{"output": NaN}', (400, "invalid-number"), id="no number"),
        pytest.param("succeed", b'{"output": 1, "output": 2}', (400, "duplicate-key"), id="a key twice"),
        pytest.param("succeed", b'{"output": ' + b"[" * 200 + b"]" * 200 + b"}", (400, "too-deep"), id="too deep"),
        pytest.param("succeed", b"\xff", (400, "invalid-encoding"), id="no UTF-8"),
        pytest.param("succeed", [1], (400, "bad-type"), id="no object"),
        pytest.param("succeed", {"result": 1}, (400, "unknown-field"), id="a field that there is not"),
        pytest.param("succeed", {"output": "x" * (5 * 1024 * 1024)}, (413, "payload-too-large"), id="too large"),
        pytest.param("fail", {}, (400, "missing-field"), id="a failure without a name"),
        pytest.param("fail", {"name": ""}, (400, "bad-value"), id="an empty name"),
        pytest.param("fail", {"name": "n" * 201}, (400, "bad-value"), id="a long name"),
        pytest.param("fail", {"name": "X", "message": "m" * 4097}, (400, "bad-value"), id="a long message"),
        pytest.param("perhaps", {}, (404, "not-found"), id="no such verb"),
    ],
)
def test_what_is_no_answer_is_refused_and_the_step_goes_on_waiting(
    engine: MemoryEngine, verb: str, body: Any, answered: tuple[int, str]
) -> None:
    run_id = waiting(engine)
    assert post(engine, call(verb), body) == answered
    assert post(engine, call("succeed"), {"output": 1}) == (200, None)
    assert engine.wait(run_id).output == {"a": 1}


@pytest.mark.parametrize("token", ["nobody-gave-it", "%00", "a/b", "x" * 5000])
@pytest.mark.parametrize("verb", ["succeed", "fail", "heartbeat"])
def test_a_token_that_nobody_gave_is_not_found(engine: MemoryEngine, token: str, verb: str) -> None:
    run_id = waiting(engine)
    assert post(engine, call(verb, token), {"name": "X"} if verb == "fail" else {}) == (404, "not-found")
    assert engine.show(run_id).steps["a"].status == "waiting"


def test_one_changed_character_is_another_token(engine: MemoryEngine) -> None:
    waiting(engine)
    other = ("a" if tokens[-1][0] != "a" else "b") + tokens[-1][1:]
    assert post(engine, call("succeed", other), {}) == (404, "not-found")


@pytest.mark.parametrize(
    ("first", "second", "answered"),
    [
        pytest.param(("succeed", {"output": 1}), ("succeed", {"output": 1}), (200, None), id="the same again"),
        pytest.param(
            ("succeed", {"output": {"a": 1, "b": 2}}), ("succeed", b'{"output": {"b": 2, "a": 1}}'), (200, None), id="in another order"
        ),
        pytest.param(("succeed", {"output": 1}), ("succeed", {"output": 2}), (409, "already-used"), id="another result"),
        pytest.param(("succeed", {"output": 1}), ("fail", {"name": "X"}), (409, "already-used"), id="a failure after it"),
        pytest.param(("fail", {"name": "X"}), ("fail", {"name": "X"}), (200, None), id="the same failure again"),
        pytest.param(("fail", {"name": "X"}), ("succeed", {"output": 1}), (409, "already-used"), id="a result after a failure"),
        pytest.param(("succeed", {"output": 1}), ("heartbeat", {}), (410, "too-late"), id="a heartbeat after the end"),
    ],
)
@pytest.mark.parametrize("ended", [False, True], ids=["at once", "when the run has ended"])
def test_one_answer_is_taken(
    engine: MemoryEngine, first: tuple[str, Any], second: tuple[str, Any], answered: tuple[int, str | None], ended: bool
) -> None:
    run_id = waiting(engine)
    assert post(engine, call(first[0]), first[1]) == (200, None)
    if ended or second[0] == "heartbeat":
        engine.wait(run_id)
    assert post(engine, call(second[0]), second[1]) == answered
    expected = {"a": first[1]["output"]} if first[0] == "succeed" else None
    assert engine.wait(run_id).output == expected


@pytest.mark.parametrize(
    ("end", "error"),
    [
        pytest.param(lambda engine, run: engine.pass_time("11m"), "HeartbeatTimeout", id="silence"),
        pytest.param(lambda engine, run: engine.operations.cancel(TENANT, run), "Cancelled", id="a cancel"),
        pytest.param(lambda engine, run: engine.operations.cancel_step(TENANT, run, "a"), "Cancelled", id="a cancel of the step"),
    ],
)
@pytest.mark.parametrize("verb", ["succeed", "fail", "heartbeat"])
def test_what_comes_too_late_is_told_so_and_changes_nothing(engine: MemoryEngine, end: Any, error: str, verb: str) -> None:
    run_id = waiting(engine)
    end(engine, run_id)
    before = engine.wait(run_id)
    assert (before.error or {})["name"] == error
    assert post(engine, call(verb), {"name": "X"} if verb == "fail" else {}) == (410, "too-late")
    assert engine.show(run_id) == before


def test_heartbeats_are_no_longer_than_the_timeout(engine: MemoryEngine) -> None:
    run_id = waiting(engine)
    for _ in range(7):
        engine.pass_time("8m")
        assert post(engine, call("heartbeat"), {}) == (200, None)
    engine.pass_time("8m")
    assert (engine.wait(run_id).error or {})["name"] == "Timeout"
    assert post(engine, call("heartbeat"), {}) == (410, "too-late")


def test_the_token_of_an_attempt_before_is_too_late(engine: MemoryEngine) -> None:
    run_id = waiting(engine, ASKS.replace("}", ", retry: {maxAttempts: 2, delay: 1s, jitter: none}}"))
    assert post(engine, call("fail"), {"name": "X"}) == (200, None)
    engine.pass_time("10s")
    first, second = tokens
    assert post(engine, call("succeed", first), {"output": 1}) == (409, "already-used")
    assert post(engine, call("heartbeat", first), {}) == (410, "too-late")
    assert post(engine, call("succeed", second), {"output": 2}) == (200, None)
    assert engine.wait(run_id).output == {"a": 2}


# ------------------------------------------------------------------------------------------------ signals


SIGNAL = "{id: s, signal: {name: go, schema: {type: object, required: [n], properties: {n: {type: integer}}}}}"
TWICE = "{id: t, wait: 1h}, {id: a, after: [t], signal: {name: go}}, {id: b, after: [a], signal: {name: go}}"


def test_signals_that_come_early_are_kept_first_in_first_out(engine: MemoryEngine) -> None:
    run_id = waiting(engine, TWICE)
    for n in (1, 2, 3):
        assert post(engine, f"/v1/runs/{run_id}/signals/go", {"payload": n})[0] == 202
    run = engine.wait(run_id)
    assert (run.steps["a"].output, run.steps["b"].output) == (1, 2)
    assert post(engine, f"/v1/runs/{run_id}/signals/go", {"payload": 4}) == (409, "wrong-state")


@pytest.mark.parametrize(
    ("body", "answered"),
    [
        pytest.param({"payload": {"n": "x"}}, (422, "invalid-input"), id="of another type"),
        pytest.param({"payload": {}}, (422, "invalid-input"), id="without what is required"),
        pytest.param({}, (422, "invalid-input"), id="nothing"),
        pytest.param({"payload": {"n": 1, "x": "y" * (5 * 1024 * 1024)}}, (413, "payload-too-large"), id="too large"),
        pytest.param({"data": 1}, (400, "unknown-field"), id="a field that there is not"),
        pytest.param(b"{", (400, "invalid-json"), id="no JSON"),
    ],
)
def test_a_signal_that_does_not_fit_is_refused_and_not_kept(engine: MemoryEngine, body: Any, answered: tuple[int, str]) -> None:
    run_id = waiting(engine, SIGNAL)
    assert post(engine, f"/v1/runs/{run_id}/signals/go", body) == answered
    assert post(engine, f"/v1/runs/{run_id}/signals/go", {"payload": {"n": 1, "large": "y" * 300_000}})[0] == 202
    output = engine.wait(run_id).output
    assert (output["s"]["n"], len(output["s"]["large"])) == (1, 300_000)


def test_nobody_signals_another_tenants_run(engine: MemoryEngine) -> None:
    run_id = waiting(engine, SIGNAL)
    answered = answer(event("POST", f"/v1/runs/{run_id}/signals/go", body={"payload": {"n": 1}}, tenant="rival"), engine.operations)
    assert answered["statusCode"] == 404
    assert engine.show(run_id).status == "waiting"


# ------------------------------------------------------------------------------------------------ approvals


@pytest.mark.parametrize(
    ("by", "verb", "body", "answered", "status"),
    [
        pytest.param("by: [ann]", "approve", {"comment": "fine"}, (202, None), "succeeded", id="who is named"),
        pytest.param("by: [ann]", "reject", None, (202, None), "failed", id="who is named rejects"),
        pytest.param("", "approve", None, (202, None), "succeeded", id="anybody, where nobody is named"),
        pytest.param("", "approve", {"comment": "c" * 2001}, (400, "bad-value"), "waiting", id="a comment that is too long"),
        pytest.param("", "approve", {"by": "ann"}, (400, "unknown-field"), "waiting", id="in another's name"),
    ],
)
def test_who_may_approve(engine: MemoryEngine, by: str, verb: str, body: Any, answered: Any, status: str) -> None:
    run_id = waiting(engine, f"{{id: ok, approval: {{{by}}}}}")
    assert post(engine, f"/v1/runs/{run_id}/steps/ok/{verb}", body) == answered
    assert engine.wait(run_id, status).status == status


def test_who_is_not_named_may_not(engine: MemoryEngine) -> None:
    run_id = waiting(engine, "{id: ok, approval: {by: [grace]}}")
    assert post(engine, f"/v1/runs/{run_id}/steps/ok/approve") == (403, "forbidden")
    assert engine.show(run_id).status == "waiting"


def test_an_approval_that_nobody_gave_in_time_is_a_timeout_and_too_late_to_give(engine: MemoryEngine) -> None:
    run_id = waiting(engine, "{id: ok, approval: {timeout: 1h}}")
    engine.pass_time("2h")
    assert (engine.wait(run_id).error or {})["name"] == "Timeout"
    assert post(engine, f"/v1/runs/{run_id}/steps/ok/approve") == (409, "wrong-state")
