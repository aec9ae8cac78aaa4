"""Who may run now: workflow-level `concurrency` (live runs per key) and that of steps (tasks per key, across all runs).

A run without a place stays `pending` in line; a step without one is released and told by whoever gives a place back. In case that
nobody does it is looked at from time to time (`looks`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..core import paths
from ..core.errors import Rejected
from ..core.expressions import evaluate
from ..core.model import SCHEMA, Json, RunStatus
from ..core.plan import Plan, Step
from ..core.resources import DEFAULT
from ..ports import Change, Equals, Item, Message
from ..topology import MAX_DELAY_S, lane
from . import semaphores
from .items import digest, encode, run_key, step_key
from .names import about
from .run import Run
from .semaphores import Place, Semaphore
from .stopping import ALIVE, stop_run
from .world import World

if TYPE_CHECKING:
    from .claims import Claim

LONGEST_SLOT: Final = 100  # characters of a run's key in its control item, which is small
AT_ONCE: Final = 0  # the look of a message that says that a place is free

# ------------------------------------------------------------------------------------------------ runs


def slot_of(run: Run, plan: Plan, given: Json) -> str | None:
    """The key that a run of this input counts under. Raises ExpressionFault."""
    if plan.concurrency is None:
        return None
    key = encode(evaluate(plan.concurrency["key"], run.world.expressions, {"input": given, "run": about(run)}))
    return key if len(key) <= LONGEST_SLOT else f"{key[:LONGEST_SLOT]}… {digest(key)}"


def check_room(world: World, tenant: str, plan: Plan, slot: str | None, run_id: str) -> None:
    """`overflow: reject`: a run without a place is refused before anything of it is written. One that is there already is not refused:
    its start is repeated, and it may have ended and given its place to another one."""
    if slot is None or plan.concurrency is None or plan.concurrency.get("overflow") != "reject":
        return
    limit = int(plan.concurrency["limit"])
    has_place = semaphores.of_runs(world, tenant, plan.workflow, slot).acquire(run_id, limit, fence=1)
    if not has_place and world.store.get(run_key(run_id)) is None:
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
        if not places.acquire(run.id, int(rule["limit"]), fence=run.generation, ticket=ticket):
            if rule.get("overflow") == "cancelOldest":
                _make_room(run, places, int(rule["limit"]))
            return False
    most = run.world.settings.max_runs
    if "counted" not in run.control or most is None:
        return _go(run)
    return semaphores.of_engine(run.world).acquire(run.id, most, fence=run.generation, ticket=ticket) and _go(run)


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
    """A run that has ended gives its places back: messages to those at the head of each line. Those of this generation: it may have been
    retried meanwhile, and have places again."""
    heads: list[list[Any]] = []
    rule, most = run.plan.concurrency, run.world.settings.max_runs
    if rule is not None and "slot" in run.control:
        heads += _places(run).release(run.id, int(rule["limit"]), run.generation)
    if "counted" in run.control:
        heads += semaphores.of_engine(run.world).release(run.id, most or semaphores.NO_LIMIT, run.generation)
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


def place_of(run: Run, step: Step, bound: dict[str, Any]) -> Place | None:
    """Where the step counts. Raises ExpressionFault."""
    rule = step.concurrency
    if rule is None:
        return None
    key = encode(evaluate(rule["key"], run.world.expressions, bound))
    return Place(semaphores.place_name(run.tenant, key), int(rule["limit"]))


def take_place(run: Run, step: Step, claim: Claim, place: Place) -> bool:
    """Until the claim's lease is over. False: there is none, and it stands in line."""
    places, ticket = Semaphore(run.world, place.name), {**_ticket(run, step, claim.key), "since": run.now}
    return places.acquire(holder_of(run, claim.key), place.limit, until=claim.lease, fence=claim.fence, ticket=ticket)


def keep_place(run: Run, claim: Claim, place: Place, until: int) -> bool:
    """A place is held for as long as the lease is."""
    return Semaphore(run.world, place.name).acquire(holder_of(run, claim.key), place.limit, until=until, fence=claim.fence)


def keep_while_it_waits(run: Run, claim: Claim, place: Place) -> None:
    """What the task has set going is counted until its callback comes."""
    Semaphore(run.world, place.name).keep(holder_of(run, claim.key), claim.fence, step_key(run.id, claim.key))


def give_place(run: Run, key: str, fence: int, place: Place) -> None:
    heads = Semaphore(run.world, place.name).release(holder_of(run, key), place.limit, fence)
    run.send([_try_again(run.world, ticket, AT_ONCE) for _, ticket in heads])


def waits_no_more(run: Run, item: Item) -> None:
    """A step's wait has ended, however it did: the place that it held meanwhile is free. Safe to repeat."""
    if "place" in item["wait"]:
        give_place(run, item["sk"][2:], item["fence"], Place(*item["wait"]["place"]))


def _ticket(run: Run, step: Step, key: str) -> dict[str, Any]:
    """All that it takes to send the step again, for whoever gives a place back: of another run, perhaps."""
    ticket = {"path": key, "plan": run.control["plan"], "gen": run.generation, "run": run.id, "priority": step.priority}
    pool = run.pool_of(key)
    return ticket if pool == DEFAULT else {**ticket, "pool": pool}


def _try_again(world: World, ticket: dict[str, Any], look: int | None, delay_s: int = 0) -> Message:
    """A pool that is no more was some time ago: the default one's workers know where the step goes now."""
    body = {"schema": SCHEMA, "kind": "step", "run": ticket["run"], "path": ticket["path"], "plan": ticket["plan"], "gen": ticket["gen"]}
    body |= {} if look is None else {"look": look}
    pool = ticket.get("pool", DEFAULT)
    return Message(lane(ticket["priority"], pool if any(pool == each.name for each in world.pools) else DEFAULT), body, delay_s)


def come_back_later(run: Run, key: str, after_s: int, look: int | None = None, pool: str | None = None) -> list[Message]:
    """`look`: the time on the step's item, if that is when it is looked at next. `pool`: as `Held` says."""
    ticket = _ticket(run, run.step(key), key) if pool is None else {**_ticket(run, run.step(key), key), "pool": pool}
    return [_try_again(run.world, ticket, look, min(after_s, MAX_DELAY_S))]


def come_now_if_free(run: Run, key: str, place: Place) -> list[Message]:
    """Whoever gave a place back before the step stood released has told a step that was still in somebody's hand."""
    is_free = Semaphore(run.world, place.name).is_free_for(holder_of(run, key), place.limit)
    return come_back_later(run, key, 0, AT_ONCE) if is_free else []


def holder_of(run: Run, key: str) -> str:
    return f"{run.id}/{paths.shown(key)}"
