"""The listener of the memory ports: told before and after each call, and free to make either fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from treadle.core.errors import NotFound, Unavailable
from treadle.ports import Absent, Change, Event, Message
from treadle.simulation.memory import MemoryCloud

EVENT = Event("StepFailed", "1", "run", 0, {})
ITEM = {"pk": "run", "sk": "step"}


@pytest.mark.parametrize(
    ("work", "names"),
    [
        pytest.param(lambda cloud: cloud.store.get(("run", "step")), ["store.get"], id="get"),
        pytest.param(lambda cloud: cloud.store.get_many([("run", f"{n}") for n in range(101)]), ["store.get_many"] * 2, id="get many"),
        pytest.param(lambda cloud: cloud.store.put(ITEM, Absent()), ["store.put"], id="put"),
        pytest.param(lambda cloud: cloud.store.update(("run", "step"), Change(set={"a": 1})), ["store.update"], id="update"),
        pytest.param(lambda cloud: cloud.store.delete(("run", "step")), ["store.delete"], id="delete"),
        pytest.param(lambda cloud: cloud.store.query("run"), ["store.query"], id="query"),
        pytest.param(lambda cloud: cloud.store.query_due(0, 0), ["store.query_due"], id="query due"),
        pytest.param(lambda cloud: cloud.store.query_list("t"), ["store.query_list"], id="query list"),
        pytest.param(lambda cloud: cloud.lanes.send([Message("lane-low", {})] * 11), ["lanes.send"] * 2, id="send"),
        pytest.param(lambda cloud: cloud.lanes.defer("lane-low", "none", 1), ["lanes.defer"], id="defer"),
        pytest.param(lambda cloud: cloud.bus.put([EVENT] * 11), ["bus.put"] * 2, id="put events"),
        pytest.param(lambda cloud: cloud.blobs.put("a", b""), ["blobs.put"], id="put a blob"),
    ],
)
def test_every_call_is_announced_and_reported(work: Callable[[MemoryCloud], Any], names: list[str]) -> None:
    cloud, heard = MemoryCloud(), list[tuple[str, str]]()
    cloud.listen(lambda name, when: heard.append((name, when)))
    work(cloud)
    assert heard == [(name, when) for name in names for when in ("before", "after")]


def failing(at: str) -> Callable[[str, str], None]:
    def calls(name: str, when: str) -> None:
        if when == at:
            raise Unavailable(f"{when} {name}")

    return calls


def test_a_call_that_fails_before_has_done_nothing() -> None:
    cloud = MemoryCloud()
    cloud.listen(failing("before"))
    with pytest.raises(Unavailable):
        cloud.store.put(ITEM)
    with pytest.raises(Unavailable):
        cloud.lanes.send([Message("lane-low", {})])
    with pytest.raises(Unavailable):
        cloud.blobs.put("a", b"")
    cloud.listen(None)
    assert (cloud.store.items(), cloud.lanes.bodies("lane-low"), cloud.blobs.names()) == ([], [], [])


def test_a_call_that_fails_after_has_been_done() -> None:
    cloud = MemoryCloud()
    cloud.listen(failing("after"))
    with pytest.raises(Unavailable):
        cloud.store.put(ITEM)
    with pytest.raises(Unavailable):
        cloud.lanes.send([Message("lane-low", {})] * 20)
    cloud.listen(None)
    assert cloud.store.items() == [ITEM]
    assert len(cloud.lanes.bodies("lane-low")) == 10  # the second call was never made


def test_a_call_that_raises_is_not_reported() -> None:
    cloud, heard = MemoryCloud(), list[str]()
    cloud.listen(lambda _, when: heard.append(when))
    with pytest.raises(NotFound):
        cloud.blobs.get("nowhere")
    assert heard == ["before"]
