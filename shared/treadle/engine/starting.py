"""Registering workflows and starting runs: BODY, then RUN (its condition makes the start idempotent), then the first messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..core.errors import ExpressionFault, NotFound, Rejected
from ..core.expressions import render
from ..core.model import SCHEMA, Json, RunStatus
from ..core.moments import rfc3339
from ..core.plan import Plan
from ..ports import Absent, Change, Equals, Item, all_of, any_of
from .admission import admit, check_room, slot_of
from .items import INLINE_LIMIT, body_key, decode, digest, encode, plan_key, run_key, shard_of
from .run import Run
from .triggers import listed_key, with_triggers
from .world import World

T = TypeVar("T")

FIRST_LOOK_MS = 5 * 60_000  # when the sweeper first looks at a run that nobody has touched since
MAX_ROOTS_SENT = 10  # more first steps are sent by a dispatcher
MAX_ATTRIBUTES = 1024  # bytes of a run's search attributes in its control item


@dataclass(frozen=True, slots=True)
class StartRequest:
    """`plan`: its hash. `parent`: of a child that is waited for: {run, path, plan, gen}. `run_id`: made from what must not start twice."""

    tenant: str
    plan: str
    input: Json
    run_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    priority: str | None = None
    parent: Mapping[str, Any] | None = None
    by: str | None = None


def save_plan(world: World, plan: Plan) -> str:
    """The plan's hash; its item is written once."""
    name = plan.hash
    if name in world.plans:
        return name
    pk, sk = plan_key(name)
    kept = encode(world.keep(plan.canonical().decode(), INLINE_LIMIT))
    world.store.put({"pk": pk, "sk": sk, "schema": SCHEMA, "plan": kept, "workflow": plan.workflow}, Absent())
    world.remember(plan, name)
    return name


def start(world: World, request: StartRequest) -> tuple[Item, bool]:
    """(the run's control item, whether this call created it). The same request again gives the same run.

    Raises Rejected: "idempotency-conflict" when the id was used with another plan or input, "invalid-input" when an expression
    over the input fails, "concurrency-limit". Nothing is written then.
    """
    text = encode(request.input)
    same = digest(text, request.plan, encode(dict(request.attributes)))
    control = _control(world, request, same)
    pk, sk = body_key(request.run_id)
    body: Item = {"pk": pk, "sk": sk, "schema": SCHEMA, "input": encode(Run(world, request.run_id).keep(text))}
    if request.by:
        body["by"] = request.by
    check_room(world, request.tenant, world.plan(request.plan), control.get("slot"), request.run_id)
    kept = world.store.put(body, Absent())
    is_anothers = not kept.ok and _is_anothers(world, request.run_id, text, body, kept.item or body)
    if is_anothers:
        from .retrying import as_offered  # on demand: few starts meet another one

        control |= as_offered(Run(world, request.run_id, control), request.input, request.by)
    written = world.store.put(control, Absent())
    if not written.ok:
        standing = written.item or {}
        if standing["same"] != same:
            raise Rejected("idempotency-conflict", "this idempotency key was used with another request", status=409)
        control = standing
    run = Run(world, request.run_id, control)
    if written.ok and is_anothers:
        from .retrying import go_on

        go_on(run)
        control = run.control
    if written.ok:
        _send_first(run)
    else:
        send_again(run)
    return control, written.ok


def _is_anothers(world: World, run_id: str, text: str, body: Item, standing: Item) -> bool:
    """The input that stands is that of a start which died before there was a run, or is under way: whose the run will be, the control
    item decides. That of a run may be another one by now, which a retry gave it."""
    if standing["input"] == body["input"] or world.store.get(run_key(run_id)) is not None:
        return False
    return encode(world.load(decode(standing["input"]))) != text


def _control(world: World, request: StartRequest, same: str) -> Item:
    plan, now = world.plan(request.plan), world.clock.now()
    pk, sk = run_key(request.run_id)
    due = now + FIRST_LOOK_MS
    control: Item = {
        "pk": pk,
        "sk": sk,
        "schema": SCHEMA,
        "rev": 1,
        "tenant": request.tenant,
        "workflow": plan.workflow,
        "version": plan.version,
        "plan": request.plan,
        "gen": 1,
        "status": RunStatus.RUNNING.value,
        "started_at": now,
        "same": same,
        "list_pk": f"{request.tenant}#{plan.workflow}",
        "list_sk": f"{rfc3339(now)}#{request.run_id}",
    }
    slot = _of_input("concurrency.key", lambda: slot_of(Run(world, request.run_id, control), plan, request.input))
    if slot is not None:
        control |= {"status": RunStatus.PENDING.value, "slot": slot}
    if world.settings.max_runs is not None and request.parent is None:  # a child that is waited for runs in its parent's place
        control |= {"status": RunStatus.PENDING.value, "counted": True}
    if plan.timeout is not None:
        control["timeout_at"] = now + plan.timeout
        due = min(due, now + plan.timeout)
    if (every := world.checkpoint_every(plan)) is not None:
        due = min(due, now + every)
    attributes = _attributes(world, plan, request)
    optional = {
        "attributes": encode(attributes) if attributes else None,
        "priority": request.priority,
        "parent": dict(request.parent or {}),
    }
    return control | {"due": due, "due_shard": shard_of(request.run_id)} | {key: value for key, value in optional.items() if value}


def _of_input(where: str, evaluated: Callable[[], T]) -> T:
    """What an expression over the input gives. Raises Rejected("invalid-input")."""
    try:
        return evaluated()
    except ExpressionFault as fault:
        raise Rejected("invalid-input", f"{where} fails for this input: {fault.message}", status=422) from None


def with_another_input(run: Run, given: Json) -> tuple[str | None, dict[str, Any]]:
    """(the key that the run counts under, its search attributes), where this is its input from now on. Raises Rejected("invalid-input")."""
    slot = _of_input("concurrency.key", lambda: slot_of(run, run.plan, given))
    known = decode(run.control["attributes"]) if "attributes" in run.control else {}
    attributes = given_attributes(run.world, run.plan, known, run.input)
    return slot, _attributes(run.world, run.plan, StartRequest(run.tenant, run.control["plan"], given, run.id, attributes))


def given_attributes(world: World, plan: Plan, known: Mapping[str, Any], given: Json) -> dict[str, Any]:
    """Of a run's search attributes those that did not come of its input: who started it, or has patched it, said so."""
    try:
        own = _own_attributes(world, plan, given)
    except Rejected:  # by another plan, before it was amended
        own = {}
    return {name: value for name, value in known.items() if name not in own or own[name] != value}


def _own_attributes(world: World, plan: Plan, given: Json) -> dict[str, Any]:
    """`metadata.attributes`, templates over the input."""
    written, names = plan.metadata.get("attributes", {}), {"input": given}
    own: dict[str, Any] = _of_input("metadata.attributes", lambda: render(written, world.expressions, names))
    return own


def _attributes(world: World, plan: Plan, request: StartRequest) -> dict[str, Any]:
    """Of the input, and those of the request. Raises Rejected("invalid-input")."""
    attributes = {**_own_attributes(world, plan, request.input), **request.attributes}
    for name, value in attributes.items():
        if isinstance(value, list | dict):
            told = f"metadata.attributes.{name} gives a {'list' if isinstance(value, list) else 'map'} for this input"
            raise Rejected("invalid-input", f"{told}: an attribute is a string, a number or a boolean", status=422)
    size = len(encode(attributes).encode())
    if size > MAX_ATTRIBUTES:
        raise Rejected("invalid-input", f"the search attributes have {size} bytes as JSON: at most {MAX_ATTRIBUTES} are kept", status=422)
    return attributes


def send_again(run: Run) -> None:
    """The request is repeated. Within moments of the start its first try may have died before it sent anything."""
    if run.status in (RunStatus.RUNNING, RunStatus.PENDING) and run.now - run.control["started_at"] < FIRST_LOOK_MS:
        _send_first(run)


def _send_first(run: Run) -> None:
    roots = run.plan.root.roots
    named = {"plan": run.control["plan"], "gen": run.generation}
    if run.status is RunStatus.PENDING and not admit(run):
        return
    if len(roots) > MAX_ROOTS_SENT:
        run.send([run.message("settle", "", **named)])
    else:
        run.send([run.message("step", key, **named) for key in roots])
    run.event("RunStarted", startedAt=run.control["started_at"], version=run.control["version"])
    run.publish()


# ------------------------------------------------------------------------------------------------ workflows


@dataclass(frozen=True, slots=True)
class Registered:
    """`created`: False when the same content was registered before."""

    id: str
    version: str
    plan: str
    created: bool


def workflow_key(tenant: str, workflow_id: str, version: str) -> tuple[str, str]:
    return f"workflow#{tenant}#{workflow_id}", version


def _refuse_other(standing: Item | None, same: str, plan: Plan) -> None:
    if standing is not None and standing["same"] != same:
        told = f"{plan.workflow} {plan.version} is registered with other content: versions never change, give this one a new version"
        raise Rejected("version-conflict", told, status=409)


def register(world: World, tenant: str, document: Mapping[str, Any], plan: Plan) -> Registered:
    """A version is immutable: the same content again is a no-op, other content is refused."""
    text = encode(document)
    pk, sk = workflow_key(tenant, plan.workflow, plan.version)
    _refuse_other(world.store.get((pk, sk)), digest(text), plan)  # before anything of it is written
    name = save_plan(world, plan)
    item: Item = {
        "pk": pk,
        "sk": sk,
        "schema": SCHEMA,
        "plan": name,
        "name": plan.name,
        "same": digest(text),
        "registered_at": world.clock.now(),
        "definition": encode(world.keep(text, INLINE_LIMIT)),
    }
    written = world.store.put(item, Absent())
    if not written.ok:
        _refuse_other(written.item, item["same"], plan)
    _list(world, tenant, plan, name, document.get("triggers", ()))
    return Registered(plan.workflow, plan.version, name, written.ok)


def _list(world: World, tenant: str, plan: Plan, name: str, triggers: Sequence[Mapping[str, Any]]) -> None:
    """The newest version is what runs start with that name none, and its triggers are the ones that start runs."""
    pk, sk = listed_key(tenant, plan.workflow)
    for _ in range(20):
        standing = world.store.get((pk, sk))
        if standing is not None and "version" in standing and order_of(standing["version"]) >= order_of(plan.version):
            return
        before = Absent() if standing is None else any_of(all_of(Equals("rev", standing["rev"])))
        rev = 1 if standing is None else standing["rev"] + 1
        item: Item = {"pk": pk, "sk": sk, "schema": SCHEMA, "rev": rev, "version": plan.version, "plan": name, "name": plan.name}
        if world.store.put(with_triggers(world, item, triggers, standing), before).ok:
            world.triggers.pop(tenant, None)
            return


def note_unregistered(world: World, tenant: str, plan: Plan) -> None:
    """Runs of a definition that nobody registered are listed too: their workflow's id is kept, without a version."""
    pk, sk = listed_key(tenant, plan.workflow)
    world.store.update((pk, sk), Change(keep={"schema": SCHEMA, "rev": 1, "name": plan.name}), Absent())


def order_of(version: str) -> tuple[Any, ...]:
    """Semantic version precedence."""
    core, _, pre = version.partition("+")[0].partition("-")
    numbers = tuple(int(part) for part in core.split("."))
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre.split(".")) if pre else ()
    return numbers, not pre, parts


def latest_plan(world: World, tenant: str, workflow_id: str, version: str | None) -> str:
    """The plan's hash of a registered workflow. Raises NotFound."""
    if version is None:
        item = world.store.get(listed_key(tenant, workflow_id))
    else:
        item = world.store.get(workflow_key(tenant, workflow_id, version))
    if item is None or "plan" not in item:
        raise NotFound("workflow", workflow_id if version is None else f"{workflow_id} {version}")
    return str(item["plan"])
