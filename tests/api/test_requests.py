"""What requests are refused for, each fault with its own code, and what the accepted ones ask of the engine."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from treadle.api.app import answer
from treadle.api.problems import CATALOGUE
from treadle.api.reading import MAX_DEPTH, read_json
from treadle.api.routes import DEFINITION_BYTES, INPUT_BYTES, ROUTES
from treadle.core.errors import Conflict, Rejected, Unavailable, WrongState

from tests.api.fakes import BROKEN, FakeOperations, ask, event, view

START = "/v1/workflows/order/runs"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b'{"input": ', "invalid-json", id="cut off"),
        pytest.param(b"input: 1", "invalid-json", id="YAML"),
        pytest.param(b"{'input': 1}", "invalid-json", id="single quotes"),
        pytest.param(b'{"input": 1} {}', "invalid-json", id="two values"),
        pytest.param(b'{"input": "a\nb"}', "invalid-json", id="a bare newline in a string"),
        pytest.param(b'{"input": {"a": 1, "a": 2}}', "duplicate-key", id="a key twice"),
        pytest.param(b'{"input": {"a": 1, "\\u0061": 2}}', "duplicate-key", id="a key twice, once escaped"),
        pytest.param(b'{"input": NaN}', "invalid-number", id="NaN"),
        pytest.param(b'{"input": -Infinity}', "invalid-number", id="infinity"),
        pytest.param(b'{"input": 1e999}', "invalid-number", id="too large a float"),
        pytest.param(b'{"input": 9223372036854775808}', "invalid-number", id="65 bits"),
        pytest.param(b'{"input": ' + b"9" * 5000 + b"}", "invalid-number", id="5,000 digits"),
        pytest.param(b'{"input": ' + b"[" * 5000 + b"]" * 5000 + b"}", "too-deep", id="lists in lists"),
        pytest.param(b'{"input": ' + b"[" * 500_000, "too-deep", id="lists that never end"),
        pytest.param(b'{"a":' * 5000 + b"1" + b"}" * 5000, "too-deep", id="maps in maps"),
        pytest.param(b'{"input": "\xff"}', "invalid-encoding", id="not UTF-8"),
        pytest.param('{"input": "é"}'.encode("latin-1"), "invalid-encoding", id="Latin-1"),
        pytest.param('{"input": 1}'.encode("utf-16"), "invalid-encoding", id="UTF-16"),
        pytest.param(b"\xef\xbb\xbf{}", "invalid-encoding", id="a byte order mark"),
        pytest.param(b'{"input": "\\ud800"}', "invalid-encoding", id="half a surrogate pair"),
        pytest.param(b'{"inputs": 1}', "unknown-field", id="an unknown field"),
        pytest.param(b"[]", "bad-type", id="a list"),
        pytest.param(b'"x"', "bad-type", id="a string"),
        pytest.param(b'{"version": 1}', "bad-type", id="a version that is a number"),
        pytest.param(b'{"priority": "urgent"}', "bad-value", id="a priority that there is not"),
        pytest.param(b'{"attributes": {"a": [1]}}', "bad-type", id="an attribute that is a list"),
        pytest.param(b'{"input": "' + b"x" * INPUT_BYTES + b'"}', "payload-too-large", id="too large"),
    ],
)
def test_a_body_is_refused_with_its_own_code_and_nothing_is_asked_for(body: bytes, code: str) -> None:
    operations = FakeOperations()
    asked = event("POST", START, body=body)
    response = answer(asked, operations)  # type: ignore[arg-type]  # a fake with the same methods
    problem = json.loads(response["body"])
    assert (problem["code"], response["statusCode"]) == (code, CATALOGUE[code].status)
    assert response["headers"]["content-type"] == "application/problem+json"
    assert operations.calls == []


def test_a_problem_has_the_members_of_rfc_9457_and_ours() -> None:
    found = ask(FakeOperations(), "POST", START, body={"inputs": 1})
    assert found.body == {
        "type": "urn:treadle:problem:unknown-field",
        "title": "A field or parameter that there is not",
        "status": 400,
        "detail": "there is no field `inputs`; did you mean `input`?",
        "code": "unknown-field",
        "requestId": "req-1",
        "diagnostics": [{"code": "unknown-field", "message": "there is no field `inputs`; did you mean `input`?", "path": "/inputs"}],
    }


def test_a_fault_of_a_body_has_its_place_as_a_json_pointer() -> None:
    found = ask(FakeOperations(), "POST", START, body={"attributes": {"a/b": [1], "c": None, "d": 1.5}})
    told = "must be a string, a number or true or false"
    assert found.body["diagnostics"] == [
        {"code": "bad-type", "message": f"`attributes.{name}` {told}", "path": path}
        for name, path in (("a/b", "/attributes/a~1b"), ("c", "/attributes/c"))
    ]
    (fault,) = ask(FakeOperations(), "POST", START, body=[]).body["diagnostics"]
    assert (fault["message"], fault["path"]) == ("the body must be an object", "")


def test_all_faults_of_a_body_are_told_at_once() -> None:
    found = ask(FakeOperations(), "POST", "/v1/runs/r1/steps/a/decide", body={"reason": 1, "who": "me"})
    assert {fault["code"] for fault in found.body["diagnostics"]} == {"missing-field", "bad-type", "unknown-field"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "application/json"}, 202),
        ({"content-type": "Application/JSON; charset=UTF-8"}, 202),
        ({"content-type": "application/json; charset=latin-1"}, 415),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/yaml"}, 415),
        ({"content-type": ""}, 415),
        ({"content-encoding": "gzip"}, 415),
        ({"content-encoding": "Identity"}, 202),
    ],
)
def test_media_types(headers: dict[str, str], status: int) -> None:
    assert ask(FakeOperations(), "POST", START, body={}, headers=headers).status == status


@pytest.mark.parametrize(
    ("body", "media_type", "status", "code"),
    [
        pytest.param(b'{"id": "order"}', "application/json", 201, None, id="JSON"),
        pytest.param(b"id: order", "application/yaml", 201, None, id="YAML"),
        pytest.param(b"id: order", "text/yaml", 201, None, id="YAML by its older name"),
        pytest.param(b"id: again", "application/yaml", 200, None, id="the same again"),
        pytest.param(b"id: order", "application/json", 422, "invalid-definition", id="YAML that is said to be JSON"),
        pytest.param(b"", "application/json", 422, "invalid-definition", id="nothing"),
        pytest.param(b"[]", "application/json", 422, "invalid-definition", id="a list"),
        pytest.param(b"id: order", "text/plain", 415, "unsupported-media-type", id="text"),
        pytest.param(b"broken", "application/yaml", 422, "invalid-definition", id="with faults"),
        pytest.param(b"x" * (DEFINITION_BYTES + 1), "application/yaml", 413, "payload-too-large", id="too large"),
    ],
)
def test_registering(body: bytes, media_type: str, status: int, code: str | None) -> None:
    found = ask(FakeOperations(), "POST", "/v1/workflows", body=body, headers={"content-type": media_type})
    assert (found.status, found.body.get("code")) == (status, code)
    if status < 300:
        assert found.headers["location"] == "/v1/workflows/order/versions/1.0.0"
        assert found.body["created"] == (status == 201)


def test_the_faults_of_a_definition_are_in_the_problem() -> None:
    found = ask(FakeOperations(), "POST", "/v1/workflows", body=b"broken", headers={"content-type": "application/yaml"})
    assert found.body["diagnostics"] == [BROKEN]


def test_a_definition_that_is_no_json_is_a_fault_of_the_definition() -> None:
    (fault,) = ask(FakeOperations(), "POST", "/v1/workflows", body=b"id: order").body["diagnostics"]
    assert (fault["code"], fault["line"], fault["hint"]) == ("syntax", 1, "send YAML as application/yaml")
    found = ask(FakeOperations(), "POST", "/v1/workflows/validate", body=b"id: order")
    assert (found.status, found.body) == (200, {"valid": False, "diagnostics": [fault]})


@pytest.mark.parametrize("definition", [{"id": "order"}, "id: order\n"], ids=["an object", "its text"])
def test_a_definition_to_run_is_an_object_or_its_text(definition: Any) -> None:
    operations = FakeOperations()
    assert ask(operations, "POST", "/v1/runs", body={"definition": definition}).status == 202
    assert operations.calls[0][1]["source"] == definition


@pytest.mark.parametrize(
    ("body", "told"),
    [
        pytest.param([], "the body must be an object", id="a list"),
        pytest.param({"version": 1}, "`version` must be a string", id="a number for a text"),
        pytest.param({"version": ""}, "`version` must have at least 1 characters", id="an empty text"),
        pytest.param({"priority": "urgent"}, "`priority` must be `low`, `normal`, `high` or `critical`", id="none of the words"),
    ],
)
def test_what_a_field_must_be_is_said_in_our_words(body: Any, told: str) -> None:
    assert ask(FakeOperations(), "POST", START, body=body).body["detail"] == told


@pytest.mark.parametrize(
    ("match", "status", "code", "expected"),
    [
        pytest.param({}, 428, "precondition-required", None, id="none"),
        pytest.param({"if-match": "*"}, 200, None, None, id="whichever"),
        pytest.param({"if-match": "17"}, 200, None, "17", id="the run's etag"),
        pytest.param({"if-match": '"17-0123456789abcdef"'}, 200, None, "17", id="that of an answer"),
        pytest.param({"if-match": '"16"'}, 412, "precondition-failed", "16", id="an older one"),
    ],
)
def test_amending_takes_the_version_that_was_looked_at(match: dict[str, str], status: int, code: str | None, expected: str | None) -> None:
    operations = FakeOperations()
    found = ask(operations, "PATCH", "/v1/runs/r1/plan", body={"id": "order"}, headers=match)
    assert (found.status, found.body.get("code")) == (status, code)
    assert [given["expected"] for verb, given in operations.calls if verb == "amend"] == ([] if status == 428 else [expected])
    if status == 200:
        assert (found.body["id"], found.headers["etag"][:3]) == ("r1", '"17')


def test_validation_answers_200_either_way() -> None:
    def validate(body: bytes) -> Any:
        return ask(FakeOperations(), "POST", "/v1/workflows/validate", body=body, headers={"content-type": "application/yaml"}).body

    assert validate(b"id: order") == {"valid": True, "diagnostics": []}
    assert validate(b"broken") == {"valid": False, "diagnostics": [BROKEN]}


RUN = {"tenant": "acme"}


@pytest.mark.parametrize(
    ("method", "path", "body", "verb", "given"),
    [
        ("POST", START, None, "start", {"input": {}, "version": None, "attributes": None, "priority": None, "key": None, "by": "ann"}),
        ("POST", START, {"input": [1], "version": "2.0.0", "attributes": {"a": 1, "b": True}, "priority": "high"}, "start",
         {"input": [1], "version": "2.0.0", "attributes": {"a": 1, "b": True}, "priority": "high", "key": None, "by": "ann"}),
        ("POST", "/v1/runs", {"definition": {"id": "x"}, "input": 1}, "run_definition",
         {"source": {"id": "x"}, "input": 1, "key": None, "by": "ann"}),
        ("POST", "/v1/runs/r1/pause", None, "pause", {"by": "ann", "reason": None}),
        ("POST", "/v1/runs/r1/pause", {}, "pause", {"by": "ann", "reason": None}),
        ("POST", "/v1/runs/r1/resume", None, "resume", {"by": "ann", "reason": None}),
        ("POST", "/v1/runs/r1/cancel", None, "cancel", {"by": "ann", "reason": None}),
        ("POST", "/v1/runs/r1/retry", None, "retry", {"from_step": None, "input": None, "by": "ann", "reason": None}),
        ("POST", "/v1/runs/r1/retry", {"from": "a", "input": {"x": 1}, "reason": "fixed"}, "retry",
         {"from_step": "a", "input": {"x": 1}, "by": "ann", "reason": "fixed"}),
        ("POST", "/v1/runs/r1/rerun", None, "rerun", {"from_step": None, "input": None, "key": None, "by": "ann"}),
        ("POST", "/v1/runs/r1/rerun", {"from": "a", "input": 1}, "rerun", {"from_step": "a", "input": 1, "key": None, "by": "ann"}),
        ("GET", "/v1/approvals", None, "approvals", {"kinds": ("approval", "decision"), "by": "ann", "limit": 100, "cursor": None}),
        ("GET", "/v1/audit", None, "audit", {"limit": 100, "cursor": None}),
        ("POST", "/v1/runs/r1/signals/paid", {"payload": {"x": 1}}, "signal", {"name": "paid", "payload": {"x": 1}, "by": "ann"}),
        ("POST", "/v1/runs/r1/signals/paid", None, "signal", {"name": "paid", "payload": None, "by": "ann"}),
        ("POST", "/v1/runs/r1/steps/ok%5B3%5D/approve", {"comment": "fine"}, "approve", {"step": "ok[3]", "by": "ann", "comment": "fine"}),
        ("POST", "/v1/runs/r1/steps/g.in/reject", None, "reject", {"step": "g.in", "by": "ann", "comment": None}),
        ("POST", "/v1/runs/r1/steps/a/decide", {"choice": "skip", "output": 1}, "decide",
         {"step": "a", "choice": "skip", "input": None, "output": 1, "by": "ann", "reason": None}),
        ("GET", "/v1/runs/r1", None, "show", {"full": False, "cursor": None}),
        ("GET", "/v1/runs/r1/history", None, "history", {}),
        ("GET", "/v1/workflows/order/versions/1.2.3", None, "workflow", {"version": "1.2.3"}),
    ],
)  # fmt: skip
def test_what_is_asked_of_the_engine(method: str, path: str, body: Any, verb: str, given: dict[str, Any]) -> None:
    operations = FakeOperations()
    found = ask(operations, method, path, body=body)
    assert operations.calls == [(verb, {**RUN, **given})]
    assert found.status == (202 if method == "POST" else 200)
    if method == "POST":
        assert found.headers["location"] == "/v1/runs/r1"


def test_the_filters_of_a_list() -> None:
    operations = FakeOperations()
    query = {"workflow": "order", "status": "failed", "startedAfter": "2026-11-23T00:00:00Z", "attribute.region": "eu"}
    found = ask(operations, "GET", "/v1/runs", query={**query, "limit": "7", "cursor": "x"})
    assert found.body == {"items": [view("r1")], "next": None}
    ((verb, given),) = operations.calls
    assert verb == "runs"
    assert given["workflow"] == "order"
    assert given["status"] == "failed"
    assert given["attributes"] == {"region": "eu"}
    assert given["started_before"] is None
    assert (given["limit"], given["cursor"]) == (7, "x")


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("/v1/runs", "limit=0", "bad-value"),
        ("/v1/runs", "limit=1001", "bad-value"),
        ("/v1/runs", "limit=ten", "bad-type"),
        ("/v1/runs", "limit=1&limit=2", "bad-value"),
        ("/v1/runs", "status=done", "bad-value"),
        ("/v1/runs", "workflow=", "bad-value"),
        ("/v1/runs", "startedAfter=yesterday", "bad-value"),
        ("/v1/runs", "startedAfter=0001-01-01T00:00:00%2B05:00", "bad-value"),
        ("/v1/runs", "startedBefore=9999-12-31T23:59:59-05:00", "bad-value"),
        ("/v1/runs", "startedAfter=2026-11-23T00:00:00", "bad-value"),
        ("/v1/runs", "state=failed", "unknown-field"),
        ("/v1/runs/r1", "full=maybe", "bad-type"),
        ("/v1/runs/r1", "attribute.x=1", "unknown-field"),
        ("/v1/stats", "x=1", "unknown-field"),
    ],
)
def test_queries_are_read_strictly(path: str, query: str, code: str) -> None:
    found = ask(FakeOperations(), "GET", path, query=query)
    assert (found.status, found.body["code"]) == (400, code)


def test_the_idempotency_key_reaches_the_engine() -> None:
    operations = FakeOperations()
    ask(operations, "POST", START, body={}, headers={"Idempotency-Key": "k-1"})
    assert operations.calls[0][1]["key"] == "k-1"


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "é"])
def test_a_strange_idempotency_key_is_refused(key: str) -> None:
    assert ask(FakeOperations(), "POST", START, body={}, headers={"idempotency-key": key}).body["code"] == "bad-value"


@pytest.mark.parametrize(
    ("asked", "status"), [("{}", 304), ("W/{}", 304), ('"16", {}', 304), ("*", 304), ('"16"', 200), ("17", 200), ("", 200)]
)
def test_a_run_that_has_not_changed_is_not_sent_again(asked: str, status: int) -> None:
    etag = ask(FakeOperations(), "GET", "/v1/runs/r1").headers["etag"]
    found = ask(FakeOperations(), "GET", "/v1/runs/r1", headers={"If-None-Match": asked.format(etag)})
    assert (found.status, found.headers["etag"]) == (status, etag)
    assert (found.body is None) == (status == 304)


def test_the_etag_changes_with_the_steps() -> None:
    """Steps end without any change of the run's own item."""
    started, ended = (ask(FakeOperations(step_status=status), "GET", "/v1/runs/r1").headers["etag"] for status in ("running", "succeeded"))
    assert started != ended


def test_a_checkpoint_is_taken_and_restored_once_for_a_key() -> None:
    operations = FakeOperations()
    made = ask(operations, "POST", "/v1/runs/r1/checkpoints")
    assert (made.status, made.body["id"]) == (202, "c1")
    found = ask(operations, "POST", made.headers["location"], headers={"idempotency-key": "k"})
    assert (found.status, found.headers["location"]) == (202, "/v1/runs/r2")
    assert operations.calls[1] == ("restore", {"tenant": "acme", "from_step": None, "input": None, "key": "k", "by": "ann"})


def test_what_would_be_retried_is_asked_without_a_change() -> None:
    operations = FakeOperations()
    found = ask(operations, "GET", "/v1/runs/r1/retry", query={"from": "a"})
    assert (found.status, found.body) == (200, {"reopened": ["b"], "kept": ["a"]})
    assert operations.calls == [("prospect", {"tenant": "acme", "from_step": "a"})]


def test_a_patch_has_what_it_names_and_nothing_else() -> None:
    """A null is a member to remove; one that is not there stays as it is."""
    operations = FakeOperations()
    patch = {"attributes": {"region": None, "size": 3}, "status": "paused"}
    found = ask(operations, "PATCH", "/v1/runs/r1", body=patch, headers={"if-match": '"17-0123456789abcdef"'})
    assert found.body["changes"] == [{"path": "/status", "before": "running", "after": "paused"}]
    assert operations.calls == [("update", {"tenant": "acme", "patch": patch, "expected": "17", "by": "ann"})]


@pytest.mark.parametrize(
    ("patch", "metadata"),
    [
        ({"data": {"a": 1, "b": None}}, {"a": 1, "b": None}),
        ({"data": {"a": 1, "b": 1}, "metadata": {"b": 2}}, {"a": 1, "b": 2}),
        ({"data": None}, {}),
    ],
)
def test_the_founding_specs_name_of_metadata_is_taken(patch: Any, metadata: Any) -> None:
    """With the media type of a merge patch, too."""
    operations = FakeOperations()
    headers = {"if-match": "*", "content-type": "application/merge-patch+json"}
    assert ask(operations, "PATCH", "/v1/runs/r1", body=patch, headers=headers).status == 200
    assert operations.calls[0][1]["patch"] == {"metadata": metadata}


@pytest.mark.parametrize(
    "patch",
    [
        pytest.param({"steps": {}}, id="results are facts"),
        pytest.param({"status": "succeeded"}, id="a status that nobody can ask for"),
        pytest.param({"attributes": {"a": [1]}}, id="an attribute that cannot be searched for"),
    ],
)
def test_a_patch_of_what_cannot_be_patched_is_refused(patch: Any) -> None:
    operations = FakeOperations()
    found = ask(operations, "PATCH", "/v1/runs/r1", body=patch, headers={"if-match": "*"})
    assert (found.status, operations.calls) == (400, [])


@pytest.mark.parametrize(
    ("role", "query", "kinds"),
    [
        ("approver", {}, ("approval",)),
        ("operator", {}, ("decision",)),
        ("viewer", {}, ()),
        ("admin", {"kind": "decision"}, ("decision",)),
        ("approver", {"kind": "decision"}, ()),
    ],
)
def test_people_are_shown_what_they_may_answer(role: str, query: dict[str, str], kinds: tuple[str, ...]) -> None:
    operations = FakeOperations()
    found = ask(operations, "GET", "/v1/approvals", roles=(role,), query=query)
    assert operations.calls[0][1]["kinds"] == kinds
    assert len(found.body["items"]) == bool(kinds)


@pytest.mark.parametrize("text", ["2026-11-23T00:00:00Z", "2026-11-23T01:00:00+01:00", "2026-11-22T19:00:00.000-05:00"])
def test_times_reach_the_engine_in_utc(text: str) -> None:
    operations = FakeOperations()
    ask(operations, "GET", "/v1/runs", query={"startedAfter": text})
    assert operations.calls[0][1]["started_after"] == "2026-11-23T00:00:00.000Z"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1", 404),
        ("GET", "/v2/runs", 404),
        ("GET", "/v1/runs/", 404),
        ("GET", "/v1/runs/r1/nothing", 404),
        ("GET", "/v1/workflows//versions/1", 404),
        ("DELETE", "/v1/runs/r1", 405),
        ("PATCH", "/v1/runs/r1", 428),
        ("DELETE", "/v1/workflows", 405),
        ("HEAD", "/v1/runs/r1", 200),
        ("POST", "/v1/runs/r1/checkpoints", 202),
        ("GET", "/v1/audit/1", 404),
        ("GET", "/v1/tasks/r1/charge", 200),
        ("GET", "/v1/tasks/r1%2Fcharge", 200),
        ("POST", "/v1/tasks/r1%2Fcharge/cancel", 202),
        ("GET", "/v1/tasks/r1", 404),
        ("GET", "/v1/runs/r1%2Fhistory", 404),
        ("GET", f"/v1/runs/{'a' * 1001}", 404),
        ("GET", "/v1/tasks/r1/a%5Bx%5D/input", 404),
        ("POST", "/v1/runs/r1/steps/a%5B0%5D.b%5B12%5D/approve", 202),
        ("POST", "/v1/runs/r1/steps/a%5B%5D/approve", 404),
        ("POST", "/v1/runs/r1/steps/a%5B-1%5D/approve", 404),
        ("POST", f"/v1/runs/r1/steps/a%5B{'9' * 30}%5D/reject", 404),
        ("POST", "/v1/runs/r1/steps/a%5B7%5D/approve", 202),
    ],
)
def test_addresses(method: str, path: str, status: int) -> None:
    found = ask(FakeOperations(), method, path)
    assert found.status == status
    assert method != "HEAD" or found.body is None


def test_a_dead_letter_without_a_name_is_refused() -> None:
    found = ask(FakeOperations(), "POST", "/v1/dead-letters/redrive", body={"letters": ["l1", ""]})
    assert (found.status, found.body["code"]) == (400, "bad-value")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("DELETE", "/v1/runs/r1", "GET, HEAD, PATCH"), ("OPTIONS", "/v1/runs", "GET, HEAD, POST"), ("GET", "/v1/runs/r1/pause", "POST")],
)
def test_an_address_says_which_methods_it_takes(method: str, path: str, allow: str) -> None:
    found = ask(FakeOperations(), method, path)
    assert (found.status, found.body["code"], found.headers["allow"]) == (405, "method-not-allowed", allow)


def test_a_stage_with_a_name_is_not_part_of_the_address() -> None:
    asked = event("GET", "/prod/v1/runs/r1")
    asked["requestContext"]["stage"] = "prod"
    assert answer(asked, FakeOperations())["statusCode"] == 200  # type: ignore[arg-type]  # a fake with the same methods


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (WrongState("the run has ended"), 409, "wrong-state"),
        (Rejected("idempotency-conflict", "another body", status=409), 409, "idempotency-conflict"),
        (Rejected("strange", "a code of an extension", status=422), 422, "strange"),
        (Conflict(), 409, "conflict"),
        (Unavailable("Throttled by table treadle-secret-name"), 503, "unavailable"),
    ],
)
def test_refusals_of_the_engine(error: Exception, status: int, code: str) -> None:
    found = ask(FakeOperations(fails_with=error), "POST", "/v1/runs/r1/cancel")
    assert (found.status, found.body["code"]) == (status, code)
    assert ("retry-after" in found.headers) == (status == 503)
    assert "secret-name" not in json.dumps(found.body)


def test_every_answer_carries_the_headers_that_browsers_should_see() -> None:
    for method, path in (("GET", "/v1/runs"), ("GET", "/nowhere"), ("GET", "/v1/health")):
        headers = ask(FakeOperations(), method, path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-request-id"] == "req-1"


def test_stats_count_runs_by_status() -> None:
    assert ask(FakeOperations(), "GET", "/v1/stats").body == {"workflows": 1, "runs": {"running": 1}, "complete": True}


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner)))
def test_what_json_can_say_is_read(value: Any) -> None:
    assert read_json(json.dumps(value).encode()) == value


@given(st.binary() | st.text('[]{}"\\:,0123456789.eE+-truefalsn ').map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(Rejected):
        read_json(body)


def test_brackets_in_strings_are_not_depth() -> None:
    assert read_json(json.dumps(["[" * 1000, '\\"[' * 1000]).encode()) == ["[" * 1000, '\\"[' * 1000]
    assert read_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


PATHS = st.sampled_from([*dict.fromkeys("/v1" + route.path for route in ROUTES)]) | TEXT.map(lambda text: "/v1/" + text)


@given(
    method=st.sampled_from(["GET", "POST", "HEAD", "PUT", "OPTIONS", "BREW"]),
    path=PATHS,
    query=TEXT,
    body=st.none() | st.binary(max_size=200),
    media_type=st.sampled_from(["application/json", "application/yaml", "text/plain; charset=", ";"]),
)
def test_any_request_gets_an_answer(method: str, path: str, query: str, body: bytes | None, media_type: str) -> None:
    found = ask(FakeOperations(), method, path, query=query, body=body, headers={"content-type": media_type})
    assert found.status in {200, 201, 202} | {kind.status for kind in CATALOGUE.values()}
    if found.status >= 400 and found.body is not None:
        assert CATALOGUE[found.body["code"]].status == found.status
