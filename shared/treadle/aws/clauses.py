"""Conditions and changes as DynamoDB expressions.

The text depends only on the *shape* (which clauses on which attributes), not on the values: the engine has a few dozen
shapes, so the text is rendered once per shape, and a call only lists its values in the order the shape wants them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, assert_never

from ..ports import Absent, AllOf, AnyOf, AtMost, Change, Condition, Equals, OneOf, Present, SizeBelow
from .values import Wire, is_empty_set, to_wire

Shape = tuple[Any, ...]  # nested tuples of str and int: an operator, an attribute, ...


def expressions(condition: Condition | None, change: Change | None = None) -> dict[str, Any]:
    """The parameters of PutItem, DeleteItem or UpdateItem that say `condition` and `change`; {} for neither.

    Raises ValueError for an empty change, `OneOf`, `AllOf` or `AnyOf`, TypeError for a value that no item may hold.
    """
    values: list[Any] = []
    change_shape = _shape_of_change(change, values) if change is not None else None
    condition_shape = _shape_of_condition(condition, values) if condition is not None else None
    text = _rendered(change_shape, condition_shape)
    if change is not None and not text.update:
        raise ValueError("a change of nothing")
    parameters: dict[str, Any] = {}
    if text.update:
        parameters["UpdateExpression"] = text.update
    if text.condition:
        parameters["ConditionExpression"] = text.condition
    if text.names:
        parameters["ExpressionAttributeNames"] = text.names
    if values:
        parameters["ExpressionAttributeValues"] = _numbered(values)
    return parameters


def _numbered(values: Iterable[Any]) -> dict[str, Wire]:
    return {f":v{number}": to_wire(value) for number, value in enumerate(values)}


# ------------------------------------------------------------------------------------ shapes: walk the data, put the values aside


def _shape_of_condition(condition: Condition, values: list[Any]) -> Shape:
    match condition:
        case Absent(name):
            return ("absent", name)
        case Present(name):
            return ("present", name)
        case Equals(name, value):
            values.append(value)
            return ("=", name)
        case AtMost(name, value):
            values.append(value)
            return ("<=", name)
        case SizeBelow(name, limit):
            values.append(limit)
            return ("size", name)
        case OneOf(name, options):
            values.extend(_some(options))
            return ("in", name, len(options))
        case AllOf(parts):
            return (" AND ", *(_shape_of_condition(part, values) for part in _some(parts)))
        case AnyOf(parts):
            return (" OR ", *(_shape_of_condition(part, values) for part in _some(parts)))
        case _:
            assert_never(condition)


def _some(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    if not parts:
        raise ValueError("a condition of no parts says nothing")
    return parts


def _shape_of_change(change: Change, values: list[Any]) -> Shape:
    removed = [*change.remove, *(name for name, value in change.set.items() if is_empty_set(value))]
    return (
        _named(change.set, values),
        _named(change.keep, values),
        tuple(change.copy.items()),
        _named(change.add, values),
        _named(change.take, values),
        tuple(removed),
    )


def _named(clause: Mapping[str, Any], values: list[Any]) -> tuple[str, ...]:
    """The attributes of a clause. An empty set is left out: DynamoDB refuses it, and it would change nothing."""
    some = {name: value for name, value in clause.items() if not is_empty_set(value)}
    values.extend(some.values())
    return tuple(some)


# ------------------------------------------------------------------------------------------------ text: once per shape


@dataclass(frozen=True, slots=True)
class _Text:
    update: str
    condition: str
    names: dict[str, str]


class _Placeholders:
    """`#n0` for each attribute (its name may be a reserved word), `:v0` for each value, in the order of the shape."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self._values = 0

    def name(self, attribute: str) -> str:
        return self.names.setdefault(attribute, f"#n{len(self.names)}")

    def value(self) -> str:
        self._values += 1
        return f":v{self._values - 1}"


@lru_cache(maxsize=2048)
def _rendered(change: Shape | None, condition: Shape | None) -> _Text:
    holders = _Placeholders()
    update = _update_text(change, holders) if change else ""
    condition_text = _condition_text(condition, holders) if condition else ""
    return _Text(update, condition_text, {holder: attribute for attribute, holder in holders.names.items()})


def _update_text(shape: Shape, holders: _Placeholders) -> str:
    overwritten, kept, copied, added, taken, removed = shape
    assignments = [f"{holders.name(name)} = {holders.value()}" for name in overwritten]
    for name in kept:
        it = holders.name(name)
        assignments.append(f"{it} = if_not_exists({it}, {holders.value()})")
    assignments += [f"{holders.name(name)} = {holders.name(source)}" for name, source in copied]
    clauses = {
        "SET": assignments,
        "ADD": [f"{holders.name(name)} {holders.value()}" for name in added],
        "DELETE": [f"{holders.name(name)} {holders.value()}" for name in taken],
        "REMOVE": [holders.name(name) for name in removed],
    }
    return " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses.items() if parts)


def _condition_text(shape: Shape, holders: _Placeholders) -> str:
    kind: str = shape[0]
    if kind in (" AND ", " OR "):
        return _joined(kind, [_condition_text(part, holders) for part in shape[1:]], shape[1:])
    it = holders.name(shape[1])
    match kind:
        case "absent":
            return f"attribute_not_exists({it})"
        case "present":
            return f"attribute_exists({it})"
        case "size":
            return f"attribute_not_exists({it}) OR size({it}) < {holders.value()}"
        case "in":
            return f"{it} IN ({', '.join(holders.value() for _ in range(shape[2]))})"
        case _:  # = or <=
            return f"{it} {kind} {holders.value()}"


def _joined(operator: str, texts: list[str], shapes: tuple[Shape, ...]) -> str:
    """DynamoDB refuses parentheses around parentheses, so only what is joined inside something joined gets them."""
    if len(texts) == 1:
        return texts[0]
    return operator.join(f"({text})" if _is_joined(shape) else text for text, shape in zip(texts, shapes, strict=True))


def _is_joined(shape: Shape) -> bool:
    if shape[0] in (" AND ", " OR "):
        return len(shape) > 2 or _is_joined(shape[1])
    return bool(shape[0] == "size")
