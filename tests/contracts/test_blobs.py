"""Large payloads: what was put is got, whole."""

from __future__ import annotations

import pytest
from treadle.core.errors import NotFound

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
