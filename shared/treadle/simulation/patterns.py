"""Patterns of the topology with the names that a deployment gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def with_names(pattern: Any, names: Mapping[str, str]) -> Any:
    """The pattern with `{name}` put in where a whole string is such a placeholder."""
    if isinstance(pattern, Mapping):
        return {name: with_names(inner, names) for name, inner in pattern.items()}
    if isinstance(pattern, list):
        return [with_names(inner, names) for inner in pattern]
    if isinstance(pattern, str) and pattern[:1] == "{" and pattern[-1:] == "}":
        return names[pattern[1:-1]]
    return pattern


def leaves(pattern: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The places in an event that a pattern looks at. Patterns of the topology have no `$or`."""
    for name, inner in pattern.items():
        if isinstance(inner, Mapping):
            yield from leaves(inner, (*path, name))
        else:
            yield (*path, name)
