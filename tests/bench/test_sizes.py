"""DynamoDB's rules, in cases that its documentation gives or that follow from it."""

from __future__ import annotations

from typing import Any

import pytest
from treadle.bench import sizes


@pytest.mark.parametrize(
    ("value", "size"),
    [
        pytest.param({"S": "äb"}, 3, id="text in UTF-8"),
        pytest.param({"N": "0"}, 1, id="zero has no significant digit"),
        pytest.param({"N": "7"}, 2, id="one digit"),
        pytest.param({"N": "1234"}, 3, id="two digits a byte"),
        pytest.param({"N": "12345"}, 4, id="a begun pair counts"),
        pytest.param({"N": "1000000"}, 2, id="zeros at the end are not significant"),
        pytest.param({"N": "-12"}, 3, id="a minus sign is a byte"),
        pytest.param({"BOOL": True}, 1, id="a boolean"),
        pytest.param({"NULL": True}, 1, id="null"),
        pytest.param({"L": []}, 3, id="an empty list"),
        pytest.param({"L": [{"S": "ab"}, {"N": "1"}]}, 3 + (1 + 2) + (1 + 2), id="a byte more for each member"),
        pytest.param({"M": {"ab": {"S": "c"}}}, 3 + 1 + 2 + 1, id="a map counts its names"),
        pytest.param({"SS": ["ab", "c"]}, 3, id="a set is its members"),
        pytest.param({"NS": ["1", "200"]}, 4, id="a set of numbers"),
    ],
)
def test_values_have_the_published_sizes(value: dict[str, Any], size: int) -> None:
    assert sizes.value_bytes(value) == size


def item(size: int = 100, **more: dict[str, Any]) -> dict[str, Any]:
    """Of so many bytes, before `more`."""
    return {"pk": {"S": "r"}, "sk": {"S": "s"}, "text": {"S": "x" * (size - 10)}, **more}


def test_an_item_is_its_names_and_values() -> None:
    assert sizes.item_bytes(item(100)) == 100


@pytest.mark.parametrize(
    ("old", "new", "units"),
    [
        pytest.param(None, item(1024), 1, id="a new item of a KiB"),
        pytest.param(None, item(1025), 2, id="a begun KiB counts"),
        pytest.param(item(3000), item(100), 3, id="the larger of before and after"),
        pytest.param(item(3000), None, 3, id="what is deleted"),
        pytest.param(None, None, 1, id="deleting nothing, or a condition that failed where there is nothing"),
        pytest.param(item(3000), item(3000), 3, id="a condition that failed costs by the item that stands"),
    ],
)
def test_writes_cost_by_begun_kibibytes(old: Any, new: Any, units: int) -> None:
    assert sizes.write_units(old, new) == units


def due(at: int) -> dict[str, dict[str, str]]:
    return {"due_shard": {"N": "3"}, "due": {"N": str(at)}}


LISTED = {"list_pk": {"S": "t#w"}, "list_sk": {"S": "2026"}}


@pytest.mark.parametrize(
    ("old", "new", "units"),
    [
        pytest.param(None, item(), 0, id="an item without the index's keys is not in it"),
        pytest.param(None, item(due_shard={"N": "3"}), 0, id="nor one with only one of them"),
        pytest.param(None, item(**due(5)), 1, id="a new entry"),
        pytest.param(None, item(**due(5), **LISTED), 2, id="in two indexes"),
        pytest.param(item(**due(5)), item(200, **due(5)), 0, id="what is not projected changes for nothing"),
        pytest.param(item(**LISTED, status={"S": "a"}), item(**LISTED, status={"S": "b"}), 1, id="a projected attribute"),
        pytest.param(item(**due(5)), item(**due(6)), 2, id="a key that changes is a removal and a new entry"),
        pytest.param(item(**due(5)), item(), 1, id="an entry that goes"),
        pytest.param(item(**due(5)), None, 1, id="with its item"),
    ],
)
def test_indexes_cost_for_what_changes_in_them(old: Any, new: Any, units: int) -> None:
    assert sizes.index_units(old, new) == units


def test_reads_cost_by_begun_four_kibibytes_and_half_when_eventually_consistent() -> None:
    assert sizes.read_units([100], consistent=True) == 1
    assert sizes.read_units([4097], consistent=False) == 1
    assert sizes.read_units([0], consistent=True) == 1, "looking for what is not there"
    assert sizes.read_units([10, 10, 5000], consistent=True) == 4, "each item of a batch by itself"
    assert sizes.query_units(5000, consistent=True) == 2, "a query is one sum"


def test_requests_and_events_are_billed_by_64_kibibytes() -> None:
    assert [sizes.chunks(size) for size in (0, 300, 65_536, 65_537)] == [1, 1, 1, 2]
