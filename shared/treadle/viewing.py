"""Making views of runs: the fold of what is stored. Off the hot path; nothing here changes anything."""

from __future__ import annotations

from typing import Any

from .core.errors import NotFound
from .core.model import Json, RunStatus, StepError, StepStatus
from .core.moments import rfc3339
from .core.plan import Step
from .deadletters import told_to
from .engine.addresses import input_of_cause
from .engine.items import INLINE_LIMIT, REF, body_key, decode, encode, is_ref, output_key, told_error
from .engine.retention import HOLD
from .engine.run import Run
from .engine.world import World
from .ports import Item, TooLarge
from .stepping import Steps
from .views import CostView, DeadLetterView, RunView, StepView

PAGE_OF_STEPS = 1000  # paths in one view
SMALL = 64 * 1024  # bytes as JSON of a payload that is shown in place, also where it is an object by itself
MOST = 4 * 1024 * 1024  # bytes of such objects that one view reads and carries; an answer of Lambda's has at most 6 MB

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
    stored = Steps(run)
    steps, further = _page_if_any(stored, payloads, cursor, limit)
    body = world.store.get(body_key(run.id)) or {"input": "null"}
    about = summary(control)
    address = input_of_cause(run, about.error.get("step")) if about.error and "quarantine" not in control else None
    error = _whole(about.error, stored, steps) if about.error else None
    shown = {
        "error": error | {"input": address} if error and address else error,
        "input": payloads.shown(decode(body["input"])) if "input" in body else None,
        "metadata": decode(body["metadata"]) if "metadata" in body else {},
        "output": _output(world, control, payloads),
        "steps": steps,
        "steps_cursor": further,
        "dead_letters": [DeadLetterView(**told) for told in told_to(world, run.id)] if "dead" in control else [],
        "cost": _cost(steps) if cursor is None and further is None else _cost_of_many(stored),
    }
    return about.model_copy(update=shown)


def _page_if_any(stored: Steps, payloads: Payloads, cursor: str | None, limit: int) -> tuple[dict[str, StepView], str | None]:
    """None of a run whose plan cannot be read: it is set aside, and says so."""
    try:
        return stored.page(payloads.shown, cursor, limit)
    except NotFound:
        if "quarantine" not in stored.run.control:
            raise
        return {}, None


def _whole(error: dict[str, Json], stored: Steps, steps: dict[str, StepView]) -> dict[str, Json]:
    """A run's own item has its error in brief; with the message and details that the step has which it came of."""
    path = str(error.get("step"))
    step = steps.get(path) or (stored.one(path, as_kept) if steps and "step" in error else None)
    own = step.error if step else None
    if not own or StepError(own["name"], own["message"]).brief() != {"name": error["name"], "message": error["message"]}:
        return error
    return error | {name: own[name] for name in ("message", "details") if name in own}


def _output(world: World, control: Item, payloads: Payloads) -> Json:
    if "output" in control:
        return decode(control["output"])
    if control["status"] != RunStatus.SUCCEEDED:
        return None
    item = world.store.get(output_key(control["pk"]))
    return payloads.shown(decode(item["output"])) if item else None


def _cost(steps: dict[str, StepView]) -> CostView:
    return _cost_of(sum(1 for step in steps.values() if step.attempts), sum(1 for step in steps.values() if step.ended_at))


def _cost_of_many(stored: Steps) -> CostView:
    """Of a run with more than a page of steps: what the steps that were begun cost once they are done, each loop with all its items."""
    begun = [(step, item) for step in stored.run.plan.root.steps.values() if (item := stored.get(step.id)) is not None]
    number = sum(item.get("n", 1) * _size(step) + step.is_loop for step, item in begun)
    return _cost_of(number, number)


def _size(step: Step) -> int:
    """Steps in an attempt; of loops within one item, as how many there are is not known here."""
    return 1 + (sum(_size(inner) for inner in step.inner.steps.values()) if step.inner else 0)


def _cost_of(ran: int, ended: int) -> CostView:
    written = ended + 7
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
