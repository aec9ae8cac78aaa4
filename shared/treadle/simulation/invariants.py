"""What must hold whatever goes wrong, by name. Some are checked at every write and every attempt, the others when all is at rest.

`Watch` looks at the table itself, not through the engine: it reads states, facts and the plan, and counts what ran.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ..core import paths
from ..core.errors import Newer
from ..core.model import FINAL, Outcome, RunStatus, State
from ..core.plan import Plan, Step
from ..engine import heartbeat
from ..engine.items import run_key, step_key, stop_key
from ..ports import Item, Key
from .actors import Worker
from .fleet import ADDED, Version, number_of
from .queues import Received
from .simulator import Simulation

INVARIANTS = {
    "I1": "one fact per step and generation",
    "I2": "a step starts once all that it waits for has ended, and a join starts once",
    "I3": "a final status changes only by a person's retry",
    "I4": "the state shown is the fold of the facts",
    "I5": "nothing is claimed and begun after a cancel, and nothing changes in a run that is over",
    "I6": "attempts never exceed the maximum",
    "I7": "no back-off or timer ends early",
    "I8": "the result is the one of the run in which nothing went wrong",
    "I9": "at rest a run is final, or waits for a person, a signal or to be resumed",
    "I10": "nothing is left over: no claim, no timer, no dead letter",
    "I11": "without faults nothing is sent twice, and the sweeper is not needed",
    "I12": "without crashes each attempt runs once, and each crash costs one more at most",
    "I13": "after the last fault a run ends within a bound",
    "I14": "at rest nothing could start that has not started",
    "I15": "never more at once than maxConcurrency or a concurrency key allow",
    "I16": "each end of a run is told on the bus",
    "I17": "a delivery fails only when the world does",
    "I18": "a secret is in no item, message, event or object",
    "I19": "a signal is taken by one step, or kept while nobody waits for it",
    "I20": "of a run that is compensated each step that succeeded is undone once, and no other",
    "I21": "what a newer version wrote is changed, dropped or erased by none that does not know it",
}


@dataclass(frozen=True, slots=True)
class Violation:
    invariant: str
    told: str

    def __str__(self) -> str:
        return f"{self.invariant} ({INVARIANTS[self.invariant]}): {self.told}"


@dataclass
class Watch:
    """`simulator.Observer`."""

    violations: list[Violation] = field(default_factory=list)
    ran: Counter[tuple[str, str, int]] = field(default_factory=Counter)  # (run, path, attempt)
    _writes: int = 0
    _cancelled: dict[str, int] = field(default_factory=dict)  # by run: the number of the write that cancelled it or ended its time
    _claimed: dict[tuple[str, str], int] = field(default_factory=dict)  # by run and path: of the write that claimed the step
    _running: dict[str, dict[int, Worker]] = field(default_factory=lambda: defaultdict(dict))
    _late: set[Key] = field(default_factory=set)  # claimed when the scope had stopped: who did sees that, and gives it back unbegun

    def copied(self) -> Watch:
        """As it is now, to go on from: faster than `deepcopy`, for searches go back often."""
        running = defaultdict(dict, {place: dict(workers) for place, workers in self._running.items()})
        return Watch([*self.violations], self.ran.copy(), self._writes, {**self._cancelled}, {**self._claimed}, running, {*self._late})

    def violated(self, invariant: str, told: str) -> None:
        self.violations.append(Violation(invariant, told))

    # -------------------------------------------------------------------------------------------- at each write

    def wrote(self, simulation: Simulation, key: Key, old: Item | None, new: Item | None) -> None:
        sk = key[1]
        self._writes += 1
        if simulation.fleet is not None and old is not None and simulation.current is not None:
            self._of_a_newer_version(simulation.current.version, key, old, new)
        if sk == "!":
            self._control(old, new)
            self._closes(new)
            self._live_runs(simulation, new)
        elif sk[:2] == "s#":
            self._step(simulation, sk[2:], old, new)

    def _of_a_newer_version(self, version: Version, key: Key, old: Item, new: Item | None) -> None:
        if key == heartbeat.KEY:
            return  # the last sweeper's word stands, whatever was there before
        if (number_of(old) or 0) > version.schema:
            self.violated("I21", f"{key[1]} is of version {old['schema']}, and was changed by a worker that knows {version.schema}")
        is_written_anew = key[1].startswith(("s#", "c#", "undo#"))  # with each change of its state
        if not is_written_anew and new is not None and ADDED in old and ADDED not in new:
            self.violated("I21", f"what a newer version had added to {key[1]} is gone")

    def acknowledged(self, simulation: Simulation, message: Received, version: Version) -> None:
        """A message that its worker cannot know waits for one that does, itself or its copy."""
        if simulation.fleet is None or (number_of(json.loads(message.body)) or 0) <= version.schema:
            return
        if message.body not in simulation.cloud.lanes.bodies(message.queue):
            self.violated("I21", f"a message of a newer version is gone: {message.body:.80}")

    def _control(self, old: Item | None, new: Item | None) -> None:
        if old is None or RunStatus(old["status"]) not in FINAL:
            return
        may_be_retried = old["status"] != RunStatus.SUCCEEDED and new is not None and new["status"] == RunStatus.RETRYING
        if new is None or (new["status"] != old["status"] and not may_be_retried):
            self.violated("I3", f"{old['status']} became {new and new['status']}")

    def _closes(self, new: Item | None) -> None:
        if new is not None and new["status"] == RunStatus.STOPPING and new.get("stop") in ("cancel", "timeout"):
            self._cancelled.setdefault(new["pk"], self._writes)
        elif new is not None and new["status"] == RunStatus.RETRYING:
            self._cancelled.pop(new["pk"], None)

    def _claims(self, run_id: str, key: str, new: Item) -> None:
        """By an item of its own, or by the fact before it."""
        if new["state"] == State.CLAIMED:
            self._claimed[run_id, paths.shown(key)] = self._writes
        elif new["state"] == State.ENDED and "next" in new:
            self._claimed[run_id, paths.shown(new["next"])] = self._writes

    def _comes_late(self, simulation: Simulation, plan: Plan, control: Item, key: str, new: Item) -> None:
        """A claim that nobody waits for: what stands directly in a stopped scope and is no clean-up step begins no more."""
        place, scope_key = step_key(control["pk"], key), paths.scope(key)
        stop = simulation.cloud.store.peek(stop_key(control["pk"], control.get("gen", 1), scope_key)) if scope_key else None
        stopped = stop["kind"] == "stop" if stop is not None else not scope_key and control["status"] == RunStatus.STOPPING
        late = stopped and new["state"] == State.CLAIMED and plan.steps[paths.step_id(key)].join != "done"
        (self._late.add if late else self._late.discard)(place)

    def _live_runs(self, simulation: Simulation, new: Item | None) -> None:
        rule = simulation.plan_of(new).concurrency if new is not None else None
        if new is None or rule is None:
            return
        alike = [item for item in simulation.cloud.store.peek_all() if item["sk"] == "!" and item.get("slot") == new.get("slot")]
        live = [item for item in alike if item["status"] != RunStatus.PENDING and RunStatus(item["status"]) not in FINAL]
        if len(live) > int(rule["limit"]):
            self.violated("I15", f"{len(live)} runs at once, of at most {rule['limit']}")

    def _step(self, simulation: Simulation, key: str, old: Item | None, new: Item | None) -> None:
        if old is not None and old["state"] == State.ENDED:
            self._fact_is_final(simulation, key, old, new)
        if new is None:
            return
        begins = (old is None or old["state"] == State.RELEASED) and new["state"] != State.RELEASED
        control = simulation.cloud.store.peek(run_key(new["pk"].partition("#")[0]))
        if control is None:
            return
        plan = simulation.plan_of(control)
        if paths.step_id(key) not in plan.steps:
            return  # an amended plan has it no more; who claims it finds that out
        if RunStatus(control["status"]) in FINAL and not _changes_nothing(new) and not self._is_misjudged(simulation, key, old, new):
            self.violated("I5", f"{key} became {new.get('outcome', new['state'])} in a run that is {control['status']}")
        if begins and not (new["state"] == State.ENDED and new["outcome"] in ("dead", "blocked")) and "until" not in new:
            self._may_begin(simulation, plan, control, key)
        self._claims(control["pk"], key, new)
        self._comes_late(simulation, plan, control, key, new)
        self._attempts(plan, key, new)
        self._timers(simulation, plan, key, old, new)

    def _is_misjudged(self, simulation: Simulation, key: str, old: Item | None, new: Item) -> bool:
        """Where clocks are wrong: a step that was claimed as the run ended, and is about to be given back, is taken for one of a lost
        worker's and cancelled."""
        was_claimed = old is not None and old["state"] == State.CLAIMED and new.get("outcome") == Outcome.CANCELLED
        return simulation.is_skewed and was_claimed and not any(each[:2] == (simulation.run_id, key) for each in self.ran)

    def _fact_is_final(self, simulation: Simulation, key: str, old: Item, new: Item | None) -> None:
        if new == old:
            return
        run_id = old["pk"].partition("#")[0]
        peek, generation = simulation.cloud.store.peek, simulation.generation(run_id)
        archived = any(peek((old["pk"], f"a#{gen}#{key}")) for gen in range(1, generation))
        tried_anew = (peek((old["pk"], f"a#{generation}.{attempt}#{key}")) for attempt in range(1, 4))  # a loop, as a person has decided
        archived = archived or any(kept["fence"] == old["fence"] for kept in tried_anew if kept is not None)
        is_amended = simulation.current is not None and simulation.current.act is not None and simulation.current.act.verb == "amend"
        is_taken_back = is_amended and Outcome(old["outcome"]).is_skip  # what was only skipped has not begun, and is decided again
        is_open_again = archived and (new is None or new["state"] == State.RELEASED)
        if not (is_open_again or (is_taken_back and (new is None or new["state"] == State.RELEASED))):
            self.violated("I1", f"the fact of {key} ({old['outcome']}) became {new and (new['state'], new.get('outcome'))}")

    def _may_begin(self, simulation: Simulation, plan: Plan, control: Item, key: str) -> None:
        """Its sources have ended (of an `any` or N: enough of them)."""
        if paths.index(key) is not None:
            return
        step, scope_key, run_id = plan.steps[paths.step_id(key)], paths.scope(key), control["pk"]
        sources = {edge.source for edge in step.edges}
        keys = [step_key(run_id, paths.join(scope_key, source)) for source in sources]
        items = [simulation.cloud.store.peek(key) for key in keys if step.join != "done" or key not in self._late]
        ended = sum(1 for item in items if item is not None and item["state"] == State.ENDED)
        if step.join == "done":
            needed = sum(1 for item in items if item is not None and item["state"] != State.RELEASED)
        else:
            needed = len(sources) if step.join == "all" else min(len(sources), 1 if step.join == "any" else int(step.join))
        if ended < needed:
            self.violated("I2", f"{key} began after {ended} of {needed} that it waits for")

    def _attempts(self, plan: Plan, key: str, new: Item) -> None:
        """`base`: the attempts before a person had the step tried again; they count no more."""
        step = plan.steps[paths.step_id(key)]
        most = step.retry.max_attempts if step.retry else 1
        counted = new.get("attempt", 0) - new.get("base", 0)
        if counted > most:
            self.violated("I6", f"{key} has attempt {counted} of at most {most}")

    def _timers(self, simulation: Simulation, plan: Plan, key: str, old: Item | None, new: Item) -> None:
        until = old.get("until") if old is not None else None
        now = simulation.now + (simulation.current.skew_ms if simulation.current else 0)  # as its worker sees it
        if old is None or until is None or now >= until:
            return
        went_on = old["state"] in (State.RETRY, State.RELEASED) and new["state"] == State.CLAIMED
        is_timer = old["state"] == State.WAITING and old["wait"]["for"] == "timer"
        if went_on or (is_timer and new["state"] == State.ENDED and new["outcome"] == Outcome.SUCCEEDED):
            self.violated("I7", f"{key} went on {until - now} ms early")

    # -------------------------------------------------------------------------------------------- at each attempt

    def began(self, simulation: Simulation, run_id: str, path: str, attempt: int) -> None:
        control, worker = simulation.cloud.store.peek(run_key(run_id)), simulation.current
        is_undoing = control is not None and control["status"] == RunStatus.COMPENSATING
        self.ran[run_id, f"undo of {path}" if is_undoing else path, attempt] += 1
        is_alone = worker is not None and worker.deadline > simulation.now
        if control is not None and is_alone and RunStatus(control["status"]) in FINAL:
            self.violated("I5", f"{path} began in a run that is {control['status']}")
        elif self._claimed.get((run_id, path), 0) > self._cancelled.get(run_id, self._writes):
            self.violated("I5", f"{path} was claimed and begun after the run was cancelled")
        if worker is not None and control is not None:
            self._places(simulation, run_id, path, simulation.plan_of(control).steps[paths.step_id(path)], worker)

    def _places(self, simulation: Simulation, run_id: str, path: str, step: Step, worker: Worker) -> None:
        for place, limit in _limits(run_id, path, step):
            running = self._running[place]
            running[worker.number] = worker
            alive = [other for other in running.values() if other.deadline > simulation.now and other in simulation.workers]
            count = len(alive) + (_left_to_others(simulation, step) if step.concurrency is not None else 0)
            if count > limit and not simulation.is_skewed:
                self.violated("I15", f"{path} is one of {count} at once, of at most {limit}")

    def ended(self, simulation: Simulation, run_id: str, path: str) -> None:
        control, worker = simulation.cloud.store.peek(run_key(run_id)), simulation.current
        if control is not None and worker is not None:
            step = simulation.plan_of(control).steps[paths.step_id(path)]
            for place, _ in _limits(run_id, path, step):
                self._running[place].pop(worker.number, None)

    def memory(self, names: Mapping[int, str]) -> Iterator[str]:
        """All that what is seen from now on is held against. `names`: of the workers that are alive, by number."""
        yield from sorted(f"{attempt} {count}" for attempt, count in self.ran.items())
        for run_id, number in self._cancelled.items():
            yield f"{run_id} {sorted(path for (run, path), claimed in self._claimed.items() if run == run_id and claimed > number)}"
        for place, running in sorted(self._running.items()):
            yield f"{place} {sorted(names[number] for number in running if number in names)}"
        yield str(sorted(self._late))
        yield str([str(violation) for violation in self.violations])

    def failed(self, simulation: Simulation, fault: Exception) -> None:
        if not (isinstance(fault, Newer) and simulation.fleet is not None):
            self.violated("I17", f"{type(fault).__name__}: {fault}")


def _changes_nothing(new: Item) -> bool:
    """In a run that is over. Who claims finds that out and backs off; what never began is skipped with its fact as without."""
    return new["state"] in (State.CLAIMED, State.RELEASED) or new.get("outcome") in (Outcome.DEAD, Outcome.BLOCKED)


def _left_to_others(simulation: Simulation, step: Step) -> int:
    """Attempts under the same key that wait for their callback: somebody outside is at them."""
    count = 0
    for item in simulation.cloud.store.peek_all():
        if item.get("state") == State.WAITING and item["wait"]["for"] == "callback":
            control = simulation.cloud.store.peek(run_key(item["pk"].partition("#")[0]))
            other = simulation.plan_of(control).steps[paths.step_id(item["sk"][2:])].concurrency if control is not None else None
            count += other is not None and step.concurrency is not None and other["key"] == step.concurrency["key"]
    return count


def _limits(run_id: str, path: str, step: Step) -> Iterator[tuple[str, int]]:
    """(what is limited, how many at once): the items of a loop, the attempts under one concurrency key."""
    if "[" in path and step.max_concurrency is not None:
        yield f"{run_id}/{paths.whole(path)}", step.max_concurrency
    if step.concurrency is not None:
        yield f"key {step.concurrency['key']}", int(step.concurrency["limit"])
