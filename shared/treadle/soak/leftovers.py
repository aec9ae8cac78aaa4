"""What may be there when every run has ended and nothing moves any more. Whatever else there is, is an orphan.

- No message: in no lane, in no queue of events, in no dead-letter queue; and no dead letter in the table.
- No step under way, but for claims that came behind the run's end (their worker was going to see it, and died first).
- No timer: nothing that is due.
- No place held in a semaphore, and nobody in line, but for leases that are over: whoever asks next takes these.
- No item of a run without the run; every other item says when it expires, or stays for good: plans, workflows, semaphores, the audit
  trail, the heartbeat.
- No object in the bucket that nothing refers to.
- No process of a task.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from .. import topology
from ..core.model import RunStatus, State
from ..engine.secrecy import texts
from ..local.cloud import Cloud
from ..ports import Item
from ..tasks import isolated

STAYS = ("plan#", "workflow#", "workflows#", "runs#", "tasks#", "audit#", "heartbeat")
CLAIMS_LATE_MS = topology.LEASE_S * 1000
_BLOB = re.compile(r"blob:([0-9a-z/]+)")


def orphans(cloud: Cloud) -> list[str]:
    items = cloud.items()
    runs = {item["pk"]: item for item in items if item["sk"] == "!"}
    return [
        *(f"{len(queue)} messages in {name}" for name, queue in cloud.queues.items() if len(queue)),
        *_of_runs(items, runs),
        *_of_nobody(items, runs, cloud.clock.now()),
        *_objects(cloud, items),
        *("a process of a task runs" for _ in isolated.RUNNING),
    ]


def _of_runs(items: list[Item], runs: dict[str, Item]) -> Iterator[str]:
    for item in items:
        control = runs.get(owner(item))
        if control is None or not RunStatus(control["status"]).is_final:
            continue
        name = f"{control['workflow']} {item['pk']} {item['sk']}"
        if "due" in item or "due_shard" in item:
            yield f"{name}: is due in a run that has ended"
        if "list_pk" in item and item["sk"] != "!":
            yield f"{name}: asks somebody in a run that has ended"
        if item["sk"].startswith("s#") and item["state"] not in (State.ENDED, State.RELEASED) and not _came_too_late(item, control):
            yield f"{name}: is {item['state']} in a run that is {control['status']}"
        if item["sk"].startswith("dead#"):
            yield f"{name}: a message was given up"


def _came_too_late(item: Item, control: Item) -> bool:
    return bool(item["state"] == State.CLAIMED and item["lease"] - CLAIMS_LATE_MS >= control["ended_at"])


def _of_nobody(items: list[Item], runs: Collection[str], now: int) -> Iterator[str]:
    for item in items:
        name = f"{item['pk']} {item['sk']}"
        if item["sk"] == "semaphore":
            held = [holder for holder, place in item["holders"].items() if place["until"] == 0 or place["until"] > now]
            if held or item["waiting"]:
                yield f"{name}: held by {held}, waited for by {[entry[0] for entry in item['waiting']]}"
        elif owner(item) not in runs and "expires" not in item and not item["pk"].startswith(STAYS):
            yield f"{name}: belongs to no run, and never expires"


def owner(item: Item) -> str:
    """The run that an item lies in; of another one, nobody's."""
    return str(item["pk"]).partition("#")[0]


def _objects(cloud: Cloud, items: list[Item]) -> Iterator[str]:
    named = {name for item in items for text in texts(item) for name in _BLOB.findall(text)}
    for name in blobs(cloud):
        if name not in named:
            yield f"object {name}: nothing refers to it"


def blobs(cloud: Cloud) -> list[str]:
    pages = cloud.clients.s3.get_paginator("list_objects_v2").paginate(Bucket=cloud.names.blobs)
    return [each["Key"] for page in pages for each in page.get("Contents", ())]
