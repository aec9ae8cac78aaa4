"""Checkpoints: what a run had come to, kept apart from it, and new runs that go on from there.

A checkpoint is a copy of facts that is closed under predecessors: whatever it has, it has all that it came after. Facts never
change, so a copy that is taken while the run goes on is as good as one of a run that stands still. A run that is restored
has the copied facts before it has a control item: until that is written there is no run, and from then on it is like any other
that has to be put in order. What had failed, was undone or was under way is not in the
copy: it is run again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ..core import paths
from ..core.errors import NotFound, Rejected
from ..core.model import SCHEMA, Json, Outcome, State
from ..core.moments import rfc3339
from ..core.plan import Plan, Scope, Step
from ..ports import Absent, Item
from . import compensation
from .items import INLINE_LIMIT, REF, body_key, decode, digest, encode, is_fact, is_ref, run_key, step_key
from .retrying import check_from
from .run import Run, blobs_of
from .snapshot import partitions_of, snapshot
from .starting import StartRequest, given_attributes, start
from .world import World

LINE = "checkpoint#"  # in the run's own partition
KEPT = (Outcome.SUCCEEDED, Outcome.CAUGHT, Outcome.BYPASSED, Outcome.DEAD)
OF_ITS_WRITER = ("pk", "gen", "next", "lease", "expires", "due", "due_shard")  # attributes of a fact that mean nothing in another run


class Why(StrEnum):
    """Why a checkpoint was taken."""

    ASKED = "asked"
    INTERVAL = "interval"  # by itself, while the run went on
    AMEND = "amend"  # by itself, before the run's plan was changed


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`facts`: a reference to, or the list of, items without a run. `attributes` are the run's, as JSON text."""

    id: str
    tenant: str
    run_id: str
    workflow: str
    version: str
    plan: str
    at: int
    paths: tuple[str, ...]
    input: Json
    facts: Json
    attributes: str | None = None
    priority: str | None = None
    why: str = Why.ASKED

    def to_json(self) -> dict[str, Any]:
        """As people see it. `steps`: the paths that it has results of, those inside of loops and groups left out."""
        named = {"id": self.id, "run": self.run_id, "workflow": self.workflow, "version": self.version}
        return {**named, "at": rfc3339(self.at), "why": str(self.why), "steps": list(self.paths)}

    def to_item(self) -> Item:
        pk, sk = checkpoint_key(self.id)
        item: Item = {"pk": pk, "sk": sk, "schema": SCHEMA, "tenant": self.tenant, "run": self.run_id, "workflow": self.workflow}
        item |= {"version": self.version, "plan": self.plan, "at": self.at, "paths": encode(self.paths)}
        item |= {"input": encode(self.input), "facts": encode(self.facts)}
        optional = {"attributes": self.attributes, "priority": self.priority, "why": None if self.why == Why.ASKED else str(self.why)}
        return item | {name: value for name, value in optional.items() if value is not None}

    @classmethod
    def from_item(cls, item: Item) -> Checkpoint:
        return cls(
            id=item["pk"].partition("#")[2],
            tenant=item["tenant"],
            run_id=item["run"],
            workflow=item["workflow"],
            version=item["version"],
            plan=item["plan"],
            at=item["at"],
            paths=tuple(decode(item["paths"])),
            input=decode(item["input"]),
            facts=decode(item["facts"]),
            attributes=item.get("attributes"),
            priority=item.get("priority"),
            why=item.get("why", Why.ASKED),
        )


def checkpoint_key(checkpoint_id: str) -> tuple[str, str]:
    return f"checkpoint#{checkpoint_id}", "checkpoint"


# ------------------------------------------------------------------------------------------------ taking


def copied(run: Run, why: Why = Why.ASKED, due: int | None = None) -> Checkpoint:
    """What it would be now; nothing of it is written but payloads that are too large for an item."""
    items = snapshot(run)
    kept = Closed(run, items).keys
    facts = [{name: value for name, value in items[key].items() if name not in OF_ITS_WRITER} for key in kept]
    lists = [page for key in kept for page in _lists(run, key, items[key])]
    body = run.world.store.get(body_key(run.id)) or {"input": "null"}
    name = digest("checkpoint", run.id, why, str(due or run.now), str(run.generation if due else run.world.new_fence()))
    return Checkpoint(
        id=name,
        tenant=run.tenant,
        run_id=run.id,
        workflow=run.control["workflow"],
        version=run.control["version"],
        plan=run.control["plan"],
        at=run.now,
        paths=tuple(_of_root(kept)),
        input=decode(body["input"]),
        facts=run.world.keep(encode([*facts, *lists]), INLINE_LIMIT, owner=_blobs_of(name)),
        attributes=run.control.get("attributes"),
        priority=run.control.get("priority"),
        why=why,
    )


def standing(run: Run) -> list[str]:
    """The paths of which a checkpoint would have results, those inside of loops and groups left out."""
    return _of_root(Closed(run, snapshot(run)).keys)


def _of_root(keys: list[str]) -> list[str]:
    return [paths.shown(key) for key in keys if "." not in key and "[" not in key]


def take(run: Run, why: Why = Why.ASKED, due: int | None = None) -> Checkpoint:
    """The copy first, then the line in the run's own partition by which it is found again.

    `due`: of one that was not asked for, when it was to be taken; two who take it find one.
    """
    checkpoint = copied(run, why, due)
    run.world.store.put(checkpoint.to_item(), Absent())
    line: Item = {"pk": run.id, "sk": f"{LINE}{due or checkpoint.at:015d}#{checkpoint.id}", "schema": SCHEMA}
    run.world.store.put(line | ({"why": str(why)} if why is not Why.ASKED else {}))
    return checkpoint


def _lists(run: Run, key: str, item: Item) -> list[Item]:
    """The pages that hold a long forEach's values: compensations name them."""
    keys = [(pk, "list") for pk in partitions_of(run, key, item)] if paths.index(key) is None and "n" in item else []
    found = run.world.store.get_many(keys) if keys else {}
    return [{"page": pk[len(run.id) :], "sk": sk, "schema": SCHEMA, "list": page["list"]} for (pk, sk), page in found.items()]


def _undone(run: Run) -> set[str]:
    """Steps that this generation compensates or has compensated: what they did is no more."""
    order = run.world.store.get(compensation.order_key(run))
    return set(run.world.load(decode(order["order"]))) if order else set()


class Closed:
    """`keys`: the largest part of the facts that has with each step all that it came after."""

    def __init__(self, run: Run, items: Mapping[str, Item]) -> None:
        self.items = items
        self.undone = _undone(run)
        self.keys: list[str] = []
        self._scope("", run.plan.root)

    def _scope(self, scope_key: str, scope: Scope) -> None:
        kept = {step.id for step in scope.steps.values() if self._stands(paths.join(scope_key, step.id), step, scope)}
        while left_alone := {name for name in kept if not self._has_sources(scope_key, scope.steps[name], kept)}:
            kept -= left_alone
        for step in scope.steps.values():
            key = paths.join(scope_key, step.id)
            if step.id in kept:
                self._whole(key)
            elif key in self.items and self._begins_again(scope_key, step, kept):
                self._inside(key, step)

    def _stands(self, key: str, step: Step, scope: Scope) -> bool:
        item = self.items.get(key)
        if item is None or not is_fact(item) or self._is_undone(key):
            return False
        outcome = Outcome(item["outcome"])
        return outcome in KEPT or (outcome is Outcome.FAILED and step.id in scope.handled)

    def _is_undone(self, key: str) -> bool:
        """It, or something inside of it."""
        return any(undone == key or undone.startswith((f"{key}.", f"{key}[", f"{key}~")) for undone in self.undone)

    def _has_sources(self, scope_key: str, step: Step, kept: set[str]) -> bool:
        """A join `any` or N has those that it saw: the others it never waited for."""
        saw = self.items[paths.join(scope_key, step.id)].get("saw")
        return set(saw if saw is not None else (edge.source for edge in step.edges)) <= kept

    def _begins_again(self, scope_key: str, step: Step, kept: set[str]) -> bool:
        """It is begun again from the same sources, so what had ended inside of it holds."""
        return step.join == "all" and {edge.source for edge in step.edges} <= kept

    def _whole(self, key: str) -> None:
        inside = [name for name in self.items if name.startswith((f"{key}.", f"{key}[", f"{key}~"))]
        self.keys += [name for name in (key, *inside) if is_fact(self.items[name])]

    def _inside(self, key: str, step: Step) -> None:
        """Only of a first attempt: that is the one it begins with."""
        if step.is_loop and paths.index(key) is None:
            number = 0
            for number in range(self.items[key].get("n", 0) or self._iterations(key)):
                self._instance(paths.item(key, number), step)
        elif step.inner is not None and self.items[key].get("attempt", 1) == 1:
            self._scope(paths.inside(key, 1), step.inner)

    def _instance(self, key: str, step: Step) -> None:
        item = self.items.get(key)
        if item is not None and is_fact(item) and item["outcome"] == Outcome.SUCCEEDED and not self._is_undone(key):
            self._whole(key)
        elif item is not None and step.inner is not None and item.get("attempt", 1) == 1 and item["state"] != State.RELEASED:
            self._scope(paths.inside(key, 1), step.inner)

    def _iterations(self, key: str) -> int:
        number = 0
        while paths.item(key, number) in self.items:
            number += 1
        return number


# ------------------------------------------------------------------------------------------------ finding and restoring


def taken(run: Run) -> list[Checkpoint]:
    """Of a run, the oldest first."""
    names = [line["sk"].rpartition("#")[2] for line in _lines(run)]
    found = run.world.store.get_many([checkpoint_key(name) for name in names]) if names else {}
    return [Checkpoint.from_item(found[key]) for name in names if (key := checkpoint_key(name)) in found]


def kept_by_itself(run: Run) -> list[Item]:
    """Lines of those that nobody asked for, the oldest first."""
    return [line for line in _lines(run) if line.get("why") in (Why.INTERVAL, Why.AMEND)]


def drop(run: Run, line: Item) -> None:
    """The checkpoint, then the line by which it is found: whoever dies in between is followed by one who finds it again."""
    drop_named(run.world, line["sk"].rpartition("#")[2])
    run.world.store.delete((line["pk"], line["sk"]))


def drop_named(world: World, checkpoint_id: str) -> None:
    """Its facts, where they lie in a blob, and the checkpoint."""
    item = world.store.get(checkpoint_key(checkpoint_id))
    facts: Any = decode(item["facts"]) if item is not None else None
    if is_ref(facts) and facts[REF][5:].startswith(_blobs_of(checkpoint_id)):  # others share theirs with whoever has the same
        world.blobs.remove(facts[REF][5:])
    world.store.delete(checkpoint_key(checkpoint_id))


def _blobs_of(checkpoint_id: str) -> str:
    return f"checkpoints/{checkpoint_id}/"


def _lines(run: Run) -> list[Item]:
    found: list[Item] = []
    after = None
    while True:
        page = run.world.store.query(run.id, prefix=LINE, after=after)
        found += page.items
        after = page.after
        if after is None:
            return found


def find(world: World, tenant: str, checkpoint_id: str) -> Checkpoint:
    """Raises NotFound, for another tenant's as well."""
    item = world.store.get(checkpoint_key(checkpoint_id))
    if item is None or item["tenant"] != tenant:
        raise NotFound("checkpoint", checkpoint_id)
    return Checkpoint.from_item(item)


def restore(world: World, kept: Checkpoint, run_id: str, by: str | None, from_step: str | None = None, given: Json = None) -> Item:
    """The control item of the new run. The same id again gives the same run.

    `from_step`: its result, and those of all that comes after it, are left out. `given`: in place of the run's input.
    Raises NotFound (no such step in the root scope), Rejected("idempotency-conflict").
    """
    left_out = from_on(world.plan(kept.plan), from_step) if from_step is not None else frozenset()
    begun(world, run_id, from_step, given)
    for item in world.load(kept.facts):
        if _root_of(item) not in left_out:
            world.store.put(_own(world, kept.run_id, run_id, _placed(run_id, item)), Absent())
    attributes = decode(kept.attributes) if kept.attributes else {}
    value = world.load(kept.input)
    if given is not None:
        attributes, value = given_attributes(world, world.plan(kept.plan), attributes, value), given
    control, _ = start(world, StartRequest(kept.tenant, kept.plan, value, run_id, attributes, kept.priority, by=by))
    run = Run(world, run_id, control)
    run.send([run.message("settle", "", plan=kept.plan, gen=run.generation)])
    return control


def begun(world: World, run_id: str, from_step: str | None, given: Json) -> Item | None:
    """The control item, where the same request has come before. Before anything is copied the id is this request's, also where one that
    used it died: what that one had copied would be taken for results. Raises Rejected("idempotency-conflict")."""
    same = digest(from_step or "", encode(given))
    written = world.store.put({"pk": run_id, "sk": "restored", "schema": SCHEMA, "same": same}, Absent())
    if not written.ok and (written.item or {})["same"] != same:
        raise Rejected("idempotency-conflict", "this idempotency key was used with another request", status=409)
    return world.store.get(run_key(run_id))


def attributes_of(run: Run, given: Json) -> dict[str, Json]:
    """The search attributes that a new run takes from this one; what came of its input is left out where another one is given."""
    known: dict[str, Json] = decode(run.control["attributes"]) if "attributes" in run.control else {}
    return known if given is None else given_attributes(run.world, run.plan, known, run.input)


def from_on(plan: Plan, step_id: str) -> frozenset[str]:
    """The step and everything that comes after it. Raises NotFound."""
    check_from(plan, step_id)
    found, todo = {step_id}, [step_id]
    while todo:
        new = set(plan.root.steps[todo.pop()].targets) - found
        found |= new
        todo += new
    return frozenset(found)


def _root_of(copied: Item) -> str:
    """The step of the root scope that a copied fact, or a page of a loop's values (`#f#0`, `#g~2.f#0`), belongs to."""
    key = copied["page"][1:] if "page" in copied else copied["sk"][2:]
    return re.split(r"[.\[~#]", key, maxsplit=1)[0]


def _own(world: World, old: str, new: str, item: Item) -> Item:
    """With copies of the blobs that are the old run's own: they go with it one day."""

    def copied(found: re.Match[str]) -> str:
        content = world.blobs.get(found[1])
        name = blobs_of(new) + found[1].rpartition("/")[2]
        world.blobs.put(name, content)
        return encode({REF: f"blob:{name}"})

    of_the_old_one = re.compile(re.escape('{"$ref":"blob:') + f'({re.escape(blobs_of(old))}[^"/]+)' + re.escape('"}'))
    return {name: of_the_old_one.sub(copied, value) if isinstance(value, str) else value for name, value in item.items()}


def _placed(run_id: str, copied: Item) -> Item:
    """A copied item where it belongs in the run."""
    if "page" in copied:
        return {"pk": run_id + copied["page"], **{name: value for name, value in copied.items() if name != "page"}}
    return {**copied, "pk": step_key(run_id, copied["sk"][2:])[0], "gen": 1}
