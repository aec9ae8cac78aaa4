"""How conditions and changes are said to DynamoDB, word by word: what moto is lax about must be right here."""

from __future__ import annotations

from typing import Any

import pytest
from treadle.aws.clauses import expressions
from treadle.ports import Absent, AtMost, Change, Condition, Equals, OneOf, Present, SizeBelow, all_of, any_of


@pytest.mark.parametrize(
    ("condition", "change", "expected"),
    [
        pytest.param(None, None, {}, id="nothing"),
        pytest.param(
            Absent(), None, {"ConditionExpression": "attribute_not_exists(#n0)", "ExpressionAttributeNames": {"#n0": "pk"}}, id="no values"
        ),
        pytest.param(
            any_of(all_of(Present(), Equals("status", "x")), AtMost("lease", 5), OneOf("state", ("a", "b")), SizeBelow("holders", 3)),
            None,
            {
                "ConditionExpression": (
                    "(attribute_exists(#n0) AND #n1 = :v0) OR #n2 <= :v1 OR #n3 IN (:v2, :v3)"
                    " OR (attribute_not_exists(#n4) OR size(#n4) < :v4)"
                ),
                "ExpressionAttributeNames": {"#n0": "pk", "#n1": "status", "#n2": "lease", "#n3": "state", "#n4": "holders"},
                "ExpressionAttributeValues": {
                    ":v0": {"S": "x"},
                    ":v1": {"N": "5"},
                    ":v2": {"S": "a"},
                    ":v3": {"S": "b"},
                    ":v4": {"N": "3"},
                },
            },
            id="every condition",
        ),
        pytest.param(
            Equals("fence", 1),
            Change(set={"a": None}, keep={"b": 1}, copy={"c": "fence"}, add={"d": {2}}, take={"e": {3}}, remove=("f",)),
            {
                "UpdateExpression": "SET #n0 = :v0, #n1 = if_not_exists(#n1, :v1), #n2 = #n3 ADD #n4 :v2 DELETE #n5 :v3 REMOVE #n6",
                "ConditionExpression": "#n3 = :v4",
                "ExpressionAttributeNames": {"#n0": "a", "#n1": "b", "#n2": "c", "#n3": "fence", "#n4": "d", "#n5": "e", "#n6": "f"},
                "ExpressionAttributeValues": {
                    ":v0": {"NULL": True},
                    ":v1": {"N": "1"},
                    ":v2": {"NS": ["2"]},
                    ":v3": {"NS": ["3"]},
                    ":v4": {"N": "1"},
                },
            },
            id="every change",
        ),
        pytest.param(
            None,
            Change(set={"a": set(), "b": True}, add={"c": set()}),
            {
                "UpdateExpression": "SET #n0 = :v0 REMOVE #n1",
                "ExpressionAttributeNames": {"#n0": "b", "#n1": "a"},
                "ExpressionAttributeValues": {":v0": {"BOOL": True}},
            },
            id="empty sets",
        ),
    ],
)
def test_what_is_said(condition: Condition | None, change: Change | None, expected: dict[str, Any]) -> None:
    assert expressions(condition, change) == expected


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        pytest.param(all_of(SizeBelow("s", 1)), "attribute_not_exists(#n0) OR size(#n0) < :v0", id="one part"),
        pytest.param(all_of(any_of(all_of(Present()))), "attribute_exists(#n0)", id="one part of one part"),
        pytest.param(
            all_of(any_of(any_of(Present(), Absent())), Present("a")),
            "(attribute_exists(#n0) OR attribute_not_exists(#n0)) AND attribute_exists(#n1)",
            id="one part of two parts",
        ),
    ],
)
def test_no_parentheses_around_parentheses(condition: Condition, text: str) -> None:
    assert expressions(condition)["ConditionExpression"] == text


def test_the_text_depends_on_the_shape_alone() -> None:
    first = expressions(Equals("n", 1), Change(set={"a": 1}))
    second = expressions(Equals("n", "x"), Change(set={"a": [2]}))
    assert first["UpdateExpression"] is second["UpdateExpression"]
    assert second["ExpressionAttributeValues"] == {":v0": {"L": [{"N": "2"}]}, ":v1": {"S": "x"}}
