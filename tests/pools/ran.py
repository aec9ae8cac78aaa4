"""A task whose memory is whatever a test says, on an engine in memory that looks at what tasks need."""

from __future__ import annotations

from typing import Any

from treadle import task
from treadle.core.resources import pools_of
from treadle.engine import Settings
from treadle.engine.gauge import Measure
from treadle.engine.observed import Observed
from treadle.simulation.driver import MemoryEngine

SMALL = {"cpu": 0.15, "memory_mb": 256, "storage_mb": 512}
LARGE = {"cpu": 1.7, "memory_mb": 3008, "storage_mb": 4096, "attempt_s": 300}
VAST = {"cpu": 5.8, "memory_mb": 10_240, "storage_mb": 512}
GIVEN = {"small": SMALL, "large": LARGE, "vast": VAST}
POOLS = pools_of(GIVEN)
OPTIMISES = Settings(pools=GIVEN, optimises=True)


def workflow(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "made", "name": "made", "version": "1.0.0", "steps": list(steps), **more}


class Told:
    """A gauge that shows what the task says it had."""

    mb: int | None = None

    def begin(self) -> Measure:
        return Measure()

    def end(self, measure: Measure) -> int | None:
        return self.mb


class Ran:
    """The task `work`: has `mb`, and notes by which pool's worker it ran; with less memory than it needs there is none."""

    def __init__(self, mb: int | None = None, needs: int = 0) -> None:
        self.gauge = Told()
        self.mb, self.needs = mb, needs
        self.engine = MemoryEngine([task(self.work)], settings=OPTIMISES, gauge=self.gauge)
        self.sizes: list[int] = []
        watch = Observed.watch

        def watched(observed: Observed, name: str, memory_mb: int, work: Any) -> Any:
            self.sizes.append(memory_mb)
            return watch(observed, name, memory_mb, work)

        self.engine.world.observed.watch = watched.__get__(self.engine.world.observed)  # type: ignore[union-attr, method-assign]

    def work(self, given: Any) -> None:
        self.gauge.mb = self.mb
        if self.sizes[-1] < self.needs:
            raise MemoryError

    def run(self, *steps: dict[str, Any], **more: Any) -> Any:
        return self.engine.run(workflow(*(steps or ({"id": "a", "task": "work"},)), **more))
