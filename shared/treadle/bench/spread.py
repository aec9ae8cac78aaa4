"""How work is spread over workers, and what becomes of it when workers die or tasks overrun: `treadle bench spread`.

The real handlers on the AWS in memory, as in `treadle simulate`, but with many workers at once. A model as far as time goes: only tasks
take any; calls to AWS and the starts of Lambdas take none. So the figures say how the engine shares work out, and nothing else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from .. import topology
from ..core.model import Outcome, State
from ..ports import Item, Key
from ..simulation.actors import Move, Worker
from ..simulation.faults import Planned
from ..simulation.fleet import Version
from ..simulation.queues import Received
from ..simulation.schedules import is_due
from ..simulation.shapes import Definition, shape_of
from ..simulation.simulator import Simulation
from ..simulation.world import prepare

WORKERS: Final = 100  # at a time
LIMIT: Final = 10  # places
ENDLESS_MS: Final = 200_000  # a worker lives for two minutes


@dataclass
class Seen:
    """What the tasks of a simulation did. `died`: workers, in the middle of one."""

    most: int = 0  # tasks at once
    attempts: Counter[int] = field(default_factory=Counter)  # by worker
    first_ms: int = 1 << 62
    last_ms: int = 0
    died: int = 0
    _at_once: int = 0

    def wrote(self, simulation: Simulation, key: Key, old: Item | None, new: Item | None) -> None: ...

    def began(self, simulation: Simulation, run_id: str, path: str, attempt: int) -> None:
        self._at_once += 1
        self.most = max(self.most, self._at_once)
        self.first_ms = min(self.first_ms, simulation.now)
        if simulation.current is not None:
            self.attempts[simulation.current.number] += 1

    def ended(self, simulation: Simulation, run_id: str, path: str) -> None:
        self._at_once -= 1
        self.last_ms = simulation.now

    def acknowledged(self, simulation: Simulation, message: Received, version: Version) -> None: ...

    def failed(self, simulation: Simulation, fault: Exception) -> None:
        raise fault


@dataclass
class Crowd:
    """A schedule: a message is taken whenever a worker is free. `dies_every`: each so manieth worker dies in the middle of its task."""

    dies_every: int = 0
    seen: Seen = field(default_factory=Seen)

    def choose(self, simulation: Simulation) -> Move | None:
        if (worker := next(simulation.ready(), None)) is not None:
            return Move("go", worker)
        if (doomed := self._doomed(simulation)) is not None:
            self.seen.died += 1
            return Move("kill", doomed)
        if is_due(simulation):
            return Move("act")
        if len(simulation.workers) < WORKERS:
            for queue in topology.QUEUES:
                if visible := simulation.cloud.lanes.visible(queue.name):
                    return Move("take", queue=queue.name, messages=tuple(visible[: queue.batch_size]))
        return Move("time") if simulation.next_time() is not None else None

    def _doomed(self, simulation: Simulation) -> Worker | None:
        busy = (worker for worker in simulation.workers if worker.wakes_at > simulation.now)
        return next((worker for worker in busy if self.dies_every and worker.number % self.dies_every == 0), None)


def play(definition: Definition, dies_every: int = 0) -> tuple[Simulation, Seen]:
    crowd = Crowd(dies_every)
    simulation = Simulation(prepare(shape_of(definition)), crowd, Planned(), crowd.seen)
    simulation.run()
    return simulation, crowd.seen


def spread(what: str, definition: Definition, task_ms: int) -> dict[str, Any]:
    """`least_ms`: what it would take at best; `busy`: the part of the time of `at_once` workers in which they ran tasks; `each`:
    attempts of one delivery: the fewest, the median, the most."""
    _, seen = play(definition)
    counts = sorted(seen.attempts.values())
    took_ms = seen.last_ms - seen.first_ms
    return {
        "what": what,
        "took_ms": took_ms,
        "least_ms": task_ms * -(-sum(counts) // WORKERS),
        "at_once": seen.most,
        "busy": round(sum(counts) * task_ms / (took_ms * seen.most), 2),
        "each": [counts[0], counts[len(counts) // 2], counts[-1]],
    }


def loss(what: str, definition: Definition, dies_every: int = 0) -> dict[str, Any]:
    """`held`: places that are held when everything has come to rest; `ended`: results; `failed` of them."""
    simulation, seen = play(definition, dies_every)
    items = simulation.cloud.store.peek_all()
    ended = [item for item in items if item.get("state") == State.ENDED and item["sk"].startswith("s#")]
    holders = [holder for item in items if item["sk"] == "semaphore" for holder in item["holders"].values()]
    held = [holder for holder in holders if holder["until"] == 0 or holder["until"] > simulation.now]
    return {
        "what": what,
        "status": str(simulation.status),
        "died": seen.died,
        "attempts": seen.attempts.total(),
        "at_once": seen.most,
        "ended": len(ended),
        "failed": sum(item["outcome"] == Outcome.FAILED for item in ended),
        "held": len(held),
        "took_ms": seen.last_ms - seen.first_ms,
    }


def figures() -> dict[str, list[dict[str, Any]]]:
    places: dict[str, Any] = {"concurrency": {"key": "'k'", "limit": LIMIT}}
    return {
        "spread": [
            spread("1,000 items of 10 ms", each(1000, 10), 10),
            spread("1,000 items of 100 ms", each(1000, 100), 100),
            spread("1,000 items of 1 s", each(1000, 1000), 1000),
            spread("1,000 items of 100 ms, maxConcurrency 50", each(1000, 100, maxConcurrency=50), 100),
            spread("500 steps side by side of 100 ms", side_by_side(500, 100), 100),
            spread("500 steps side by side of 1 s", side_by_side(500, 1000), 1000),
        ],
        "losses": [
            loss(f"200 items of 100 ms for {LIMIT} places", each(200, 100, **places)),
            loss("the same, while workers die", each(200, 100, **places), 15),
            loss("300 items of 100 ms, while workers die", each(300, 100), 10),
            loss("100 steps of 100 ms, one of which outlasts every worker", side_by_side(100, 100, 7)),
            loss("100 items of 100 ms, one of which outlasts every worker", each(100, 100, 7, tolerate={"failures": 1})),
            loss("the same, maxConcurrency 5", each(100, 100, 7, tolerate={"failures": 1}, maxConcurrency=5)),
        ],
    }


def each(count: int, task_ms: int, endless: int = -1, **more: Any) -> Definition:
    """`endless`: the item that takes longer than any worker lives."""
    takes = f"${{item == {endless} ? {ENDLESS_MS} : {task_ms}}}"
    return workflow({"id": "all", "forEach": list(range(count)), "task": "do", "with": {"takes": takes, "out": 1}, **more})


def side_by_side(count: int, task_ms: int, endless: int = -1) -> Definition:
    takes = [ENDLESS_MS if number == endless else task_ms for number in range(count)]
    return workflow(*({"id": f"s{number}", "task": "do", "with": {"takes": ms}} for number, ms in enumerate(takes)))


def workflow(*steps: dict[str, Any]) -> Definition:
    return {"id": "spread", "name": "spread", "version": "1.0.0", "steps": list(steps), "errorHandling": {"onFailure": "continue"}}
