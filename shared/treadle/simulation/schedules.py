"""Who moves next."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from ..core import paths
from ..core.model import RunStatus, State
from ..ports import Item
from .actors import Move
from .samples import sample
from .shapes import Act
from .simulator import Simulation

MOST_ANSWERS = 20  # to one step: who is refused every time gives up
RESTS = frozenset({RunStatus.WAITING, RunStatus.PAUSED})


class InOrder:
    """One worker at a time, each to its end; messages first in, first out; time passes only when nothing else can happen."""

    def choose(self, simulation: Simulation) -> Move | None:
        ask_around(simulation)
        if (worker := next(simulation.ready(), None)) is not None:
            return Move("go", worker)
        if all(worker.stands for worker in simulation.workers):
            if is_due(simulation):
                return Move("act")
            for queue in simulation.deployed.queues:
                if visible := simulation.cloud.lanes.visible(queue.name):
                    return Move("take", queue=queue.name, messages=tuple(visible[: queue.batch_size]))
            if is_resting(simulation):
                return Move("act")
        return Move("time") if simulation.next_time() is not None else last_act(simulation)


def is_due(simulation: Simulation) -> bool:
    """The next thing that somebody asks for is asked for by now, whatever the run does."""
    if not simulation.acts or simulation.is_asked:
        return False
    act = simulation.acts[0]
    return act.verb == "start" or (act.after is not None and simulation.deliveries >= act.after)


def is_resting(simulation: Simulation) -> bool:
    """The next thing waits for the run to rest, and it does."""
    status = simulation.status
    if not simulation.acts or simulation.acts[0].after is not None or status is None or simulation.is_asked:
        return False
    return status.is_final if simulation.acts[0].verb == "retry" else status in RESTS


def ask_around(simulation: Simulation) -> None:
    """Somebody is found who answers, if the shape has such people and its run waits for one."""
    if simulation.prepared.shape.answers and not simulation.acts and not simulation.is_asked and simulation.status is RunStatus.WAITING:
        items = [item for item in simulation.cloud.store.peek_all() if item["pk"].partition("#")[0] == simulation.run_id]
        open_now = [item for item in items if item.get("state") == State.WAITING and simulation.asked[item["sk"]] < MOST_ANSWERS]
        for item in open_now:
            if (act := _answer(simulation, item)) is not None:
                simulation.asked[item["sk"]] += 1
                simulation.acts.append(act)
                return


def _answer(simulation: Simulation, item: Item) -> Act | None:
    wait, path = item["wait"], paths.shown(item["sk"][2:])
    match wait["for"]:
        case "approval":
            return Act("reject" if simulation.says_no() else "approve", {"step": path, "by": (wait.get("by") or ["somebody"])[0]})
        case "signal":
            spec = simulation.plan_of(simulation.control or {}).steps[paths.step_id(item["sk"][2:])].spec
            return Act("signal", {"name": wait["name"], "payload": sample(spec.get("schema") if isinstance(spec, dict) else None)})
        case "person":
            return Act("decide", {"step": path, "choice": "skip", "output": None})
    return None


def last_act(simulation: Simulation) -> Move | None:
    """Nothing moves by itself: whoever was going to act does so now, if the run can still be acted on."""
    status = simulation.status
    if not simulation.acts or status is None or simulation.is_asked:
        return None
    is_over = status.is_final and simulation.acts[0].verb != "retry"
    return None if is_over else Move("act")


@dataclass
class AtRandom:
    """Any worker, any message, any moment; `hostility` times in a thousand moves something that AWS may also do."""

    random: Random
    workers: int = 3
    hostility: int = 10
    budget: int = 4  # kills and late workers: a system that fails for ever need not end

    def choose(self, simulation: Simulation) -> Move | None:
        ask_around(simulation)
        if self.budget > 0 and self.random.randrange(1000) < self.hostility and (move := self._hostile(simulation)) is not None:
            return move
        moves = self._moves(simulation)
        if moves:
            return self.random.choice(moves)
        return Move("time") if simulation.next_time() is not None else last_act(simulation)

    def _moves(self, simulation: Simulation) -> list[Move]:
        moves = [Move("go", worker) for worker in simulation.ready()] * 3
        if len(simulation.workers) < self.workers:
            for queue in simulation.deployed.queues:
                if visible := simulation.cloud.lanes.visible(queue.name):
                    size = self.random.randint(1, min(queue.batch_size, len(visible)))
                    moves.append(Move("take", queue=queue.name, messages=tuple(self.random.sample(visible, size))))
        if simulation.acts and self._acts_now(simulation, simulation.acts[0], bool(moves)):
            moves.append(Move("act"))
        return moves

    def _acts_now(self, simulation: Simulation, act: Act, is_busy: bool) -> bool:
        if simulation.is_asked:
            return False
        if act.verb == "start":
            return True
        status = simulation.status
        if status is None:
            return False
        if act.after is None and act.verb != "signal":
            return not is_busy and is_resting(simulation)
        return simulation.deliveries >= (act.after or 0) and self.random.randrange(4) == 0

    def _hostile(self, simulation: Simulation) -> Move | None:
        workers = [worker for worker in simulation.workers if worker.messages]
        kind = self.random.choice(("again", "again", "kill", "late", "outlive"))
        if not workers:
            return None
        worker = self.random.choice(workers)
        if kind == "again":
            return Move("again", queue=worker.messages[0].queue, messages=(worker.messages[0].id,))
        self.budget -= 1
        if kind == "kill":
            return Move("kill", worker)
        worker.outlives = kind == "outlive"
        return Move("late", ms=self.random.choice((1000, 10_000, 60_000, 135_000, 300_000)))
