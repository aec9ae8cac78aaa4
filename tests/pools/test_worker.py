"""Workers that are no Lambdas: leases and messages are held for as long as a task runs, and are free when nobody holds them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from treadle import TaskContext, task, topology, wiring
from treadle.core.errors import Unavailable
from treadle.core.resources import pools_of
from treadle.engine import Engine, Settings
from treadle.engine.claims import Claim, Hold, renew, take
from treadle.engine.run import Run
from treadle.engine.semaphores import of_tasks
from treadle.keeping import Keeper
from treadle.local.cloud import Cloud
from treadle.local.endpoint import AwsEndpoint
from treadle.simulation.driver import MemoryEngine
from treadle.tasks import Registry
from treadle.worker import TURNS, Worker

HUGE = {"cpu": 4.0, "memory_mb": 16_384, "storage_mb": 51_200, "kind": "fargate", "attempt_s": 14_400}
SETTINGS = Settings(pools={"huge": HUGE})
RESOURCES = {"memory": "12GB"}


def workflow(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"id": "made", "name": "made", "version": "1.0.0", "steps": list(steps)}


# ------------------------------------------------------------------------------------------------ holding on


class Holder:
    """A keeper in whose hands time passes: each task takes as long as it says, and its lease is renewed meanwhile."""

    def __init__(self, engine: MemoryEngine, lease_ms: int) -> None:
        self.engine, self.lease_ms, self.renewed, self.passes_ms = engine, lease_ms, 0, 0

    @contextmanager
    def holding(self, renew: Callable[[int], bool]) -> Iterator[None]:
        for _ in range(self.passes_ms // (self.lease_ms // 3)):
            self.engine.cloud.clock.advance(self.lease_ms // 3)
            assert renew(self.engine.now() + self.lease_ms)
            self.renewed += 1
        yield


def test_a_claim_is_renewed_by_its_owner_alone() -> None:
    engine = MemoryEngine()
    run = Run(engine.world, engine.start(workflow({"id": "a", "wait": "1h"})))
    run.read_control()
    claim = take(run, "a")
    assert isinstance(claim, Claim)
    assert renew(run, claim, claim.lease + 1000)
    item = engine.world.store.get((run.id, "s#a"))
    assert item is not None
    assert item["lease"] == claim.lease + 1000
    engine.world.store.put({**item, "fence": claim.fence + 1})
    assert not renew(run, claim, claim.lease + 2000), "somebody has taken it over"


def test_what_has_no_lease_any_more_is_not_held_again() -> None:
    engine = MemoryEngine()
    run = Run(engine.world, engine.start(workflow({"id": "a", "task": "echo"})))
    run.read_control()
    claim = take(run, "a")
    assert isinstance(claim, Claim)
    item = engine.world.store.get((run.id, "s#a")) or {}
    released = {name: value for name, value in item.items() if name != "lease"} | {"state": "released"}
    engine.world.store.put(released)
    assert not renew(run, claim, claim.lease + 1000)


LONG = [
    pytest.param({"id": "a", "task": "long", "resources": RESOURCES}, 1, id="a step"),
    pytest.param({"id": "a", "forEach": "[1, 2]", "task": "long", "resources": RESOURCES}, 2, id="items of a chunk"),
    pytest.param({"id": "a", "forEach": "[1, 2]", "maxConcurrency": 1, "task": "long", "resources": RESOURCES}, 2, id="items of a lane"),
    pytest.param({"id": "a", "repeat": {"max": 2, "until": "false"}, "task": "long", "resources": RESOURCES}, 2, id="iterations"),
    pytest.param(
        {"id": "a", "task": "long", "resources": RESOURCES, "concurrency": {"key": "'k'", "limit": 1}}, 1, id="with a place of its own"
    ),
]


@pytest.mark.parametrize(("step", "times"), LONG)
def test_a_task_that_outlasts_its_lease_runs_once(step: dict[str, Any], times: int) -> None:
    """Half an hour under a lease of five minutes, with everything delivered twice on the way."""
    ran: list[str] = []

    @task
    def long(given: Any, context: TaskContext) -> Any:
        ran.append(context.step_id)
        for queue in ("lane-normal", "lane-normal-huge"):
            engine.cloud.lanes.duplicate(queue)
        return len(ran)

    engine = MemoryEngine([long], settings=SETTINGS)
    holder = hold(engine, 1_800_000)
    run = engine.wait(engine.start(workflow(step)))
    assert (len(ran), holder.renewed) == (times, 18 * times)
    assert run.steps["a"].status in ("succeeded", "failed")  # `until` never holds
    assert run.steps["a"].error is None or run.steps["a"].error["name"] == "LoopLimit"


def hold(engine: MemoryEngine, passes_ms: int) -> Holder:
    holder = Holder(engine, topology.RENEWED_LEASE_S * 1000)
    holder.passes_ms = passes_ms
    (pool,) = [pool for pool in engine.world.pools if pool.name == "huge"]
    engine._engines["dispatcher-huge"] = Engine(engine.world.in_pool(pool, holder))
    return holder


def test_a_place_is_held_for_as_long_as_the_lease() -> None:
    @task
    def long(given: Any) -> Any:
        places = of_tasks(engine.world, "local", '"k"')
        return places.acquire("another", 1, until=engine.now() + 1000)

    engine = MemoryEngine([long], settings=SETTINGS)
    hold(engine, 1_800_000)
    run = engine.run(workflow({"id": "a", "task": "long", "resources": RESOURCES, "concurrency": {"key": "'k'", "limit": 1}}))
    assert run.output == {"a": False}


def test_a_lease_is_renewed_until_it_is_lost_or_let_go() -> None:
    answers = iter([True, Unavailable("once"), True, False])
    asked, lost = [], threading.Event()

    class Clock:
        def now(self) -> int:
            return 1000

    def renew(until: int) -> bool:
        asked.append(until)
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        if not answer:
            lost.set()
        return answer

    with Keeper(Clock(), 0.03).holding(renew):
        assert lost.wait(60)
    assert asked == [1030] * 4, "a refusal is the last word"


def test_what_is_held_on_items_of_others_is_said_where_it_lies() -> None:
    engine = MemoryEngine()
    run = Run(engine.world, engine.start(workflow({"id": "a", "task": "echo"})))
    run.read_control()
    engine.world.store.put({"pk": "cursor", "sk": "cursor", "f_3": 7, "l_3": 10})
    claim = Claim("a[3]", 7, 10, 1, 0, 0, hold=Hold(("cursor", "cursor"), "f_3", "l_3"))
    assert renew(run, claim, 99)
    assert (engine.world.store.get(("cursor", "cursor")) or {})["l_3"] == 99


# ------------------------------------------------------------------------------------------------ the loop


class Hand:
    """Messages of the memory lanes, one at a time; when there are none the worker is asked to leave."""

    def __init__(self, engine: MemoryEngine) -> None:
        self.engine, self.asked, self.worker = engine, list[str](), None

    def take(self, queue: str, wait_s: int) -> dict[str, Any] | None:
        self.asked.append(queue)
        for received in self.engine.cloud.lanes.receive(queue, 1):
            return {**received.to_record(), "eventSourceARN": f"arn:aws:sqs:::{queue}"}
        if self.worker is not None and len(self.asked) > 50:
            self.worker.leave(0)
        return None

    def done(self, queue: str, receipt: str) -> None:
        self.engine.cloud.lanes.delete(queue, receipt)


def working(engine: MemoryEngine, protect: Callable[[bool], None] = lambda busy: None) -> tuple[Worker, Hand]:
    names = topology.Names("t", "t", "b", "i", {queue.name: queue.name for queue in topology.queues(engine.world.pools)})
    wired = wiring.in_pool(wiring.Wiring(engine.engine, engine.tasks, names, engine.cloud.inbox), "huge")
    hand = Hand(engine)
    hand.worker = worker = Worker(wired, hand, protect=protect)
    return worker, hand


def test_each_lane_has_its_turns() -> None:
    assert {priority: TURNS.count(priority) for priority in topology.LANES} == {"critical": 8, "high": 4, "normal": 4, "low": 1}


def test_it_does_what_a_dispatcher_does_and_is_protected_meanwhile() -> None:
    engine = MemoryEngine(settings=SETTINGS)
    run = engine.start(workflow({"id": "a", "task": "echo", "with": 1, "resources": RESOURCES}))
    busy: list[bool] = []
    worker, _ = working(engine, busy.append)
    worker.run()
    assert worker.handled == 1
    assert busy == [True, False]
    assert engine.cloud.lanes.bodies("lane-normal-huge") == []
    assert engine.wait(run).output == {"a": 1}


def test_asked_to_leave_it_ends_what_it_does_and_begins_nothing_more() -> None:
    ran = []

    @task
    def leaves(given: Any, context: TaskContext) -> Any:
        ran.append(context.step_id)
        worker.leave(0)

    engine = MemoryEngine([leaves], settings=SETTINGS)
    steps = [{"id": "a", "task": "leaves", "resources": RESOURCES}, {"id": "b", "after": ["a"], "task": "leaves", "resources": RESOURCES}]
    run = engine.start(workflow(*steps))
    worker, _ = working(engine)
    worker.run()
    assert ran == ["a"]
    assert engine.show(run).steps["a"].status == "succeeded"
    engine.world.stops_at = 1 << 62
    assert engine.wait(run).status == "succeeded", "another worker goes on"


# ------------------------------------------------------------------------------------------------ the process

TASKS = """
import signal, threading
from pathlib import Path
from treadle import task

@task
def slow(given, context):
    Path(given["begun"]).write_text(context.step_id)
    threading.Event().wait(0.2)
    return "done"

@task
def spin(given):
    while True:
        pass

@task
def hold_the_interpreter(given):
    import re
    re.match(r"(a+)+$", "a" * 64 + "b")
"""


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Cloud(pools=pools_of({"huge": HUGE})) as it:
        yield it


def test_as_a_process_it_works_on_the_lanes_of_its_pool_and_stops_when_it_is_told_to(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "slow_tasks.py").write_text(TASKS)
    wired = wiring.wire(cloud.names, Registry.load(str(tmp_path / "slow_tasks.py")), cloud.clock, SETTINGS, cloud.clients)
    begun = tmp_path / "begun"
    step = {"task": "slow", "with": {"begun": str(begun)}, "resources": RESOURCES}
    definition = workflow({"id": "a", **step}, {"id": "b", "after": ["a"], **step})
    run = wired.operations.run_definition("default", definition, {}).id
    with AwsEndpoint(cloud.account) as endpoint:
        process = subprocess.Popen(
            [sys.executable, "-m", "treadle.worker"], env=environment(cloud, endpoint.url, tmp_path), stderr=subprocess.PIPE, text=True
        )
        try:
            assert ended(cloud, wired, run), process.stderr.read() if process.stderr and process.poll() is not None else "it is late"
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            process.stderr and process.stderr.close()
    assert wired.operations.show("default", run).output == {"b": "done"}
    assert begun.read_text() == "b"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        pytest.param("spin", "a worker ends: tasks that took too long still run in it", id="a function that never returns"),
        pytest.param("hold_the_interpreter", "Timeout (0:00:03)!", id="a call into C that never lets go of the interpreter"),
    ],
)
def test_a_task_that_never_ends_ends_its_worker_so_that_another_one_is_started(cloud: Cloud, tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "slow_tasks.py").write_text(TASKS)
    wired = wiring.wire(cloud.names, Registry.load(str(tmp_path / "slow_tasks.py")), cloud.clock, SETTINGS, cloud.clients)
    step = {"id": "a", "task": name, "timeout": "1s", "resources": RESOURCES}
    run = wired.operations.run_definition("default", workflow(step), {}).id
    held_for_3_s = [sys.executable, "-c", "from treadle import worker; worker.main(hold_s=3)"]
    with AwsEndpoint(cloud.account) as endpoint:
        ran = subprocess.run(
            held_for_3_s, env=environment(cloud, endpoint.url, tmp_path), capture_output=True, text=True, timeout=120, check=False
        )
    assert ran.returncode == 1
    assert told in ran.stderr
    (item,) = wired.engine.world.store.query(run, prefix="s#").items
    assert item["state"] == ("retry" if name == "spin" else "claimed"), "what could be written is; the rest is missed when its lease ends"
    assert ("Timeout" in item.get("error", "")) is (name == "spin")


def environment(cloud: Cloud, url: str, tasks: Path) -> dict[str, str]:
    import json

    prefix = cloud.names.queue_urls["lane-normal"].removesuffix("lane-normal").replace("https://sqs.us-east-1.amazonaws.com", url)
    named = {variable: str(getattr(cloud.names, name)) for name, variable in topology.ENVIRONMENT.items()}
    named |= {"TREADLE_QUEUE_URLS": prefix, "TREADLE_POOL": "huge", "TREADLE_TASKS": "slow_tasks"}
    path = os.pathsep.join([str(tasks), *sys.path])
    settings = {"TREADLE_SETTINGS": json.dumps({"pools": {"huge": HUGE}}), "AWS_ENDPOINT_URL": url, "PYTHONPATH": path}
    return {**os.environ, **named, **settings}


def ended(cloud: Cloud, wired: wiring.Wiring, run: str) -> bool:
    changed = threading.Event()
    cloud.on_message = lambda visible_from_ms: changed.set()
    for _ in range(600):
        if wired.operations.show("default", run).status == "succeeded":
            return True
        changed.wait(0.1)
        changed.clear()
    return False


def test_there_is_no_worker_of_a_pool_that_is_none() -> None:
    engine = MemoryEngine()
    names = topology.Names("t", "t", "b", "i", {})
    with pytest.raises(ValueError, match="there is no pool huge: there are default"):
        wiring.in_pool(wiring.Wiring(engine.engine, engine.tasks, names, engine.cloud.inbox), "huge")
