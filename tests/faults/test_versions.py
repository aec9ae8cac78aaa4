"""Two versions of the engine at once: what a newer one wrote waits for it, and is neither misread, nor dropped, nor written over."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from treadle.core.errors import Newer
from treadle.core.model import SCHEMA
from treadle.core.plan import PLAN_SCHEMA, Plan
from treadle.engine import heartbeat
from treadle.engine.items import plan_key, run_key
from treadle.ports import Change, Message
from treadle.simulation.explore import Explorer
from treadle.simulation.fleet import PAIRS, Fleet
from treadle.simulation.shapes import Shape, catalogue
from treadle.simulation.world import prepare
from treadle.topology import MAX_RECEIVES

from tests.faults.stand import Stand

QUICK = 6  # rollouts of each shape in this suite; `make simulate` does more
CHAIN = {"id": "chain", "name": "chain", "version": "1.0.0", "steps": [{"id": "a", "wait": "1m"}, {"id": "b", "after": ["a"], "set": 1}]}
LATER = {**CHAIN, "id": "later", "steps": [{"id": "a", "wait": "20m"}]}


@pytest.mark.parametrize("shape", catalogue().values(), ids=lambda shape: shape.name)
def test_a_shape_survives_a_deployment(shape: Shape) -> None:
    explorer = Explorer(prepare(shape))
    lines = [line for seed in range(QUICK) for line in explorer.in_rollout(seed).lines()]
    assert lines == []


def test_the_same_rollout_gives_the_same_trace() -> None:
    one, again = (Explorer(prepare(catalogue()["diamond"]), keeps_trace=True) for _ in range(2))
    assert [one.in_rollout(seed).trace for seed in range(8)] == [again.in_rollout(seed).trace for seed in range(8)]


def test_each_pair_of_versions_is_tried() -> None:
    fleets = [Fleet.at_random(Random(seed)) for seed in range(100)]
    assert {(fleet.old, fleet.new) for fleet in fleets} == set(PAIRS)
    assert {len(fleet.phases) for fleet in fleets} == {1, 3}


def test_a_message_of_a_newer_version_waits_for_days_and_is_no_dead_letter() -> None:
    stand = Stand()
    body = {"schema": SCHEMA + 1, "kind": "step", "run": "r", "path": "a"}
    stand.cloud.lanes.send([Message("lane-normal", body, 0, "acme")])
    stand.rest(minutes=3 * 24 * 60)
    assert stand.letters() == []
    (held,) = [held for held in stand.cloud.lanes.held() if json.loads(held.body)["schema"] > SCHEMA]
    assert (json.loads(held.body), held.queue, held.group) == (body, "lane-normal", "acme")
    assert held.receives < MAX_RECEIVES


def test_a_run_that_a_newer_version_began_goes_on_when_that_version_is_back() -> None:
    stand = Stand()
    run = stand.start(LATER)
    stand.cloud.store.update(run_key(run), Change(set={"schema": SCHEMA + 1}))
    stand.rest(minutes=8 * 60)
    messages = [held for held in stand.cloud.lanes.held() if json.loads(held.body).get("run") == run]
    assert len(messages) <= 2, "the sweeper's messages do not pile up"
    assert stand.letters() == []
    stand.cloud.store.update(run_key(run), Change(set={"schema": SCHEMA}))
    stand.rest(minutes=30)
    assert (stand.show(run).status, stand.in_queues()) == ("succeeded", {})


def test_what_a_newer_version_wrote_is_not_written_over() -> None:
    stand = Stand()
    key = ("some", "thing")
    stand.cloud.store.put({"pk": "some", "sk": "thing", "schema": SCHEMA + 1, "n": 1})
    writes: list[Any] = [
        lambda store: store.put({"pk": "some", "sk": "thing", "schema": SCHEMA}),
        lambda store: store.update(key, Change(set={"n": 2})),
        lambda store: store.delete(key),
    ]
    for write in writes:
        with pytest.raises(Newer):
            write(stand.world.store)
    assert stand.cloud.store.get(key) == {"pk": "some", "sk": "thing", "schema": SCHEMA + 1, "n": 1}


def test_a_plan_that_says_more_is_not_taken_for_one_that_says_less() -> None:
    stand = Stand()
    run = stand.start(CHAIN)
    name = (stand.cloud.store.get(run_key(run)) or {})["plan"]
    plan = json.loads((stand.cloud.store.get(plan_key(name)) or {})["plan"])
    with pytest.raises(Newer, match=f"a plan of version {PLAN_SCHEMA + 1}; this worker knows {PLAN_SCHEMA}"):
        Plan.from_json({**plan, "schema": PLAN_SCHEMA + 1})


def test_of_two_sweepers_the_last_ones_word_stands() -> None:
    stand = Stand()
    newer = {"pk": heartbeat.KEY[0], "sk": heartbeat.KEY[1], "schema": SCHEMA + 1, "at": 1, "took_ms": 1, "sent": 1, "behind_ms": 0}
    stand.cloud.store.put(newer)
    heartbeat.beat(stand.world, stand.now(), 0, None)
    last = heartbeat.last(stand.world)
    assert last is not None
    assert last.at == stand.now()
