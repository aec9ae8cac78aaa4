"""EventBridge's event patterns: what they may say, and what they match. Pure.

A pattern is an object of the event's names; each leaf is a list of alternatives, a value or one comparison. A list in the
event matches by any of its members, and where the members are objects one of them has to match all that is asked of it.
Law: a pattern that says more than is understood here is refused, never taken to match.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, Final

_MISSING: Final = object()
_NUMERIC: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": lambda value, limit: bool(value < limit),
    "<=": lambda value, limit: bool(value <= limit),
    "=": lambda value, limit: bool(value == limit),
    ">=": lambda value, limit: bool(value >= limit),
    ">": lambda value, limit: bool(value > limit),
}


# -------------------------------------------------------------------------------------------------------- checking


def check_pattern(pattern: Any, place: str = "") -> None:
    """Raises ValueError with a sentence for people, which names the place (`detail.state`)."""
    if not isinstance(pattern, Mapping) or not pattern:
        raise ValueError(f"{place or 'an event pattern'} is a map that is not empty, or a list of alternatives")
    for name, wanted in pattern.items():
        where = f"{place}.{name}" if place else name
        if name == "$or":
            _check_choices(wanted, place or "the pattern")
        elif isinstance(wanted, list):
            _check_alternatives(wanted, where)
        elif isinstance(wanted, Mapping):
            check_pattern(wanted, where)
        else:
            raise ValueError(f"{where} is a list of alternatives: write [{wanted!r}]")


def _check_choices(choices: Any, place: str) -> None:
    if not isinstance(choices, list) or len(choices) < 2:
        raise ValueError(f"$or in {place} is a list of at least two patterns")
    for choice in choices:
        check_pattern(choice, "" if place == "the pattern" else place)


def _check_alternatives(alternatives: Sequence[Any], place: str) -> None:
    if not alternatives:
        raise ValueError(f"{place} is an empty list, which matches nothing")
    for one in alternatives:
        if isinstance(one, Mapping):
            if len(one) != 1:
                raise ValueError(f"a comparison of {place} has one operator")
            ((operator, operand),) = one.items()
            _check_comparison(operator, operand, place)
        elif isinstance(one, list):
            raise ValueError(f"{place} has a list among its alternatives")


def _check_comparison(operator: str, operand: Any, place: str) -> None:
    known = _COMPARISONS.get(operator)
    if known is None:
        raise ValueError(f"`{operator[:40]}` of {place} is no comparison: {', '.join(_COMPARISONS)}")
    if not known[0](operand):
        raise ValueError(f"`{operator}` of {place} does not take {str(operand)[:60]}")


def _is_text(operand: Any) -> bool:
    return isinstance(operand, str)


def _is_affix(operand: Any) -> bool:
    return isinstance(operand, str) or (
        isinstance(operand, Mapping) and operand.keys() == {"equals-ignore-case"} and isinstance(operand["equals-ignore-case"], str)
    )


def _is_numeric(operand: Any) -> bool:
    if not isinstance(operand, list) or len(operand) not in (2, 4):
        return False
    return all(isinstance(sign, str) and sign in _NUMERIC for sign in operand[::2]) and all(_is_number(limit) for limit in operand[1::2])


def _is_network(operand: Any) -> bool:
    try:
        ip_network(operand, strict=False)
    except ValueError:
        return False
    return isinstance(operand, str)


def _is_refusal(operand: Any) -> bool:
    """A value, several, or one of the comparisons of text over one or several."""
    if isinstance(operand, Mapping):
        ((operator, inner),) = operand.items() if len(operand) == 1 else (("", None),)
        return operator in _REFUSED_BY and (_is_text(inner) or _are_texts(inner))
    members = operand if isinstance(operand, list) else [operand]
    return bool(members) and all(_is_text(member) or _is_number(member) for member in members)


def _are_texts(operand: Any) -> bool:
    return isinstance(operand, list) and bool(operand) and all(isinstance(text, str) for text in operand)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# -------------------------------------------------------------------------------------------------------- matching


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Every name of the pattern is matched by the event. Raises ValueError for what `check_pattern` refuses."""
    return all(
        _has_choice(wanted, event) if name == "$or" else _name(wanted, event.get(name, _MISSING)) for name, wanted in pattern.items()
    )


def _has_choice(choices: Any, event: Mapping[str, Any]) -> bool:
    return any(matches(choice, event) for choice in choices)


def _name(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, Mapping):
        if isinstance(found, list):
            return any(_name(wanted, member) for member in found)
        return matches(wanted, found if isinstance(found, Mapping) else {})
    if not isinstance(wanted, Sequence) or isinstance(wanted, str):
        raise ValueError(f"a pattern's leaf is a list of alternatives, not {wanted!r}")
    leaves = list(_leaves(found)) or [_MISSING]
    return any(_value(alternative, leaf) for alternative in wanted for leaf in leaves)


def _leaves(found: Any) -> Iterator[Any]:
    if isinstance(found, list):
        for member in found:
            yield from _leaves(member)
    elif not isinstance(found, Mapping):
        yield found


def _value(alternative: Any, value: Any) -> bool:
    if not isinstance(alternative, Mapping):
        return _equals(alternative, value)
    _check_alternatives([alternative], "a pattern")
    ((operator, operand),) = alternative.items()
    if operator == "exists":
        return (value is not _MISSING) is operand
    return value is not _MISSING and _COMPARISONS[operator][1](operand, value)


def _equals(wanted: Any, value: Any) -> bool:
    """1 and 1.0 are equal, 1 and true are not."""
    return (type(wanted) is type(value) or (_is_number(wanted) and _is_number(value))) and bool(wanted == value)


def _begins(operand: Any, value: Any) -> bool:
    return _compare_text(operand, value, str.startswith)


def _ends(operand: Any, value: Any) -> bool:
    return _compare_text(operand, value, str.endswith)


def _compare_text(operand: Any, value: Any, holds: Callable[[str, str], bool]) -> bool:
    if not isinstance(value, str):
        return False
    if isinstance(operand, Mapping):
        return holds(value.casefold(), operand["equals-ignore-case"].casefold())
    return holds(value, operand)


def _equals_in_any_case(operand: Any, value: Any) -> bool:
    return isinstance(value, str) and value.casefold() == operand.casefold()


def _is_like(operand: Any, value: Any) -> bool:
    """`*` is any text. Each piece is looked for once, from where the one before ended: no pattern makes this slow."""
    first, *rest = _wildcard(operand)
    if not isinstance(value, str) or not value.startswith(first):
        return False
    if not rest:
        return value == first
    at = len(first)
    for piece in rest[:-1]:
        found = value.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(value) - at >= len(rest[-1]) and value.endswith(rest[-1])


@lru_cache(maxsize=1024)
def _wildcard(text: str) -> tuple[str, ...]:
    r"""What stands between the stars; `\*` and `\\` stand for themselves."""
    pieces = [""]
    for piece in re.findall(r"\\[*\\]|.", text, re.DOTALL):
        if piece == "*":
            pieces.append("")
        else:
            pieces[-1] += piece[-1]
    return tuple(pieces)


def _is_within(operand: Any, value: Any) -> bool:
    limits = zip(operand[::2], operand[1::2], strict=True)
    return _is_number(value) and all(_NUMERIC[sign](value, limit) for sign, limit in limits)


def _is_in_network(operand: Any, value: Any) -> bool:
    try:
        return isinstance(value, str) and ip_address(value) in ip_network(operand, strict=False)
    except ValueError:
        return False


def _is_none_of(operand: Any, value: Any) -> bool:
    if isinstance(operand, Mapping):
        ((operator, inner),) = operand.items()
        holds = _REFUSED_BY[operator]
        return not any(holds(text, value) for text in (inner if isinstance(inner, list) else [inner]))
    return not any(_equals(refused, value) for refused in (operand if isinstance(operand, list) else [operand]))


_REFUSED_BY: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "prefix": _begins,
    "suffix": _ends,
    "equals-ignore-case": _equals_in_any_case,
    "wildcard": _is_like,
}
# operator -> (what it takes, whether it holds)
_COMPARISONS: Final[Mapping[str, tuple[Callable[[Any], bool], Callable[[Any, Any], bool]]]] = {
    "exists": (lambda operand: isinstance(operand, bool), lambda operand, value: bool(operand)),
    "prefix": (_is_affix, _begins),
    "suffix": (_is_affix, _ends),
    "equals-ignore-case": (_is_text, _equals_in_any_case),
    "wildcard": (_is_text, _is_like),
    "anything-but": (_is_refusal, _is_none_of),
    "numeric": (_is_numeric, _is_within),
    "cidr": (_is_network, _is_in_network),
}
