"""What an engine gives to a definition that leaves it open, written into a copy before it is compiled: the plan then says all of it.

What the definition says itself always stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_RETRY = ("retry", "retryAttempts", "backoffStrategy")
_SAME = {"escalation": "escalationPolicy", "thresholds": "errorThresholds"}  # today's name: the older one
ALONE = {"key": "run.id", "limit": 1}


def with_error_handling(document: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """`defaults`: as `errorHandling`. Retries are taken as a whole: a definition with some of its own gets none."""
    own = dict(document.get("errorHandling", {}))
    if own.get("escalationPolicy") == "manual":
        own.setdefault("onFailure", "wait")
    has_retry = any(name in own for name in _RETRY)
    for name, value in defaults.items():
        says_it = name in own or _SAME.get(name) in own or (name in _RETRY and has_retry)
        if not says_it and not (name == "onFailure" and "escalationPolicy" in own):
            own[name] = value
    return {**document, "errorHandling": own} if own else dict(document)


def one_at_a_time(document: Mapping[str, Any]) -> dict[str, Any]:
    """Every task has to take the one place that its run has."""
    return {**document, "steps": [_alone(step) for step in document["steps"]]}


def _alone(step: Mapping[str, Any]) -> dict[str, Any]:
    if "group" in step:
        return {**step, "group": one_at_a_time(step["group"])}
    return {**step, "concurrency": ALONE} if "task" in step else dict(step)


def with_own_concurrency(document: Mapping[str, Any]) -> Iterator[str]:
    """Ids of the steps that count under a key of their own."""
    for step in document["steps"]:
        if "group" in step:
            yield from with_own_concurrency(step["group"])
        elif "concurrency" in step:
            yield step["id"]
