"""EventBridge's event patterns: what they match, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from treadle.core.patterns import check_pattern, matches

EVENT = {
    "source": "shop",
    "detail": {
        "n": 1, "yes": True, "none": None, "tags": ["a", "b"], "empty": [], "text": "Order-17*x", "ip": "10.0.0.9",
        "lines": [{"sku": "A", "count": 3}, {"sku": "B", "count": 1}],
    },
}  # fmt: skip


def detail(**wanted: Any) -> dict[str, Any]:
    return {"detail": wanted}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        pytest.param({"source": ["x", "shop"]}, True, id="an alternative"),
        pytest.param({"source": ["x"]}, False, id="no alternative"),
        pytest.param(detail(n=[1]), True, id="nested"),
        pytest.param(detail(n=[1.0]), True, id="1.0 is 1"),
        pytest.param(detail(n=["1"]), False, id="text is not a number"),
        pytest.param(detail(yes=[1]), False, id="true is not 1"),
        pytest.param(detail(none=[None]), True, id="null"),
        pytest.param(detail(missing=[None]), False, id="null is not missing"),
        pytest.param(detail(tags=["b"]), True, id="a member of a list"),
        pytest.param({"source": ["shop"], "detail": {"n": [2]}}, False, id="all names"),
        pytest.param(detail(missing=[1]), False, id="a missing name"),
        pytest.param({"nothing": {"missing": [1]}}, False, id="a missing object"),
        pytest.param(detail(missing=[{"exists": False}]), True, id="exists: false"),
        pytest.param(detail(empty=[{"exists": False}]), True, id="an empty list holds nothing"),
        pytest.param(detail(n=[{"exists": False}]), False, id="but it exists"),
        pytest.param(detail(n=[{"exists": True}]), True, id="exists: true"),
        pytest.param({"detail": [{"exists": True}]}, False, id="exists is for leaves"),
        pytest.param(detail(text=[{"prefix": "Order-"}]), True, id="prefix"),
        pytest.param(detail(text=[{"prefix": {"equals-ignore-case": "ORDER"}}]), True, id="prefix in any case"),
        pytest.param(detail(text=[{"suffix": "-18"}]), False, id="suffix"),
        pytest.param(detail(text=[{"equals-ignore-case": "oRDER-17*X"}]), True, id="any case"),
        pytest.param(detail(n=[{"prefix": "1"}]), False, id="a number has no prefix"),
        pytest.param(detail(n=[{"anything-but": [2, 3]}]), True, id="anything but"),
        pytest.param(detail(n=[{"anything-but": 1}]), False, id="not anything but"),
        pytest.param(detail(missing=[{"anything-but": 1}]), False, id="anything but needs a value"),
        pytest.param(detail(tags=[{"anything-but": "a"}]), True, id="some member is another"),
        pytest.param(detail(text=[{"anything-but": {"prefix": ["X", "Order"]}}]), False, id="anything but prefixes"),
        pytest.param(detail(text=[{"anything-but": {"wildcard": "*18*"}}]), True, id="anything but a wildcard"),
        pytest.param(detail(n=[{"numeric": [">", 0, "<=", 1]}]), True, id="a range"),
        pytest.param(detail(n=[{"numeric": ["=", 2]}]), False, id="another number"),
        pytest.param(detail(yes=[{"numeric": [">=", 0]}]), False, id="true is no number"),
        pytest.param(detail(ip=[{"cidr": "10.0.0.0/24"}]), True, id="an address within"),
        pytest.param(detail(text=[{"cidr": "10.0.0.0/24"}]), False, id="no address"),
        pytest.param(detail(text=[{"wildcard": "O*-1*x"}]), True, id="stars"),
        pytest.param(detail(text=[{"wildcard": "*17\\*x"}]), True, id="a star that is meant"),
        pytest.param(detail(text=[{"wildcard": "Order-17"}]), False, id="a wildcard is the whole text"),
        pytest.param(detail(text=[{"wildcard": "Order-17*7*x"}]), False, id="pieces do not overlap"),
        pytest.param(detail(lines={"sku": ["B"], "count": [1]}), True, id="one member has both"),
        pytest.param(detail(lines={"sku": ["B"], "count": [3]}), False, id="no member has both"),
        pytest.param({"$or": [{"source": ["x"]}, {"detail": {"n": [1]}}]}, True, id="one of two"),
        pytest.param(detail(**{"$or": [{"n": [2]}, {"yes": [False]}]}), False, id="none of two"),
    ],
)
def test_what_a_pattern_matches(pattern: dict[str, Any], expected: bool) -> None:
    check_pattern(pattern)
    assert matches(pattern, EVENT) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        {},
        [],
        {"source": "shop"},
        {"source": []},
        {"source": [["shop"]]},
        {"detail": {}},
        {"source": [{"prefix": "a", "suffix": "b"}]},
        {"source": [{"begins": "a"}]},
        {"source": [{"prefix": 1}]},
        {"n": [{"numeric": [">"]}]},
        {"n": [{"numeric": ["~", 1]}]},
        {"n": [{"numeric": [[], 1]}]},
        {"n": [{"exists": 1}]},
        {"n": [{"cidr": "ten"}]},
        {"n": [{"cidr": 10}]},
        {"n": [{"anything-but": []}]},
        {"n": [{"anything-but": {"cidr": "10.0.0.0/8"}}]},
        {"n": [{"anything-but": {}}]},
        {"$or": [{"n": [1]}]},
        {"$or": {"n": [1]}},
        {"$or": [{"n": [1]}, {"m": "x"}]},
    ],
)
def test_a_pattern_that_is_not_understood_is_refused(pattern: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        check_pattern(pattern)


@pytest.mark.parametrize("pattern", [{"source": "shop"}, {"source": [{"begins": "s"}]}, {"source": [{"prefix": "a", "suffix": "b"}]}])
def test_it_never_matches_by_accident(pattern: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        matches(pattern, EVENT)


def test_a_fault_is_told_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"`begins` of detail\.state"):
        check_pattern({"detail": {"state": [{"begins": "x"}]}})
