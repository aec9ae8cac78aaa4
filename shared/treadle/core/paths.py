"""Paths: where a step stands in its run, as one string.

    charge            a step
    group.charge      a step of a group
    notify[3]         the fourth item of a forEach (or iteration of a repeat); `notify` is the step as a whole
    group~2.charge    the same step in the group's second attempt

A *key* carries the attempt (`~2`) of each group above it, so that a new attempt starts clean; a *path*, what users see, does not.
A *scope* is the inside of a group, named by the key of the group's instance with its attempt; the root scope is "".
"""

from __future__ import annotations

import re
from functools import lru_cache

PAGE = 256  # items of a loop per partition of the table

_ATTEMPT = re.compile(r"~\d+")
_INDEX = re.compile(r"\[(\d+)\]")
_PATH = re.compile(r"[^\[\].]+(\[\d{1,18}\])?(\.[^\[\].]+(\[\d{1,18}\])?)*")  # `group.notify[3].inner`


def is_path(text: str) -> bool:
    """Could `text` be one, of whatever run?"""
    return _PATH.fullmatch(text) is not None


def step_id(key: str) -> str:
    """`group~2.notify[3]` -> `notify`"""
    return key.rpartition(".")[2].partition("~")[0].partition("[")[0]


def index(key: str) -> int | None:
    """`notify[3]` -> 3; None for a step that is not one item or iteration."""
    last = key.rpartition(".")[2]
    found = _INDEX.search(last)
    return int(found[1]) if found else None


def scope(key: str) -> str:
    """The scope a step stands in: `group~2.notify[3]` -> `group~2`"""
    return key.rpartition(".")[0]


def whole(key: str) -> str:
    """The step as a whole, of an item or iteration: `notify[3]` -> `notify`"""
    return key[: key.rindex("[")]


def item(key: str, number: int) -> str:
    return f"{key}[{number}]"


def inside(key: str, attempt: int) -> str:
    """The scope that attempt `attempt` of the group at `key` opens."""
    return key if attempt == 1 else f"{key}~{attempt}"


def owner(scope_key: str) -> tuple[str, int]:
    """The group's key and attempt of a scope: `group~2` -> (`group`, 2)"""
    head, dot, last = scope_key.rpartition(".")
    name, _, attempt = last.partition("~")
    return f"{head}{dot}{name}", int(attempt or 1)


def join(scope_key: str, step: str) -> str:
    return f"{scope_key}.{step}" if scope_key else step


@lru_cache(maxsize=4096)
def containers(key: str) -> tuple[str, ...]:
    """Everything around a step that can be stopped, outermost first: the keys of loops and the scopes of groups.

    `a.f[3]~2.b` -> (`a`, `a.f`, `a.f[3]~2`)
    """
    found: list[str] = []
    parts = key.split(".")
    for depth, part in enumerate(parts):
        prefix = ".".join([*parts[:depth], part])
        if "[" in part:
            found.append(".".join([*parts[:depth], part[: part.index("[")]]))
        if depth < len(parts) - 1:
            found.append(prefix)
    return tuple(found)


def shown(key: str) -> str:
    """The path users see."""
    return _ATTEMPT.sub("", key) if "~" in key else key


def page(key: str) -> str:
    """The part of the table's partition that the key's last index decides: at most PAGE items of one loop lie together.

    `notify[300]` -> `#notify#1`; steps outside loops -> ""
    """
    end = key.rfind("[")
    if end < 0:
        return ""
    return f"#{key[:end]}#{int(key[end + 1 : key.index(']', end)]) // PAGE}"
