"""What each route does: a checked request in, a reply out. Everything that matters happens in `Operations`."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..auth import Principal
from ..core.errors import Rejected
from . import shapes
from .problems import as_json, refusal

if TYPE_CHECKING:
    from ..operations import Operations
    from ..views import RunView, View

BASE = "/v1"
MAX_KEY = 255
MAX_COUNTED = 5000  # runs that /stats looks at, newest first


@dataclass(frozen=True, slots=True)
class Request:
    """A request that has passed every check. `body` and `query` are of the route's shapes; `definition` is the text of one."""

    principal: Principal
    path: Mapping[str, str]
    query: Any
    body: Any
    attributes: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def tenant(self) -> str:
        return self.principal.tenant

    @property
    def by(self) -> str:
        return self.principal.subject


@dataclass(frozen=True, slots=True)
class Reply:
    body: Any
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


# ------------------------------------------------------------------------------------------------ workflows


class NotJson(bytes):
    """A definition that was said to be JSON and is none."""

    @property
    def fault(self) -> dict[str, Any]:
        message = "a definition in JSON begins with `{`"
        place = {"path": "", "line": 1, "column": 1, "hint": "send YAML as application/yaml"}
        return {"code": "syntax", "severity": "error", "message": message, **place}


def text_of(request: Request) -> bytes:
    """Of the definition that the request carries. Raises Rejected: invalid-definition."""
    text: bytes = request.body
    if isinstance(text, NotJson):
        told = f"the definition has 1 fault; the first: {text.fault['message']}"
        raise Rejected("invalid-definition", told, status=422, diagnostics=[text.fault])
    return text


def register(request: Request, operations: Operations) -> Reply:
    made = operations.register(request.tenant, text_of(request), by=request.by)
    body = {"id": made.id, "version": made.version, "plan": made.plan, "created": made.created}
    place = f"{BASE}/workflows/{made.id}/versions/{quote(made.version)}"
    return Reply(body, HTTPStatus.CREATED if made.created else HTTPStatus.OK, {"location": place})


def validate(request: Request, operations: Operations) -> Reply:
    text: bytes = request.body
    diagnostics = [text.fault] if isinstance(text, NotJson) else as_json(operations.validate(text))
    return Reply({"valid": not any(found["severity"] == "error" for found in diagnostics), "diagnostics": diagnostics})


def list_workflows(request: Request, operations: Operations) -> Reply:
    items, after = operations.workflows(request.tenant, limit=request.query.limit, cursor=request.query.cursor)
    return Reply({"items": items, "next": after})


def get_workflow(request: Request, operations: Operations) -> Reply:
    return Reply(operations.workflow(request.tenant, request.path["workflow"], request.path.get("version")))


# ------------------------------------------------------------------------------------------------ runs


def start_run(request: Request, operations: Operations) -> Reply:
    wanted: shapes.StartRun = request.body
    run = operations.start(
        request.tenant,
        request.path["workflow"],
        wanted.input,
        version=wanted.version,
        attributes=wanted.attributes,
        priority=wanted.priority,
        key=idempotency_key(request),
        by=request.by,
    )
    return accepted(run)


def run_definition(request: Request, operations: Operations) -> Reply:
    wanted: shapes.RunDefinition = request.body
    key = idempotency_key(request)
    return accepted(operations.run_definition(request.tenant, wanted.definition, wanted.input, key=key, by=request.by))


def list_runs(request: Request, operations: Operations) -> Reply:
    query: shapes.RunsQuery = request.query
    runs, after = operations.runs(
        request.tenant,
        workflow=query.workflow,
        status=query.status,
        attributes=dict(request.attributes) or None,
        started_after=query.started_after,
        started_before=query.started_before,
        limit=query.limit,
        cursor=query.cursor,
    )
    return Reply({"items": [as_shown(run) for run in runs], "next": after})


def get_run(request: Request, operations: Operations) -> Reply:
    """With the run's etag; 304 without a body when `If-None-Match` has it."""
    run = operations.show(request.tenant, request.path["run"], full=request.query.full, cursor=request.query.cursor)
    etag = etag_of(run)
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    headers = {"etag": etag, "cache-control": "private, no-cache"}
    if etag in known or "*" in known:
        return Reply(None, HTTPStatus.NOT_MODIFIED, headers)
    return Reply(as_shown(run), headers=headers)


def get_history(request: Request, operations: Operations) -> Reply:
    return Reply({"items": operations.history(request.tenant, request.path["run"]), "next": None})


def pause(request: Request, operations: Operations) -> Reply:
    return accepted(operations.pause(request.tenant, request.path["run"], by=request.by, reason=request.body.reason))


def resume(request: Request, operations: Operations) -> Reply:
    return accepted(operations.resume(request.tenant, request.path["run"], by=request.by, reason=request.body.reason))


def cancel(request: Request, operations: Operations) -> Reply:
    return accepted(operations.cancel(request.tenant, request.path["run"], by=request.by, reason=request.body.reason))


def hold(request: Request, operations: Operations) -> Reply:
    return accepted(operations.holds.hold(request.tenant, request.path["run"], reason=request.body.reason, by=request.by))


def release(request: Request, operations: Operations) -> Reply:
    return accepted(operations.holds.release(request.tenant, request.path["run"], reason=request.body.reason, by=request.by))


def retry(request: Request, operations: Operations) -> Reply:
    wanted: shapes.Retry = request.body
    more = {"by": request.by, "reason": wanted.reason}
    return accepted(operations.retry(request.tenant, request.path["run"], from_step=wanted.from_step, input=wanted.input, **more))


def signal(request: Request, operations: Operations) -> Reply:
    return accepted(operations.signal(request.tenant, request.path["run"], request.path["name"], request.body.payload, by=request.by))


def approve(request: Request, operations: Operations) -> Reply:
    run, step = request.path["run"], request.path["step"]
    return accepted(operations.approve(request.tenant, run, step, by=request.by, comment=request.body.comment))


def reject(request: Request, operations: Operations) -> Reply:
    run, step = request.path["run"], request.path["step"]
    return accepted(operations.reject(request.tenant, run, step, by=request.by, comment=request.body.comment))


def decide(request: Request, operations: Operations) -> Reply:
    wanted: shapes.Decision = request.body
    run, step = request.path["run"], request.path["step"]
    return accepted(
        operations.decide(
            request.tenant, run, step, wanted.choice, input=wanted.input, output=wanted.output, by=request.by, reason=wanted.reason
        )
    )


# ------------------------------------------------------------------------------------------------ the engine


def stats(request: Request, operations: Operations) -> Reply:
    """Counts of the newest MAX_COUNTED runs and of as many workflows."""
    runs: Counter[str] = Counter()
    cursor: str | None = None
    while True:
        page, cursor = operations.runs(request.tenant, limit=shapes.MAX_PAGE, cursor=cursor)
        runs.update(str(run.status) for run in page)
        if cursor is None or runs.total() >= MAX_COUNTED:
            break
    workflows, more = operations.workflows(request.tenant, limit=shapes.MAX_PAGE)
    return Reply({"workflows": len(workflows), "runs": dict(runs), "complete": cursor is None and more is None})


# ------------------------------------------------------------------------------------------------ common


def accepted(run: RunView) -> Reply:
    return Reply(as_shown(run), HTTPStatus.ACCEPTED, {"location": f"{BASE}/runs/{run.id}"})


def as_shown(view: View) -> Any:
    return view.model_dump(mode="json", by_alias=True)


def etag_of(run: RunView) -> str:
    """The run's own says nothing of its steps, and nothing of the page."""
    digest = hashlib.sha256(json.dumps(as_shown(run), sort_keys=True).encode()).hexdigest()[:16]
    return f'"{run.etag}-{digest}"'


def expected_version(request: Request) -> str | None:
    """`If-Match` names the version that the caller looked at: the `etag` in the run, or the header of `GET /runs/{run}`; None: `*`."""
    asked = request.headers.get("if-match", "").strip()
    if not asked:
        raise refusal("precondition-required", "say which version of the run this changes: `If-Match: ETAG`, with the run's `etag`")
    return None if asked == "*" else asked.removeprefix("W/").strip('"').partition("-")[0]


def idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise refusal("bad-value", f"`Idempotency-Key` must be 1 to {MAX_KEY} printable ASCII characters")
    return key
