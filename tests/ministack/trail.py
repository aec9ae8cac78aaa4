"""Which calls each function made, as the emulator's CloudTrail recorded them."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from tests.ministack.emulator import Emulator

# The permission for a batch call is that for the single one; of a call to SNS the emulator keeps no name, and the engine makes only one.
_PERMISSION = {"SendMessageBatch": "SendMessage", "ChangeMessageVisibilityBatch": "ChangeMessageVisibility", "POST.sns": "Publish"}


def calls(emulator: Emulator, functions: Mapping[str, str]) -> dict[str, set[str]]:
    """Function -> permissions (`dynamodb:PutItem`) that its calls asked for. `functions`: function -> physical name."""
    made: dict[str, set[str]] = defaultdict(set)
    for key, owner in _owners(emulator, functions).items():
        for event in _events(emulator, key):
            service = event["eventSource"].removesuffix(".amazonaws.com")
            made[owner].add(f"{service}:{_PERMISSION.get(event['eventName'], event['eventName'])}")
    return made


def _events(emulator: Emulator, access_key: str) -> Iterator[dict[str, Any]]:
    """Newest first. The emulator gives fifty and no token for more, so each page ends where the one before began."""
    client = emulator.client("cloudtrail")
    asked: dict[str, Any] = {"LookupAttributes": [{"AttributeKey": "Username", "AttributeValue": access_key}]}
    seen: set[str] = set()
    while fresh := [entry for entry in client.lookup_events(**asked)["Events"] if entry["EventId"] not in seen]:
        yield from (json.loads(entry["CloudTrailEvent"]) for entry in fresh)
        seen.update(entry["EventId"] for entry in fresh)
        asked["EndTime"] = min(entry["EventTime"] for entry in fresh)


def _owners(emulator: Emulator, functions: Mapping[str, str]) -> dict[str, str]:
    """Access key -> function. The emulator makes a role session's key from the two ARNs."""
    found = {}
    for name, physical in functions.items():
        about = emulator.client("lambda").get_function_configuration(FunctionName=physical)
        digest = hashlib.sha256(f"{about['FunctionArn']}:{about['Role']}".encode()).hexdigest()
        found[f"ASIA{digest[:16].upper()}"] = name
    return found
