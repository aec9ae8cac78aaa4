"""The doors beside HTTP: objects dropped into the inbox bucket, events on the bus, and schedules that are due.

`definitions/ANY.yaml` registers a workflow, `inputs/WORKFLOW/ANY.json` starts a run of it; `WorkflowSubmitted` carries a
definition and its input, `RunRequested` names a workflow. Whatever else comes is for the triggers of workflows. Whoever
submits is not there to be answered: a refusal is an event (`SubmissionRejected`) with what an HTTP caller would have been
told, and leaves nothing behind.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from . import triggers
from .core.errors import Corrupted, Rejected
from .engine import messages
from .refusals import cause_of, is_object, refuse
from .topology import SUBMISSIONS

if TYPE_CHECKING:
    from .wiring import Wiring


_CODES = {"duplicate-key": "duplicate-key", "bad-value": "invalid-number", "limit-exceeded": "too-deep"}  # the reader's -> the API's


_NO_NUMBER = re.compile(r"-?(?:NaN|Infinity)\b")
INPUT_BYTES = 5 * 1024 * 1024  # of a run's input, as over HTTP


def submit(wiring: Wiring, event: Any) -> None:
    """A whole EventBridge event, or the sweeper's message that schedules are due. The same again starts the same runs.

    Raises Unavailable, Newer, and Corrupted for what is neither.
    """
    if not isinstance(event, dict):
        raise Corrupted("a message that is no object")
    if event.get("kind") == "schedule":  # no bus event has such a name beside its `detail`
        messages.of_this_version(event)
        if not isinstance(event.get("tenant"), str) or not isinstance(event.get("workflow"), str):
            raise Corrupted("a message that schedules are due, and not whose")
        triggers.fire(wiring, event["tenant"], event["workflow"])
        return
    if "detail-type" not in event or not isinstance(event.get("detail"), dict):
        raise Corrupted("a message that is no event: it has no detail-type and detail")
    try:
        if _is_dropped(wiring, event):
            _object(wiring, event)
        elif event.get("detail-type") in SUBMISSIONS:
            _asked(wiring, event)
        elif not triggers.happened(wiring, event) and _is_in_inbox(wiring, event):
            key = event["detail"]["object"]["key"]
            told = "put definitions under definitions/ and inputs under inputs/WORKFLOW/; no trigger waits for anything else"
            raise Rejected("not-found", f"{key}: {told}", status=404)
    except Rejected as refusal:
        identity = str(event.get("id", json.dumps(event, sort_keys=True)))
        refuse(wiring.engine.world, identity, refusal, cause_of(event))


def _is_in_inbox(wiring: Wiring, event: dict[str, Any]) -> bool:
    return is_object(event) and event["detail"]["bucket"]["name"] == wiring.names.inbox


def _is_dropped(wiring: Wiring, event: dict[str, Any]) -> bool:
    """In one of the two folders that are not left to triggers."""
    return _is_in_inbox(wiring, event) and event["detail"]["object"]["key"].partition("/")[0] in ("definitions", "inputs")


def _object(wiring: Wiring, event: dict[str, Any]) -> None:
    key = event["detail"]["object"]["key"]
    folder, _, rest = key.partition("/")
    if not rest or rest.endswith("/"):
        raise Rejected("not-found", f"{key}: put definitions under definitions/ and inputs under inputs/WORKFLOW/", status=404)
    _bounded(key, event["detail"]["object"].get("size"))  # before it is read: an object may be larger than a worker
    content = wiring.inbox.get(key)
    _bounded(key, len(content))
    if folder == "definitions":
        wiring.operations.register(wiring.tenant, content)
        return
    workflow, slash, _ = rest.partition("/")
    if not slash or not workflow:
        raise Rejected("not-found", f"{key}: inputs lie under inputs/WORKFLOW/, in a folder with the workflow's id", status=404)
    wiring.operations.start(wiring.tenant, workflow, _json(content, key), key=triggers.object_identity(event), by=f"s3:{key}")


def _bounded(key: str, size_bytes: Any) -> None:
    """A definition's own bound is smaller, and told by those who read it."""
    if isinstance(size_bytes, int) and size_bytes > INPUT_BYTES:
        raise Rejected("payload-too-large", f"{key}: an object in the inbox has at most {INPUT_BYTES} bytes, not {size_bytes}", status=413)


def _json(content: bytes, name: str) -> Any:
    """As strictly as over HTTP: no duplicate keys, no NaN, no numbers that would lose digits."""
    from .definition.json_reader import read_json

    try:
        document = read_json(content.decode())
    except UnicodeDecodeError:
        raise Rejected("invalid-encoding", f"{name} is not UTF-8") from None
    if not document.is_readable or document.faults:
        fault = document.diagnose(list(document.faults))[0]
        is_number = any(_NO_NUMBER.match(document.text or "", one.index or 0) for one in document.faults[:1])
        code = "invalid-number" if is_number else _CODES.get(fault.code, "invalid-json")
        raise Rejected(code, f"{name}:{fault.line}:{fault.column}: {fault.message}")
    return document.value


def _asked(wiring: Wiring, event: dict[str, Any]) -> None:
    detail = event["detail"]
    detail = detail.get("data", detail) if "specversion" in detail else detail
    key, by = triggers.event_identity(event), f"event:{event.get('source', '')}"
    if not isinstance(detail, dict):
        raise Rejected("bad-type", "the event's detail must be an object", status=422)
    _json(json.dumps(detail).encode(), "the event's detail")  # a bus passes on numbers that are none here
    match event.get("detail-type"):
        case "WorkflowSubmitted":
            wiring.operations.run_definition(wiring.tenant, _wanted(detail, "definition"), detail.get("input", {}), key=key, by=by)
        case _:
            workflow, version = _text(detail, "workflow"), _text(detail, "version") if detail.get("version") is not None else None
            wiring.operations.start(wiring.tenant, workflow, detail.get("input", {}), version=version, key=key, by=by)


def _text(detail: dict[str, Any], name: str) -> str:
    value = _wanted(detail, name)
    if not isinstance(value, str):
        raise Rejected("bad-type", f"{name} must be a string, not {type(value).__name__}", status=422)
    if not value:
        raise Rejected("bad-value", f"{name} is empty", status=422)
    return value


def _wanted(detail: dict[str, Any], name: str) -> Any:
    if name not in detail:
        raise Rejected("missing-field", f"the event's detail has no {name}", status=422)
    return detail[name]
