"""The two doors beside HTTP: objects dropped into the inbox bucket, and events on the bus.

`definitions/ANY.yaml` registers a workflow, `inputs/WORKFLOW/ANY.json` starts a run of it; `WorkflowSubmitted` carries a
definition and its input, `RunRequested` names a workflow. Whoever submits is not there to be answered: a refusal is an event
(`SubmissionRejected`) with what an HTTP caller would have been told, and leaves nothing behind.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from .core.errors import Rejected
from .engine.items import digest
from .ports import Event

if TYPE_CHECKING:
    from .wiring import Wiring


def submit(wiring: Wiring, event: dict[str, Any]) -> None:
    """A whole EventBridge event. The same event again starts the same run. Raises Unavailable."""
    try:
        if event.get("source") == "aws.s3":
            _object(wiring, event["detail"])
        else:
            _asked(wiring, event)
    except Rejected as refusal:
        _refuse(wiring, event, refusal)


def _object(wiring: Wiring, detail: dict[str, Any]) -> None:
    key = unquote_plus(detail["object"]["key"])
    folder, _, rest = key.partition("/")
    if folder not in ("definitions", "inputs") or not rest or rest.endswith("/"):
        raise Rejected("not-found", f"{key}: put definitions under definitions/ and inputs under inputs/WORKFLOW/", status=404)
    content = wiring.inbox.get(key)
    if folder == "definitions":
        wiring.operations.register(wiring.tenant, content)
        return
    workflow, slash, _ = rest.partition("/")
    if not slash:
        raise Rejected("not-found", f"{key}: inputs lie under inputs/WORKFLOW/, in a folder with the workflow's id", status=404)
    told = detail["object"]
    version = told.get("version-id") or told.get("sequencer") or told.get("etag", "")
    identity = digest("s3", detail["bucket"]["name"], key, version)
    wiring.operations.start(wiring.tenant, workflow, _json(content, key), key=identity, by=f"s3:{key}")


def _json(content: bytes, name: str) -> Any:
    """As strictly as over HTTP: no duplicate keys, no NaN, no numbers that would lose digits."""
    from .definition.json_reader import read_json

    try:
        document = read_json(content.decode())
    except UnicodeDecodeError:
        raise Rejected("invalid-encoding", f"{name} is not UTF-8") from None
    if not document.is_readable or document.faults:
        fault = document.diagnose(list(document.faults))[0]
        raise Rejected("invalid-json", f"{name}:{fault.line}:{fault.column}: {fault.message}")
    return document.value


def _asked(wiring: Wiring, event: dict[str, Any]) -> None:
    detail = event["detail"]
    detail = detail.get("data", detail) if "specversion" in detail else detail
    key, by = f"event:{event['id']}", f"event:{event.get('source', '')}"
    if not isinstance(detail, dict):
        raise Rejected("bad-type", "the event's detail must be an object", status=422)
    match event.get("detail-type"):
        case "WorkflowSubmitted":
            wiring.operations.run_definition(wiring.tenant, _wanted(detail, "definition"), detail.get("input", {}), key=key, by=by)
        case "RunRequested":
            workflow = _wanted(detail, "workflow")
            wiring.operations.start(wiring.tenant, workflow, detail.get("input", {}), version=detail.get("version"), key=key, by=by)
        case unknown:
            raise Rejected("not-found", f"events of type {unknown} ask for nothing: WorkflowSubmitted and RunRequested do", status=404)


def _wanted(detail: dict[str, Any], name: str) -> Any:
    if name not in detail:
        raise Rejected("missing-field", f"the event's detail has no {name}", status=422)
    return detail[name]


def _refuse(wiring: Wiring, event: dict[str, Any], refusal: Rejected) -> None:
    world = wiring.engine.world
    diagnostics = [d.model_dump(mode="json") if hasattr(d, "model_dump") else d for d in refusal.diagnostics]
    told = {"code": refusal.code, "message": refusal.message, "diagnostics": diagnostics[:50], "cause": _cause(event)}
    identity = digest("refused", str(event.get("id", json.dumps(event, sort_keys=True))))
    world.bus.put([Event("SubmissionRejected", identity, "", world.clock.now(), told)])


def _cause(event: dict[str, Any]) -> dict[str, Any]:
    """What was submitted, by name: the object, or the event's id and type."""
    if event.get("source") == "aws.s3":
        return {"bucket": event["detail"]["bucket"]["name"], "key": event["detail"]["object"]["key"]}
    return {"event": event.get("id"), "source": event.get("source"), "detailType": event.get("detail-type")}
