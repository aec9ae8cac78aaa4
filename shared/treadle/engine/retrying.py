"""Retrying a run that ended: what failed, what was undone, what never started, and all that comes after it, is open again.

The run is `retrying` meanwhile, in a new generation. Each fact that is reopened is archived first (`a#gen#key`), so that the
history keeps it; a worker or the sweeper can do any of it again. What succeeded and was not undone stays.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..core import paths
from ..core.advance import Verdict, verdict
from ..core.errors import NotFound, WrongState
from ..core.model import Json, Outcome, RunStatus, State
from ..core.plan import Plan, Scope, Step
from ..ports import Absent, AtMost, Change, Equals, Item, OneOf, Present, all_of, any_of, is_set
from . import compensation, waits
from .admission import leave
from .claims import as_unbegun
from .items import body_key, decode, encode, fact_of, is_fact, run_key, shard_of, stop_key
from .quarantine import REOPENING
from .retention import MARK
from .run import Run
from .snapshot import failures, snapshot
from .starting import with_another_input
from .stopping import EXCEEDED

RETRIABLE = (RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.TIMED_OUT)
LOOK_AGAIN_MS = 60_000


def retry(run: Run, from_step: str | None, given: Json) -> None:
    """Raises WrongState, NotFound (no such step in the root scope)."""
    if from_step is not None:
        check_from(run.plan, from_step)
    before, anew = run.control, {} if given is None else _of_another_input(run, given)
    offered = None if given is None else _offer(run, given)
    told = {"from": from_step, "given": offered, **anew}
    change = Change(
        set={"status": RunStatus.RETRYING.value, "due": run.now + LOOK_AGAIN_MS, "due_shard": shard_of(run.id)}
        | {name: value for name, value in told.items() if value},
        add={"rev": 1, "gen": 1},
        remove=(REOPENING, *(name for name, value in told.items() if not value)),
    )
    is_over = OneOf("status", tuple(status.value for status in RETRIABLE))
    written = run.world.store.update(run_key(run.id), change, all_of(is_over, Equals("gen", run.generation), Absent(MARK)))
    run.control = written.item or run.control
    if not written.ok and not is_set(change, written.item):
        if offered is not None:
            run.world.store.update(body_key(run.id), Change(remove=(offered,)), Present())
        raise _not_now(run)
    if run.control.get("slot") != before.get("slot"):
        run.send(leave(Run(run.world, run.id, before)))  # whoever ended it may have died before
    go_on(run)


def _of_another_input(run: Run, given: Json) -> dict[str, Json]:
    """What is said of the input in the control item; None: nothing any more. Raises Rejected("invalid-input")."""
    slot, attributes = with_another_input(run, given)
    return {"slot": slot, "attributes": encode(attributes) if attributes else None}


def _offer(run: Run, given: Json) -> str:
    """Keep another input beside the run's own, whose place it takes once it is decided that the run is retried: the attribute's name."""
    name = f"given_{run.world.new_fence():012x}"
    run.world.store.update(body_key(run.id), Change(set={name: encode(run.kept(given))}), Present())
    return name


def as_offered(run: Run, given: Json, by: str | None) -> Item:
    """What is another one in the control item of a new run whose input is to take the place of the one that was found there. `by`: who
    starts it."""
    return {"status": RunStatus.RETRYING.value, "given": _offer(run, given), "given_by": by}


def _take_input(run: Run) -> None:
    """Once in a generation: whoever is late, or does it again, finds it taken."""
    offered, before = run.control["given"], run.generation - 1
    first = all_of(Present(offered), any_of(Absent("gen"), AtMost("gen", before)))
    by = run.control.get("given_by")
    of_start = {"by": by} if by is not None else {}
    nobody = ("by",) if by is None and "given_by" in run.control else ()
    change = Change(set={"gen": run.generation, **of_start}, copy={"input": offered}, remove=(offered, *nobody))
    run.world.store.update(body_key(run.id), change, first)


def check_from(plan: Plan, step: str) -> None:
    """Raises NotFound for all but a step of the root scope: what is inside of groups runs again with them."""
    if step in plan.root.steps:
        return
    around = paths.step_id(step)
    if around not in plan.steps:
        raise NotFound("step", step)
    while owner := plan.scope_of[around].id:
        around = owner
    raise NotFound("step", step, f"it is inside of {around}, from which one can go on")


def _not_now(run: Run) -> WrongState:
    return WrongState(f"run {run.id} is {run.status.value}: only a run that failed, was cancelled or timed out can be retried")


def go_on(run: Run) -> None:
    """Reopen, then let it run. Safe to repeat at any point."""
    if "given" in run.control:
        _take_input(run)
    Reopening(run).work()
    anew = {"timeout_at": run.now + run.plan.timeout} if run.plan.timeout is not None else {}
    counted = {EXCEEDED: failures(run)} if EXCEEDED in run.control else {}
    change = Change(
        set={"status": (RunStatus.PENDING if run.control.keys() & {"slot", "counted"} else RunStatus.RUNNING).value, **anew, **counted},
        add={"rev": 1},
        remove=("ended_at", "error", "stop", "compensated", "output", "from", "given", "given_by", *(() if anew else ("timeout_at",))),
    )
    still = all_of(Equals("status", RunStatus.RETRYING.value), Equals("gen", run.generation))
    written = run.world.store.update(run_key(run.id), change, still)
    run.control = written.item or run.control
    if written.ok or is_set(change, written.item):
        run.send([run.message("settle", "", plan=run.control["plan"], gen=run.generation)])


class Reopening:
    """One pass over what is stored. The generation before the current one is the one that is archived.

    What is of the current generation is let be: somebody else has reopened the run already, and it has gone on.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        known = run.plan.steps  # what was skipped late may have been amended away
        self.items = {key: it for key, it in snapshot(run).items() if self._is_of_before(it) and paths.step_id(key) in known}
        self.undone = self._undone()

    def _is_of_before(self, item: Item) -> bool:
        return bool(item.get("gen", 1) < self.run.generation)

    def _undone(self) -> set[str]:
        """Steps that were compensated."""
        if "compensated" not in self.run.control:
            return set()
        pk, _ = compensation.order_key(self.run)
        order = self.run.world.store.get((pk, f"comp#{self.run.generation - 1}"))
        return set(self.run.world.load(decode(order["order"]))) if order else set()

    def work(self) -> None:
        self.scope("", self.run.plan.root)

    def scope(self, scope_key: str, scope: Scope) -> None:
        """Reopen what must be run again in the scope, whole or only where it failed inside."""
        again = {step.id for step in scope.steps.values() if self._is_cause(paths.join(scope_key, step.id), scope, step)}
        after = self._descendants(scope_key, scope, again)
        for step in scope.steps.values():
            key = paths.join(scope_key, step.id)
            if key not in self.items:
                if step.id in after and self._may_be_skipped(scope_key, scope, step):
                    self.bar(key)
            elif step.id in after or key in self.undone or (not scope_key and step.id == self.run.control.get("from")):
                self.drop(key)
            elif step.id in again:
                self.reopen(key, step)

    def _may_be_skipped(self, scope_key: str, scope: Scope, step: Step) -> bool:
        """By what had ended before: whoever has found that out may not have written it yet."""
        goes_on = self.run.plan.on_failure in ("continue", "wait")
        found = {edge.source: self.items.get(paths.join(scope_key, edge.source)) for edge in step.edges}
        facts = {name: fact_of(item) for name, item in found.items() if item is not None and is_fact(item)}
        told = {name: fact for name, fact in facts.items() if fact.outcome is not Outcome.FAILED or goes_on or name in scope.handled}
        return verdict(step, told) in (Verdict.DEAD, Verdict.BLOCKED)

    def bar(self, key: str) -> None:
        self.run.world.store.put(as_unbegun(self.run, key), Absent())

    def _is_cause(self, key: str, scope: Scope, step: Step) -> bool:
        item = self.items.get(key)
        if item is None:
            return True  # it runs for the first time: what cleaned up without it does so again
        if self._is_undone(key):
            return True
        if "." not in key and step.id == self.run.control.get("from"):
            return True
        if not is_fact(item):
            return bool(item["state"] != State.CLAIMED or item["lease"] <= self.run.now)
        outcome = Outcome(item["outcome"])
        return outcome is Outcome.CANCELLED or (outcome is Outcome.FAILED and step.id not in scope.handled)

    def _is_undone(self, key: str) -> bool:
        """It, or something inside of it."""
        return any(undone == key or undone.startswith((f"{key}.", f"{key}[", f"{key}~")) for undone in self.undone)

    def reopen(self, key: str, step: Step) -> None:
        """The step failed: what succeeded inside of it stays. The step itself is begun again and finds it."""
        item = self.items[key]
        if step.is_loop and paths.index(key) is None:
            for number in range(item.get("n", 0) or self._iterations(key)):
                self._reopen_instance(paths.item(key, number), step)
            self._drop_chunks(key, item)
        elif step.inner is not None:
            self._reopen_inside(key, step, item)
        self.archive(key)

    def _iterations(self, key: str) -> int:
        number = 0
        while paths.item(key, number) in self.items:
            number += 1
        return number

    def _reopen_instance(self, key: str, step: Step) -> None:
        item = self.items.get(key)
        stands = item is not None and is_fact(item) and item["outcome"] == Outcome.SUCCEEDED and not self._is_undone(key)
        if item is not None and not stands:
            if step.inner is not None:
                self._reopen_inside(key, step, item)
            self.archive(key)

    def _reopen_inside(self, key: str, step: Step, item: Item) -> None:
        """A group begins with attempt 1 again: only that one's facts can be found."""
        if item.get("attempt", 1) > 1 or step.inner is None:
            self._drop_inside(key)
        else:
            self.scope(paths.inside(key, 1), step.inner)

    def drop(self, key: str) -> None:
        """The step and everything inside of it."""
        step = self.run.step(key)
        if step.is_loop:
            self._drop_chunks(key, self.items[key])
        self._drop_inside(key)
        self.archive(key)

    def _drop_inside(self, key: str) -> None:
        for inner in [name for name in self.items if name.startswith((f"{key}.", f"{key}[", f"{key}~"))]:
            if self.run.step(inner).is_loop and paths.index(inner) is None:
                self._drop_chunks(inner, self.items[inner])
            self.archive(inner)

    def _drop_chunks(self, key: str, item: Item) -> None:
        for page in range(-(-item.get("n", 0) // paths.PAGE)):
            for chunk in self.run.world.store.query(f"{self.run.id}#{key}#{page}", prefix="c#").items:
                if self._is_of_before(chunk):
                    self.run.world.store.delete((chunk["pk"], chunk["sk"]), Equals("fence", chunk["fence"]))

    def archive(self, key: str) -> None:
        item = self.items[key]
        self._forget(key, item)
        generation = self.run.generation - 1
        self.run.world.store.put({**item, "sk": f"a#{generation}#{key}", "archived": generation})
        as_it_was = Equals("fence", item["fence"])
        if paths.index(key) is None and self.run.step(key).edges:
            self.run.world.store.put(as_unbegun(self.run, key), as_it_was)
        else:
            self.run.world.store.delete((item["pk"], item["sk"]), as_it_was)

    def _forget(self, key: str, item: Item) -> None:
        """A loop is no step that waits: its items and iterations do."""
        step = self.run.step(key)
        if step.action == "signal" and (not step.is_loop or paths.index(key) is not None):
            waits.forget(self.run, item)

    def _descendants(self, scope_key: str, scope: Scope, sources: set[str]) -> set[str]:
        """Everything that comes after the sources, they themselves left out."""
        found: set[str] = set()
        todo = list(sources)
        while todo:
            for target in scope.steps[todo.pop()].targets:
                if target not in found and not self._stands_without(scope_key, scope.steps[target], sources | found):
                    found.add(target)
                    todo.append(target)
        return found

    def _stands_without(self, scope_key: str, step: Step, reopened: set[str]) -> bool:
        """A join `any` or N that ran for sources which are not reopened keeps what came of it."""
        if step.join in ("all", "done"):
            return False
        saw = self.items.get(paths.join(scope_key, step.id), {}).get("saw")
        return saw is not None and reopened.isdisjoint(saw)


# ------------------------------------------------------------------------------------------------ one loop


class LoopAnew(Reopening):
    """A loop that failed and waits for a person, who has it tried again: what did not succeed inside of it is open again.

    In the same generation, since everything else goes on. Safe to repeat: the loop itself waits until all of it is done.
    `standing`: the loop's item. Trees and cursors of its next attempt are new (`loops.is_tried_anew`); its STOP is taken back."""

    def __init__(self, run: Run, standing: Item) -> None:
        self.run = run
        self.items = snapshot(run)
        self.undone = set()
        self.key, self.attempt = standing["sk"][2:], standing["attempt"]

    def work(self) -> None:
        step, item = self.run.step(self.key), self.items[self.key]
        many = item["n"] if step.for_each is not None else self._iterations(self.key)
        for number in range(many):
            self._reopen_instance(paths.item(self.key, number), step)
        if step.for_each is not None:
            self._drop_chunks(self.key, item)
        self._take_back_stops()
        if EXCEEDED in self.run.control:  # what fails anew is one more again
            as_it_was = Equals(EXCEEDED, self.run.control[EXCEEDED])
            self.run.world.store.update(run_key(self.run.id), Change(set={EXCEEDED: failures(self.run)}), as_it_was)

    def archive(self, key: str) -> None:
        item = self.items[key]
        self._forget(key, item)
        self.run.world.store.put({**item, "sk": f"a#{self.run.generation}.{self.attempt}#{key}", "archived": self.run.generation})
        self.run.world.store.delete((item["pk"], item["sk"]), Equals("fence", item["fence"]))

    def _is_of_before(self, item: Item) -> bool:
        return True

    def _take_back_stops(self) -> None:
        """Of the loop and of all that is inside of it."""
        pk, sk = stop_key(self.run.id, self.run.generation, self.key)
        for stop in self.run.world.store.query(pk, prefix=sk).items:
            if stop["sk"] == sk or stop["sk"][len(sk)] in ".[~":
                self.run.world.store.delete((pk, stop["sk"]), all_of(Equals("at", stop["at"]), Equals("kind", stop["kind"])))
        self.run.stops.clear()


# ------------------------------------------------------------------------------------------------ what it would be


class Prospect(Reopening):
    """The same pass without a write: the keys that would be reopened."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.reopened: set[str] = set()

    def archive(self, key: str) -> None:
        self.reopened.add(key)

    def bar(self, key: str) -> None:
        """It did not run before."""

    def _drop_chunks(self, key: str, item: Item) -> None:
        """They go with the loop that they are of."""


def prospect(run: Run, from_step: str | None) -> dict[str, list[str]]:
    """{"reopened", "kept"}: the paths that a retry would run again, and the results that it would keep. Raises as `retry` does."""
    if from_step is not None:
        check_from(run.plan, from_step)
    if run.status not in RETRIABLE:
        raise _not_now(run)
    as_retried = {**run.control, "gen": run.generation + 1} | ({"from": from_step} if from_step else {})
    seen = Prospect(Run(run.world, run.id, as_retried))
    seen.work()
    kept = [key for key, item in seen.items.items() if is_fact(item) and key not in seen.reopened]
    return {"reopened": _paths(seen.reopened), "kept": _paths(kept)}


def _paths(keys: Iterable[str]) -> list[str]:
    return sorted({paths.shown(key) for key in keys})
