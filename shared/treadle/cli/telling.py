"""A run's history as sentences for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST_ITEMS = 10  # of one loop that did well, and are all told of
_ACTS = {
    "pause": "paused the run",
    "resume": "let the run go on",
    "cancel": "cancelled the run",
    "retry": "retried the run",
    "amend": "amended the run",
    "update": "changed the run",
    "checkpoint": "took a checkpoint",
    "approve": "approved it",
    "reject": "rejected it",
    "decide": "decided",
    "signal": "sent the signal",
    "redrive": "sent the message again that was given up",
    "drop": "dropped the message that was given up",
}


def told(entry: Mapping[str, Any]) -> str:
    match entry["what"]:
        case "RunStarted":
            return "the run started" + (f", by {entry['by']}" if entry.get("by") else "")
        case "RunEnded":
            return _run_ended(entry)
        case "StepWaits":
            return str(entry["why"])
        case "Escalated":
            whom = f", for {entry['notify']}" if entry.get("notify") else ""
            return f"rung {entry['level']} of the escalation was reached ({entry['severity']}){whom}" + _then(entry)
        case "ThresholdExceeded":
            return "with this too much has failed" + _then(entry)
        case "UndoStarted":
            return "is being undone"
        case "UndoEnded":
            return _undone(entry)
        case "MessageGivenUp":
            return f"a message of {entry['queue']} ({entry['kind']}) was given up: {entry['why']} [treadle dlq show {entry['id']}]"
        case "StepStarted":
            return "started" + _in_generation(entry)
        case "StepEnded":
            return _ended(entry) + _in_generation(entry)
        case "AttemptFailed":
            return f"attempt {entry['attempt']} failed: {error_told(entry['error'])}" + _in_generation(entry)
        case "Notified" | "NotificationFailed":
            return _notified(entry)
        case _:
            return _acted(entry)


def _then(entry: Mapping[str, Any]) -> str:
    return {"pause": ": the run is paused", "fail": ": it fails", "cancel": ": the run is cancelled"}.get(entry.get("action", ""), "")


def _run_ended(entry: Mapping[str, Any]) -> str:
    error = entry.get("error")
    step = f" (step {error['step']})" if error and error.get("step") else ""
    undone = {None: "", True: "; everything was undone", False: "; not everything could be undone"}[entry.get("compensated")]
    return f"the run ended: {entry['status']}" + (f": {error_told(error)}{step}" if error else "") + undone


def _undone(entry: Mapping[str, Any]) -> str:
    tries = f" after {entry['attempts']} attempts" if entry.get("attempts", 0) > 1 else ""
    return f"could not be undone{tries}: {error_told(entry['error'])}" if "error" in entry else f"was undone{tries}"


def _notified(entry: Mapping[str, Any]) -> str:
    tries = f" after {entry['attempts']} attempts" if entry.get("attempts", 0) > 1 else ""
    if "error" in entry:
        return f"{entry['target']} could not be told of {entry['event']}{tries}: {entry['error']}"
    return f"{entry['target']} was told of {entry['event']}{tries}"


def error_told(error: Mapping[str, Any]) -> str:
    """With what it came of: the child run that failed, the exceptions that led to it."""
    told = f"{error['name']}: {error['message']}" if error.get("message") else str(error["name"])
    if error.get("run"):
        told += f" (in run {error['run']})"
    details = error.get("details")
    causes = details.get("causes", ()) if isinstance(details, dict) else ()
    return told + "".join(f", from {error_told(cause)}" for cause in causes if isinstance(cause, dict) and "name" in cause)


def _ended(entry: Mapping[str, Any]) -> str:
    error = entry.get("error")
    tries = f" after {entry['attempts']} attempts" if entry.get("attempts", 0) > 1 else ""
    why = f": {error_told(error)}" if error else f": {entry['why']}" if entry.get("why") else ""
    return f"{entry['status']}{tries}{why}"


def _in_generation(entry: Mapping[str, Any]) -> str:
    return " (taken back by a retry)" if "generation" in entry else ""


def _with(entry: Mapping[str, Any], comma: str = "") -> str:
    return {"input": f"{comma} with another input", "output": f"{comma} with an output"}.get(entry.get("given", ""), "")


def _before(entry: Mapping[str, Any]) -> str:
    """How the run had ended that somebody retried."""
    error = entry.get("error")
    step = f", step {error['step']}" if isinstance(error, dict) and error.get("step") else ""
    return f"{entry.get('after')}" + (f" ({error_told(error)}{step})" if isinstance(error, dict) and "name" in error else "")


def _acted(entry: Mapping[str, Any]) -> str:
    who, act = entry.get("by") or "somebody", entry["act"]
    more = {
        "decide": f": {entry.get('choice')}{_with(entry)}",
        "signal": f" {entry.get('name')}",
        "retry": f", which was {_before(entry)}" + (f", from {entry['from']}" if entry.get("from") else "") + _with(entry, ","),
        "cancel": f": only {entry['path']}" if entry.get("path") else "",
        "amend": "".join(f"; {name}: {', '.join(entry[name])}" for name in ("added", "changed", "removed") if entry.get(name)),
        "update": f": {', '.join(entry.get('changes', ()))}",
    }.get(act, "")
    said = entry.get("comment") or entry.get("reason")
    return f"{who} {_ACTS.get(act, act)}{more}" + (f' ("{said}")' if said else "")


def shortened(items: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Without what is told of single items of long loops that did well: of these a person wants to know what did not."""
    well: dict[str, set[str]] = {}
    for entry in items:
        if entry["what"] == "StepEnded" and entry["status"] == "succeeded" and entry["path"].endswith("]"):
            well.setdefault(entry["path"].rpartition("[")[0], set()).add(entry["path"])
    dull = {path for paths in well.values() if len(paths) > MOST_ITEMS for path in paths}
    return [entry for entry in items if not (entry["what"] in ("StepStarted", "StepEnded") and dull.intersection(_around(entry["path"])))]


def _around(path: str) -> list[str]:
    """`f[1].g[2].x` -> [`f[1]`, `f[1].g[2]`]"""
    return [path[: at + 1] for at, char in enumerate(path) if char == "]"]
