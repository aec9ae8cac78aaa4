"""Verbs about people: what they are asked, what they did, runs from other runs, and one verb for many runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from treadle.audit import FIRST, hash_of
from treadle.cli.telling import told
from treadle.core.errors import WrongState

from tests.api.fakes import CHECKPOINT, OWNER, QUESTION, TOKEN, FakeOperations
from tests.cli.conftest import Call


def chain(count: int) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    for n in range(1, count + 1):
        body = {"n": n, "what": "pause", "before": records[-1]["hash"] if records else FIRST}
        records.append({**body, "hash": hash_of(body)})
    return records


@pytest.mark.parametrize(
    ("arguments", "verb", "given"),
    [
        (["approvals", "--limit", "5"], "approvals", {"limit": 5, "kinds": ("approval", "decision")}),
        (["approvals", "--kind", "decision"], "approvals", {"kinds": ("decision",)}),
        (["rerun", "r1", "--key", "k"], "rerun", {"key": "k"}),
        (["checkpoint", "r1"], "checkpoint", {}),
        (["checkpoint", "r1", "--list"], "checkpoints", {}),
        (["restore", "c1"], "restore", {"key": None, "from_step": None}),
        (["restore", "c1", "--from", "a", "--input", "1"], "restore", {"from_step": "a", "input": 1}),
        (["rerun", "r1", "--from", "a", "--input", "{}"], "rerun", {"from_step": "a", "input": {}}),
        (["retry", "r1", "--dry-run", "--from", "a"], "prospect", {"from_step": "a"}),
        (["rerun", "r1", "--dry-run", "--from", "a"], "prospect of rerun", {"from_step": "a"}),
        (["restore", "c1", "--dry-run"], "prospect of restore", {"from_step": None}),
        (["cancel", "r1", "--reason", "no more"], "cancel", {"reason": "no more"}),
        (["update", "r1", '{"status": "paused"}', "--if-match", "17"], "update", {"patch": {"status": "paused"}, "expected": "17"}),
        (["audit"], "audit", {"limit": 1000}),
        (["input", "r1", "charge"], "input_of", {"step": "charge"}),
    ],
)
def test_a_verb_asks_the_engine(
    engine: str, operations: FakeOperations, call: Call, arguments: list[str], verb: str, given: dict[str, Any]
) -> None:
    result = call(*arguments, "-o", "json")
    assert (result.status, result.err) == (0, "")
    ((called, asked),) = operations.calls
    assert (called, asked["tenant"]) == (verb, OWNER)
    assert {name: asked[name] for name in given} == given
    json.loads(result.out)


def test_what_is_printed_for_people(engine: str, call: Call) -> None:
    assert QUESTION["step"] in call("approvals").out
    assert call("checkpoint", "r1").out == f"{CHECKPOINT['id']}\n"
    assert call("restore", "c1").out == "r2\n"
    assert [line.split() for line in call("retry", "r1", "--dry-run").out.splitlines()[1:]] == [["b", "run", "again"], ["a", "kept"]]
    assert "paused" in call("update", "r1", '{"status": "paused"}').out


def test_one_step_is_shown_with_where_it_runs(engine: str, call: Call) -> None:
    shown = json.loads(call("task", "r1", "charge", "-o", "json").out)
    assert (shown["id"], shown["pool"], shown["seen"]["peakMemoryMb"]) == ("r1/charge", "large", 900)
    assert "large" in call("task", "r1", "charge").out


def test_an_amendment_is_only_shown(engine: str, operations: FakeOperations, call: Call, tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text("id: order\n")
    assert call("amend", "r1", tmp_path / "w.yaml", "--dry-run").err == "+ b\n- c\n"
    assert json.loads(call("amend", "r1", tmp_path / "w.yaml", "--dry-run", "-o", "json").out)["added"] == ["b"]
    assert "amend" not in [verb for verb, _ in operations.calls]


# ------------------------------------------------------------------------------------------------ many runs


def test_a_filter_stands_for_every_run_that_matches(engine: str, operations: FakeOperations, call: Call) -> None:
    result = call("retry", "--workflow", "order", "--status", "failed", "--yes", "--reason", "again")
    assert (result.status, result.err) == (0, "retry: 1 of 1 runs\n")
    assert [verb for verb, _ in operations.calls] == ["runs", "retry"]
    assert {name: operations.calls[0][1][name] for name in ("workflow", "status")} == {"workflow": "order", "status": "failed"}


def test_many_runs_are_only_looked_at(engine: str, operations: FakeOperations, call: Call) -> None:
    result = call("retry", "--workflow", "order", "--dry-run")
    assert result.err == "retry would be for 1 runs; nothing was done\n"
    assert [line.split() for line in result.out.splitlines()] == [["RUN", "REOPENED", "KEPT"], ["r1", "b", "a"]]
    assert call("cancel", "--status", "running", "--dry-run").out.split() == ["RUN", "STATUS", "r1", "running"]
    assert {"retry", "cancel"}.isdisjoint(verb for verb, _ in operations.calls)


def test_a_refusal_does_not_keep_the_others_from_it(engine: str, operations: FakeOperations, call: Call) -> None:
    operations.refuses = {"cancel": WrongState("run r1 is succeeded")}
    result = call("cancel", "--status", "running", "--yes")
    assert (result.status, result.err) == (4, "r1: run r1 is succeeded [wrong-state]\ncancel: 0 of 1 runs\n")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["cancel"], id="neither a run nor a filter"),
        pytest.param(["cancel", "r1", "--status", "running"], id="both"),
        pytest.param(["cancel", "r1", "--dry-run"], id="a dry run of a cancel"),
        pytest.param(["audit", "verify", "--head", "x"], id="a head that is none"),
    ],
)
def test_wrong_usage(engine: str, call: Call, arguments: list[str]) -> None:
    assert call(*arguments).status == 2


# ------------------------------------------------------------------------------------------------ the trail


def test_a_whole_trail_is_verified(engine: str, operations: FakeOperations, call: Call) -> None:
    operations.trail = chain(3)
    result = call("audit", "verify", "--head", f"2:{operations.trail[1]['hash']}")
    assert (result.status, result.out.partition(",")[0]) == (0, "3 records")


def test_a_changed_record_is_named(engine: str, operations: FakeOperations, call: Call) -> None:
    operations.trail = chain(3)
    operations.trail[1]["what"] = "resume"
    result = call("audit", "verify")
    assert (result.status, result.out) == (1, "record 2 was changed: record 2 does not have the hash of what it says\n")


def test_a_trail_that_was_written_anew_does_not_have_the_head_that_was_kept(engine: str, operations: FakeOperations, call: Call) -> None:
    operations.trail = chain(3)
    result = call("audit", "verify", "--head", f"2:{'0' * 64}", "-o", "json")
    assert (result.status, json.loads(result.out)["fault"]["n"]) == (1, 2)


# ------------------------------------------------------------------------------------------------ the story


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"what": "RunStarted", "by": "ann"}, "the run started, by ann"),
        ({"what": "StepEnded", "status": "failed", "attempts": 2, "error": {"name": "E", "message": "m"}}, "failed after 2 attempts: E: m"),
        ({"what": "StepEnded", "status": "skipped", "attempts": 0, "why": "when was false"}, "skipped: when was false"),
        ({"what": "StepStarted", "generation": 1}, "started (taken back by a retry)"),
        ({"what": "Acted", "act": "approve", "by": "ann", "comment": "fine"}, 'ann approved it ("fine")'),
        ({"what": "Acted", "act": "pause", "by": None}, "somebody paused the run"),
        (
            {"what": "AttemptFailed", "attempt": 2, "error": {"name": "BankAway", "message": "no route"}},
            "attempt 2 failed: BankAway: no route",
        ),
        ({"what": "Notified", "target": "ops", "event": "RunFailed", "attempts": 1}, "ops was told of RunFailed"),
        (
            {"what": "NotificationFailed", "target": "ops", "event": "RunFailed", "attempts": 10, "error": "it answered 500"},
            "ops could not be told of RunFailed after 10 attempts: it answered 500",
        ),
        ({"what": "Acted", "act": "retry", "by": "bob", "after": "failed", "from": "a"}, "bob retried the run, which was failed, from a"),
        ({"what": "Acted", "act": "amend", "by": "bob", "added": ["b"], "removed": ["c"]}, "bob amended the run; added: b; removed: c"),
    ],
)
def test_history_is_told_in_sentences(entry: dict[str, Any], sentence: str) -> None:
    assert told(entry) == sentence


# ------------------------------------------------------------------------------------------------ single attempts


def test_an_input_is_printed_so_that_it_can_be_edited(engine: str, call: Call) -> None:
    result = call("input", "r1", "charge")
    assert json.loads(result.out) == {"card": "5", "key": "***"}
    assert result.err.splitlines() == [
        "attempt 2 of charge, as the definition has it",
        "*** stands for a secret (key): leave it, and it is filled in again",
    ]
    assert call("input", "r1", "nowhere").status == 3


@pytest.mark.parametrize("token", [TOKEN, f"https://example.com/v1/callbacks/{TOKEN}", f"https://example.com/v1/callbacks/{TOKEN}/"])
@pytest.mark.parametrize(
    ("arguments", "verb", "given", "said"),
    [
        (["succeed"], "succeed", {"output": None}, "it has succeeded"),
        (["succeed", "--result", '{"a": 1}'], "succeed", {"output": {"a": 1}}, "it has succeeded"),
        (["fail", "--error", "Gone"], "fail", {"error": "Gone", "message": "", "permanent": False}, "it has failed"),
        (["fail", "--error", "Gone", "--message", "m", "--details", "[1]", "--permanent"], "fail",
         {"error": "Gone", "message": "m", "details": [1], "permanent": True}, "it has failed"),
        (["heartbeat"], "heartbeat", {}, "it goes on"),
    ],
)  # fmt: skip
def test_whoever_has_a_token_may_answer(
    engine: str, operations: FakeOperations, call: Call, token: str, arguments: list[str], verb: str, given: dict[str, Any], said: str
) -> None:
    result = call("callback", token, *arguments)
    assert (result.status, result.err) == (0, f"{said}\n")
    called, asked = operations.calls[-1]
    assert (called, asked["token"]) == (verb, TOKEN)
    assert {name: asked[name] for name in given} == given


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["fail"], "fail needs the error's name: --error NAME"),
        (["succeed", "--error", "Gone"], "--error is not for succeed"),
        (["heartbeat", "--result", "1"], "--result is not for heartbeat"),
        (["fail", "--error", "Gone", "--result", "1"], "--result is not for fail"),
        (["perhaps"], "'perhaps' is not one of"),
    ],
)
def test_what_does_not_belong_to_an_answer_is_refused(
    engine: str, operations: FakeOperations, call: Call, arguments: list[str], why: str
) -> None:
    result = call("callback", "t", *arguments)
    assert (result.status, operations.calls) == (2, [])
    assert why in result.err
