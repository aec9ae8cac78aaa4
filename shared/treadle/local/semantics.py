"""What the parts of a plain expression mean, on items in wire form. As DynamoDB has it: another type is another value, and
nothing compares with what is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .wire import NotPlain, Wire, Wires, number

Values = Mapping[str, Wire]
Test = Callable[[Wires, Values], bool]
Operand = Callable[[Wires, Values], Wire | None]  # None: there is no such attribute


def both(left: Test, right: Test) -> Test:
    return lambda item, values: left(item, values) and right(item, values)


def either(left: Test, right: Test) -> Test:
    return lambda item, values: left(item, values) or right(item, values)


def negated(test: Test) -> Test:
    return lambda item, values: not test(item, values)


def is_absent(name: str) -> Test:
    return lambda item, values: name not in item


def compared(left: Operand, operator: str, right: Operand) -> Test:
    if operator == "=":
        return lambda item, values: is_same(left(item, values), right(item, values))
    if operator == "<>":
        return lambda item, values: not is_same(left(item, values), right(item, values))
    order = ORDERS[operator]
    return lambda item, values: is_in_order(left(item, values), order, right(item, values))


ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def is_same(left: Wire | None, right: Wire | None) -> bool:
    if left is None or right is None:
        return False
    if left == right:
        return True
    (kind, one), (other_kind, other) = single(left), single(right)
    if kind != other_kind:
        return False
    if kind == "N":
        return number(one) == number(other)
    if kind == "NS":
        return {number(member) for member in one} == {number(member) for member in other}
    return kind == "SS" and set(one) == set(other)


def is_in_order(left: Wire | None, order: Callable[[Any, Any], bool], right: Wire | None) -> bool:
    if left is None or right is None:
        return False
    (kind, one), (other_kind, other) = single(left), single(right)
    if kind != other_kind:
        return False
    if kind == "N":
        return order(number(one), number(other))
    if kind == "S":
        return order(one, other)
    raise NotPlain


def size_value(value: Wire | None) -> Wire | None:
    if value is None:
        return None
    kind, inner = single(value)
    if kind in ("S", "L", "M", "NS", "SS"):
        return {"N": str(len(inner))}
    raise NotPlain


def total(left: Operand, right: Operand, sign: int) -> Operand:
    def total(item: Wires, values: Values) -> Wire:
        one, other = there(left(item, values)), there(right(item, values))
        if "N" not in one or "N" not in other:
            raise NotPlain
        return {"N": str(number(one["N"]) + sign * number(other["N"]))}

    return total


def added(value: Wire | None, more: Wire) -> Wire:
    if value is None:
        return more
    (kind, one), (other_kind, other) = single(value), single(more)
    if kind != other_kind or kind not in ("N", "NS", "SS"):
        raise NotPlain
    if kind == "N":
        return {"N": str(number(one) + number(other))}
    return {kind: list(dict.fromkeys((*one, *other)))}


def take_away(item: Wires, name: str, members: Wire) -> None:
    kind, gone = single(members)
    if kind not in ("NS", "SS") or (name in item and kind not in item[name]):
        raise NotPlain
    left = [member for member in item.get(name, members)[kind] if member not in gone]
    if left:
        item[name] = {kind: left}
    else:
        item.pop(name, None)  # there is no empty set


def there(value: Wire | None) -> Wire:
    if value is None:
        raise NotPlain
    return value


def text_of(value: Wire | None) -> str:
    text = (value or {}).get("S")
    if not isinstance(text, str):
        raise NotPlain
    return text


def single(value: Wire) -> tuple[str, Any]:
    ((kind, inner),) = value.items()
    return kind, inner
