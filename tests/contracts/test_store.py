"""The state table: what each condition and change means, what comes back, how queries page."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from treadle.core.model import RunStatus
from treadle.ports import (
    Absent,
    AtMost,
    Change,
    Condition,
    Equals,
    Item,
    OneOf,
    Page,
    Present,
    SizeBelow,
    Store,
    Written,
    all_of,
    any_of,
)

from .conftest import World

KEY = ("run", "step")
EVERY_KIND: Item = {
    "pk": "run",
    "sk": "step",
    "text": "é",
    "empty": "",
    "number": 7,
    "negative": -(10**20),
    "yes": True,
    "nothing": None,
    "list": [1, "two", [None, False]],
    "map": {"a.b": {"c": [3]}, "N": "1"},
    "set": {1, 2, 3},
}


@pytest.fixture
def store(world: World) -> Store:
    return world.store


# ------------------------------------------------------------------------------------------------------------- items


def test_an_item_comes_back_as_it_was_put(store: Store) -> None:
    assert store.put(EVERY_KIND) == Written(True, None)
    assert store.get(KEY) == EVERY_KIND
    assert store.get(KEY, consistent=False) == EVERY_KIND


def test_what_came_back_is_the_callers_own(store: Store) -> None:
    item: Item = {"pk": "run", "sk": "step", "list": [1], "map": {}, "set": {1}}
    store.put(item)
    item["list"].append(2)
    read = store.get(KEY) or {}
    read["list"].append(3)
    read["set"].add(4)
    assert store.get(KEY) == {"pk": "run", "sk": "step", "list": [1], "map": {}, "set": {1}}


def test_there_is_no_item_where_none_was_put(store: Store) -> None:
    assert store.get(KEY) is None


def test_a_put_replaces_the_whole_item(store: Store) -> None:
    store.put({"pk": "run", "sk": "step", "a": 1})
    store.put({"pk": "run", "sk": "step", "b": 2})
    assert store.get(KEY) == {"pk": "run", "sk": "step", "b": 2}


def test_an_empty_set_is_an_attribute_that_is_not_there(store: Store) -> None:
    store.put({"pk": "run", "sk": "step", "set": set()})
    assert store.get(KEY) == {"pk": "run", "sk": "step"}


def test_an_enumerations_value_is_its_text(store: Store) -> None:
    store.put({"pk": "run", "sk": "step", "status": RunStatus.RUNNING})
    status = (store.get(KEY) or {})["status"]
    assert (status, type(status)) == ("running", str)
    assert store.update(KEY, Change(set={"seen": 1}), Equals("status", RunStatus.RUNNING)).ok


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(1.5, id="a float"),
        pytest.param({"a"}, id="a set of text"),
        pytest.param([set()], id="an empty set inside"),
        pytest.param(b"x", id="bytes"),
    ],
)
def test_an_item_cannot_hold(store: Store, value: Any) -> None:
    with pytest.raises(TypeError):
        store.put({"pk": "run", "sk": "step", "value": value})


@pytest.mark.parametrize(
    "item",
    [
        pytest.param({"pk": "run", "sk": ""}, id="an empty key"),
        pytest.param({"pk": "x" * 2049, "sk": "step"}, id="a long partition key"),
        pytest.param({"pk": "run", "sk": "x" * 1025}, id="a long sort key"),
        pytest.param({"pk": "run", "sk": "step", "due_shard": None}, id="an index key of another type"),
        pytest.param({"pk": "run", "sk": "step", "text": "x" * 400 * 1024}, id="more than 400 KB"),
        pytest.param({"pk": "run", "sk": "step", "text": "é" * 205 * 1024}, id="more than 400 KB in UTF-8"),
    ],
)
def test_a_put_is_refused_for(store: Store, item: Item) -> None:
    with pytest.raises(ValueError):
        store.put(item)
    assert store.query("run").items == []


def test_a_large_item_is_taken(store: Store) -> None:
    assert store.put({"pk": "run", "sk": "step", "text": "x" * 404_000}).ok


def test_an_update_cannot_grow_an_item_beyond_the_limit(store: Store) -> None:
    store.put({"pk": "run", "sk": "step", "text": "x" * 300 * 1024})
    with pytest.raises(ValueError):
        store.update(KEY, Change(set={"more": "x" * 200 * 1024}))
    assert "more" not in (store.get(KEY) or {})


# ---------------------------------------------------------------------------------------------------------- get_many


def test_many_items_are_found_in_as_many_calls_as_it_takes(store: Store) -> None:
    for number in range(0, 250, 2):
        store.put({"pk": "run", "sk": f"{number}", "n": number})
    found = store.get_many([("run", f"{number}") for number in range(250)])
    assert found == {("run", f"{n}"): {"pk": "run", "sk": f"{n}", "n": n} for n in range(0, 250, 2)}


def test_nothing_is_found_of_nothing(store: Store) -> None:
    assert store.get_many([]) == {}


def test_a_key_is_asked_for_once(store: Store) -> None:
    with pytest.raises(ValueError):
        store.get_many([KEY, KEY])


# -------------------------------------------------------------------------------------------------------- conditions

FULL: Item = {"pk": "run", "sk": "step", "n": 5, "text": "abc", "yes": True, "nothing": None, "set": {1, 2}, "list": [1, True]}
BARE: Item = {"pk": "run", "sk": "step"}

# (condition, it holds for no item, for BARE, for FULL)
CONDITIONS = [
    pytest.param(Absent(), True, False, False, id="absent item"),
    pytest.param(Absent("n"), True, True, False, id="absent attribute"),
    pytest.param(Absent("nothing"), True, True, False, id="null is not absent"),
    pytest.param(Present(), False, True, True, id="present item"),
    pytest.param(Present("n"), False, False, True, id="present attribute"),
    pytest.param(Equals("n", 5), False, False, True, id="equal number"),
    pytest.param(Equals("n", 6), False, False, False, id="other number"),
    pytest.param(Equals("n", "5"), False, False, False, id="number is not text"),
    pytest.param(Equals("text", "abc"), False, False, True, id="equal text"),
    pytest.param(Equals("yes", True), False, False, True, id="equal flag"),
    pytest.param(Equals("yes", 1), False, False, False, id="true is not 1"),
    pytest.param(Equals("nothing", None), False, False, True, id="null equals null"),
    pytest.param(Equals("missing", None), False, False, False, id="absent does not equal null"),
    pytest.param(Equals("set", {2, 1}), False, False, True, id="equal set"),
    pytest.param(Equals("list", [1, True]), False, False, True, id="equal list"),
    pytest.param(Equals("list", [1, 1]), False, False, False, id="list with 1 for true"),
    pytest.param(OneOf("text", ("x", "abc")), False, False, True, id="one of"),
    pytest.param(OneOf("text", ("x", "y")), False, False, False, id="none of"),
    pytest.param(OneOf("n", ("5", 5)), False, False, True, id="one of several types"),
    pytest.param(AtMost("n", 5), False, False, True, id="at most itself"),
    pytest.param(AtMost("n", 4), False, False, False, id="above"),
    pytest.param(AtMost("text", 9), False, False, False, id="text is not at most a number"),
    pytest.param(SizeBelow("set", 3), True, True, True, id="small set"),
    pytest.param(SizeBelow("set", 2), True, True, False, id="full set"),
    pytest.param(SizeBelow("text", 4), True, True, True, id="short text"),
    pytest.param(SizeBelow("text", 3), True, True, False, id="long text"),
    pytest.param(SizeBelow("list", 3), True, True, True, id="short list"),
    pytest.param(all_of(Present("n"), Equals("text", "abc")), False, False, True, id="both"),
    pytest.param(all_of(Present(), Equals("text", "x")), False, False, False, id="not both"),
    pytest.param(any_of(Absent(), AtMost("n", 5)), True, False, True, id="either"),
    pytest.param(any_of(all_of(Absent("n"), Present()), all_of(Equals("n", 5), SizeBelow("set", 3))), False, True, True, id="nested"),
    pytest.param(
        all_of(any_of(Equals("n", 4), Equals("n", 5)), any_of(Absent("text"), Present("yes"))), False, False, True, id="or in and"
    ),
]


# Where moto, as it comes, does not do what DynamoDB does. Memory follows DynamoDB.
MOTO_DIFFERS = {
    "true is not 1": "moto compares Python values, and True == 1",
    "list with 1 for true": "moto compares Python values, and True == 1",
    "null equals null": "moto takes an operand of null for an absent one",
    "absent does not equal null": "moto takes an operand of null for an absent one",
    "text is not at most a number": "moto fails to compare values of two types",
}


@pytest.fixture
def agreed(request: pytest.FixtureRequest) -> None:
    """Skips a case on moto where moto is known to differ."""
    case: str = request.node.callspec.id
    for differing, why in MOTO_DIFFERS.items():
        if case.startswith("moto-") and case.endswith(differing):
            pytest.skip(why)


@pytest.mark.usefixtures("agreed")
@pytest.mark.parametrize(("condition", "for_none", "for_bare", "for_full"), CONDITIONS)
@pytest.mark.parametrize("write", ["put", "update", "delete"])
def test_a_write_happens_where_its_condition_holds(
    store: Store, condition: Condition, for_none: bool, for_bare: bool, for_full: bool, write: str
) -> None:
    for standing, expected in ((None, for_none), (BARE, for_bare), (FULL, for_full)):
        store.delete(KEY)
        if standing:
            store.put(standing)
        written = do(store, write, condition)
        assert written.ok is expected, f"for {standing}"
        if not expected:
            assert written.item == standing
            assert store.get(KEY) == standing


def do(store: Store, write: str, condition: Condition) -> Written:
    if write == "put":
        return store.put({"pk": "run", "sk": "step", "new": 1}, condition)
    if write == "update":
        return store.update(KEY, Change(set={"new": 1}), condition)
    return store.delete(KEY, condition)


@pytest.mark.parametrize("condition", [all_of(), any_of(), OneOf("n", ())], ids=["all of", "any of", "one of"])
def test_a_condition_of_no_parts_is_refused(store: Store, condition: Condition) -> None:
    with pytest.raises(ValueError):
        store.put({"pk": "run", "sk": "step"}, condition)


def test_what_a_write_answers(store: Store) -> None:
    assert store.put(BARE, Absent()) == Written(True, None)
    assert store.update(KEY, Change(set={"a": 1}), Present()) == Written(True, {**BARE, "a": 1})
    assert store.put(BARE, Absent()) == Written(False, {**BARE, "a": 1})
    assert store.delete(KEY, Present()) == Written(True, None)
    assert store.delete(KEY) == Written(True, None)
    assert store.delete(KEY, Present()) == Written(False, None)


# ----------------------------------------------------------------------------------------------------------- changes

OLD: Item = {"pk": "run", "sk": "step", "n": 5, "text": "abc", "set": {1, 2}}

# (change, OLD after it, an item that it creates)
CHANGES = [
    pytest.param(Change(set={"n": 6, "status": "x"}), {"n": 6, "status": "x"}, {"n": 6, "status": "x"}, id="set"),
    pytest.param(Change(set={"text": None}), {"text": None}, {"text": None}, id="set null"),
    pytest.param(Change(set={"set": set()}), {"set": ...}, None, id="set an empty set"),
    pytest.param(Change(set={"n": 1}, add={"m": set()}), {"n": 1}, {"n": 1}, id="add nothing to a set"),
    pytest.param(Change(keep={"n": 6, "m": 1}), {"m": 1}, {"n": 6, "m": 1}, id="keep"),
    pytest.param(Change(copy={"before": "n"}, set={"n": 9}), {"before": 5, "n": 9}, None, id="copy"),
    pytest.param(Change(add={"n": 2, "m": 3}), {"n": 7, "m": 3}, {"n": 2, "m": 3}, id="add numbers"),
    pytest.param(Change(add={"n": -7}), {"n": -2}, {"n": -7}, id="subtract"),
    pytest.param(Change(add={"set": {2, 3}, "more": {9}}), {"set": {1, 2, 3}, "more": {9}}, {"set": {2, 3}, "more": {9}}, id="add to sets"),
    pytest.param(Change(take={"set": {2, 9}, "more": {1}}), {"set": {1}}, {}, id="take"),
    pytest.param(Change(take={"set": {1, 2}}), {"set": ...}, {}, id="take all"),
    pytest.param(Change(remove=("n", "missing")), {"n": ...}, {}, id="remove"),
    pytest.param(
        Change(set={"text": "x"}, keep={"m": 1}, copy={"o": "n"}, add={"set": {7}}, remove=("n",)),
        {"text": "x", "m": 1, "o": 5, "set": {1, 2, 7}, "n": ...},
        None,
        id="everything at once",
    ),
]


@pytest.mark.parametrize(("change", "difference", "created"), CHANGES)
def test_a_change_of_an_item(store: Store, change: Change, difference: Item, created: Item | None) -> None:
    store.put(OLD)
    expected = {name: value for name, value in {**OLD, **difference}.items() if value is not ...}
    assert store.update(KEY, change) == Written(True, expected)
    assert store.get(KEY) == expected


@pytest.mark.parametrize(
    ("change", "created"), [pytest.param(*each.values[::2], id=each.id) for each in CHANGES if each.values[2] is not None]
)
def test_a_change_where_nothing_is_creates_the_item(store: Store, change: Change, created: Item) -> None:
    assert store.update(KEY, change) == Written(True, {**BARE, **created})


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(Change(), id="nothing"),
        pytest.param(Change(add={"n": set()}), id="nothing but an empty set"),
        pytest.param(Change(set={"n": 1}, remove=("n",)), id="one attribute twice"),
        pytest.param(Change(set={"pk": "other"}), id="a key"),
        pytest.param(Change(copy={"m": "missing"}), id="a copy of what is not there"),
        pytest.param(Change(add={"text": 1}), id="a number added to text"),
        pytest.param(Change(add={"n": {1}}), id="a set added to a number"),
        pytest.param(Change(take={"n": {1}}), id="members taken from a number"),
    ],
)
def test_a_change_that_is_refused(store: Store, change: Change) -> None:
    store.put(OLD)
    with pytest.raises(ValueError):
        store.update(KEY, change)
    assert store.get(KEY) == OLD


def test_of_two_who_put_the_same_item_one_wins(store: Store) -> None:
    for attempt in range(10):
        start = Barrier(4)

        def put(who: int, attempt: int = attempt, start: Barrier = start) -> Written:
            start.wait()
            return store.put({"pk": "race", "sk": f"{attempt}", "who": who}, Absent())

        with ThreadPoolExecutor(4) as threads:
            written = list(threads.map(put, range(4)))
        winner = [who for who, each in enumerate(written) if each.ok]
        assert len(winner) == 1
        assert {each.item["who"] for each in written if each.item} == set(winner)


def test_no_addition_is_lost(store: Store) -> None:
    def add(member: int) -> Written:
        return store.update(KEY, Change(add={"count": 1, "set": {member}}))

    with ThreadPoolExecutor(4) as threads:
        sizes = [len((each.item or {})["set"]) for each in threads.map(add, range(40))]
    assert sorted(sizes) == list(range(1, 41))
    assert (store.get(KEY) or {})["count"] == 40


# ----------------------------------------------------------------------------------------------------------- queries


def collect(ask: Any) -> list[Item]:
    """All pages. A page may be empty and yet not the last one's sign."""
    items: list[Item] = []
    after = None
    while True:
        page: Page = ask(after)
        items += page.items
        if page.after is None:
            return items
        after = page.after


@pytest.fixture
def steps(store: Store) -> Store:
    for sk in ("b#2", "a", "b#1", "c", "b#10", "b"):
        store.put({"pk": "run", "sk": sk})
    store.put({"pk": "other", "sk": "b#3"})
    return store


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param({}, ["a", "b", "b#1", "b#10", "b#2", "c"], id="in order of bytes"),
        pytest.param({"prefix": "b#"}, ["b#1", "b#10", "b#2"], id="by prefix"),
        pytest.param({"ascending": False}, ["c", "b#2", "b#10", "b#1", "b", "a"], id="backwards"),
        pytest.param({"prefix": "b", "ascending": False}, ["b#2", "b#10", "b#1", "b"], id="backwards by prefix"),
        pytest.param({"prefix": "z"}, [], id="nothing"),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_a_partition_is_read(steps: Store, asked: dict[str, Any], expected: list[str], limit: int) -> None:
    items = collect(lambda after: steps.query("run", after=after, limit=limit, **asked))
    assert [item["sk"] for item in items] == expected


def test_no_page_holds_more_than_asked_for(steps: Store) -> None:
    page = steps.query("run", limit=4)
    assert (len(page.items), page.after) == (4, ("run", "b#10"))


def test_a_page_ends_at_a_mebibyte(store: Store) -> None:
    for number in range(4):
        store.put({"pk": "run", "sk": f"{number}", "text": "x" * 350_000})
    first = store.query("run")
    assert len(first.items) < 4
    assert len(collect(lambda after: store.query("run", after=after))) == 4


def test_due_items_come_earliest_first(store: Store) -> None:
    for sk, shard, due in (("a", 1, 300), ("b", 1, 100), ("c", 2, 100), ("d", 1, 200), ("e", 1, 201)):
        store.put({"pk": "run", "sk": sk, "due_shard": shard, "due": due, "more": "x"})
    store.put({"pk": "run", "sk": "not due at all"})
    assert store.query_due(1, 200) == [(("run", "b"), 100), (("run", "d"), 200)]
    assert store.query_due(1, 1000, limit=1) == [(("run", "b"), 100)]
    assert store.query_due(3, 1000) == []


def test_an_item_leaves_the_due_index_with_the_attribute(store: Store) -> None:
    store.put({"pk": "run", "sk": "a", "due_shard": 1, "due": 100})
    store.update(("run", "a"), Change(set={"due": 300}))
    assert store.query_due(1, 200) == []
    assert store.query_due(1, 300) == [(("run", "a"), 300)]
    store.update(("run", "a"), Change(remove=("due",)))
    assert store.query_due(1, 300) == []
    store.update(("run", "a"), Change(set={"due": 5}))
    store.delete(("run", "a"))
    assert store.query_due(1, 300) == []


@pytest.fixture
def listed(store: Store) -> Store:
    for number in range(7):
        item = {
            "pk": f"run-{number}",
            "sk": "!",
            "list_pk": "tenant",
            "list_sk": f"2026-{number}",
            "status": "running",
            "attributes": {"n": number},
        }
        store.put({**item, "secret": "not projected"})
    store.put({"pk": "run-x", "sk": "!", "list_pk": "other", "list_sk": "2026-3"})
    return store


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param({}, [6, 5, 4, 3, 2, 1, 0], id="newest first"),
        pytest.param({"start": "2026-2"}, [6, 5, 4, 3, 2], id="from, inclusive"),
        pytest.param({"end": "2026-4"}, [4, 3, 2, 1, 0], id="to, inclusive"),
        pytest.param({"start": "2026-2", "end": "2026-4"}, [4, 3, 2], id="between"),
        pytest.param({"start": "2026-4", "end": "2026-2"}, [], id="bounds in the wrong order"),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_a_list_is_read(listed: Store, asked: dict[str, str], expected: list[int], limit: int) -> None:
    items = collect(lambda after: listed.query_list("tenant", after=after and after[1], limit=limit, **asked))
    assert [item["attributes"]["n"] for item in items] == expected


def test_a_list_shows_what_its_index_projects(listed: Store) -> None:
    page = listed.query_list("tenant", limit=1)
    projected = {"pk": "run-6", "sk": "!", "list_pk": "tenant", "list_sk": "2026-6", "status": "running", "attributes": {"n": 6}}
    assert page == Page([projected], ("tenant", "2026-6"))


def test_a_list_goes_on_behind_an_item_that_is_gone(listed: Store) -> None:
    listed.delete(("run-4", "!"))
    page = listed.query_list("tenant", after="2026-4", limit=2)
    assert [item["list_sk"] for item in page.items] == ["2026-3", "2026-2"]
    assert page.after == ("tenant", "2026-2")
