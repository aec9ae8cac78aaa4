"""The small languages within the language: durations, schedules, resources, JSON Schema."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from treadle.core.durations import parse_duration
from treadle.core.resources import Needs, Pool, parse_amount, smallest_pool
from treadle.core.schedules import parse_schedule
from treadle.definition.schemas import first_fault, violations


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000), ("7d", 604_800_000), ("0s", 0),
        ("36500d", 3_153_600_000_000),
        ("PT30S", 30_000), ("PT0.5S", 500), ("PT1,5S", 1500), ("P1DT12H", 129_600_000), ("P2W", 1_209_600_000), ("PT1H30M", 5_400_000),
        ("PT0S", 0),
    ],
)  # fmt: skip
def test_a_duration_is_whole_milliseconds(text: str, ms: int) -> None:
    assert parse_duration(text) == ms


@pytest.mark.parametrize(
    "text",
    ["", "5", "5 s", " 5s", "5S", "-5s", "+5s", "1h30m", "1.5h", "5y", "5M", "P", "PT", "P1Y", "P1M", "P1DT", "PT1S1M", "P-1D", "1e3s",
        "٣s", "36501d", "9" * 30 + "s"],
)  # fmt: skip
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)


@pytest.mark.parametrize(
    "text",
    [
        "rate(1 minute)", "rate(5 minutes)", "rate(1 hour)", "rate(12 hours)", "rate(1 day)", "rate(7 days)", "cron(0 10 * * ? *)",
        "cron(15 12 ? * * *)",
        "cron(0 18 ? * MON-FRI *)", "cron(0 8 1 * ? *)", "cron(0/15 * * * ? *)", "cron(0,30 8-17 ? * 2-6 2026-2030)",
        "cron(0 9 ? * 2#1 *)", "cron(0 9 L * ? *)",
        "cron(0 9 LW * ? *)", "cron(0 9 15W * ? *)", "cron(0 9 ? JAN,jul FRIL *)", "cron(*/5 * * * ? *)",
    ],
)  # fmt: skip
def test_a_schedule_is_what_eventbridge_takes(text: str) -> None:
    parse_schedule(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "5 minutes", "rate(5)", "rate(0 minutes)", "rate(1 minutes)", "rate(5 minute)", "rate(5 parsecs)", "rate(1.5 hours)",
        "rate(5 minutes", "cron()",
        "cron(0 8 * * *)", "cron(0 8 * * * *)", "cron(0 8 ? * ? *)", "cron(60 8 * * ? *)", "cron(0 24 * * ? *)", "cron(0 8 32 * ? *)",
        "cron(0 8 * 13 ? *)",
        "cron(0 8 ? * 8 *)", "cron(0 8 * * ? 1969)", "cron(a 8 * * ? *)", "cron(0/0 8 * * ? *)", "cron(0 8 ? * 2#6 *)",
        "cron(1, 8 * * ? *)", "at(2026-01-01T00:00:00)",
    ],
)  # fmt: skip
def test_anything_else_is_no_schedule(text: str) -> None:
    with pytest.raises(ValueError):
        parse_schedule(text)


POOLS = (Pool("small", 0.25, 512), Pool("large", 4, 8192), Pool("middle", 1, 2048))


@pytest.mark.parametrize(
    ("wanted", "pool"),
    [
        ({}, "small"), ({"memory": "512MB"}, "small"), ({"memory": "0.5GB"}, "small"), ({"memory": "513 MB"}, "middle"),
        ({"cpu": "1 vCPU"}, "middle"),
        ({"cpu": "2 cores"}, "large"), ({"cpu": "0.25 core", "memory": "4GiB"}, "large"), ({"memory": "9GB"}, None),
        ({"cpu": "5 vCPU"}, None), ({"storage": "10GB"}, "small"),
        ({"storage": "11GB"}, None),
    ],
)  # fmt: skip
def test_the_smallest_pool_that_fits_is_taken(wanted: dict[str, str], pool: str | None) -> None:
    found = smallest_pool(Needs.of(wanted), POOLS)

    assert (found.name if found else None) == pool


@pytest.mark.parametrize(
    ("text", "unit"),
    [("2", "cpu"), ("two cores", "cpu"), ("-1 vCPU", "cpu"), ("2GB", "cpu"), ("2", "size"), ("2 cores", "size"), ("2PB", "size")],
)
def test_an_amount_has_a_unit(text: str, unit: str) -> None:
    with pytest.raises(ValueError):
        parse_amount(text, unit)


@pytest.mark.parametrize(
    ("schema", "value", "places"),
    [
        pytest.param({"type": "object", "required": ["a"]}, {}, [""], id="a key that is missing"),
        pytest.param({"properties": {"a": {"type": "integer"}}}, {"a": "1"}, ["/a"], id="a type"),
        pytest.param({"pattern": "^[a-z]+$"}, "abc", [], id="a pattern that fits"),
        pytest.param({"pattern": "^[a-z]+$"}, "ab1", [""], id="a pattern that does not"),
        pytest.param({"patternProperties": {"^x": {"type": "integer"}}}, {"x1": "a", "y": "b"}, ["/x1"], id="keys by pattern"),
        pytest.param({"patternProperties": {"^x": {}}, "additionalProperties": False}, {"x1": 1, "y": 2}, [""], id="no other keys"),
        pytest.param(
            {"properties": {"a": {}}, "additionalProperties": {"type": "integer"}}, {"a": "", "b": ""}, ["/b"], id="other keys by schema"
        ),
        pytest.param({"$defs": {"n": {"type": "integer"}}, "items": {"$ref": "#/$defs/n"}}, [1, "a"], ["/1"], id="a reference"),
        pytest.param({"$ref": "#"}, 1, [""], id="a schema that is itself"),
        pytest.param({"items": True, "maxItems": 0}, list(range(100)), [""], id="one violation for one keyword"),
        pytest.param({"items": {"type": "null"}}, list(range(100)), [f"/{n}" for n in range(20)], id="at most twenty"),
        pytest.param(False, 1, [""], id="false takes nothing"),
    ],
)
def test_a_value_breaks_a_schema_at_its_place(schema: Any, value: Any, places: list[str]) -> None:
    assert first_fault(schema) is None
    assert [place for place, _ in violations(schema, value)] == places


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strin"}, {"required": "a"}, {"minimum": "1"}, {"$ref": "https://example.com/x"}, {"$ref": "other.json"},
        {"properties": {"a": {"$ref": "#/$defs/no"}}},
        {"pattern": "(a"}, {"pattern": "(?=a)"}, {"pattern": r"(a)\1"}, {"patternProperties": {"(?<!a)b": {}}},
        {"allOf": [{"pattern": "["}]},
    ],
)  # fmt: skip
def test_a_schema_that_could_do_harm_is_refused(schema: Any) -> None:
    assert first_fault(schema)


def test_data_within_a_schema_is_no_schema() -> None:
    assert first_fault({"default": {"$ref": "x", "pattern": "("}, "enum": [{"pattern": "("}]}) is None


@settings(deadline=None)
@given(st.integers(0, 800_000), st.sampled_from(["ms", "s", "m", "h"]))
def test_both_ways_to_write_a_duration_agree(number: int, unit: str) -> None:
    iso = f"PT{number / 1000:.3f}S" if unit == "ms" else f"PT{number}{unit.upper()}"

    assert parse_duration(f"{number}{unit}") == parse_duration(iso)


@settings(deadline=None)
@given(st.text(max_size=30))
def test_no_text_breaks_the_words(text: str) -> None:
    for check in (parse_duration, parse_schedule, lambda t: parse_amount(t, "cpu"), lambda t: parse_amount(t, "size")):
        with suppress(ValueError):
            check(text)
