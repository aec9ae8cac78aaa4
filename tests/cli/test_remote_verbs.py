"""Verbs against a running engine: what they ask of it, what they print, and the exit status that says how it went."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from treadle.auth import Role
from treadle.cli.target import announced
from treadle.core.errors import Rejected, Unavailable, WrongState

from tests.api.fakes import BROKEN, OWNER, FakeOperations
from tests.cli.conftest import KEY, Call


@pytest.mark.parametrize(
    ("arguments", "verb", "given"),
    [
        (["start", "order"], "start", {"input": {}}),
        (["start", "order", "--input", '{"a": 1}', "--version", "2.0.0", "--priority", "high", "--key", "k",
          "--attribute", "n=1", "--attribute", "s=x"], "start",
         {"input": {"a": 1}, "version": "2.0.0", "priority": "high", "key": "k", "attributes": {"n": 1, "s": "x"}}),
        (["show", "r1"], "show", {"full": False}),
        (["show", "r1", "--full", "--cursor", "c"], "show", {"full": True, "cursor": "c"}),
        (["history", "r1"], "history", {}),
        (["runs", "--status", "failed", "--attribute", "ok=true", "--limit", "5"], "runs",
         {"status": "failed", "attributes": {"ok": "true"}, "limit": 5}),
        (["signal", "r1", "paid/now", "--payload", "[1]"], "signal", {"name": "paid/now", "payload": [1]}),
        (["approve", "r1", "ok[3]", "--comment", "fine"], "approve", {"step": "ok[3]", "comment": "fine"}),
        (["reject", "r1", "ok"], "reject", {"step": "ok", "comment": None}),
        (["decide", "r1", "a", "skip", "--result", "{}"], "decide", {"step": "a", "choice": "skip", "output": {}}),
        (["pause", "r1"], "pause", {}),
        (["resume", "r1"], "resume", {}),
        (["cancel", "r1"], "cancel", {}),
        (["retry", "r1", "--from", "a"], "retry", {"from_step": "a", "input": None}),
    ],
)  # fmt: skip
def test_a_verb_asks_the_engine(
    engine: str, operations: FakeOperations, call: Call, arguments: list[str], verb: str, given: dict[str, Any]
) -> None:
    result = call(*arguments, "-o", "json")
    assert (result.status, result.err) == (0, "")
    ((called, asked),) = operations.calls
    assert called == verb
    assert asked["tenant"] == OWNER
    assert {name: asked[name] for name in given} == given
    json.loads(result.out)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Rejected("not-found", "there is no run r1", status=404), 3),
        (WrongState("the run has ended"), 4),
        (Rejected("invalid-definition", "1 error", status=422, diagnostics=[BROKEN]), 1),
        (Rejected("invalid-input", "amount is missing", status=422), 1),
        (Rejected("forbidden", "no", status=403), 2),
        (Rejected("rate-limited", "slower", status=429), 6),
        (Unavailable("down"), 6),
    ],
)
def test_a_refusal_is_a_sentence_and_an_exit_status(
    engine: str, operations: FakeOperations, call: Call, error: Exception, status: int
) -> None:
    operations.fails_with = error
    result = call("cancel", "r1")
    assert (result.status, result.out) == (status, "")
    assert result.err.startswith("treadle: ")
    assert "Traceback" not in result.err


def test_what_is_anothers_is_not_found(engine: str, call: Call) -> None:
    assert call("show", "r9").status == 3


def test_a_token_that_is_not_valid_is_said_so(engine: str, call: Call) -> None:
    result = call("show", "r1", "--token", "x.y.z")
    assert result.status == 2
    assert "[unauthenticated]" in result.err


def test_a_role_that_may_not_is_said_so(engine: str, call: Call) -> None:
    result = call("cancel", "r1", "--token", KEY.token(tenant=OWNER, roles=(Role.VIEWER,)))
    assert (result.status, "[forbidden]" in result.err) == (2, True)


@pytest.mark.parametrize(
    ("text", "status", "said"), [("id: order", 0, "registered"), ("id: again", 0, "before"), ("broken", 1, "no-action")]
)
def test_submitting(engine: str, call: Call, tmp_path: Path, text: str, status: int, said: str) -> None:
    file = tmp_path / "w.yaml"
    file.write_text(text)
    result = call("submit", file)
    assert result.status == status
    assert said in result.out + result.err


def test_nothing_listens(call: Call) -> None:
    result = call("runs", "--url", "http://127.0.0.1:9")
    assert result.status == 6
    assert "does not answer" in result.err


def test_no_engine_is_known(call: Call) -> None:
    result = call("runs")
    assert result.status == 6
    assert "treadle dev" in result.err


def test_the_running_dev_is_found(engine: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TREADLE_URL")
    monkeypatch.delenv("TREADLE_TOKEN")
    with announced(engine, KEY.token(tenant=OWNER)):
        note = Path(os.environ["XDG_CACHE_HOME"]) / "treadle" / "dev.json"
        assert note.stat().st_mode & 0o777 == 0o600
        assert call("show", "r1").status == 0
    assert call("show", "r1").status == 6


def test_of_two_that_run_the_one_that_began_last_is_found(engine: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TREADLE_URL")
    monkeypatch.delenv("TREADLE_TOKEN")
    first = announced("http://127.0.0.1:9", "none")
    first.__enter__()
    with announced(engine, KEY.token(tenant=OWNER)):
        first.__exit__(None, None, None)  # ends first, and takes only its own note away
        assert call("show", "r1").status == 0


def test_a_definition_that_is_refused_is_shown_as_validate_shows_it(engine: str, call: Call, tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text("id: broken\n")
    result = call("submit", tmp_path / "w.yaml")
    assert (result.status, result.out) == (1, "")
    assert f"{tmp_path / 'w.yaml'}#/steps/0: error: no action [no-action]\n\n1 error\n" in result.err


def test_the_one_fault_of_an_input_is_told_once(engine: str, operations: FakeOperations, call: Call) -> None:
    fault = {"code": "invalid-input", "message": "'a' is missing", "path": "/x"}
    operations.fails_with = Rejected("invalid-input", "the input does not fit: 'a' is missing", status=422, diagnostics=[fault])
    result = call("start", "order")
    assert (result.status, result.err) == (1, "treadle: the input does not fit: 'a' is missing [invalid-input]\n")


def test_amending_names_the_version_that_was_seen(engine: str, operations: FakeOperations, call: Call, tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text("id: order\n")
    assert call("amend", "r1", tmp_path / "w.yaml").err == "+ b\n- c\nr1 amended; now running\n"
    assert [given["expected"] for verb, given in operations.calls if verb == "amend"] == ["17"]  # what `show` said a moment before
    result = call("amend", "r1", tmp_path / "w.yaml", "--if-match", "16")
    assert (result.status, "[precondition-failed]" in result.err) == (4, True)


def test_null_is_an_input(engine: str, operations: FakeOperations, call: Call) -> None:
    assert call("start", "order", "--input", "null").status == 0
    assert operations.calls[0][1]["input"] is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["start"],
        ["start", "order", "--input", "{"],
        ["start", "order", "--input", "NaN"],
        ["start", "order", "--input", "@/nowhere"],
        ["start", "order", "--priority", "urgent"],
        ["start", "order", "--attribute", "x"],
        ["show", "r1", "--stack", "a", "--url", "b"],
        ["decide", "r1", "a", "ignore"],
        ["watch", "r1", "--timeout", "soon"],
        ["validate"],
        ["validate", "/nowhere.yaml"],
    ],
    ids=" ".join,
)
def test_wrong_usage(call: Call, arguments: list[str]) -> None:
    result = call(*arguments)
    assert result.status == 2
    assert "Traceback" not in result.err


def test_a_near_verb_is_proposed(call: Call) -> None:
    assert "Did you mean `validate`?" in call("valdiate").err


def test_input_comes_from_a_file_or_from_stdin(
    engine: str, operations: FakeOperations, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    file = tmp_path / "input.json"
    file.write_text('{"from": "file"}')
    call("start", "order", "--input", f"@{file}")
    monkeypatch.setattr("sys.stdin", io.StringIO('{"from": "stdin"}'))
    call("start", "order", "--input", "-")
    assert [given["input"] for _, given in operations.calls] == [{"from": "file"}, {"from": "stdin"}]
