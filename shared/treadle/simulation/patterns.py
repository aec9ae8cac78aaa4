"""EventBridge patterns, as far as the topology needs them: nested names, lists of alternatives, and the common comparisons.

A pattern that says more than this matcher understands is refused, never taken to match.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_MISSING = object()


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Every name of the pattern is matched by the event. Raises ValueError for a comparison it does not know."""
    return all(_matches_name(wanted, event.get(name, _MISSING)) for name, wanted in pattern.items())


def _matches_name(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, Mapping):
        return matches(wanted, found if isinstance(found, Mapping) else {})
    if not isinstance(wanted, Sequence) or isinstance(wanted, str):
        raise ValueError(f"a pattern's leaf is a list of alternatives, not {wanted!r}")
    candidates = found if isinstance(found, list) else [found]  # a list in the event matches by any of its members
    return any(_matches_value(alternative, value) for alternative in wanted for value in candidates)


def _matches_value(alternative: Any, value: Any) -> bool:
    if not isinstance(alternative, Mapping):
        return type(alternative) is type(value) and bool(alternative == value)
    if len(alternative) != 1:
        raise ValueError(f"a comparison has one operator: {alternative!r}")
    ((operator, operand),) = alternative.items()
    match operator:
        case "exists":
            return (value is not _MISSING) is operand
        case "prefix":
            return isinstance(value, str) and value.startswith(operand)
        case "suffix":
            return isinstance(value, str) and value.endswith(operand)
        case "anything-but":
            refused = operand if isinstance(operand, list) else [operand]
            return value is not _MISSING and not any(_matches_value(one, value) for one in refused)
        case _:
            raise ValueError(f"no such comparison here: {operator}")


def with_names(pattern: Any, names: Mapping[str, str]) -> Any:
    """The pattern with `{name}` put in where a whole string is such a placeholder."""
    if isinstance(pattern, Mapping):
        return {name: with_names(inner, names) for name, inner in pattern.items()}
    if isinstance(pattern, list):
        return [with_names(inner, names) for inner in pattern]
    if isinstance(pattern, str) and pattern[:1] == "{" and pattern[-1:] == "}":
        return names[pattern[1:-1]]
    return pattern
