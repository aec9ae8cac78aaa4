"""How long work waits in its lane while a flood of other work is there: `treadle bench lanes`.

A model, and no measurement: lanes and how many workers each has are the topology's, queues hand out as SQS's fair queues do
(simulation/fair.py), a worker is busy for as long as its task takes and an invocation does. What it leaves out: Lambda adds
pollers to a queue step by step (some 300 a minute), so the first seconds of a flood are slower on AWS.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .. import topology
from ..simulation.memory import ManualClock, MemoryLanes
from .model import HOP_MS, INVOCATION_MS

TASK_MS: Final = 100
FLOOD: Final = 10_000
EVERY_MS: Final = 50  # between the messages whose waiting is looked at
WATCHED: Final = 600  # of these: half a minute


@dataclass(frozen=True, slots=True, order=True)
class Sent:
    at_ms: int
    lane: str
    who: str  # whose waiting it counts as
    tenant: str | None = None
    task_ms: int = TASK_MS


@dataclass(slots=True)
class Waited:
    """From a message sent to its handler begun, in ms."""

    by: dict[str, list[float]] = field(default_factory=dict)
    ended_ms: int = 0

    def of(self, who: str) -> dict[str, float]:
        found = sorted(self.by[who])
        return {"p50": found[len(found) // 2], "p99": found[len(found) * 99 // 100], "max": found[-1]}


def play(messages: Iterable[Sent], workers: Mapping[str, int]) -> Waited:
    """`workers`: the most at a time, by lane."""
    clock = ManualClock(0)
    queues = [queue for queue in topology.QUEUES if queue.name in workers]
    lanes, waited, busy = MemoryLanes(clock, queues=queues), Waited(), dict.fromkeys(workers, 0)
    coming = sorted(messages)
    happens: list[tuple[int, int, str, str]] = []  # (when, order, lane, receipt) of workers that will be free
    sent: dict[str, Sent] = {}
    number = 0
    while coming or happens:
        at = min([coming[0].at_ms] if coming else [], default=1 << 60)
        at = min(at, happens[0][0] if happens else 1 << 60)
        clock.advance_to(at)
        while happens and happens[0][0] <= at:
            _, _, lane, receipt = heapq.heappop(happens)
            lanes.delete(lane, receipt)
            busy[lane] -= 1
        arrived = next((count for count, each in enumerate(coming) if each.at_ms > at), len(coming))
        for each in coming[:arrived]:
            number += 1
            sent[str(number)] = each
            lanes.deliver(each.lane, str(number), group=each.tenant)
        del coming[:arrived]
        for lane, most in workers.items():
            while busy[lane] < most and (received := lanes.receive(lane, 1, visibility_s=12 * 3600)):
                its = sent[received[0].body]
                waited.by.setdefault(its.who, []).append(at - its.at_ms + HOP_MS)
                busy[lane] += 1
                number += 1
                heapq.heappush(happens, (at + its.task_ms + round(INVOCATION_MS), number, lane, received[0].receipt))
        waited.ended_ms = at
    return waited


def workers() -> dict[str, int]:
    return {queue.name: queue.max_concurrency for queue in topology.QUEUES if queue.consumer == "dispatcher"}


def steady(lane: str, who: str, tenant: str | None = None) -> list[Sent]:
    return [Sent(number * EVERY_MS, lane, who, tenant) for number in range(WATCHED)]


def flood(lane: str, who: str, tenant: str | None = None, count: int = FLOOD) -> list[Sent]:
    return [Sent(0, lane, who, tenant)] * count


def figures() -> list[dict[str, Any]]:
    """Rows of {what, who, p50, p99, max}."""
    critical, low, normal = topology.lane("critical"), topology.lane("low"), topology.lane("normal")
    alone = play(steady(critical, "critical"), workers())
    flooded = play([*flood(low, "low"), *steady(critical, "critical")], workers())
    shared = play([*flood(normal, "flood"), *steady(normal, "critical")], workers())
    crowd = [Sent(at, lane, who) for who, lane, each in _overload() for at in range(0, 30_000, 10) for _ in range(each)]
    starved = play([*crowd, *steady(low, "low")], workers())
    unfair = play([*flood(normal, "tenant A"), *steady(normal, "tenant B")], workers())
    fair = play([*flood(normal, "tenant A", "A"), *steady(normal, "tenant B", "B")], workers())
    rows = [
        ("critical work alone", "critical", alone),
        (f"beside {FLOOD:,} low tasks in their lane", "critical", flooded),
        (f"were the {FLOOD:,} in the same lane", "critical", shared),
        (f"the {FLOOD:,} low tasks themselves", "low", flooded),
        ("low work while every other lane has more than it can do", "low", starved),
        (f"tenant B beside {FLOOD:,} tasks of tenant A, load_balancing off", "tenant B", unfair),
        (f"tenant B beside {FLOOD:,} tasks of tenant A, load_balancing on", "tenant B", fair),
        ("tenant A meanwhile", "tenant A", fair),
    ]
    return [{"what": what, "who": who, **waited.of(who)} for what, who, waited in rows]


def _overload() -> list[tuple[str, str, int]]:
    """(who, lane, messages every 10 ms): half as much again as the lane's workers can do."""
    lanes = [(priority, topology.lane(priority)) for priority in ("critical", "high", "normal")]
    return [(f"{priority} crowd", lane, round(1.5 * workers()[lane] * 10 / TASK_MS)) for priority, lane in lanes]
