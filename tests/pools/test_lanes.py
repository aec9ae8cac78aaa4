"""Who waits for whom: lanes keep priorities apart, and SQS's fair queues the tenants within a lane. In the model of both."""

from __future__ import annotations

from treadle import topology
from treadle.bench.lanes import Sent, flood, play, steady, workers
from treadle.simulation.fair import LEAST_IN_FLIGHT
from treadle.simulation.memory import ManualClock, MemoryLanes

CRITICAL, NORMAL, LOW = topology.lane("critical"), topology.lane("normal"), topology.lane("low")
COUNT = 3000


def test_a_flood_of_low_work_delays_critical_work_by_nothing() -> None:
    alone = play(steady(CRITICAL, "critical")[:200], workers())
    flooded = play([*flood(LOW, "low", count=COUNT), *steady(CRITICAL, "critical")[:200]], workers())
    assert flooded.of("critical") == alone.of("critical")
    shared = play([*flood(NORMAL, "flood", count=COUNT), *steady(NORMAL, "critical")[:200]], workers())
    assert shared.of("critical")["max"] > 10 * alone.of("critical")["max"], "without lanes of their own it would wait"


def test_low_work_moves_whatever_the_other_lanes_have_to_do() -> None:
    """Each lane has workers of its own: nothing has to grow old to be taken."""
    crowd = [Sent(at, topology.lane(name), name) for name in ("critical", "high", "normal") for at in range(0, 3000, 10) for _ in range(60)]
    busy = play([*crowd, *steady(LOW, "low")[:60]], workers())
    assert busy.of("critical")["max"] > 1000, "there is more to do than can be done"
    assert busy.of("low") == play(steady(LOW, "low")[:60], workers()).of("low")


def test_a_tenant_hardly_waits_for_anothers_flood() -> None:
    floods, steadies = flood(NORMAL, "A", "A", COUNT), steady(NORMAL, "B", "B")[:60]
    fair = play([*floods, *steadies], workers())
    unfair = play([*flood(NORMAL, "A", count=COUNT), *steady(NORMAL, "B")[:60]], workers())
    assert fair.of("B")["max"] < 250, "one task of the other's at most"
    assert unfair.of("B")["max"] > 1000
    assert fair.ended_ms == unfair.ended_ms, "nothing is held up for it"
    assert max(fair.of("A")["max"], fair.of("B")["max"]) <= unfair.of("A")["max"] + 250


# ------------------------------------------------------------------------------------------------ fair queues


def queue(**groups: int) -> MemoryLanes:
    """So many messages of each group, one group after another."""
    lanes = MemoryLanes(ManualClock())
    for group, count in groups.items():
        for number in range(count):
            lanes.deliver(NORMAL, f"{group}{number}", group=None if group == "none" else group)
    return lanes


def taken(lanes: MemoryLanes, count: int) -> list[str]:
    return [received.body for _ in range(count) for received in lanes.receive(NORMAL, 1)]


def test_a_tenant_is_noisy_with_thirty_in_flight_and_a_tenth_of_all() -> None:
    lanes = queue(a=LEAST_IN_FLIGHT + 5, b=2)
    assert all(body.startswith("a") for body in taken(lanes, LEAST_IN_FLIGHT)), "the oldest first, as ever"
    assert taken(lanes, 3) == ["b0", "b1", f"a{LEAST_IN_FLIGHT}"], "then whoever is quiet, and the noisy one when nobody is"


def test_below_that_the_oldest_is_first() -> None:
    lanes = queue(a=LEAST_IN_FLIGHT, b=1)
    assert taken(lanes, LEAST_IN_FLIGHT + 1)[-1] == "b0"


def test_of_noisy_ones_the_one_with_the_fewest_in_flight_is_first() -> None:
    lanes = queue(a=45, b=45)
    assert all(body.startswith("a") for body in taken(lanes, 30))
    assert all(body.startswith("b") for body in taken(lanes, 30)), "quiet until it has thirty itself"
    assert sorted(body[0] for body in taken(lanes, 10)) == ["a"] * 5 + ["b"] * 5


def test_whoever_takes_long_is_noisy_with_few_messages() -> None:
    clock = ManualClock()
    lanes = MemoryLanes(clock)
    for group, count in (("a", 3), ("b", 1)):
        for number in range(count):
            lanes.deliver(NORMAL, f"{group}{number}", group=group)
    (first,) = lanes.receive(NORMAL, 1)
    clock.advance(10_000)
    lanes.delete(NORMAL, first.receipt)
    assert taken(lanes, 3) == ["b0", "a1", "a2"]
    clock.advance(120_000)
    for number, group in enumerate("ab"):
        lanes.deliver(NORMAL, f"{group}{number + 7}", group=group)
    assert taken(lanes, 1) == ["a7"], "that was long ago"


def test_messages_without_a_group_are_tenants_by_themselves() -> None:
    lanes = queue(a=40, none=2)
    taken(lanes, 30)
    assert taken(lanes, 2) == ["none0", "none1"]


def test_what_is_visible_again_is_in_flight_no_more() -> None:
    clock = ManualClock()
    lanes = MemoryLanes(clock)
    for number in range(40):
        lanes.deliver(NORMAL, f"a{number}", group="a")
    taken(lanes, 35)
    clock.advance(topology.VISIBILITY_S * 1000)
    lanes.deliver(NORMAL, "b", group="b")
    assert taken(lanes, 1)[0].startswith("a"), "nobody is noisy"
