"""What is compared: one case in the engine and in the reference interpreter, and what each came to, as facts by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from ..core.durations import parse_duration
from ..core.errors import Rejected
from ..tasks import Registry
from .driver import TENANT, MemoryEngine
from .following import END, UNDO, Trail
from .generate import Case
from .notebook import Notebook
from .reference import START_MS, Reference
from .reference_values import Choices

Facts = dict[str, Any]  # `status`, `s1.output`, `log` ...


def engine_facts(given: Case, seed: int) -> tuple[Facts, Trail]:
    """What the engine came to, and the order in which it did."""
    notebook = Notebook()
    engine = MemoryEngine(Registry.load(notebook.tasks(), plugins=False), seed=seed)
    begin = engine.now()
    trail = Trail(engine.now, begin - START_MS)
    for workflow in given.workflows:
        engine.register(workflow)
    engine.cloud.store.wrote = trail.wrote
    run_id = engine.start(given.definition, given.input)
    refused = []
    for number, entry in sorted(enumerate(given.script), key=lambda one: parse_duration(one[1]["at"])):
        engine.advance(begin + parse_duration(entry["at"]))
        trail.note(f"!{number}", END)
        try:
            _act(engine, notebook, run_id, entry)
        except Rejected:
            refused.append(number)
    loops = set(_loops(given.definition))
    engine.rest()
    run = engine.show(run_id).model_dump(mode="json", by_alias=True)
    facts = _facts(run["status"], run["output"], _name(run["error"]), run["compensated"], notebook.labels.get(run_id, []), sorted(refused))
    if run["endedAt"]:
        facts["ended"] = _moment(run["endedAt"]) - begin
    for path, step in run["steps"].items():
        facts |= _step_facts(path, step["status"], step["output"], _name(step["error"]), None if _id(path) in loops else step["attempts"])
        if step["status"] in ("succeeded", "failed"):
            facts[f"{path}.ended"] = _moment(step["endedAt"]) - begin
    return facts, trail


def ended_steps(facts: Facts) -> frozenset[str]:
    """Ids of the steps that did something and ended."""
    return frozenset(_id(name.removesuffix(".status")).partition("[")[0] for name in facts if name.endswith(".status"))


def undone_steps(trail: Trail) -> frozenset[str]:
    return frozenset(_id(path) for path, kind in trail.seen if kind == UNDO)


def _act(engine: MemoryEngine, notebook: Notebook, run_id: str, entry: Mapping[str, Any]) -> None:
    match entry["do"]:
        case "answer" | "beat":
            _call_back(engine, notebook.tokens.get((run_id, entry["step"]), "nobody has it"), entry)
        case "signal":
            engine.signal(run_id, entry["name"], entry["payload"])
        case "approve":
            engine.approve(run_id, entry["step"], by=entry["by"], comment=entry.get("comment"))
        case "reject":
            engine.reject(run_id, entry["step"], by=entry["by"], comment=entry.get("comment"))
        case "decide":
            output = entry["output"] if entry["choice"] == "skip" else None
            engine.decide(run_id, entry["step"], entry["choice"], output=output)
        case "cancel":
            engine.cancel(run_id)
        case "pause":
            engine.pause(run_id)
        case "resume":
            engine.resume(run_id)
        case "retry":
            engine.operations.retry(TENANT, run_id, from_step=entry.get("from"), input=entry.get("input"))


def _call_back(engine: MemoryEngine, token: str, entry: Mapping[str, Any]) -> None:
    if entry["do"] == "beat":
        engine.operations.heartbeat(token)
    elif "error" in entry:
        engine.operations.fail(token, entry["error"], entry["error"].lower())
    else:
        engine.operations.succeed(token, entry["output"])


def reference_facts(given: Case, seed: int, choices: Choices | None = None) -> Facts:
    notebook = Notebook()
    result = Reference(Registry.load(notebook.tasks(), plugins=False), given.workflows).run(
        given.definition, given.input, seed=seed, script=given.script, choices=choices
    )
    log = notebook.labels.get("run", [])
    facts = _facts(result.status, result.output, result.error, result.compensated, log, sorted(result.refused))
    if result.status not in ("waiting", "paused", "running"):
        facts["ended"] = result.elapsed_ms
    loops = set(_loops(given.definition))
    for path, record in result.steps.items():
        facts |= _step_facts(path, record.status, record.output, record.error, None if _id(path) in loops else record.attempts)
        if record.status in ("succeeded", "failed") and record.ended_at is not None:
            facts[f"{path}.ended"] = record.ended_at - (result.ended_at - result.elapsed_ms)
    return facts


def _facts(status: str, output: Any, error: str | None, compensated: bool | None, log: list[Any], refused: list[int]) -> Facts:
    facts: Facts = {"status": status, "error": error, "log": log, "refused": refused}
    if status not in ("failed", "timedOut"):  # what else has an error is not said
        del facts["error"]
    if status == "succeeded":
        facts["output"] = output
    if status == "failed":
        facts["compensated"] = bool(compensated)
    return facts


def _step_facts(path: str, status: str, output: Any, error: str | None, attempts: int | None) -> Facts:
    """A step that never started may be shown as skipped or not at all, one that never ends in more than one way.

    `attempts`: None for a loop, which has none of its own."""
    if status in ("skipped", "pending", "queued", "running", "waiting"):
        return {}
    facts: Facts = {f"{path}.status": status}
    if status == "succeeded":
        facts |= {f"{path}.output": output}
    if status == "failed":
        facts |= {f"{path}.error": error}
    if attempts is not None and status != "cancelled" and error != "ExpressionError":
        facts[f"{path}.attempts"] = attempts
    return facts


def _loops(scope: Mapping[str, Any]) -> Iterator[str]:
    for step in scope["steps"]:
        if "forEach" in step or "repeat" in step:
            yield step["id"]
        if "group" in step:
            yield from _loops(step["group"])


def _id(path: str) -> str:
    """`s3` of `s1[2].s3`, but `s3[0]` of `s3[0]`: an item has attempts."""
    return path.rpartition(".")[2]


def _name(error: Mapping[str, Any] | None) -> str | None:
    return error["name"] if error else None


def _moment(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
