"""What the API's tests share: a gateway event, and an `Operations` that keeps a few runs in memory and notes every call."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

from treadle.api.app import answer
from treadle.audit import FIRST, Head, Trail
from treadle.auth import Role, as_gateway_claims
from treadle.core.errors import NotFound, Rejected

OWNER = "acme"
TOKEN = "t" * 43
CHECKPOINT = {"id": "c1", "run": "r1", "workflow": "order", "version": "1.0.0", "at": "2026-11-23T00:00:00.000Z"}
CHECKPOINT |= {"why": "asked", "steps": ["a"]}
LETTER: dict[str, Any] = {
    "id": "l1",
    "queue": "lane-normal",
    "kind": "step",
    "what": "step a may begin",
    "why": "nobody knows",
    "receives": 20,
    "sentAt": "2026-11-23T00:00:00.000Z",
    "diedAt": "2026-11-23T00:47:00.000Z",
    "ageSeconds": 60,
    "run": "r1",
    "path": "a",
}
QUESTION = {"run": "r1", "workflow": "order", "step": "ok", "kind": "approval", "since": "2026-11-23T00:00:00.000Z"}
BROKEN = {"code": "no-action", "severity": "error", "message": "no action", "path": "/steps/0", "line": None, "column": None, "hint": None}


@dataclass
class Run:
    id: str
    status: str = "running"
    etag: str = "17"
    step_status: str = "succeeded"

    def model_dump(self, *, mode: str, by_alias: bool) -> dict[str, Any]:
        shown = view(self.id, self.status, self.etag)
        shown["steps"]["charge"]["status"] = self.step_status
        return shown


def view(run_id: str, status: str = "running", etag: str = "17") -> dict[str, Any]:
    """A RunView as JSON."""
    times = {"startedAt": "2026-11-23T00:00:00.000Z", "endedAt": None if status == "running" else "2026-11-23T00:02:05.000Z"}
    step = {"status": "succeeded", "output": {"ok": True}, "error": None, "attempts": 2, **times, "why": None}
    return {
        "id": run_id,
        "workflow": "order",
        "version": "1.0.0",
        "status": status,
        "input": {},
        "output": None,
        "error": {"name": "CardDeclined", "message": "no money", "step": "charge"} if status == "failed" else None,
        "compensated": None,
        "attributes": {},
        **times,
        "etag": etag,
        "steps": {"charge": step},
        "cost": {"usd": 0.0, "calls": {}},
    }


@dataclass
class FakeOperations:
    """One tenant, `acme`, has the workflow `order` and the run `r1`; nobody else has anything."""

    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    fails_with: Exception | None = None
    step_status: str = "succeeded"
    trail: list[dict[str, Any]] = field(default_factory=list)
    refuses: dict[str, Exception] = field(default_factory=dict)  # by verb
    health: Any = field(default_factory=lambda: SimpleNamespace(look=lambda: {"status": "ok", "why": None, "sweeper": None}))

    def _note(self, verb: str, tenant: str | None = None, run: str | None = None, of: str | None = None, **given: Any) -> None:
        self.calls.append((verb, {"tenant": tenant, **given}))
        if refused := self.fails_with or self.refuses.get(verb):
            raise refused
        if run is not None and (tenant, run) != (OWNER, "r1"):
            raise NotFound("run", run)
        if of is not None and (tenant, of) != (OWNER, "order"):
            raise NotFound("workflow", of)

    def validate(self, source: Any) -> list[dict[str, Any]]:
        self._note("validate", source=source)
        return [BROKEN] if b"broken" in source else []

    def register(self, tenant: str, source: Any, *, by: str | None = None) -> Any:
        self._note("register", tenant, source=source)
        if b"broken" in source:
            raise Rejected("invalid-definition", "1 error", status=422, diagnostics=[BROKEN])
        return SimpleNamespace(id="order", version="1.0.0", plan="abc", created=b"again" not in source)

    def workflows(self, tenant: str, *, limit: int = 100, cursor: str | None = None) -> tuple[list[dict[str, Any]], str | None]:
        self._note("workflows", tenant, limit=limit, cursor=cursor)
        return ([{"id": "order"}] if tenant == OWNER else []), None

    def workflow(self, tenant: str, workflow_id: str, version: str | None = None) -> dict[str, Any]:
        self._note("workflow", tenant, of=workflow_id, version=version)
        return {"id": workflow_id, "version": version or "1.0.0", "definition": {}}

    def start(self, tenant: str, workflow_id: str, input: Any, **given: Any) -> Run:
        self._note("start", tenant, of=workflow_id, input=input, **given)
        return Run("r1")

    def run_definition(self, tenant: str, source: Any, input: Any, **given: Any) -> Run:
        self._note("run_definition", tenant, source=source, input=input, **given)
        return Run("r1")

    def show(self, tenant: str, run_id: str, **given: Any) -> Run:
        self._note("show", tenant, run=run_id, **given)
        return Run(run_id, step_status=self.step_status)

    def runs(self, tenant: str, **given: Any) -> tuple[list[Run], str | None]:
        self._note("runs", tenant, **given)
        return ([Run("r1")] if tenant == OWNER else []), None

    def history(self, tenant: str, run_id: str) -> list[dict[str, Any]]:
        self._note("history", tenant, run=run_id)
        return []

    def signal(self, tenant: str, run_id: str, name: str, payload: Any = None, *, by: str | None = None) -> Run:
        return self._act("signal", tenant, run_id, name=name, payload=payload, by=by)

    def approve(self, tenant: str, run_id: str, step: str, **given: Any) -> Run:
        return self._act("approve", tenant, run_id, step=step, **given)

    def reject(self, tenant: str, run_id: str, step: str, **given: Any) -> Run:
        return self._act("reject", tenant, run_id, step=step, **given)

    def decide(self, tenant: str, run_id: str, step: str, choice: str, **given: Any) -> Run:
        return self._act("decide", tenant, run_id, step=step, choice=choice, **given)

    def know(self, token: str) -> None:
        if token != TOKEN:
            raise NotFound("callback", "with this token")

    def succeed(self, token: str, output: Any) -> None:
        self._note("succeed", token=token, output=output)

    def fail(self, token: str, error: str, message: str, details: Any, *, permanent: bool) -> None:
        self._note("fail", token=token, error=error, message=message, details=details, permanent=permanent)

    def heartbeat(self, token: str) -> None:
        self._note("heartbeat", token=token)

    def pause(self, tenant: str, run_id: str, **given: Any) -> Run:
        return self._act("pause", tenant, run_id, **given)

    @property
    def holds(self) -> Any:
        return SimpleNamespace(
            hold=lambda tenant, run, **given: self._act("hold", tenant, run, **given),
            release=lambda tenant, run, **given: self._act("release", tenant, run, **given),
        )

    def resume(self, tenant: str, run_id: str, **given: Any) -> Run:
        return self._act("resume", tenant, run_id, **given)

    def cancel(self, tenant: str, run_id: str, **given: Any) -> Run:
        return self._act("cancel", tenant, run_id, **given)

    def cancel_step(self, tenant: str, run_id: str, step: str, **given: Any) -> Run:
        return self._act("cancel_step", tenant, run_id, step=step, **given)

    def retry(self, tenant: str, run_id: str, **given: Any) -> Run:
        return self._act("retry", tenant, run_id, **given)

    def amend(self, tenant: str, run_id: str, source: Any, *, expected: str | None = None, by: str | None = None) -> dict[str, list[str]]:
        self._act("amend", tenant, run_id, source=source, expected=expected, by=by)
        if expected not in (None, "17"):
            raise Rejected("precondition-failed", "it is at 17", status=412)
        return {"added": [], "changed": [], "removed": []}

    def amendment(self, tenant: str, run_id: str, source: Any) -> dict[str, list[str]]:
        self._note("amendment", tenant, run=run_id, source=source)
        return {"added": ["b"], "changed": [], "removed": ["c"]}

    def update(self, tenant: str, run_id: str, patch: Any, **given: Any) -> tuple[list[dict[str, Any]], Run]:
        return [{"path": "/status", "before": "running", "after": "paused"}], self._act("update", tenant, run_id, patch=patch, **given)

    @property
    def prospects(self) -> FakeProspects:
        return FakeProspects(self)

    def rerun(self, tenant: str, run_id: str, **given: Any) -> Run:
        return self._act("rerun", tenant, run_id, **given)

    def checkpoint(self, tenant: str, run_id: str, **given: Any) -> dict[str, Any]:
        self._note("checkpoint", tenant, run=run_id, **given)
        return CHECKPOINT

    def checkpoints(self, tenant: str, run_id: str) -> list[dict[str, Any]]:
        self._note("checkpoints", tenant, run=run_id)
        return [CHECKPOINT]

    def restore(self, tenant: str, checkpoint_id: str, **given: Any) -> Run:
        self._note("restore", tenant, **given)
        if (tenant, checkpoint_id) != (OWNER, "c1"):
            raise NotFound("checkpoint", checkpoint_id)
        return Run("r2")

    def approvals(self, tenant: str, **given: Any) -> tuple[list[dict[str, Any]], str | None]:
        self._note("approvals", tenant, **given)
        return ([QUESTION] if tenant == OWNER and given["kinds"] else []), None

    @property
    def inputs(self) -> FakeInputs:
        return FakeInputs(self)

    @property
    def places(self) -> FakePlaces:
        return FakePlaces(self)

    def definition_of(self, tenant: str, run_id: str) -> Any:
        self._note("definition_of", tenant, run=run_id)
        return SimpleNamespace(workflow="order")

    @property
    def dead_letters(self) -> FakeLetters:
        return FakeLetters(self)

    def audit(self, tenant: str, *, limit: int = 100, cursor: str | None = None) -> tuple[Trail, str | None]:
        self._note("audit", tenant, limit=limit, cursor=cursor)
        trail = self.trail if tenant == OWNER else []
        at = int(cursor or 0)
        head = Head(len(trail), trail[-1]["hash"] if trail else FIRST)
        return Trail(trail[at : at + limit], head), str(at + limit) if at + limit < len(trail) else None

    def _act(self, verb: str, tenant: str, run_id: str, **given: Any) -> Run:
        self._note(verb, tenant, run=run_id, **given)
        return Run(run_id)


@dataclass
class FakeProspects:
    of: FakeOperations

    def retry(self, tenant: str, run_id: str, **given: Any) -> dict[str, list[str]]:
        return self._seen("prospect", tenant, run=run_id, **given)

    def rerun(self, tenant: str, run_id: str, **given: Any) -> dict[str, list[str]]:
        return self._seen("prospect of rerun", tenant, run=run_id, **given)

    def restore(self, tenant: str, checkpoint_id: str, **given: Any) -> dict[str, list[str]]:
        if (tenant, checkpoint_id) != (OWNER, "c1"):
            raise NotFound("checkpoint", checkpoint_id)
        return self._seen("prospect of restore", tenant, **given)

    def _seen(self, verb: str, tenant: str, **given: Any) -> dict[str, list[str]]:
        self.of._note(verb, tenant, **given)
        return {"reopened": ["b"], "kept": ["a"]}


@dataclass
class FakePlaces:
    of_all: FakeOperations

    def step(self, tenant: str, run_id: str, path: str, **given: Any) -> Any:
        run = self.of_all.show(tenant, run_id, **given).model_dump(mode="json", by_alias=True)
        if path not in run["steps"]:
            raise NotFound("task", f"{run_id}/{path}")
        return SimpleNamespace(model_dump=lambda **how: run["steps"][path])

    def of(self, tenant: str, run_id: str, path: str) -> dict[str, Any]:
        return {"pool": "large", "seen": {"attempts": 7, "meanMs": 20, "measured": 7, "peakMemoryMb": 900}}


@dataclass
class FakeInputs:
    """Of the step `charge`."""

    of_all: FakeOperations

    def of(self, tenant: str, run_id: str, step: str) -> dict[str, Any]:
        self.of_all._note("input_of", tenant, run=run_id, step=step)
        if step != "charge":
            raise NotFound("step", step)
        told = {"run": run_id, "step": step, "attempt": 2, "from": "definition", "template": {"card": "${input.card}"}}
        return {**told, "input": {"card": "5", "key": "***"}, "secrets": ["key"]}


@dataclass
class FakeLetters:
    """`acme` has the dead letter `l1`."""

    of: FakeOperations

    def page(self, tenant: str, *, run: str | None, **given: Any) -> tuple[list[dict[str, Any]], str | None]:
        self.of._note("letters", tenant, of_run=run, **given)
        return ([LETTER] if tenant == OWNER else []), None

    def show(self, tenant: str, letter: str) -> dict[str, Any]:
        self.of._note("letter", tenant, letter=letter)
        return self._find(tenant, letter) | {"body": "{}", "lost": "nothing"}

    def redrive(self, tenant: str, *, only: list[str] | None, run: str | None, **given: Any) -> dict[str, Any]:
        self.of._note("redrive", tenant, only=only, of_run=run, **given)
        return {"redriven": [self._find(tenant, letter)["id"] for letter in only or ["l1"]], "kept": [], "next": None}

    def drop(self, tenant: str, letter: str, **given: Any) -> dict[str, Any]:
        self.of._note("drop", tenant, letter=letter, **given)
        return self._find(tenant, letter) | {"lost": "nothing"}

    def _find(self, tenant: str, letter: str) -> dict[str, Any]:
        if (tenant, letter) != (OWNER, "l1"):
            raise NotFound("dead letter", letter)
        return LETTER


def event(
    method: str,
    path: str,
    *,
    roles: tuple[str, ...] | None = (Role.ADMIN,),
    tenant: str = OWNER,
    body: Any = None,
    headers: dict[str, str] | None = None,
    query: dict[str, str] | str = "",
) -> dict[str, Any]:
    """An HTTP API event, payload format 2.0. `body`: bytes as they are, anything else as JSON. `roles` None: no token."""
    is_raw = isinstance(body, bytes)
    content = {} if body is None else {"body": base64.b64encode(body).decode() if is_raw else json.dumps(body)}
    claims = as_gateway_claims({"sub": "ann", "custom:tenant": tenant, "cognito:groups": list(roles or ())})
    return {
        "version": "2.0",
        "routeKey": "ANY /v1/{proxy+}",
        "rawPath": path,
        "rawQueryString": query if isinstance(query, str) else urlencode(query),
        "headers": {"content-type": "application/json", **(headers or {})},
        "requestContext": {
            "requestId": "req-1",
            "stage": "$default",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test"},
            **({} if roles is None else {"authorizer": {"jwt": {"claims": claims, "scopes": None}}}),
        },
        "isBase64Encoded": is_raw,
        **content,
    }


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


def ask(operations: FakeOperations, method: str, path: str, **more: Any) -> Answer:
    response = answer(event(method, path, **more), operations)  # type: ignore[arg-type]  # a fake with the same methods
    return Answer(response["statusCode"], response["headers"], json.loads(response["body"]) if response["body"] else None)
