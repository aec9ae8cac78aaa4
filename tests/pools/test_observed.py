"""Pools by what tasks were seen to need: looked at in passing, believed for a while, and put right when memory runs out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from treadle import task
from treadle.core.errors import NotFound, Unavailable
from treadle.core.resources import DEFAULT_POOL, Needs, Pool, Seen, fitted, larger_pool, pool_for
from treadle.engine import Settings
from treadle.engine.observed import READ_EVERY_MS, WEEK_MS, WRITE_EVERY_MS, Observed, seen_key
from treadle.engine.results import Done
from treadle.places import Places
from treadle.ports import Message, Written
from treadle.simulation.driver import TENANT, MemoryEngine
from treadle.simulation.memory import ManualClock
from treadle.simulation.table import MemoryStore

from tests.pools.ran import GIVEN, POOLS, Ran, Told, workflow

# ------------------------------------------------------------------------------------------------ which pool


@pytest.mark.parametrize(
    ("declared", "seen", "pool"),
    [
        pytest.param(None, None, "default", id="nobody saw it"),
        pytest.param(None, Seen(5, 100, 0, 0), "default", id="nobody could measure it"),
        pytest.param(None, Seen(1, 0, 1, 400), "default", id="it fits, with room above it"),
        pytest.param(None, Seen(1, 0, 1, 420), "large", id="once is enough to get more"),
        pytest.param(None, Seen(1, 0, 19, 100), "default", id="19 times are too few to get less"),
        pytest.param(None, Seen(1, 0, 20, 100), "small", id="20 are enough"),
        pytest.param(None, Seen(1, 0, 1, 9000), "vast", id="more than any: the largest"),
        pytest.param(Needs(memory_mb=2048, time_ms=30_000), Seen(1, 0, 20, 100), "small", id="less than it declares"),
        pytest.param(Needs(memory_mb=2048), Seen(1, 0, 20, 100), "large", id="but in no shorter time"),
        pytest.param(Needs(memory_mb=2048), Seen(1, 0, 19, 100), "large", id="as it declares until enough was seen"),
        pytest.param(Needs(memory_mb=512), Seen(1, 0, 20, 500), "default", id="never more than it declares"),
        pytest.param(Needs(cpu=1.0), Seen(1, 0, 20, 100), "large", id="processors as declared"),
        pytest.param(Needs(storage_mb=1024), Seen(1, 0, 20, 100), "large", id="storage as declared"),
        pytest.param(Needs(cpu=0.2), Seen(1, 0, 1, 4000), "vast", id="memory that it says nothing of"),
    ],
)
def test_the_smallest_pool_for_what_was_seen(declared: Needs | None, seen: Seen | None, pool: str) -> None:
    needs = fitted(declared, seen, POOLS)
    assert ("default" if needs is None else pool_for(needs, POOLS).name) == pool


def test_nobodys_time_becomes_shorter() -> None:
    """A step without a timeout has the usual one of its pool."""
    hasty = Pool("hasty", 0.6, 1024, 512, attempt_s=10)
    needs = fitted(None, Seen(1, 0, 1, 600), (DEFAULT_POOL, hasty, Pool("patient", 1.7, 3008, 512)))
    assert needs is not None
    assert needs.time_ms == 60_000


def test_no_step_gets_more_than_the_configuration_lets_it() -> None:
    assert fitted(None, Seen(1, 0, 1, 5000), POOLS, most_mb=1024) == Needs(memory_mb=1024, time_ms=60_000)


@pytest.mark.parametrize(
    ("own", "declared", "larger"),
    [
        pytest.param("small", None, "default", id="the next"),
        pytest.param("default", None, "large", id="and the next"),
        pytest.param("vast", None, None, id="there is no larger one"),
        pytest.param("default", Needs(memory_mb=2048), "large", id="up to what it declares"),
        pytest.param("large", Needs(memory_mb=2048), None, id="and no further"),
        pytest.param("default", Needs(storage_mb=1024), "large", id="one that has what it declares"),
        pytest.param("large", Needs(storage_mb=1024), None, id="which the largest has not"),
    ],
)
def test_who_runs_out_of_memory_goes_up_a_pool(own: str, declared: Needs | None, larger: str | None) -> None:
    pool = larger_pool(next(pool for pool in POOLS if pool.name == own), declared, POOLS)
    assert (pool and pool.name) == larger


# ------------------------------------------------------------------------------------------------ on the way there


def test_a_task_goes_where_it_was_seen_to_fit() -> None:
    ran = Ran(mb=900)
    for _ in range(3):
        ran.run()
    assert ran.sizes == [512, 3008, 3008]


def test_and_to_a_smaller_one_after_enough_of_it_was_seen() -> None:
    ran = Ran(mb=90)
    for _ in range(25):
        ran.run()
    ran.engine.pass_time("10m")
    ran.run()
    ran.run()
    assert ran.sizes == [512] * 26 + [256], "ten minutes later it was written"


def test_what_a_step_declares_is_the_most_that_it_gets() -> None:
    ran = Ran(mb=4000)
    step = {"id": "a", "task": "work", "resources": {"memory": "2GB"}}
    for _ in range(3):
        ran.run(step)
    assert ran.sizes == [3008] * 3


def test_who_has_enough_keeps_what_others_would_have_sent_elsewhere() -> None:
    """What workers believe differs by minutes: a step that came to a larger pool than this worker would choose stays there."""
    ran = Ran()
    run = ran.engine.start(workflow({"id": "a", "task": "work"}))
    (received,) = ran.engine.cloud.lanes.receive("lane-normal", 1)
    ran.engine.cloud.lanes.delete("lane-normal", received.receipt)
    ran.engine.cloud.lanes.send([Message("lane-normal-large", json.loads(received.body))])
    assert ran.engine.wait(run).status == "succeeded"
    assert ran.sizes == [3008]


def test_off_it_looks_at_nothing() -> None:
    engine = MemoryEngine([task(name="work")(lambda given: None)], settings=Settings(pools=GIVEN))
    engine.run(workflow({"id": "a", "task": "work"}))
    assert engine.world.observed is None
    assert engine.cloud.store.query("seen").items == []


# ------------------------------------------------------------------------------------------------ keeping


class Kept:
    """An account of the task `work`, and how often the table was asked."""

    def __init__(self) -> None:
        self.clock, self.store, self.gauge = ManualClock(WEEK_MS * 2900), MemoryStore(), Told()
        self.written = 0
        self.store.wrote = self._wrote
        self.observed = Observed(self.store, self.clock, self.gauge)

    def _wrote(self, *_: Any) -> None:
        self.written += 1

    def see(self, mb: int | None, times: int = 1) -> None:
        self.gauge.mb = mb
        for _ in range(times):
            self.observed.watch("work", 512, lambda measure: Done(None))
            self.observed.flush()

    def anew(self) -> Seen | None:
        """What another worker reads."""
        return Observed(self.store, self.clock).of("work")


def test_what_is_new_is_written_at_once_and_the_rest_every_ten_minutes() -> None:
    kept = Kept()
    kept.see(100, 1000)
    assert kept.written == 1, "the first was news"
    kept.clock.advance(WRITE_EVERY_MS)
    kept.see(100)
    assert kept.written == 2
    seen = kept.anew()
    assert seen is not None
    assert (seen.count, seen.measured, seen.peak_mb) == (1001, 1001, 100)


def test_a_task_that_grows_all_the_time_is_written_once_a_minute() -> None:
    kept = Kept()
    for mb in range(100, 400):
        kept.see(mb * mb)
        kept.clock.advance(1000)
    assert kept.written == 5


def test_the_most_that_any_worker_saw_is_kept() -> None:
    kept = Kept()
    kept.see(300)
    other = Observed(kept.store, kept.clock, kept.gauge)
    kept.gauge.mb = 100
    other.watch("work", 512, lambda measure: Done(None))
    kept.clock.advance(WRITE_EVERY_MS)
    other.flush()
    assert (seen := kept.anew())
    assert (seen.peak_mb, seen.measured) == (300, 2)


def test_what_was_seen_before_last_week_counts_no_more() -> None:
    kept = Kept()
    kept.see(300)
    for peak in (300, 300, None):
        seen = kept.anew()
        assert (seen and seen.peak_mb) == peak
        kept.clock.advance(WEEK_MS)


def test_what_was_read_is_believed_for_five_minutes() -> None:
    kept = Kept()
    assert kept.observed.of("work") is None
    kept.store.put({"pk": (key := seen_key(2900, "work"))[0], "sk": key[1], "schema": 1, "peak": 7, "measured": 1})
    assert kept.observed.of("work") is None
    kept.clock.advance(READ_EVERY_MS)
    assert (seen := kept.observed.of("work"))
    assert seen.peak_mb == 7


def test_nothing_fails_for_want_of_it() -> None:
    kept = Kept()

    class Away(MemoryStore):
        def get_many(self, *_: Any, **__: Any) -> Any:
            raise Unavailable("away")

        def update(self, *_: Any, **__: Any) -> Written:
            raise Unavailable("away")

    kept.observed = Observed(Away(), kept.clock, kept.gauge)
    kept.see(300)
    assert kept.observed.of("work") is None
    kept.observed.store = kept.store
    kept.clock.advance(WRITE_EVERY_MS)
    kept.observed.flush()
    assert (seen := kept.anew())
    assert seen.peak_mb == 300, "it was noted for later"


# ------------------------------------------------------------------------------------------------ what is shown of it


def place(ran: Ran, run_id: str, path: str) -> dict[str, Any]:
    return Places(ran.engine.world).of(TENANT, run_id, path)


def test_a_task_is_shown_with_its_pool_and_what_it_was_seen_to_need() -> None:
    ran = Ran(mb=700)
    run = ran.run({"id": "a", "task": "work"}, {"id": "b", "after": ["a"], "set": {"n": 1}})
    shown = place(ran, run.id, "a")
    assert shown == {"pool": "large", "seen": {"attempts": 1, "meanMs": shown["seen"]["meanMs"], "measured": 1, "peakMemoryMb": 700}}
    assert place(ran, run.id, "b") == {}, "only tasks run in pools"
    with pytest.raises(NotFound):
        Places(ran.engine.world).of("somebody else", run.id, "a")


def test_a_task_that_nobody_saw_has_a_pool_alone() -> None:
    ran = Ran()
    run = ran.run({"id": "a", "when": "false", "task": "work", "resources": {"memory": "2GB"}})
    assert place(ran, run.id, "a") == {"pool": "large"}
