"""The shell around the core: load, advance, write, send.

`Engine` is what the handlers call: one method per kind of delivery. Each may be called any number of times with the same
message, at any time, in any order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..core import paths
from ..core.errors import Conflict, Corrupted, Newer, NotFound
from ..core.model import SCHEMA
from . import branches, chunks, quarantine, waits
from .failures import on_failure
from .items import is_fact, run_key, step_key
from .reading import Unreadable
from .run import Run
from .segment import Segment
from .world import Settings, World

__all__ = ["Engine", "Settings", "World"]

MOVES_AGAIN_S = 10


class Engine:
    def __init__(self, world: World) -> None:
        self.world = world

    def work(self, body: Mapping[str, Any], deadline: int) -> int | None:
        """A message of a lane. Returns when it should be delivered again (ms), or None when it is done with.

        Raises Unavailable, Newer (the queue delivers again), Corrupted (a message that no version of the engine can have sent).
        """
        with self._while_it_is_there(body["run"], body["path"]):
            if body["kind"] == "remove":
                from .removal import remove  # on demand: once in a run's life, long after it

                return remove(self.world, body["run"], deadline)
            try:
                return self._segment(body, deadline)
            except Conflict:
                return None  # a worker that overran its lease: others have gone on, and their messages with them
            except Newer:
                from .sweeping import comes_again  # on demand: while a deployment is under way

                if not comes_again(self.world, body):
                    raise
        return None

    def _segment(self, body: Mapping[str, Any], deadline: int) -> int | None:
        segment = Segment(self._run_of(body), deadline)
        segment.runs_tasks, segment.lost, segment.look = True, body.get("lost"), body.get("look")
        self._work(segment, body, body["path"])
        segment.finish()
        if self.world.observed is not None:
            self.world.observed.flush()
        return segment.again_at

    def _work(self, segment: Segment, body: Mapping[str, Any], key: str) -> None:
        run = segment.run
        if key and run.is_elsewhere(key):
            _move(run, body)
            return
        self._know(run, key, *body.get("also", ()))
        match body["kind"]:
            case "step" if "also" in body:
                branches.work(segment, [key, *body["also"]], body.get("seq", 0))
            case "step":
                segment.begin(key, body.get("seq", 0))
            case "chunk" | "lane":
                run.read_control(key)
                chunks.work(segment, dict(body))
            case "wake":
                self._wake(segment, key)
            case "settle":
                run.must_settle = segment.repair = True
            case unknown:
                raise Corrupted(f"a message of kind {unknown}")

    @contextmanager
    def _while_it_is_there(self, run_id: str, path: str = "") -> Iterator[None]:
        """A run's items expire: what comes for it then has nothing left to do. A run of which something cannot be read is set aside."""
        try:
            yield
        except (NotFound, Unreadable) as error:
            found = quarantine.fault_in(error, run_id)
            if found is not None and (isinstance(error, Unreadable) or self.world.store.get(run_key(run_id)) is not None):
                here = [error.key] if isinstance(error, Unreadable) else []
                quarantine.set_aside(self.world, *found, *here, *([step_key(run_id, path)] if path else []))
            elif self.world.store.get(run_key(run_id)) is not None:
                raise

    def _run_of(self, body: Mapping[str, Any]) -> Run:
        """The message's plan and generation are hints: what is read after the claim counts."""
        if body.get("schema", 0) > SCHEMA:
            raise Newer("a message of a newer version of the engine")
        hints = {"plan": body["plan"], "gen": body["gen"]} if "plan" in body else {}
        run = Run(self.world, body["run"], hints)
        if not hints or body["kind"] == "settle":
            run.read_control()
        return run

    def _know(self, run: Run, *keys: str) -> None:
        """Raises Corrupted for a step that the plan has not got."""
        if unknown := [key for key in keys if key and paths.step_id(key) not in run.plan.steps]:
            raise Corrupted(f"a message for a step that there is not: {run.plan.workflow} {run.plan.version} has no step {unknown[0]}")

    def _wake(self, segment: Segment, key: str) -> None:
        run = segment.run
        item = run.world.store.get(step_key(run.id, key))
        if item is None:
            segment.begin(key)
        elif is_fact(item):
            segment.follow(item)
            waits.ended_otherwise(run, item)
        else:
            segment.meet(key, item)

    def completed(self, detail: Mapping[str, Any], deadline: int) -> int | None:
        """A `StepsCompleted` event that still needs advancing. Returns as `work` does."""
        data = detail["data"]
        with self._while_it_is_there(data["run"]):
            run = Run(self.world, data["run"])
            run.read_control()
            segment = Segment(run, deadline)
            for key in data["keys"]:
                item = self.world.store.get(step_key(run.id, key))
                if item is not None and is_fact(item):
                    segment.follow(item)
            run.completed = []
            segment.finish()
            return segment.again_at
        return None

    def failed(self, detail: Mapping[str, Any], deadline: int) -> int | None:
        """A `StepFailed` event. Returns as `work` does."""
        data = detail["data"]
        with self._while_it_is_there(data["run"]):
            segment = Segment(Run(self.world, data["run"]), deadline)
            on_failure(segment, data["key"], data["attempt"])
            segment.finish()
            return segment.again_at
        return None

    def sweep(self) -> int:
        """Send again what is due, and say that it came by. Returns how many. Imported on demand: workers do not sweep."""
        from .sweeping import sweep

        return sweep(self.world)


def _move(run: Run, body: Mapping[str, Any]) -> None:
    """A message in the lane of a pool whose step it is not: the sweeper knows no pools, and configurations change. While two
    versions of one work side by side they may disagree; then it takes its time."""
    run.read_control()
    moved = body.get("moved", 0) + 1
    more = {name: value for name, value in body.items() if name not in ("schema", "kind", "run", "path", "moved")}
    run.send([run.message(body["kind"], body["path"], delay_s=0 if moved == 1 else MOVES_AGAIN_S, moved=moved, **more)])
