"""The soak, small: runs of every kind while workers die."""

from __future__ import annotations

import gc
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner
from moto.s3.models import FakeAcl, FakeKey
from treadle.cli.soaking import soak as command
from treadle.local.clock import LocalClock
from treadle.local.cloud import Cloud
from treadle.soak import leftovers
from treadle.soak.drive import Report, soak
from treadle.soak.kills import MOST_CALLS, MOST_TIMES, Kills
from treadle.soak.memory import Size
from treadle.soak.shapes import SHAPES, End

RUNS = 5 * len(SHAPES)


@pytest.fixture(scope="module")
def report() -> Report:
    return soak(RUNS, seed=3, share=0.3, wave=RUNS)


def test_all_runs_come_to_their_right_end_although_workers_die(report: Report) -> None:
    assert report.wrong == []
    assert (report.runs, report.ended.total(), report.failures) == (RUNS, RUNS, 0)
    assert report.shapes == Counter({shape.name: 5 for shape in SHAPES})
    assert report.killed > RUNS / 10
    assert report.processes_killed > 0
    assert {"dispatcher", "errors"} <= report.killed_in.keys()


def test_nothing_is_left_over(report: Report) -> None:
    assert report.orphans == []


def test_the_same_seed_gives_the_same_runs_the_same_ends(report: Report) -> None:
    again = soak(RUNS, seed=3, share=0.0, wave=RUNS)
    assert (again.ended, again.killed) == (report.ended, 0)


def test_a_run_that_comes_to_another_end_is_told() -> None:
    lying = replace(SHAPES[0], end=lambda given: End("succeeded", "something else"))
    found = soak(1, seed=1, share=0.0, shapes=[lying])
    assert len(found.wrong) == 1
    assert "not to End(status='succeeded', output='something else'" in found.wrong[0]
    assert not found.is_well


# ------------------------------------------------------------------------------------------------ who dies


def test_the_seed_says_which_messages_lose_their_workers() -> None:
    def drawn(seed: int) -> list[int | None]:
        kills = Kills(seed, 0.5)
        return [kills("dispatcher", [f"message {number}"]) for number in range(50)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert 10 < sum(calls is not None for calls in drawn(1)) < 40
    assert all(calls is None or 0 <= calls < MOST_CALLS for calls in drawn(1))


def test_no_message_loses_its_worker_for_ever() -> None:
    kills = Kills(1, 1.0)
    assert 1 <= sum(kills("errors", ["the same"]) is not None for _ in range(30)) <= MOST_TIMES


# ------------------------------------------------------------------------------------------------ what is left over

ENDED = {"pk": "r1", "sk": "!", "status": "succeeded", "workflow": "w", "ended_at": 1_000_000}
LATE = 1_000_000 + leftovers.CLAIMS_LATE_MS
LEFT: dict[str, tuple[list[dict[str, Any]], str | None]] = {
    "a run that has ended": ([ENDED], None),
    "its facts": ([ENDED, {"pk": "r1", "sk": "s#a", "state": "ended"}], None),
    "a step under way": ([ENDED, {"pk": "r1", "sk": "s#a", "state": "open"}], "w r1 s#a: is open in a run that is succeeded"),
    "a claim from before the end": ([ENDED, {"pk": "r1", "sk": "s#a", "state": "claimed", "lease": LATE - 1}], "is claimed"),
    "a claim from behind the end": ([ENDED, {"pk": "r1", "sk": "s#a", "state": "claimed", "lease": LATE}], None),
    "a timer": ([ENDED | {"due": 5, "due_shard": 1}], "is due in a run that has ended"),
    "a question": ([ENDED, {"pk": "r1", "sk": "s#a", "state": "ended", "list_pk": "x", "list_sk": "y"}], "asks somebody"),
    "a note of a dead letter": ([ENDED, {"pk": "r1", "sk": "dead#1"}], "a message was given up"),
    "a fact without its run": ([{"pk": "r2#f#0", "sk": "s#a"}], "belongs to no run"),
    "a token that expires": ([{"pk": "0123", "sk": "token", "expires": 5}], None),
    "a plan": ([{"pk": "plan#1", "sk": "plan"}], None),
    "a place": ([{"pk": "tasks#1", "sk": "semaphore", "holders": {"a": {"until": 0}}, "waiting": []}], "held by ['a']"),
    "a place whose lease is over": ([{"pk": "tasks#1", "sk": "semaphore", "holders": {"a": {"until": 1}}, "waiting": []}], None),
    "somebody in line": ([{"pk": "tasks#1", "sk": "semaphore", "holders": {}, "waiting": [["b", None]]}], "waited for by ['b']"),
    "a payload": ([ENDED, {"pk": "r1", "sk": "body", "input": '{"$ref":"blob:0000"}'}], None),
}


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud(LocalClock()) as it:
        yield it


@pytest.mark.parametrize(("items", "told"), LEFT.values(), ids=LEFT)
def test_what_may_be_there_when_all_has_ended(cloud: Cloud, items: list[dict[str, Any]], told: str | None) -> None:
    store = cloud.adapters().store
    cloud.clients.s3.put_object(Bucket=cloud.names.blobs, Key="0000", Body=b"1") if "body" in items[-1]["sk"] else None
    for item in items:
        store.put({"schema": 1, **item})
    try:
        found = leftovers.orphans(cloud)
    finally:
        for item in items:
            store.delete((item["pk"], item["sk"]))
        cloud.clients.s3.delete_object(Bucket=cloud.names.blobs, Key="0000")
    assert found == [] if told is None else [told in each for each in found] == [True]


def test_messages_and_objects_that_nobody_takes_are_told(cloud: Cloud) -> None:
    cloud.clients.s3.put_object(Bucket=cloud.names.blobs, Key="0001", Body=b"1")
    cloud.clients.sqs.send_message(QueueUrl=cloud.names.queue_urls["errors"], MessageBody="{}")
    try:
        assert leftovers.orphans(cloud) == ["1 messages in errors", "object 0001: nothing refers to it"]
    finally:
        cloud.clients.s3.delete_object(Bucket=cloud.names.blobs, Key="0001")
        cloud.clients.sqs.purge_queue(QueueUrl=cloud.names.queue_urls["errors"])


# ------------------------------------------------------------------------------------------------ memory, and the command


def test_an_object_that_was_deleted_is_let_go(cloud: Cloud) -> None:
    gc.collect()
    before = sum(isinstance(each, FakeKey | FakeAcl) for each in gc.get_objects())
    for number in range(5):
        cloud.clients.s3.put_object(Bucket=cloud.names.blobs, Key="0002", Body=str(number).encode())
    cloud.clients.s3.delete_object(Bucket=cloud.names.blobs, Key="0002")
    gc.collect()
    assert sum(isinstance(each, FakeKey | FakeAcl) for each in gc.get_objects()) == before


SIZES = {
    "flat": ([Size(1000, 140.0, 190_000, 7), Size(10_000, 142.0, 190_100, 7)], True),
    "more megabytes": ([Size(1000, 140.0, 190_000, 7), Size(10_000, 200.0, 190_000, 7)], False),
    "more objects": ([Size(1000, 140.0, 190_000, 7), Size(10_000, 140.0, 200_000, 7)], False),
    "smaller": ([Size(1000, 140.0, 190_000, 7), Size(10_000, 100.0, 180_000, 7)], True),
}


@pytest.mark.parametrize(("sizes", "flat"), SIZES.values(), ids=SIZES)
def test_a_process_that_grows_with_the_runs_is_not_flat(sizes: list[Size], flat: bool) -> None:
    assert Report(1, sizes=sizes).is_flat is flat


def test_the_command_tells_it_as_json_and_by_its_exit_status() -> None:
    done = CliRunner().invoke(command, ["--runs", "1", "-o", "json"], standalone_mode=False)
    told = json.loads(done.stdout)
    assert done.return_value == 0, done.stderr
    assert (told["runs"], told["wrong"], told["orphans"], told["well"]) == (1, [], [], True)
    assert "1 of 1 runs" in done.stderr
