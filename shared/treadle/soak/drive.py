"""Runs in waves: all of a wave are under way at once, each is brought to its end, and then it is looked at what is left."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from ..core.errors import TreadleError
from ..engine.items import run_key
from ..local.stack import TENANT
from ..ports import Item
from ..testing import LocalEngine
from ..views import RunView
from . import leftovers, memory
from .kills import Kills
from .shapes import SHAPES, End, Given, Loom, Shape

SHARE: Final = 0.15  # of all messages whose workers die
WAVE: Final = 100  # runs that are under way at once
REST: Final = "2h"  # of logical time, after which whatever is to come again has come
MARKS: Final = (0.1, 0.5, 1.0)  # of the runs, when memory is measured
MOST_TOLD: Final = 20  # of each kind of trouble
MOST_OBJECTS_PER_RUN: Final = 0.5  # that may stay, between the first mark and the last
MOST_BYTES_PER_RUN: Final = 2048
WAIT_S: Final = 600.0  # of real time for one run's end; a busy machine is slow


@dataclass
class Report:
    """`wrong`: runs that did not end as they should; `orphans`: what was left over."""

    seed: int
    runs: int = 0
    steps: int = 0
    seconds: float = 0.0
    ended: Counter[str] = field(default_factory=Counter)
    shapes: Counter[str] = field(default_factory=Counter)
    killed: int = 0  # invocations that died between two calls
    killed_in: Counter[str] = field(default_factory=Counter)  # by function: those that were sentenced; a few made fewer calls
    processes_killed: int = 0
    failures: int = 0  # invocations that raised; none should
    wrong: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    sizes: list[memory.Size] = field(default_factory=list)

    @property
    def grown(self) -> dict[str, float]:
        """Per run, from the first mark to the last."""
        if len(self.sizes) < 2 or self.sizes[-1].runs == self.sizes[0].runs:
            return {}
        first, last = self.sizes[0], self.sizes[-1]
        runs = last.runs - first.runs
        return {
            "bytes": round((last.rss_mb - first.rss_mb) * 1024 * 1024 / runs, 1),
            "objects": round((last.objects - first.objects) / runs, 3),
        }

    @property
    def is_flat(self) -> bool:
        grown = self.grown
        return not grown or (grown["bytes"] <= MOST_BYTES_PER_RUN and grown["objects"] <= MOST_OBJECTS_PER_RUN)

    @property
    def is_well(self) -> bool:
        return self.is_flat and not (self.wrong or self.orphans or self.failures)

    def to_json(self) -> dict[str, Any]:
        counts = {"ended": dict(self.ended), "shapes": dict(self.shapes), "killed": self.killed, "killed_in": dict(self.killed_in)}
        trouble = {"failures": self.failures, "wrong": self.wrong[:MOST_TOLD], "orphans": self.orphans[:MOST_TOLD]}
        sizes = {"sizes": [asdict(size) for size in self.sizes], "grown_per_run": self.grown, "flat": self.is_flat}
        head = {"seed": self.seed, "runs": self.runs, "steps": self.steps, "seconds": round(self.seconds, 1)}
        return {**head, **counts, "processes_killed": self.processes_killed, **trouble, **sizes, "well": self.is_well}


Progress = Callable[[Report], None]


def soak(
    runs: int,
    seed: int,
    *,
    share: float = SHARE,
    wave: int = WAVE,
    shapes: Sequence[Shape] = SHAPES,
    progress: Progress = lambda report: None,
) -> Report:
    """`share`: of all messages, those whose workers die."""
    began, report, loom, kills = time.monotonic(), Report(seed), Loom(), Kills(seed, share)
    marks = [max(1, round(runs * mark)) for mark in MARKS]
    with LocalEngine(tasks=loom.tasks(), skip_time=True) as engine:
        for shape in SHAPES:
            engine.register(shape.definition)
        engine.stack.pump.fate = kills
        drawn = _drawn(runs, seed, shapes)
        while chosen := list(itertools.islice(drawn, min(wave, _until_mark(report.runs, marks)))):
            _wave(engine, chosen, loom, report)
            kills.forget()
            counts = engine.stack.pump.counts
            report.killed, report.failures, report.killed_in = counts.killed, counts.failures.total(), Counter(kills.sentenced)
            report.seconds = time.monotonic() - began
            if report.runs in marks:
                report.sizes.append(memory.measure(report.runs))
            progress(report)
    return report


def _until_mark(runs: int, marks: Sequence[int]) -> int:
    """A wave ends where memory is to be measured."""
    return min((mark - runs for mark in marks if mark > runs), default=WAVE)


@dataclass(frozen=True, slots=True)
class Drawn:
    shape: Shape
    given: Given
    key: str  # the same seed has the same run ids


def _drawn(runs: int, seed: int, shapes: Sequence[Shape]) -> Any:
    draw = random.Random(seed)
    for number in range(runs):
        shape = shapes[number % len(shapes)]
        yield Drawn(shape, shape.given(draw), f"soak-{seed}-{number}")


def _wave(engine: LocalEngine, chosen: Sequence[Drawn], loom: Loom, report: Report) -> None:
    stack = engine.stack
    started: list[tuple[Drawn, str]] = []
    for each in chosen:
        with stack.pump.request():
            started.append((each, stack.operations.start(TENANT, each.shape.definition["id"], each.given, key=each.key).id))
    for each, run_id in started:
        try:
            if each.shape.steer is not None:
                each.shape.steer(engine, run_id, each.given, loom)
        except (TreadleError, TimeoutError) as error:
            report.wrong.append(f"{each.shape.name} {run_id}: could not be steered: {error}")
    for each, run_id in started:
        try:
            _judge(engine.wait(run_id, timeout=WAIT_S), each, report)
        except TimeoutError as error:
            report.wrong.append(f"{each.shape.name} {run_id}: {error}")
        report.shapes[each.shape.name] += 1
        if each.shape.name == "apart":
            report.processes_killed += each.given["dies"]
    engine.pass_time(REST, timeout=WAIT_S)
    report.runs += len(chosen)
    report.orphans += leftovers.orphans(stack.cloud)
    loom.tokens.clear()
    loom.mended.clear()
    _remove(engine)


def _judge(run: RunView, drawn: Drawn, report: Report) -> None:
    report.ended[run.status] += 1
    report.steps += len(run.steps)
    end = drawn.shape.end(drawn.given)
    came = End(run.status, run.output, run.error["name"] if run.error else None, run.compensated)
    if came != end:
        report.wrong.append(f"{drawn.shape.name} {run.id}: came to {came}, not to {end}")
    if open_steps := {path: step.status for path, step in run.steps.items() if step.status in ("running", "waiting", "queued", "pending")}:
        report.wrong.append(f"{drawn.shape.name} {run.id}: is {run.status}, and shows {open_steps}")


def _remove(engine: LocalEngine) -> None:
    """What the runs of a wave left in the table and the bucket, or the next wave would be measured with it."""
    cloud, store = engine.stack.cloud, engine.stack.operations.world.raw
    items = cloud.items()
    runs = {item["pk"] for item in items if item["sk"] == run_key("")[1]}
    gone = [item for item in items if leftovers.owner(item) in runs or "expires" in item or _is_record(item)]
    for item in gone:
        store.delete((item["pk"], item["sk"]))
    for name in leftovers.blobs(cloud):
        cloud.clients.s3.delete_object(Bucket=cloud.names.blobs, Key=name)


def _is_record(item: Item) -> bool:
    """Of the audit trail, which grows for ever; the head of it stays."""
    return str(item["pk"]).startswith("audit#") and item["sk"] != "head"
