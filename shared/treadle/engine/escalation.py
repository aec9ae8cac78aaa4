"""Who is told when work fails: the ladder of `errorHandling.escalation`.

A rung is raised once: its event goes out before the step's item says that it was raised, so that a crash in between raises it
again under the same id and never loses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core import paths
from ..core.durations import parse_duration
from ..core.model import SCHEMA, RunStatus, State, StepError
from ..ports import Absent, Change, Event, Item, OneOf, all_of
from .addresses import input_address
from .asking import asks
from .claims import claim_of, stands, write_state
from .items import digest, encode, run_key
from .run import Run
from .stopping import stop_run

Rung = Mapping[str, Any]
UNDER_WAY = (RunStatus.RUNNING.value, RunStatus.WAITING.value, RunStatus.PAUSED.value)


def raise_rung(run: Run, item: Item, number: int, rung: Rung, error: StepError, attempt: int, at: int) -> None:
    """`attempt`: as it is told. `at`: ms, when it was due: it is in the run's history then, once however often it is raised.

    Raises Unavailable.
    """
    key = item["sk"][2:]
    told = {
        "run": run.id, "workflow": run.control["workflow"], "tenant": run.tenant, "path": paths.shown(key), "attempt": attempt,
        "rung": number, "level": number + 1, "notify": rung.get("notify"), "severity": rung.get("severity", "error"),
        "action": rung.get("action"), "error": error.to_json(), "input": input_address(run, key),
    }  # fmt: skip
    identity = digest(run.id, key, str(run.generation), "rung", str(number), str(item["attempt"]))  # a person may have it tried again
    run.world.tell([Event("EscalationRaised", identity, run.id, run.now, told)])
    note(run, "escalate", identity, at, **{name: told[name] for name in ("path", "level", "notify", "severity", "action")})


def note(run: Run, verb: str, identity: str, at: int, **told: Any) -> None:
    """A line in the run's history, as what people do has one (`acts`)."""
    item: Item = {"pk": run.id, "sk": f"act#{at:015d}#{identity}", "schema": SCHEMA, "at": at, "verb": verb}
    item["told"] = encode({name: value for name, value in told.items() if value is not None})
    run.world.store.put(item | ({"expires": run.control["expires"]} if "expires" in run.control else {}))


def after_attempt(run: Run, item: Item, error: StepError) -> None:
    """Rungs by number of attempts: raised by the attempt that reaches them. One that says `fail` made it the last one."""
    attempt, failed_at = claim_of(item).number, item.get("failed_at", run.now)
    for number, rung in enumerate(run.plan.escalation):
        if rung.get("afterAttempts") != attempt:
            continue
        raise_rung(run, item, number, rung, error, attempt, failed_at)
        match rung.get("action"):
            case "pause":
                _pause_for(run, item, number)
            case "cancel":
                stop_run(run, "cancel", error.brief())


def _pause_for(run: Run, item: Item, number: int) -> None:
    """Once for this rung and attempt: a person may resume the run before the event of the failure comes again."""
    once = "rung#" + digest(item["sk"], str(item["attempt"]), str(run.generation), str(number))[:13]
    change = Change(set={"status": RunStatus.PAUSED.value, once: 1}, add={"rev": 1})
    written = run.world.store.update(run_key(run.id), change, all_of(OneOf("status", UNDER_WAY), Absent(once)))
    run.control = written.item or run.control


def next_rung(run: Run, failed_at: int, done: int) -> tuple[int, int] | None:
    """(number, when) of the first rung by time from number `done` on; None: the ladder has no more."""
    for number in range(done, len(run.plan.escalation)):
        if "afterFailure" in run.plan.escalation[number]:
            return number, failed_at + parse_duration(run.plan.escalation[number]["afterFailure"])
    return None


def climb(run: Run, item: Item, error: StepError) -> tuple[Item, str | None]:
    """Raise what is due for a step that waits for a person: (its item now, the action that a rung asks for)."""
    wait = dict(item["wait"])
    due = next_rung(run, wait["failed_at"], wait["rungs"])
    while due is not None and due[1] <= run.now:
        number, _ = due
        rung = run.plan.escalation[number]
        raise_rung(run, item, number, rung, error, item["attempt"], due[1])
        action = rung.get("action")
        if action in ("fail", "cancel"):
            return item, action  # the rung stays until that is done: it ends the step
        if action == "pause":
            _pause_for(run, item, number)
        wait["rungs"] = number + 1
        due = next_rung(run, wait["failed_at"], number + 1)
    until = due[1] if due else None
    listed = asks(run, item["sk"][2:], wait["failed_at"])
    written = write_state(
        run,
        claim_of(item),
        State.WAITING,
        stands(item),
        until=until,
        wait=wait,
        error=item["error"],
        failed_at=item.get("failed_at"),
        **listed,
    )
    changed = {**item, "wait": wait} | ({"until": until} if until is not None else {})
    return (changed if written.ok else item), None
