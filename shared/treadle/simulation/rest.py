"""What must hold when nothing moves any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .. import topology
from ..core import paths
from ..core.advance import Fact, Verdict, frontier
from ..core.model import Outcome, RunStatus, State
from ..core.plan import Scope
from ..engine.ending import EVENTS
from ..engine.items import REF, decode, error_of, fact_of, is_ref, run_key
from ..engine.tries import tries_of
from ..ports import Item
from ..viewing import shown_status
from .faults import Kind
from .invariants import Watch
from .memory import MemorySecrets
from .simulator import Simulation
from .world import TENANT

_STOPPED = frozenset({RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.TIMED_OUT})
_NEVER_RAN = frozenset({Outcome.DEAD, Outcome.BLOCKED})  # shown as skipped in a run that stopped, with a fact and without
_NEVER_BEGAN = frozenset({"skipped", "pending"})
SLACK_MS = 15_000  # that the order of deliveries may cost: the delay after a lost race


@dataclass(frozen=True)
class Result:
    """What came of a run: how it ended, and how each of its steps did. Times and losses are left out: a fault may change them."""

    status: str
    output: Any
    error: str | None
    compensated: bool | None
    steps: Mapping[str, tuple[Any, ...]]  # path -> (outcome, output, error name, attempts)
    took_ms: int

    def differs(self, other: Result, loose: tuple[str, ...]) -> str | None:
        """In what, of two that should be the same; None: in nothing."""
        if "*" in loose:
            return None
        for name in ("output", "error", "compensated"):
            if getattr(self, name) != getattr(other, name) and not (name == "output" and loose):
                return f"{name} is {getattr(self, name)!r}, not {getattr(other, name)!r}"
        for path in sorted({*self.steps, *other.steps}):
            if self.steps.get(path) != other.steps.get(path) and not path.startswith(loose):
                return f"{path} is {self.steps.get(path)}, not {other.steps.get(path)}"
        return None


def steps_of(simulation: Simulation, run_id: str) -> dict[str, Item]:
    """The step items of a run by key."""
    return {
        item["sk"][2:]: item
        for item in simulation.cloud.store.peek_all()
        if item["sk"][:2] == "s#" and item["pk"].partition("#")[0] == run_id
    }


def _payload(simulation: Simulation, text: str) -> Any:
    """Whether it lies in the item or in object storage is no part of a result."""
    value = decode(text)
    return decode(simulation.cloud.blobs.get(value[REF][5:]).decode()) if is_ref(value) else value


def result_of(simulation: Simulation, began: int) -> Result:
    control = simulation.control or {"status": "absent"}
    steps: dict[str, tuple[Any, ...]] = {}
    for key, item in steps_of(simulation, simulation.run_id).items():
        if item["state"] == State.RELEASED or (control["status"] in _STOPPED and item.get("outcome") in _NEVER_RAN):
            continue
        error = error_of(item.get("error"))
        output = _payload(simulation, item["output"]) if "output" in item else None
        steps[key] = (item.get("outcome", item["state"]), output, error.name if error else None, item.get("attempt", 0))
    for item in simulation.cloud.store.peek_all():
        if item["sk"].startswith("undo#"):
            steps[f"undo of {item['of']}"] = (item.get("outcome", item["state"]),)
    output = decode(control["output"]) if "output" in control else None
    error_name = control["error"]["name"] if control.get("error") else None
    return Result(control["status"], output, error_name, control.get("compensated"), steps, control.get("ended_at", simulation.now) - began)


def check(simulation: Simulation, watch: Watch, expected: Result | None, result: Result, bound_ms: int) -> None:
    """Add what is violated to the watch. `expected`: the result without faults; None while that is being found out.
    `bound_ms`: from the last fault to the end, beside what the run takes when nothing goes wrong."""
    if simulation.is_endless:
        watch.violated("I13", f"{simulation.deliveries} messages and no end")
        return
    for run_id in runs_of(simulation):
        _rests(simulation, watch, run_id)
    _nothing_left(simulation, watch)
    _told(simulation, watch)
    _signals(simulation, watch)
    _undone(simulation, watch)
    _kept(simulation, watch)
    _shown(simulation, watch)
    _once(simulation, watch)
    if expected is None and simulation.sweeps and not simulation.prepared.shape.sweeps:
        watch.violated("I11", "the sweeper came by although nothing went wrong")
    if expected is not None:
        _same(simulation, watch, expected, result)
        _in_time(simulation, watch, expected, bound_ms)


def _once(simulation: Simulation, watch: Watch) -> None:
    """Without crashes and late workers each attempt of each step runs once, and each of these costs one more at the most;
    groups and retried runs begin theirs anew."""
    fired = simulation.faults.fired
    if simulation.is_skewed:
        return
    plan = simulation.plan_of(simulation.control or {})
    if simulation.is_tried_anew(simulation.run_id) or any(step.action == "group" and step.retry for step in plan.steps.values()):
        return
    twice = {f"{path} attempt {attempt}": count for (_, path, attempt), count in watch.ran.items() if count > 1}
    allowed = sum(count for (_, kind), count in fired.items() if kind is not Kind.TWICE)
    if sum(twice.values()) - len(twice) > allowed:
        watch.violated("I11" if _is_calm(simulation) else "I12", f"ran more than once: {twice}, after {allowed} faults")


def runs_of(simulation: Simulation) -> list[str]:
    return [item["pk"] for item in simulation.cloud.store.peek_all() if item["sk"] == "!"]


def _rests(simulation: Simulation, watch: Watch, run_id: str) -> None:
    control = simulation.cloud.store.peek(run_key(run_id)) or {}
    status, steps = RunStatus(control["status"]), steps_of(simulation, run_id)
    waiting = [item for item in steps.values() if item["state"] == State.WAITING]
    open_now = {key: item["state"] for key, item in steps.items() if item["state"] not in (State.ENDED, State.RELEASED)}
    if status.is_final:
        open_now = {key: state for key, state in open_now.items() if not _came_too_late(simulation, steps[key], control)}
        if open_now:
            watch.violated("I10", f"the run is {status} and left {open_now}")
        return
    is_held = status is RunStatus.PAUSED
    is_awaited = status is RunStatus.WAITING and any(item["wait"]["for"] in ("approval", "signal", "person") for item in waiting)
    if not (is_held or is_awaited):
        watch.violated("I9", f"the run is {status}, nothing moves, and {open_now or 'no step'} is under way")
    elif not is_held:
        plan = simulation.plan_of(control)
        startable = _startable("", plan.root, steps)
        if startable:
            watch.violated("I14", f"{startable} could start")


def _came_too_late(simulation: Simulation, item: Item, control: Item) -> bool:
    """A claim behind the run's end: whoever made it was going to look at control, and died first. It is shown as never begun (I4)."""
    claimed_at = item.get("lease", 0) - topology.LEASE_S * 1000
    return item["state"] == State.CLAIMED and (claimed_at >= control["ended_at"] or simulation.is_skewed)


def _startable(scope_key: str, scope: Scope, steps: Mapping[str, Item]) -> list[str]:
    facts: dict[str, Fact] = {}
    for step in scope.steps:
        item = steps.get(paths.join(scope_key, step))
        if item is not None and item["state"] == State.ENDED:
            facts[step] = fact_of(item)
    ready = [paths.join(scope_key, step) for step, verdict in frontier(scope, facts).items() if verdict is Verdict.START]
    return [key for key in ready if key not in steps]


def _nothing_left(simulation: Simulation, watch: Watch) -> None:
    dead = {queue.name: len(found) for queue in simulation.deployed.queues if (found := simulation.cloud.lanes.dead(queue.name))}
    if dead:
        watch.violated("I10", f"dead letters: {dead}")


def _told(simulation: Simulation, watch: Watch) -> None:
    kinds = {(event["detail-type"], event["detail"]["subject"]) for event in simulation.cloud.bus.events}
    for run_id in runs_of(simulation):
        control = simulation.cloud.store.peek(run_key(run_id)) or {}
        kind = EVENTS.get(RunStatus(control["status"]))
        if kind is not None and (kind, run_id) not in kinds:
            watch.violated("I16", f"{kind} was never told")


def _signals(simulation: Simulation, watch: Watch) -> None:
    """Of runs that wait: each signal that was accepted is the output of the step that took it, or kept while nobody waits for it."""
    for box in [item for item in simulation.cloud.store.peek_all() if item["sk"].startswith("signal#")]:
        run_id, name = box["pk"].partition("#")[0], box["sk"][7:]
        steps, control = steps_of(simulation, run_id), simulation.cloud.store.peek(run_key(run_id)) or {}
        awaited = [key for key, item in steps.items() if item["state"] == State.WAITING and item["wait"].get("name") == name]
        lost = [key for key in box["taken"] if not _has_succeeded(steps.get(key, {}))]
        rests = control["status"] in (RunStatus.WAITING, RunStatus.RUNNING)
        if rests and awaited and (box["queue"] or lost):
            watch.violated("I19", f"{awaited} wait for {name}; {len(box['queue'])} lie there, and {lost} took one and ended without it")


def _has_succeeded(item: Item) -> bool:
    caught = [each for each in tries_of(item) if each.number == item["attempt"] - item.get("base", 0)]
    return item.get("outcome") == Outcome.SUCCEEDED and not caught


def _undone(simulation: Simulation, watch: Watch) -> None:
    """Of a run that was compensated: each step that succeeded and has a compensation once, and no other."""
    control = simulation.control or {}
    if control.get("status") != RunStatus.FAILED or "compensated" not in control or simulation.generation(simulation.run_id) > 1:
        return
    plan, items = simulation.plan_of(control), simulation.cloud.store.peek_all()
    undone = sorted(item["of"] for item in items if item["sk"].startswith("undo#") and item["pk"].partition("#")[0] == control["pk"])
    steps = {key: item for key, item in steps_of(simulation, control["pk"]).items() if "." not in key and paths.index(key) is None}
    due = {key for key, item in steps.items() if item.get("outcome") == Outcome.SUCCEEDED and plan.steps[key].compensate is not None}
    if {key for key in undone if key in steps} != due or len(set(undone)) != len(undone):
        watch.violated("I20", f"undone are {undone}; what succeeded and can be undone is {sorted(due)}")


def _kept(simulation: Simulation, watch: Watch) -> None:
    cloud, mark = simulation.cloud, MemorySecrets.MARK
    letters = [body for queue in simulation.deployed.queues for body in (*cloud.lanes.bodies(queue.name), *cloud.lanes.dead(queue.name))]
    places: dict[str, list[Any]] = {
        "an item": cloud.store.peek_all(),
        "a message": letters,
        "an event": cloud.bus.events,
        "an object": [cloud.blobs.get(name).decode() for name in cloud.blobs.names()],
    }
    for place, found in places.items():
        if any(mark in str(each) for each in found):
            watch.violated("I18", f"{place} holds a secret")


def _shown(simulation: Simulation, watch: Watch) -> None:
    """What a person sees of the run and of the steps of its root scope."""
    control = simulation.control or {}
    view = simulation.wiring.operations.show(TENANT, simulation.run_id)
    if view.status != shown_status(RunStatus(control["status"])):
        watch.violated("I4", f"the run is shown as {view.status} and is {control['status']}")
    under_way = {path: step.status for path, step in view.steps.items() if step.ended_at is None and step.status not in _NEVER_BEGAN}
    if under_way and RunStatus(control["status"]).is_final:
        watch.violated("I4", f"the run is {control['status']}, and shown are {under_way}")
    for key, item in steps_of(simulation, simulation.run_id).items():
        if "." in key or item["state"] != State.ENDED:
            continue
        output = _payload(simulation, item["output"]) if "output" in item else None
        seen, real = view.steps.get(key), (Outcome(item["outcome"]).status.value, output)
        if seen is None or (seen.status, seen.output) != real:
            watch.violated("I4", f"{key} is shown as {seen and (seen.status, seen.output)} and is {real}")


def _same(simulation: Simulation, watch: Watch, expected: Result, result: Result) -> None:
    shape = simulation.prepared.shape
    allowed = shape.ends or (expected.status,)
    if result.status not in allowed:
        watch.violated("I8", f"the run is {result.status}, not {' or '.join(allowed)}")
    elif (difference := result.differs(expected, shape.loose)) is not None and result.status == expected.status:
        watch.violated("I8", difference)


def _is_calm(simulation: Simulation) -> bool:
    """Nothing went wrong."""
    return not simulation.faults.fired and simulation.fleet is None


def _in_time(simulation: Simulation, watch: Watch, expected: Result, bound_ms: int) -> None:
    control = simulation.control or {}
    if "ended_at" not in control:
        return
    disturbed_at = max(simulation.disturbed_at, simulation.fleet.is_over_at if simulation.fleet else 0)
    late_ms = control["ended_at"] - disturbed_at - expected.took_ms
    shape = simulation.prepared.shape
    waits_for_people = bool(shape.acts and shape.loose)  # when they act is not the engine's to answer for
    if _is_calm(simulation) and late_ms > SLACK_MS and not waits_for_people:
        watch.violated("I11", f"it ended {late_ms // 1000} s late although nothing went wrong")
    elif late_ms > bound_ms and not (waits_for_people and simulation.acts):  # they never did
        watch.violated("I13", f"it ended {late_ms // 60_000} minutes after the last fault")
