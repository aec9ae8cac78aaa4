"""The lanes: what is sent arrives once each, delayed where asked for, and a message in hand can be put off."""

from __future__ import annotations

from typing import Any

import pytest
from treadle import topology
from treadle.ports import Message
from treadle.simulation.memory import MemoryCloud

from .conftest import Mail, World

LANE = "lane-normal"


def all_of_queue(world: World, queue: str) -> list[Mail]:
    mails: list[Mail] = []
    while some := world.mailbox.receive(queue):
        mails += some
    return mails


def test_a_message_arrives_as_compact_json_with_its_group(world: World) -> None:
    body = {"run": "r", "path": "é", "attempt": 1, "flag": True, "none": None, "list": [1.5]}
    world.lanes.send([Message(LANE, body, group="tenant")])
    assert [(mail.body, mail.group) for mail in world.mailbox.receive(LANE)] == [(body, "tenant")]


def test_each_message_goes_to_its_queue(world: World) -> None:
    world.lanes.send([Message(queue.name, {"to": queue.name}) for queue in topology.QUEUES])
    for queue in topology.QUEUES:
        assert [mail.body for mail in world.mailbox.receive(queue.name)] == [{"to": queue.name}]


@pytest.mark.parametrize("count", [0, 1, 10, 11, 25])
def test_any_number_arrives(world: World, count: int) -> None:
    world.lanes.send([Message(LANE, {"n": n}) for n in range(count)])
    assert sorted(mail.body["n"] for mail in all_of_queue(world, LANE)) == list(range(count))


def test_large_messages_go_in_more_calls(world: World) -> None:
    world.lanes.send([Message(LANE, {"n": n, "text": "x" * 400_000}) for n in range(6)])
    assert sorted(mail.body["n"] for mail in all_of_queue(world, LANE)) == list(range(6))


def test_a_message_that_no_call_could_hold_is_refused(world: World) -> None:
    with pytest.raises(ValueError):
        world.lanes.send([Message(LANE, {"text": "é" * 600_000})])


def test_a_delayed_message_is_there_but_hidden(world: World) -> None:
    world.lanes.send([Message(LANE, {"n": 1}, delay_s=topology.MAX_DELAY_S)])
    assert world.mailbox.receive(LANE) == []
    assert world.mailbox.hidden(LANE) == 1


@pytest.mark.parametrize("delay_s", [901, 100_000])
def test_a_longer_delay_is_refused(world: World, delay_s: int) -> None:
    with pytest.raises(ValueError):
        world.lanes.send([Message(LANE, {}, delay_s=delay_s)])


def test_a_message_in_hand_is_hidden_until_it_is_put_back(world: World) -> None:
    world.lanes.send([Message(LANE, {"n": 1})])
    (mail,) = world.mailbox.receive(LANE)
    assert world.mailbox.hidden(LANE) == 1
    world.lanes.defer(LANE, mail.receipt, 0)
    assert [again.body for again in world.mailbox.receive(LANE)] == [{"n": 1}]


def test_a_message_in_hand_can_be_put_off(world: World) -> None:
    world.lanes.send([Message(LANE, {"n": 1})])
    (mail,) = world.mailbox.receive(LANE)
    world.lanes.defer(LANE, mail.receipt, 11 * 3600)
    assert world.mailbox.receive(LANE) == []
    assert world.mailbox.hidden(LANE) == 1


def test_putting_off_for_more_than_half_a_day_is_refused(world: World) -> None:
    world.lanes.send([Message(LANE, {"n": 1})])
    (mail,) = world.mailbox.receive(LANE)
    with pytest.raises(ValueError):
        world.lanes.defer(LANE, mail.receipt, 12 * 3600 + 1)


# ---------------------------------------------------------------------------------------- what only memory can show


@pytest.fixture
def cloud() -> MemoryCloud:
    return MemoryCloud()


def send(cloud: MemoryCloud, *bodies: dict[str, Any], delay_s: int = 0) -> None:
    cloud.lanes.send([Message(LANE, body, delay_s) for body in bodies])


def test_a_delay_ends_with_the_clock(cloud: MemoryCloud) -> None:
    send(cloud, {"n": 1}, delay_s=10)
    assert cloud.lanes.next_visible_at() == cloud.clock.now() + 10_000
    cloud.clock.advance(9_999)
    assert cloud.lanes.receive(LANE) == []
    cloud.clock.advance(1)
    assert [each.body for each in cloud.lanes.receive(LANE)] == ['{"n":1}']


def test_a_message_comes_back_when_its_visibility_ends(cloud: MemoryCloud) -> None:
    send(cloud, {"n": 1})
    (first,) = cloud.lanes.receive(LANE)
    assert cloud.lanes.next_visible_at(LANE) == cloud.clock.now() + topology.VISIBILITY_S * 1000
    cloud.clock.advance(topology.VISIBILITY_S * 1000)
    (second,) = cloud.lanes.receive(LANE)
    assert (first.id, first.attributes["ApproximateReceiveCount"]) == (second.id, "1")
    assert second.attributes["ApproximateReceiveCount"] == "2"
    assert second.attributes["ApproximateFirstReceiveTimestamp"] == first.attributes["ApproximateFirstReceiveTimestamp"]


def test_only_the_last_receipt_acknowledges(cloud: MemoryCloud) -> None:
    send(cloud, {"n": 1})
    (first,) = cloud.lanes.receive(LANE)
    cloud.clock.advance(topology.VISIBILITY_S * 1000)
    (second,) = cloud.lanes.receive(LANE)
    cloud.lanes.delete(LANE, first.receipt)
    assert cloud.lanes.bodies(LANE) == ['{"n":1}']
    cloud.lanes.delete(LANE, second.receipt)
    assert cloud.lanes.bodies(LANE) == []
    assert cloud.lanes.next_visible_at() is None


def test_putting_off_what_is_no_longer_in_hand_changes_nothing(cloud: MemoryCloud) -> None:
    send(cloud, {"n": 1})
    (first,) = cloud.lanes.receive(LANE)
    cloud.clock.advance(topology.VISIBILITY_S * 1000)
    cloud.lanes.defer(LANE, first.receipt, 600)
    assert len(cloud.lanes.receive(LANE)) == 1


def test_a_message_received_too_often_is_a_dead_letter(cloud: MemoryCloud) -> None:
    send(cloud, {"n": 1})
    for _ in range(topology.MAX_RECEIVES):
        assert len(cloud.lanes.receive(LANE, visibility_s=0)) == 1
    assert cloud.lanes.receive(LANE) == []
    assert (cloud.lanes.bodies(LANE), cloud.lanes.dead(LANE)) == ([], ['{"n":1}'])
    assert cloud.lanes.next_visible_at() is None


def test_dead_letters_can_be_sent_again(cloud: MemoryCloud) -> None:
    send(cloud, {"n": 1}, {"n": 2})
    for _ in range(topology.MAX_RECEIVES + 1):
        cloud.lanes.receive(LANE, visibility_s=0)
    assert cloud.lanes.redrive(LANE) == 2
    assert [each.attributes["ApproximateReceiveCount"] for each in cloud.lanes.receive(LANE)] == ["1", "1"]
    assert cloud.lanes.dead(LANE) == []


def test_a_delivery_can_be_made_twice(cloud: MemoryCloud) -> None:
    send(cloud, {"n": 1})
    (first,) = cloud.lanes.receive(LANE)
    assert cloud.lanes.duplicate(LANE) == 1
    (second,) = cloud.lanes.receive(LANE)
    cloud.lanes.delete(LANE, first.receipt)
    assert (second.body, len(cloud.lanes.bodies(LANE))) == (first.body, 1)


def test_any_visible_message_can_be_taken_first(cloud: MemoryCloud) -> None:
    send(cloud, {"n": 1}, {"n": 2}, {"n": 3})
    ids = cloud.lanes.visible(LANE)
    taken = [cloud.lanes.take(LANE, message_id) for message_id in reversed(ids)]
    assert [each.body for each in taken if each] == ['{"n":3}', '{"n":2}', '{"n":1}']
    assert cloud.lanes.visible(LANE) == []


def test_a_record_is_what_a_function_is_called_with(cloud: MemoryCloud) -> None:
    send(cloud, {"n": 1})
    (received,) = cloud.lanes.receive(LANE)
    record = received.to_record()
    assert (record["body"], record["receiptHandle"], record["eventSource"]) == ('{"n":1}', received.receipt, "aws:sqs")
    assert record["eventSourceARN"].endswith(":lane-normal")
