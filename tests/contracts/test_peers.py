"""Memory against moto, call by call: any sequence of writes leaves both with the same answers and the same items.

Values stay within what moto agrees with DynamoDB about (test_store.MOTO_DIFFERS says where it does not).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from treadle.ports import Absent, AllOf, AnyOf, AtMost, Change, Condition, Equals, OneOf, Present, SizeBelow, Store
from treadle.simulation.memory import MemoryStore

from .conftest import World

# Each attribute keeps its type, so that comparing is never between two types.
numbers = st.sampled_from(["n", "m", "due"])
texts = st.sampled_from(["t", "status"])
sets = st.sampled_from(["s", "held"])
number = st.integers(-3, 10)
text = st.sampled_from(["", "a", "bb", "é"])
members = st.sets(st.integers(0, 4), max_size=3)

leaf = st.one_of(
    st.builds(Absent, st.sampled_from(["pk", "n", "t", "s"])),
    st.builds(Present, st.sampled_from(["pk", "m", "status", "held"])),
    st.builds(Equals, numbers, number),
    st.builds(Equals, texts, text),
    st.builds(OneOf, texts, st.lists(text, min_size=1, max_size=3).map(tuple)),
    st.builds(AtMost, numbers, number),
    st.builds(SizeBelow, sets, st.integers(0, 4)),
    st.builds(SizeBelow, texts, st.integers(0, 3)),
)
parts = st.lists(leaf, min_size=1, max_size=3).map(tuple)
condition = st.none() | leaf | st.builds(AllOf, parts) | st.builds(AnyOf, parts) | st.builds(lambda a, b: AllOf((AnyOf(a), b)), parts, leaf)

values = st.fixed_dictionaries(
    {}, optional={"n": number, "m": number, "t": text, "status": text, "s": members, "held": members, "list": st.just([1, "x"])}
)
change = st.builds(
    Change,
    set=values,
    keep=st.dictionaries(st.sampled_from(["t", "kept"]), text, max_size=1),
    copy=st.sampled_from([{}, {"before": "n"}, {"was": "t"}]),
    add=st.dictionaries(numbers, number, max_size=2) | st.dictionaries(sets, members, max_size=2),
    take=st.dictionaries(sets, members, max_size=1),
    remove=st.lists(st.sampled_from(["n", "t", "s", "before"]), unique=True, max_size=2).map(tuple),
)


def is_well_formed(change: Change) -> bool:
    """moto finds fault with the others only after it looked at the condition; DynamoDB before (test_store has them)."""
    clauses = (change.set, change.keep, change.copy, change.add, change.take, change.remove)
    names = [name for clause in clauses for name in clause]
    return len(set(names)) == len(names) and any(clause and not is_empty(clause) for clause in clauses)


def is_empty(clause: Any) -> bool:
    return isinstance(clause, dict) and all(value == set() for value in clause.values())


well_formed = change.filter(is_well_formed)

Step = Callable[[Store, str], Any]


def putting(item: dict[str, Any], when: Condition | None) -> Step:
    return lambda store, pk: store.put({"pk": pk, "sk": "x", **item}, when)


def updating(what: Change, when: Condition | None) -> Step:
    return lambda store, pk: store.update((pk, "x"), what, when)


def deleting(when: Condition | None) -> Step:
    return lambda store, pk: store.delete((pk, "x"), when)


step = st.one_of(
    st.builds(putting, values, condition),
    st.builds(updating, well_formed, condition),
    st.builds(updating, well_formed, condition),
    st.builds(deleting, condition),
)


def outcome(store: Store, do: Step, pk: str) -> Any:
    try:
        written = do(store, pk)
    except ValueError:
        return "refused"
    return written, store.get((pk, "x"))


@pytest.fixture
def partitions() -> Iterator[str]:
    return (f"run-{number}" for number in count())


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(step, min_size=1, max_size=6))
def test_memory_and_moto_agree(moto_world: World, partitions: Iterator[str], steps: list[Step]) -> None:
    memory = MemoryStore()
    pk = next(partitions)
    for do in steps:
        assert outcome(memory, do, pk) == outcome(moto_world.store, do, pk)
