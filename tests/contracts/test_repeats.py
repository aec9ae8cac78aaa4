"""A write whose answer was lost, and that the AWS client makes once more by itself: it must not take its own write for another's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from treadle.aws import Clients
from treadle.ports import Absent, Change, Equals, Item, Store, Written, is_set
from treadle.simulation.memory import MemoryCloud

from .conftest import World

KEY = ("run", "step")
CLAIM: Item = {"pk": "run", "sk": "step", "state": "claimed", "fence": 2**47, "lease": 1_800_000_130_000, "saw": ["a", None]}

Repeating = Callable[[], Store]


@pytest.fixture(params=["memory", "moto"])
def repeating(request: pytest.FixtureRequest) -> Repeating:
    """The table; from the call on each of its requests is made twice."""
    made: Repeating = request.getfixturevalue(f"repeating_{request.param}")
    return made


@pytest.fixture
def repeating_memory() -> Repeating:
    def repeated(call: str, when: str) -> bool:
        return when == "after"

    store = MemoryCloud().store

    def begin() -> Store:
        store.calls = repeated
        return store

    store.put({**CLAIM, "sk": "other"})
    return begin


@pytest.fixture
def repeating_moto(moto_world: World, moto_clients: Clients) -> Any:
    def again(attempts: int, **_: Any) -> int | None:
        return 0 if attempts == 1 else None

    def begin() -> Store:
        moto_clients.dynamodb.meta.events.register_first("needs-retry.dynamodb", again)
        return moto_world.store

    moto_world.store.put({**CLAIM, "sk": "other"})
    yield begin
    moto_clients.dynamodb.meta.events.unregister("needs-retry.dynamodb", again)


def test_what_it_put_itself_is_put(repeating: Repeating) -> None:
    store = repeating()
    assert store.put(CLAIM, Absent()) == Written(True, None)
    assert store.get(KEY) == CLAIM


def test_what_another_put_is_not(repeating: Repeating) -> None:
    store = repeating()
    theirs = {**CLAIM, "fence": 1}
    assert store.put(theirs, Absent()).ok
    assert store.put(CLAIM, Absent()) == Written(False, theirs)
    assert store.put({**CLAIM, "sk": "other", "lease": 1}, Absent()) == Written(False, {**CLAIM, "sk": "other"})


def test_without_a_repeat_the_same_item_is_another_ones(world: World) -> None:
    """Two workers who wake the same step write the same fact, under the fence that the step waits with: one of them goes on."""
    assert world.store.put(CLAIM, Absent()).ok
    assert world.store.put(CLAIM, Absent()) == Written(False, CLAIM)


def test_of_a_change_it_is_seen_whether_it_stands(repeating: Repeating) -> None:
    store, change = repeating(), Change(set={"fence": 3}, add={"losses": 1})
    assert store.put(CLAIM).ok
    written = store.update(KEY, change, Equals("fence", 2**47))
    assert not written.ok
    assert is_set(change, written.item)
    assert written.item == {**CLAIM, "fence": 3, "losses": 1}, "once"
    assert not is_set(Change(set={"fence": 4}), written.item)
    assert not is_set(change, None)


def test_what_is_deleted_is_gone(repeating: Repeating) -> None:
    store = repeating()
    assert store.put(CLAIM).ok
    store.delete(KEY, Equals("fence", 2**47))
    assert store.get(KEY) is None
