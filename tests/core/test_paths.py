"""Paths and keys."""

from __future__ import annotations

import pytest
from treadle.core import paths


@pytest.mark.parametrize(
    ("key", "step", "index", "scope", "containers", "shown"),
    [
        ("charge", "charge", None, "", (), "charge"),
        ("group.charge", "charge", None, "group", ("group",), "group.charge"),
        ("notify[3]", "notify", 3, "", ("notify",), "notify[3]"),
        ("group~2.charge", "charge", None, "group~2", ("group~2",), "group.charge"),
        ("f[3]~2.g[10]", "g", 10, "f[3]~2", ("f", "f[3]~2", "f[3]~2.g"), "f[3].g[10]"),
        ("a.b.c", "c", None, "a.b", ("a", "a.b"), "a.b.c"),
    ],
)
def test_a_key_taken_apart(key: str, step: str, index: int | None, scope: str, containers: tuple[str, ...], shown: str) -> None:
    assert (paths.step_id(key), paths.index(key), paths.scope(key), paths.containers(key), paths.shown(key)) == (
        step,
        index,
        scope,
        containers,
        shown,
    )


@pytest.mark.parametrize(("key", "attempt", "scope"), [("g", 1, "g"), ("g", 2, "g~2"), ("f[3]", 12, "f[3]~12"), ("a~2.g", 3, "a~2.g~3")])
def test_a_scope_knows_its_owner(key: str, attempt: int, scope: str) -> None:
    assert paths.inside(key, attempt) == scope
    assert paths.owner(scope) == (key, attempt)


@pytest.mark.parametrize(
    ("key", "page"),
    [
        ("charge", ""),
        ("g.charge", ""),
        ("f[0]", "#f#0"),
        ("f[255]", "#f#0"),
        ("f[256]", "#f#1"),
        ("f[300].g~2.x", "#f#1"),
        ("f[1].g[512]", "#f[1].g#2"),
    ],
)
def test_the_last_index_decides_the_partition(key: str, page: str) -> None:
    assert paths.page(key) == page
