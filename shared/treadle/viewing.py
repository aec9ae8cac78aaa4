"""Making views of runs: the fold of what is stored. Off the hot path; nothing here changes anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .core import paths
from .core.errors import NotFound, Rejected
from .core.model import Json, Outcome, RunStatus, State, StepError, StepStatus
from .core.moments import rfc3339
from .core.plan import CHOSEN, PLAIN, Plan, Step
from .deadletters import told_to
from .engine.addresses import input_address, input_of_cause
from .engine.items import INLINE_LIMIT, REF, body_key, child_of, decode, encode, error_of, is_ref, output_key, run_key, told_error
from .engine.retention import HOLD
from .engine.run import Run
from .engine.snapshot import snapshot
from .engine.stopping import WHY, WHY_INSIDE
from .engine.world import World
from .ports import Item, TooLarge
from .views import CostView, DeadLetterView, RunView, StepView

UNREADABLE = "what is stored of it cannot be read"  # how a step says so
PAGE_OF_STEPS = 1000  # paths in one view
SMALL = 64 * 1024  # bytes as JSON of a payload that is shown in place, also where it is an object by itself
MOST = 4 * 1024 * 1024  # bytes of such objects that one view reads and carries; an answer of Lambda's has at most 6 MB
_RUN_FIRST, _GROUP_FIRST = f"{WHY['stop']} first", f"{WHY_INSIDE} first"

Placed = Callable[[Json], Json]  # a payload as it is shown

# What one recorded step costs in the design, on-demand list prices in us-east-1 (docs/explanation/cost.md).
_USD_PER_WRITE = 0.625e-6
_USD_PER_READ = 0.125e-6
_USD_PER_RUN = 3 * 0.4e-6 + 3 * 1.0e-6  # one message there and back, three events


def shown_status(status: RunStatus) -> str:
    """Inner states in the words of the language page."""
    return RunStatus.RUNNING.value if status in (RunStatus.STOPPING, RunStatus.RETRYING) else status.value


def summary(control: Item) -> RunView:
    """Of a control item, or of what the list index projects of it."""
    run_id = control["pk"]
    ended_at = control.get("ended_at")
    return RunView(
        id=run_id,
        workflow=control["workflow"],
        version=control["version"],
        status=shown_status(RunStatus(control["status"])),
        error=(told_error(control) if ended_at else None) or control.get("quarantine"),
        compensated=control.get("compensated"),
        attributes=decode(control["attributes"]) if "attributes" in control else {},
        started_at=rfc3339(control["started_at"]),
        ended_at=rfc3339(ended_at) if ended_at else None,
        etag=str(control.get("rev", 0)),
        legal_hold=_held(control),
    )


def _held(control: Item) -> dict[str, Any] | None:
    held = control.get(HOLD)
    return None if held is None else {"by": held.get("by"), "reason": held["reason"], "at": rfc3339(held["at"])}


def fresh(world: World, control: Item, given: Json) -> RunView:
    """A run that was started just now: nothing has to be read to know how its steps stand, nor for a small input."""
    names = list(world.plan(control["plan"]).root.steps)
    page = names[:PAGE_OF_STEPS]
    steps = {name: StepView(status=StepStatus.PENDING.value) for name in page}
    if len(encode(given).encode()) > SMALL:
        given = as_kept(decode((world.store.get(body_key(control["pk"])) or {"input": "null"})["input"]))
    shown = {"input": given, "steps": steps, "steps_cursor": page[-1] if len(names) > len(page) else None}
    return summary(control).model_copy(update=shown)


def view(world: World, control: Item, *, full: bool = True, cursor: str | None = None, limit: int = PAGE_OF_STEPS) -> RunView:
    """The run with at most `limit` of its steps. `cursor`: the path behind which this page of steps begins.

    Raises Rejected("bad-value") for a cursor that is no path of the run.
    """
    world = world.lenient()
    run = Run(world, control["pk"], control)
    payloads = Payloads(world, full=full)
    steps = _steps_if_any(run, payloads)
    names = sorted(steps, key=_order) if len(steps) > limit else list(steps)
    begin = 0 if cursor is None else _behind(names, cursor)
    page = names[begin : begin + limit]
    further = page[-1] if begin + limit < len(names) else None
    body = world.store.get(body_key(run.id)) or {"input": "null"}
    about = summary(control)
    address = input_of_cause(run, about.error.get("step")) if about.error and "quarantine" not in control else None
    error = _whole(about.error, steps) if about.error else None
    shown = {
        "error": error | {"input": address} if error and address else error,
        "input": payloads.shown(decode(body["input"])) if "input" in body else None,
        "metadata": decode(body["metadata"]) if "metadata" in body else {},
        "output": _output(world, control, payloads),
        "steps": {name: steps[name] for name in page},
        "steps_cursor": further,
        "dead_letters": [DeadLetterView(**told) for told in told_to(world, run.id)] if "dead" in control else [],
        "cost": _cost(steps),
    }
    return about.model_copy(update=shown)


def _behind(names: list[str], cursor: str) -> int:
    if cursor not in names:
        raise Rejected("bad-value", f"this is no cursor of this list: {cursor[:100]}")
    return names.index(cursor) + 1


def _whole(error: dict[str, Json], steps: dict[str, StepView]) -> dict[str, Json]:
    """A run's own item has its error in brief; with the message and details that the step has which it came of."""
    step = steps.get(str(error.get("step")))
    own = step.error if step else None
    if not own or StepError(own["name"], own["message"]).brief() != {"name": error["name"], "message": error["message"]}:
        return error
    return error | {name: own[name] for name in ("message", "details") if name in own}


def _steps_if_any(run: Run, payloads: Payloads) -> dict[str, StepView]:
    """None of a run whose plan cannot be read: it is set aside, and says so."""
    try:
        return steps_of(run, payloads)
    except NotFound:
        if "quarantine" not in run.control:
            raise
        return {}


def _order(path: str) -> tuple[Any, ...]:
    """`f[10]` behind `f[9]`."""
    return tuple((part.partition("[")[0], paths.index(part) if "[" in part else -1) for part in path.split("."))


def _output(world: World, control: Item, payloads: Payloads) -> Json:
    if "output" in control:
        return decode(control["output"])
    if control["status"] != RunStatus.SUCCEEDED:
        return None
    item = world.store.get(output_key(control["pk"]))
    return payloads.shown(decode(item["output"])) if item else None


def _cost(steps: dict[str, StepView]) -> CostView:
    ran = sum(1 for step in steps.values() if step.attempts)
    written = len([step for step in steps.values() if step.ended_at]) + 7
    calls = {"dynamodb.PutItem": written, "dynamodb.GetItem": ran + 1, "sqs.SendMessage": 1, "events.PutEvents": 2}
    usd = written * _USD_PER_WRITE + (ran + 1) * _USD_PER_READ + _USD_PER_RUN
    return CostView(usd=round(usd, 10), calls=calls)


# ------------------------------------------------------------------------------------------------ payloads


def as_kept(value: Json) -> Json:
    """Nothing is read."""
    return {REF: value[REF]} if is_ref(value) else value


class Payloads:
    """Of one view. `full`: all of them in place, however large."""

    def __init__(self, world: World, *, full: bool) -> None:
        self._world, self._full = world, full
        self._left = MOST
        self._known: dict[str, Json] = {}  # a loop's items often have the same

    def shown(self, value: Json) -> Json:
        """What was removed is shown as kept: what is left of it is its name."""
        if not is_ref(value):
            return value
        try:
            return self._world.load(value) if self._full else self._small(value)
        except NotFound:
            return as_kept(value)

    def _small(self, value: Json) -> Json:
        name = value[REF]
        if name not in self._known:
            self._known[name] = self._read(value) if self._left > 0 else as_kept(value)
        return self._known[name]

    def _read(self, value: Json) -> Json:
        self._left -= INLINE_LIMIT  # a look is not for nothing
        try:
            content = self._world.blobs.get(value[REF].removeprefix("blob:"), most=SMALL)
        except TooLarge:
            return as_kept(value)
        self._left -= max(0, len(content) - INLINE_LIMIT)
        return decode(content.decode())


# ------------------------------------------------------------------------------------------------ steps


def steps_of(run: Run, payloads: Payloads) -> dict[str, StepView]:
    """Every path of the plan, and every item and iteration that was begun. Of a group's attempts the last."""
    items = snapshot(run)
    shown: dict[str, StepView] = {}
    over = _RUN_FIRST if run.status.is_final else None
    for step in run.plan.root.steps.values():
        _show(run, items, step.id, step, over, payloads.shown, shown)
    return shown


def _show(run: Run, items: dict[str, Item], key: str, step: Step, over: str | None, placed: Placed, shown: dict[str, StepView]) -> None:
    """`over`: why what has not begun never will; None while it may."""
    item = items.get(key)
    shown[paths.shown(key)] = step_view(run, item, over and (_blocked_by(items, key, step) or over), placed)
    if item is None:
        return
    if item.get("state") == State.ENDED:
        over = _RUN_FIRST if item.get("why") in WHY.values() else _GROUP_FIRST
    if step.is_loop and paths.index(key) is None:
        for child in _instances(items, key, step, item):
            _show(run, items, child, step, over, placed, shown)
    elif step.inner is not None and not _never_ran(item):
        scope_key = paths.inside(key, max(1, item.get("attempt", 1)))
        for inner in step.inner.steps.values():
            _show(run, items, paths.join(scope_key, inner.id), inner, over, placed, shown)


def _blocked_by(items: dict[str, Item], key: str, step: Step) -> str | None:
    """A failure that the step waited for keeps it from running, whatever else stopped."""
    if step.join != "all":
        return None
    for source in (edge.source for edge in step.edges if edge.on in (PLAIN, CHOSEN)):
        before = items.get(paths.join(paths.scope(key), source), {})
        if before.get("state") == State.ENDED and before["outcome"] == Outcome.FAILED:
            return f"dependency {source} failed"
    return None


def _never_ran(item: Item) -> bool:
    return "fault" in item or (item["state"] == State.ENDED and Outcome(item["outcome"]).is_skip)


def _instances(items: dict[str, Item], key: str, step: Step, item: Item) -> list[str]:
    """Of a forEach those that were begun; of a repeat until the first that was not."""
    if step.for_each is not None:
        return [child for number in range(item.get("n", 0)) if (child := paths.item(key, number)) in items]
    found: list[str] = []
    while (child := paths.item(key, len(found))) in items:
        found.append(child)
    return found


def step_view(run: Run, item: Item | None, over: str | None, placed: Placed) -> StepView:
    if item is not None and "fault" in item:
        return StepView(status=StepStatus.WAITING.value, why=f"{UNREADABLE}: {item['fault']}")
    if item is None or item["state"] == State.RELEASED or (over and item["state"] == State.CLAIMED):
        if over:  # an end is written when nothing is under way: a claim that is there came behind it, and never ran
            return StepView(status=StepStatus.SKIPPED.value, why=over)
        in_line = item is not None and "look" in item and "place" in item
        return StepView(status=StepStatus.PENDING.value, why="stands in line for a place of its concurrency" if in_line else None)
    state = State(item["state"])
    error = error_of(item.get("error"))
    times: dict[str, Any] = {"started_at": rfc3339(item["started_at"]) if "started_at" in item else None}
    told: dict[str, Any] = {"attempts": item.get("attempt", 0) - item.get("base", 0)}
    told["error"] = _shown_error(run, item, error) if error else None
    if state is State.ENDED:
        output = placed(decode(item["output"])) if "output" in item else None
        ended_at = rfc3339(item["ended_at"])
        return StepView(
            status=Outcome(item["outcome"]).status.value, output=output, ended_at=ended_at, why=item.get("why"), **told, **times
        )
    status, why = _under_way(state, item)
    return StepView(status=status.value, why=why, **told, **times)


def _shown_error(run: Run, item: Item, error: StepError) -> dict[str, Json]:
    """With where the input is shown that it came of, and the child run that failed. What a retry took back has neither any more."""
    told, key = error.to_json(), item["sk"][2:]
    if not (item.get("attempt") and item["sk"].startswith("s#")):
        return told
    step = run.plan.steps.get(paths.step_id(key))
    if step is not None and step.action == "workflow":
        child = child_of(run.id, key, item["attempt"], item.get("gen", 1))
        told |= {"run": child} if run.world.store.get(run_key(child)) else {}
    address = input_address(run, key)
    return told | ({"input": address} if address else {})


def _under_way(state: State, item: Item) -> tuple[StepStatus, str | None]:
    match state:
        case State.WAITING:
            until = f" until {rfc3339(item['until'])}" if "until" in item else ""
            return StepStatus.WAITING, f"waits for {_what(item['wait'])}{until}"
        case State.RETRY if "until" in item:
            return StepStatus.WAITING, f"tried again at {rfc3339(item['until'])}"
        case _:
            return StepStatus.RUNNING, None


def _what(wait: dict[str, Any]) -> str:
    match wait["for"]:
        case "signal":
            return f"signal {wait['name']}"
        case "child":
            return f"run {wait['child']}"
        case "person":
            return "a person's decision"
        case "approval":
            return "an approval"
        case kind:
            return f"a {kind}"


def plan_of(world: World, control: Item) -> Plan:
    return world.plan(control["plan"])
