"""Triggers: schedules, events and objects that start runs of the newest version of a workflow.

The law: what starts a run names it. The run's id is made from the workflow, the trigger, and the time, event or object, so the
same cause again finds the run that it started, whoever brings it and however often. A run that cannot be started (the template
fails, its value does not fit the workflow's schema) is told as `SubmissionRejected`, and the others go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .core.errors import ExpressionFault, Rejected
from .core.expressions import render
from .core.moments import rfc3339
from .core.patterns import matches
from .core.schedules import parse_schedule
from .engine.items import digest, encode, run_key
from .engine.triggers import Triggered, listed_key, live, moved_on, triggered
from .ports import Equals
from .refusals import cause_of, is_object, refuse
from .topology import EVENT_SOURCE

if TYPE_CHECKING:
    from .wiring import Wiring


@dataclass(frozen=True, slots=True)
class Cause:
    """What pulled a trigger. `event`: what its `input` sees, and without one the run's input. `name`: what tells it from all others;
    `told`: for whoever reads a refusal."""

    event: Any
    name: str
    by: str
    told: Mapping[str, Any]


def fire(wiring: Wiring, tenant: str, workflow_id: str) -> None:
    """Start what is due by the workflow's schedules. Of several times that were missed only the latest starts a run.

    First the runs, then the item: whoever dies in between is followed by one that finds the runs there. Raises Unavailable.
    """
    world = wiring.engine.world
    key = listed_key(tenant, workflow_id)
    item = world.store.get(key)
    found = triggered(world, item) if item else None
    if item is None or found is None:
        return
    now, fires = world.clock.now(), dict(item.get("fires", {}))
    for text, moment in item.get("fires", {}).items():
        if moment > now:
            continue
        schedule = parse_schedule(text)
        _on_time(wiring, found, text, schedule.latest_at(now, moment) or moment)
        following = schedule.next_after(now, moment)
        if following is None:
            del fires[text]
        else:
            fires[text] = following
    if fires != item.get("fires", {}):
        world.store.update(key, moved_on(item, fires), Equals("rev", item["rev"]))  # fails: a newer version, or somebody was faster


def _on_time(wiring: Wiring, found: Triggered, schedule: str, moment: int) -> None:
    name = digest("schedule", schedule, str(moment))
    event = {"id": name, "time": rfc3339(moment), "schedule": schedule}
    for trigger in found.triggers:
        if trigger.get("schedule") == schedule:
            start(wiring, found, trigger, Cause(event, name, f"schedule:{schedule}", {"schedule": schedule, "time": event["time"]}))


def happened(wiring: Wiring, event: dict[str, Any]) -> int:
    """Start what a bus event starts: by `event` triggers, and by `s3` triggers when it tells of a new object. How many triggers heard it.

    Events belong to the deployment's own tenant, but for what the engine tells of a run: that is for the run's tenant alone,
    for those who ask for the source `treadle`, and not for the very workflow that it tells of.
    """
    tenant, silent = wiring.tenant, ""
    is_own = event.get("source") == EVENT_SOURCE
    if is_own:
        subject = event["detail"].get("subject")
        run = wiring.engine.world.store.get(run_key(subject)) if subject and isinstance(subject, str) else None
        if run is None:  # the table is the truth, also about what is said of it
            return 0
        tenant, silent = run["tenant"], run["workflow"]
    count = 0
    for found in live(wiring.engine.world, tenant):
        for trigger in found.triggers:
            if found.workflow != silent and (cause := _heard(wiring, trigger, event, is_own)):
                start(wiring, found, trigger, cause)
                count += 1
    return count


def _heard(wiring: Wiring, trigger: Mapping[str, Any], event: dict[str, Any], is_own: bool) -> Cause | None:
    if "event" in trigger:
        is_asked = not is_own or EVENT_SOURCE in trigger["event"].get("source", ())
        if is_asked and matches(trigger["event"], event):
            return Cause(event, event_identity(event), f"event:{event.get('source', '')}", cause_of(event))
    if "s3" in trigger and is_object(event):
        wanted, seen = trigger["s3"], object_of(event)
        fits = seen["key"].startswith(wanted.get("prefix", "")) and seen["key"].endswith(wanted.get("suffix", ""))
        if fits and seen["bucket"] == wanted.get("bucket", wiring.names.inbox):
            return Cause(seen, object_identity(event), f"s3:{seen['bucket']}/{seen['key']}", cause_of(event))
    return None


def start(wiring: Wiring, found: Triggered, trigger: Mapping[str, Any], cause: Cause) -> None:
    """One run, or the event that says why not. Raises Unavailable."""
    identity = digest("trigger", *_name(found, trigger), cause.name)
    try:
        _start(wiring, found, trigger, cause, identity)
    except Rejected as refusal:
        if refusal.code == "idempotency-conflict":
            return  # it was started before, with the input of an older version
        told = {**cause.told, "workflow": found.workflow, "version": found.version}
        refuse(wiring.engine.world, digest(identity, found.tenant, found.workflow), refusal, told)


def _name(found: Triggered, trigger: Mapping[str, Any]) -> tuple[str, str]:
    """What pulls it, and the how-manieth of the workflow that is so: the same in a version that only changed its input."""
    alike = [encode({name: value for name, value in each.items() if name != "input"}) for each in found.triggers]
    at = found.triggers.index(trigger)
    return alike[at], str(alike[:at].count(alike[at]))


def _start(wiring: Wiring, found: Triggered, trigger: Mapping[str, Any], cause: Cause, identity: str) -> None:
    """Raises Rejected."""
    try:
        given = render(trigger["input"], wiring.engine.world.expressions, {"event": cause.event}) if "input" in trigger else cause.event
        wiring.operations.start(found.tenant, found.workflow, given, version=found.version, key=identity, by=cause.by)
    except ExpressionFault as fault:  # of the template, or of the run's search attributes
        raise Rejected("invalid-input", f"the run's input cannot be computed: {fault.message}", status=422) from None


def event_identity(event: Mapping[str, Any]) -> str:
    """The same for each telling. A CloudEvent keeps its id when whoever tells it puts it on the bus again; the bus gives a new one."""
    detail = event["detail"]
    if "specversion" in detail and isinstance(detail.get("id"), str):
        return f"event:{event.get('source', '')}:{detail['id']}"
    return f"event:{event['id']}"


# -------------------------------------------------------------------------------------------------------- objects


def object_of(event: Mapping[str, Any]) -> dict[str, Any]:
    """What a template sees of a new object. Its key is as it was put: unlike S3's own notifications, bus events do not quote it."""
    told = event["detail"]["object"]
    return {
        "bucket": event["detail"]["bucket"]["name"],
        "key": told["key"],
        "size": told.get("size"),
        "etag": told.get("etag"),
        "versionId": told.get("version-id"),
        "time": event.get("time"),
    }


def object_identity(event: Mapping[str, Any]) -> str:
    """The same for each telling of one put; another put of the same key has another."""
    told = event["detail"]["object"]
    version = told.get("version-id") or told.get("sequencer") or told.get("etag", "")
    return digest("s3", event["detail"]["bucket"]["name"], told["key"], version)
