"""Messages brought to handlers as event source mappings do, and time skipped only when nothing could happen."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from treadle import topology
from treadle.local.clock import LocalClock
from treadle.local.cloud import Cloud
from treadle.local.pump import Pump
from treadle.ports import Message

DAY_MS = 86_400_000
PATIENCE_S = 60  # for what comes at once where the machine has nothing else to do


class World:
    """A cloud, a pump, and handlers that do what the messages' bodies say."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.adapters = cloud.adapters()
        self.seen: list[tuple[str, dict[str, Any], dict[str, Any]]] = []  # (function, body, record)
        self.do: dict[str, Callable[[dict[str, Any]], Any]] = {}
        self.pump = Pump(cloud, self.invoke)

    def invoke(self, function: str, event: dict[str, Any], context: Any) -> Any:
        assert 0 < context.get_remaining_time_in_millis() <= topology.FUNCTION_TIMEOUT_S * 1000
        failed = []
        for record in event.get("Records", [{"body": "{}", "messageId": ""}]):
            body = json.loads(record["body"])
            self.seen.append((function, body, record))
            action = self.do.get(body.get("do", function))
            with self.pump.crowd.task():
                is_handed_back = action is not None and action(body) == "hand back"
            if is_handed_back:
                failed.append({"itemIdentifier": record["messageId"]})
        return {"batchItemFailures": failed}

    def send(self, *bodies: dict[str, Any], queue: str = "lane-normal", delay_s: int = 0) -> None:
        with self.pump.request():
            self.adapters.lanes.send([Message(queue, body, delay_s) for body in bodies])

    def wait_for(self, count: int, timeout_s: float = PATIENCE_S) -> None:
        assert self.pump.wait(lambda: len(self.seen) >= count or None, timeout_s), f"{len(self.seen)} of {count} came"


@contextmanager
def world(cloud: Cloud | None = None, *, skip: bool = True) -> Iterator[World]:
    with cloud or Cloud(LocalClock(skip=skip)) as cloud:
        it = World(cloud)
        with it.pump:
            yield it


def test_a_record_is_as_lambda_makes_it() -> None:
    with world() as it:
        it.send({"n": 1})
        it.wait_for(1)
        function, _, record = it.seen[0]
    assert function == "dispatcher"
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"].endswith(":treadle-lane-normal")
    assert record["awsRegion"] == "us-east-1"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert int(record["attributes"]["SentTimestamp"]) > 0
    assert record["receiptHandle"]


def test_every_queue_reaches_its_consumer() -> None:
    with world() as it:
        for queue in topology.QUEUES:
            it.send({"queue": queue.name}, queue=queue.name)
        it.wait_for(len(topology.QUEUES))
        consumers = {queue.name: queue.consumer for queue in topology.QUEUES}
        assert all(function == consumers[body["queue"]] for function, body, _ in it.seen)


def test_what_was_handled_is_gone_and_what_was_handed_back_comes_again() -> None:
    attempts: list[int] = []

    def second_time(body: dict[str, Any]) -> str | None:
        attempts.append(1)
        return "hand back" if len(attempts) == 1 else None

    with world() as it:
        it.do["twice"] = second_time
        began = it.cloud.clock.now()
        it.send({"do": "twice"}, {"n": 1}, queue="errors")
        it.wait_for(3)
        assert it.pump.quiet()
        assert [body for _, body, _ in it.seen] == [{"do": "twice"}, {"n": 1}, {"do": "twice"}]
        assert it.cloud.clock.now() - began >= topology.VISIBILITY_S * 1000
        assert it.cloud.next_visible_ms() is None


def test_a_handler_that_always_raises_ends_in_the_dead_letter_queue(capsys: pytest.CaptureFixture[str]) -> None:
    def boom(body: dict[str, Any]) -> None:
        raise LookupError("boom")

    with world() as it:
        it.do["boom"] = boom
        it.send({"do": "boom"})
        assert it.pump.wait(lambda: it.cloud.dead_letters() or None, 10) == {"lane-normal": 1}
        assert it.pump.counts.failures["dispatcher"] == topology.MAX_RECEIVES
    assert "LookupError: boom" in capsys.readouterr().err


def test_a_killed_worker_answers_nothing_and_its_message_comes_again() -> None:
    done: list[int] = []

    def work(body: dict[str, Any]) -> None:
        for n in range(4):
            it.adapters.store.put({"pk": "a", "sk": str(n)})
        done.append(it.cloud.clock.now())

    with world() as it:
        it.do["work"] = work
        it.pump.kill(lambda queue, bodies: "work" in bodies[0], calls=2)
        began = it.cloud.clock.now()
        it.send({"do": "work"})
        assert it.pump.wait(lambda: done or None, PATIENCE_S)
        assert done[0] - began >= topology.VISIBILITY_S * 1000
        assert len(it.seen) == 2
        assert it.pump.counts.killed == 1


def test_tasks_that_wait_for_each_other_run_at_the_same_time() -> None:
    barrier = threading.Barrier(20)
    with world(skip=False) as it:
        it.do["meet"] = lambda body: barrier.wait(PATIENCE_S)
        it.send(*({"do": "meet"} for _ in range(20)))
        it.wait_for(20)
        assert it.pump.quiet()
        assert not barrier.broken


def test_a_delay_takes_no_time_where_time_is_skipped() -> None:
    with world() as it:
        began = it.cloud.clock.now()
        it.send({"n": 1}, delay_s=900)
        it.wait_for(1)
        assert 900_000 <= it.cloud.clock.now() - began < 900_000 + PATIENCE_S * 1000
        assert it.pump.counts.jumps == 1


def test_a_delay_takes_its_time_where_time_is_not_skipped() -> None:
    with world(skip=False) as it:
        real = time.monotonic()
        it.send({"n": 1}, delay_s=1)
        it.wait_for(1)
        assert time.monotonic() - real >= 0.99
        assert it.pump.counts.jumps == 0


def test_what_is_due_in_a_month_is_swept_at_once_and_without_ticking() -> None:
    with world() as it:
        it.do["sweeper"] = lambda body: it.adapters.store.delete(("r", "!"))
        due = it.cloud.clock.now() + 30 * DAY_MS
        with it.pump.request():
            it.adapters.store.put({"pk": "r", "sk": "!", "due_shard": 3, "due": due})
        it.wait_for(1)
        assert it.pump.quiet()
        assert [function for function, _, _ in it.seen] == ["sweeper"]
        assert 0 <= it.cloud.clock.now() - due < PATIENCE_S * 1000
        assert it.pump.counts.jumps == 1


def test_no_time_is_skipped_while_a_request_is_under_way() -> None:
    with world() as it:
        began = it.cloud.clock.now()
        with it.pump.request():
            it.adapters.lanes.send([Message("lane-normal", {"n": 1}, 900)])
            assert it.pump.wait(lambda: it.seen or None, 0.7) is None
        assert it.cloud.clock.now() - began < PATIENCE_S * 1000
        it.wait_for(1)


def test_no_time_is_skipped_while_a_task_runs() -> None:
    go = threading.Event()
    with world() as it:
        it.do["wait"] = lambda body: go.wait(PATIENCE_S)
        began = it.cloud.clock.now()
        it.send({"do": "wait"})
        it.send({"n": 1}, delay_s=900)
        it.wait_for(1)
        assert it.pump.wait(lambda: len(it.seen) > 1 or None, 0.3) is None
        assert it.cloud.clock.now() - began < PATIENCE_S * 1000
        go.set()
        it.wait_for(2)


def test_who_waits_sees_what_happened_before_time_goes_on() -> None:
    """A waiter that is content stops the clock: a test can act before the next timer fires."""
    with world() as it:
        it.send({"n": 1}, delay_s=60)
        it.send({"n": 2}, delay_s=900)
        it.wait_for(1)
        assert len(it.seen) == 1


def test_time_is_skipped_in_the_end_though_nobody_waits() -> None:
    came = threading.Event()
    with world() as it:
        it.do["tell"] = lambda body: came.set()
        it.send({"do": "tell"}, delay_s=900)
        assert came.wait(PATIENCE_S)


def test_an_idle_pump_sleeps() -> None:
    """The scheduler until a message comes or the sweeper is due, and whoever waits until something happened."""
    looks: list[str] = []

    class Watched(Cloud):
        def next_visible_ms(self) -> int | None:
            looks.append("scheduler")
            return super().next_visible_ms()

    with world(Watched(LocalClock(skip=False))) as it:
        assert it.pump.quiet()
        looks.clear()
        assert it.pump.wait(lambda: looks.append("waiter"), 0.5) is None
    assert looks.count("waiter") == 1
    assert looks.count("scheduler") <= 4, "when somebody begins to wait, and when they end"


def test_waiting_ends_when_the_time_is_up() -> None:
    with world() as it:
        real = time.monotonic()
        assert it.pump.wait(lambda: None, 0.2) is None
        assert time.monotonic() - real >= 0.2
