"""Large payloads: what was put is got, whole."""

from __future__ import annotations

import pytest
from treadle.core.errors import NotFound
from treadle.ports import TooLarge

from .conftest import World


@pytest.mark.parametrize("content", [b"", b"{}", bytes(range(256)), b"x" * 3_000_000], ids=["nothing", "json", "any bytes", "3 MB"])
def test_what_was_put_is_got(world: World, content: bytes) -> None:
    world.blobs.put("tenant/sha256-0123", content)
    assert world.blobs.get("tenant/sha256-0123") == content


def test_putting_twice_changes_nothing(world: World) -> None:
    world.blobs.put("a", b"1")
    world.blobs.put("a", b"1")
    assert world.blobs.get("a") == b"1"


def test_what_is_not_there_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        world.blobs.get("nowhere")


def test_names_are_found_by_what_they_begin_with(world: World) -> None:
    for name in ("runs/a/1", "runs/a/2", "runs/ab/3", "4"):
        world.blobs.put(name, b"1")
    assert world.blobs.under("runs/a/") == ["runs/a/1", "runs/a/2"]
    assert world.blobs.under("nothing/") == []


def test_what_was_removed_is_gone_and_removing_it_again_changes_nothing(world: World) -> None:
    world.blobs.put("a", b"1")
    world.blobs.put("b", b"1")
    world.blobs.remove("a")
    world.blobs.remove("a")
    with pytest.raises(NotFound):
        world.blobs.get("a")
    assert world.blobs.get("b") == b"1"


def test_what_is_larger_than_asked_for_is_not_fetched(world: World) -> None:
    world.blobs.put("a", b"x" * 1000)
    assert world.blobs.get("a", most=1000) == b"x" * 1000
    with pytest.raises(TooLarge):
        world.blobs.get("a", most=999)
