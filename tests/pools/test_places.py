"""Places of a step's `concurrency` across runs: never more holders than places, and none left behind, wherever a holder dies."""

from __future__ import annotations

from typing import Any

import pytest
from treadle import task, topology
from treadle.engine.semaphores import of_tasks
from treadle.simulation.driver import MemoryEngine
from treadle.simulation.faults import Crash

LIMIT, RUNS = 2, 5
STEP = {"id": "a", "task": "work", "concurrency": {"key": "'k'", "limit": LIMIT}}
DEFINITION = {"id": "made", "name": "made", "version": "1.0.0", "steps": [STEP, {"id": "b", "after": ["a"], "task": "work"}]}


class Deadly:
    """An engine whose workers die once: at the `number`th call of a store, a lane or the bus, before or after it."""

    def __init__(self, number: int, when: str) -> None:
        self.number, self.when, self.calls, self.died, self.most = number, when, 0, False, 0

        @task
        def work(given: Any) -> None:
            self.most = max(self.most, len(self.holders()))

        self.engine = MemoryEngine([work], seed=number)
        self.runs = [self.engine.start(DEFINITION) for _ in range(RUNS)]
        self.engine.cloud.listen(self._call)

    def _call(self, call: str, when: str) -> None:
        if when == self.when and not self.died:
            self.calls += 1
            if self.calls == self.number:
                self.died = True
                raise Crash

    def holders(self) -> list[str]:
        calls, self.engine.cloud.store.calls = self.engine.cloud.store.calls, None
        try:
            return of_tasks(self.engine.world, "local", '"k"').everybody()
        finally:
            self.engine.cloud.store.calls = calls

    def end(self) -> set[str]:
        found = set()
        for run in self.runs:
            for _ in range(3):
                try:
                    found.add(self.engine.wait(run).status)
                    break
                except Crash:
                    continue
        return found


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_holder_that_dies_anywhere_leaves_no_place_taken(when: str) -> None:
    """Each call of the whole course is a place to die at; the next one that asks finds the lease over."""
    began = MemoryEngine().now()
    number, longest_ms = 1, 0
    while True:
        it = Deadly(number, when)
        assert it.end() == {"succeeded"}, f"{when} call {number}"
        assert it.most <= LIMIT
        it.engine.cloud.listen(None)
        it.engine.pass_time("10m")
        waits = it.engine.start({**DEFINITION, "id": "last"})
        before = it.engine.now()
        assert it.engine.wait(waits).status == "succeeded"
        assert it.engine.now() - before <= topology.VISIBILITY_S * 1000, f"a place has leaked {when} call {number}"
        assert it.holders() == []
        longest_ms = max(longest_ms, before - began)
        if not it.died:
            break
        number += 1
    assert number > 50, "every call was one to die at"
