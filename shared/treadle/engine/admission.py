"""Who may run now: workflow-level `concurrency` (live runs per key) and that of steps (tasks per key, across all runs).

A run without a place stays `pending` in line; a step without one is released and told by whoever gives a place back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core import paths
from ..core.errors import Rejected
from ..core.expressions import evaluate
from ..core.model import SCHEMA, Json, RunStatus
from ..core.plan import Plan, Step
from ..core.resources import DEFAULT
from ..ports import Change, Equals, Message
from ..topology import MAX_DELAY_S, lane
from . import semaphores
from .items import encode, run_key
from .run import Run
from .semaphores import Semaphore
from .stopping import ALIVE, stop_run
from .world import World

if TYPE_CHECKING:
    from .claims import Claim

# ------------------------------------------------------------------------------------------------ runs


def slot_of(world: World, plan: Plan, given: Json) -> str | None:
    """The key that a run of this input counts under. Raises ExpressionFault."""
    if plan.concurrency is None:
        return None
    return encode(evaluate(plan.concurrency["key"], world.expressions, {"input": given}))


def check_room(world: World, tenant: str, plan: Plan, slot: str | None, run_id: str) -> None:
    """`overflow: reject`: a run without a place is refused before anything of it is written."""
    if slot is None or plan.concurrency is None or plan.concurrency.get("overflow") != "reject":
        return
    limit = int(plan.concurrency["limit"])
    if not semaphores.of_runs(world, tenant, plan.workflow, slot).acquire(run_id, limit):
        told = f"{limit} run{'s' if limit > 1 else ''} of {plan.workflow} with the key {slot} are live, and no more are allowed"
        raise Rejected("concurrency-limit", told, status=409)


def admit(run: Run) -> bool:
    """A pending run goes on if there is a place for it; else it waits in line.

    First the place of its key, then the engine's: whoever has an engine's place waits for no other, so nobody waits in a circle.
    """
    ticket = {"plan": run.control["plan"], "gen": run.generation}
    rule = run.plan.concurrency
    if rule is not None and "slot" in run.control:
        places = _places(run)
        if not places.acquire(run.id, int(rule["limit"]), ticket=ticket):
            if rule.get("overflow") == "cancelOldest":
                _make_room(run, places, int(rule["limit"]))
            return False
    most = run.world.settings.max_runs
    if "counted" in run.control and most is not None and not semaphores.of_engine(run.world).acquire(run.id, most, ticket=ticket):
        return False
    return _go(run)


def _go(run: Run) -> bool:
    change = Change(set={"status": RunStatus.RUNNING.value}, add={"rev": 1})
    written = run.world.store.update(run_key(run.id), change, Equals("status", RunStatus.PENDING.value))
    run.control = written.item or run.control
    return run.status is RunStatus.RUNNING


def _places(run: Run) -> Semaphore:
    return semaphores.of_runs(run.world, run.tenant, run.control["workflow"], run.control["slot"])


def _make_room(run: Run, places: Semaphore, limit: int) -> None:
    """`cancelOldest`: of those that are live and not ending already, so many of the oldest go that this one has a place."""
    alive: list[Run] = []
    for one in places.everybody():
        if one == run.id:
            break
        older = Run(run.world, one)
        older.read_control()
        if older.status in ALIVE:
            alive.append(older)
    for older in alive[: max(0, len(alive) + 1 - limit)]:
        stop_run(older, "cancel", {"name": "Cancelled", "message": f"run {run.id} took its place"})
        older.send([older.message("settle", "", plan=older.control["plan"], gen=older.generation)])


def leave(run: Run) -> list[Message]:
    """A run that has ended gives its places back: messages to those at the head of each line."""
    heads: list[list[Any]] = []
    rule, most = run.plan.concurrency, run.world.settings.max_runs
    if rule is not None and "slot" in run.control:
        heads += _places(run).release(run.id, int(rule["limit"]))
    if "counted" in run.control:
        heads += semaphores.of_engine(run.world).release(run.id, most or semaphores.NO_LIMIT)
    return [
        Message(
            lane("normal"),
            {"schema": SCHEMA, "kind": "settle", "run": holder, "path": "", **ticket},
            0,
            run.tenant if run.world.settings.fair else None,
        )
        for holder, ticket in heads
    ]


# ------------------------------------------------------------------------------------------------ tasks


def take_place(run: Run, step: Step, claim: Claim, bound: dict[str, Any]) -> Semaphore | None:
    """The semaphore, with a place taken until the claim's lease is over; None when there is no place."""
    rule = step.concurrency or {}
    key = encode(evaluate(rule["key"], run.world.expressions, bound))
    places = semaphores.of_tasks(run.world, run.tenant, key)
    is_in = places.acquire(holder_of(run, claim), int(rule["limit"]), until=claim.lease, ticket=_ticket(run, step, claim.key))
    return places if is_in else None


def keep_place(run: Run, step: Step, claim: Claim, places: Semaphore, until: int) -> bool:
    """A place is held for as long as the lease is."""
    return places.acquire(holder_of(run, claim), int((step.concurrency or {})["limit"]), until=until)


def give_place(run: Run, step: Step, claim: Claim, places: Semaphore) -> None:
    heads = places.release(holder_of(run, claim), int((step.concurrency or {})["limit"]))
    run.send([_try_again(run.world, ticket) for _, ticket in heads])


def _ticket(run: Run, step: Step, key: str) -> dict[str, Any]:
    """All that it takes to send the step again, for whoever gives a place back: of another run, perhaps."""
    ticket = {"path": key, "plan": run.control["plan"], "gen": run.generation, "run": run.id, "priority": step.priority}
    pool = run.pool_of(key)
    return ticket if pool == DEFAULT else {**ticket, "pool": pool}


def _try_again(world: World, ticket: dict[str, Any], delay_s: int = 0) -> Message:
    """A pool that is no more was some time ago: the default one's workers know where the step goes now."""
    body = {"schema": SCHEMA, "kind": "step", "run": ticket["run"], "path": ticket["path"], "plan": ticket["plan"], "gen": ticket["gen"]}
    pool = ticket.get("pool", DEFAULT)
    return Message(lane(ticket["priority"], pool if any(pool == each.name for each in world.pools) else DEFAULT), body, delay_s)


def come_back_later(run: Run, step: Step, key: str, after_s: int | None, pool: str | None = None) -> list[Message]:
    """`after_s` None: in case that nobody gives a place back, when every lease that holds one now is over. `pool`: as `Held` says."""
    ticket = _ticket(run, step, key) if pool is None else {**_ticket(run, step, key), "pool": pool}
    return [_try_again(run.world, ticket, run.world.settings.lease_s if after_s is None else min(after_s, MAX_DELAY_S))]


def holder_of(run: Run, claim: Claim) -> str:
    return f"{run.id}/{paths.shown(claim.key)}"
