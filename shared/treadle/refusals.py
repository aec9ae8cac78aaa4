"""What was submitted by S3, the bus or a schedule and refused: nobody is there to be answered, so the refusal is an event."""

from __future__ import annotations

from typing import Any

from .core.errors import Rejected
from .engine import World
from .engine.items import digest
from .ports import Event


def refuse(world: World, identity: str, refusal: Rejected, cause: dict[str, Any]) -> None:
    """`SubmissionRejected`, with what an HTTP caller would have been told. `identity`: of what was refused; the same again is the
    same event. `cause`: what it was, by name. Raises Unavailable."""
    diagnostics = [d.model_dump(mode="json") if hasattr(d, "model_dump") else d for d in refusal.diagnostics]
    told = {"code": refusal.code, "message": refusal.message, "diagnostics": diagnostics[:50], "cause": cause}
    world.tell([Event("SubmissionRejected", digest("refused", identity), "", world.clock.now(), told)])


def told_of(refused: dict[str, Any]) -> str:
    """The data of `SubmissionRejected` as one line."""
    cause = refused["cause"]
    what = f"s3://{cause['bucket']}/{cause['key']}" if "bucket" in cause else f"event {cause.get('source')} {cause.get('detailType')}"
    return f"refused {what}: {refused['message']}"


def is_object(event: dict[str, Any]) -> bool:
    return event.get("source") == "aws.s3" and event.get("detail-type") == "Object Created"


def cause_of(event: dict[str, Any]) -> dict[str, Any]:
    """The object, or the event's id and type."""
    if is_object(event):
        return {"bucket": event["detail"]["bucket"]["name"], "key": event["detail"]["object"]["key"]}
    return {"event": event.get("id"), "source": event.get("source"), "detailType": event.get("detail-type")}
