"""Every route x every role x one's own and another's tenant: written out here by hand, so that POLICY cannot vouch for itself."""

from __future__ import annotations

from typing import Any

import pytest
from treadle.api.routes import ROUTES, Route
from treadle.auth import Role

from tests.api.fakes import OWNER, TOKEN, FakeOperations, ask

EVERYBODY = set(Role)
READERS = EVERYBODY - {Role.AUDITOR}
OPERATORS = {Role.OPERATOR, Role.ADMIN}
AUTHORS = {Role.AUTHOR, Role.ADMIN}
APPROVERS = {Role.APPROVER, Role.ADMIN}

DEFINITION = {"id": "order"}
# name of the route: (who may, address, body, does another tenant get 404)
TABLE: dict[str, tuple[set[Role], str, Any, bool]] = {
    "registerWorkflow": (AUTHORS, "/v1/workflows", DEFINITION, False),
    "validateWorkflow": (READERS, "/v1/workflows/validate", DEFINITION, False),
    "listWorkflows": (READERS, "/v1/workflows", None, False),
    "getWorkflow": (READERS, "/v1/workflows/order", None, True),
    "getWorkflowVersion": (READERS, "/v1/workflows/order/versions/1.0.0", None, True),
    "startRun": (OPERATORS, "/v1/workflows/order/runs", {"input": {}}, True),
    "runDefinition": ({Role.ADMIN}, "/v1/runs", {"definition": DEFINITION}, False),
    "listRuns": (READERS, "/v1/runs", None, False),
    "getRun": (READERS, "/v1/runs/r1", None, True),
    "getHistory": (EVERYBODY, "/v1/runs/r1/history", None, True),
    "pauseRun": (OPERATORS, "/v1/runs/r1/pause", None, True),
    "resumeRun": (OPERATORS, "/v1/runs/r1/resume", None, True),
    "holdRun": ({Role.ADMIN}, "/v1/runs/r1/hold", {"reason": "a claim"}, True),
    "releaseRun": ({Role.ADMIN}, "/v1/runs/r1/release", None, True),
    "cancelRun": (OPERATORS, "/v1/runs/r1/cancel", None, True),
    "amendRun": (AUTHORS, "/v1/runs/r1/plan", DEFINITION, True),
    "retryRun": (OPERATORS, "/v1/runs/r1/retry", {}, True),
    "sendSignal": (OPERATORS, "/v1/runs/r1/signals/paid", {"payload": 1}, True),
    "approveStep": (APPROVERS, "/v1/runs/r1/steps/a/approve", {}, True),
    "rejectStep": (APPROVERS, "/v1/runs/r1/steps/a/reject", {}, True),
    "decideStep": (OPERATORS, "/v1/runs/r1/steps/a/decide", {"choice": "skip"}, True),
    "compareRun": (READERS, "/v1/runs/r1/plan/difference", DEFINITION, True),
    "updateRun": (OPERATORS, "/v1/runs/r1", {"status": "paused"}, True),
    "getRetry": (READERS, "/v1/runs/r1/retry", None, True),
    "rerunRun": (OPERATORS, "/v1/runs/r1/rerun", None, True),
    "getRerun": (READERS, "/v1/runs/r1/rerun", None, True),
    "getRestore": (READERS, "/v1/checkpoints/c1/restore", None, True),
    "takeCheckpoint": (OPERATORS, "/v1/runs/r1/checkpoints", None, True),
    "listCheckpoints": (READERS, "/v1/runs/r1/checkpoints", None, True),
    "restoreCheckpoint": (OPERATORS, "/v1/checkpoints/c1/restore", None, True),
    "getTask": (READERS, "/v1/tasks/r1/charge", None, True),
    "getTaskInput": (READERS, "/v1/tasks/r1/charge/input", None, True),
    "cancelTask": (OPERATORS, "/v1/tasks/r1/charge/cancel", None, True),
    "listApprovals": (READERS, "/v1/approvals", None, False),
    "getAudit": ({Role.AUDITOR, Role.ADMIN}, "/v1/audit", None, False),
    "listDeadLetters": (READERS, "/v1/dead-letters", None, False),
    "getDeadLetter": (READERS, "/v1/dead-letters/l1", None, True),
    "redriveDeadLetters": (OPERATORS, "/v1/dead-letters/redrive", {"letters": ["l1"]}, True),
    "dropDeadLetter": (OPERATORS, "/v1/dead-letters/l1/drop", None, True),
    "getStats": (READERS, "/v1/stats", None, False),
}
CALLBACKS = {"succeedCallback": "succeed", "failCallback": "fail", "beatCallback": "heartbeat"}
PUBLIC = {"getHealth": "/v1/health", "getOpenApi": "/v1/openapi.json"}
BY_NAME = {route.name: route for route in ROUTES}
WHICHEVER = {"if-match": "*"}  # where a route needs it
CASES = [pytest.param(BY_NAME[name], *row, id=name) for name, row in TABLE.items()]


def test_the_table_names_every_route() -> None:
    assert set(TABLE) | set(PUBLIC) | set(CALLBACKS) == set(BY_NAME)
    assert len(BY_NAME) == len(ROUTES)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(("route", "allowed", "path", "body", "hidden"), CASES)
def test_a_role_may_do_what_the_table_says_and_nothing_else(
    route: Route, allowed: set[Role], path: str, body: Any, hidden: bool, role: Role
) -> None:
    operations = FakeOperations()
    found = ask(operations, route.method, path, body=body, roles=(role,), headers=WHICHEVER)
    if role in allowed:
        assert found.status in route.answers
    else:
        assert (found.status, found.body["code"]) == (403, "forbidden")
        assert operations.calls == []


@pytest.mark.parametrize(("route", "allowed", "path", "body", "hidden"), CASES)
def test_another_tenant_meets_nothing(route: Route, allowed: set[Role], path: str, body: Any, hidden: bool) -> None:
    operations = FakeOperations()
    found = ask(operations, route.method, path, body=body, tenant="rival", headers=WHICHEVER)
    assert all(given["tenant"] in ("rival", None) for _, given in operations.calls)
    assert found.status == (404 if hidden else next(iter(route.answers)))
    if not hidden:
        assert "items" not in found.body or found.body["items"] == []


@pytest.mark.parametrize(("route", "allowed", "path", "body", "hidden"), [case for case in CASES if case.values[4]])
def test_what_is_anothers_looks_like_what_does_not_exist(route: Route, allowed: set[Role], path: str, body: Any, hidden: bool) -> None:
    anothers = ask(FakeOperations(), route.method, path, body=body, tenant="rival", headers=WHICHEVER)
    absent = ask(
        FakeOperations(),
        route.method,
        path.replace("r1", "r9").replace("c1", "c9").replace("order", "other").replace("l1", "l9"),
        body={"letters": ["l9"]} if body == {"letters": ["l1"]} else body,
        tenant=OWNER,
        headers=WHICHEVER,
    )
    assert absent.status == anothers.status == 404
    assert {
        **absent.body,
        "detail": absent.body["detail"].replace("r9", "r1").replace("c9", "c1").replace("other", "order").replace("l9", "l1"),
    } == anothers.body


@pytest.mark.parametrize(("route", "allowed", "path", "body", "hidden"), CASES)
@pytest.mark.parametrize("roles", [None, ()], ids=["no token", "no roles"])
def test_nobody_may_do_anything(
    route: Route, allowed: set[Role], path: str, body: Any, hidden: bool, roles: tuple[str, ...] | None
) -> None:
    operations = FakeOperations()
    found = ask(operations, route.method, path, body=body, roles=roles)
    assert (found.status, found.body["code"]) == ((401, "unauthenticated") if roles is None else (403, "forbidden"))
    assert operations.calls == []
    assert ("www-authenticate" in found.headers) == (roles is None)


@pytest.mark.parametrize("path", PUBLIC.values())
def test_health_and_the_document_need_no_token(path: str) -> None:
    assert ask(FakeOperations(), "GET", path, roles=None).status == 200


@pytest.mark.parametrize("verb", CALLBACKS.values())
@pytest.mark.parametrize("roles", [None, (), (Role.ADMIN,)], ids=["no token", "no roles", "admin"])
def test_a_callback_asks_for_its_own_token_and_for_no_other(verb: str, roles: tuple[str, ...] | None) -> None:
    body = {"name": "Oops"} if verb == "fail" else {}
    assert ask(FakeOperations(), "POST", f"/v1/callbacks/{TOKEN}/{verb}", body=body, roles=roles).status == 200
    operations = FakeOperations()
    found = ask(operations, "POST", f"/v1/callbacks/{OWNER}/{verb}", body={"no": "shape"}, roles=roles)
    assert (found.status, found.body["code"], operations.calls) == (404, "not-found", [])


def test_two_roles_together_may_run_a_definition() -> None:
    found = ask(FakeOperations(), "POST", "/v1/runs", body={"definition": {}}, roles=("author", "operator"))
    assert found.status == 202


@pytest.mark.parametrize("header", ["x-tenant", "x-amz-tenant", "authorization"])
def test_the_tenant_of_a_header_is_not_believed(header: str) -> None:
    assert ask(FakeOperations(), "GET", "/v1/runs/r1", tenant="rival", headers={header: OWNER}).status == 404


def test_the_tenant_of_a_body_is_not_believed() -> None:
    found = ask(FakeOperations(), "POST", "/v1/workflows/order/runs", body={"input": {}, "tenant": OWNER}, tenant="rival")
    assert (found.status, found.body["code"]) == (400, "unknown-field")
