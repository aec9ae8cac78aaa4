"""The table of what each keyword of JSON Schema takes says what the meta-schema says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from treadle.definition.metaschema import faults_of

META = Draft202012Validator(Draft202012Validator.META_SCHEMA)
KEYWORDS = sorted(
    {"x", *Draft202012Validator.META_SCHEMA["properties"]}
    | {"$id", "$schema", "$ref", "$anchor", "$dynamicRef", "$dynamicAnchor", "$vocabulary", "$comment", "$defs"}
    | {"prefixItems", "items", "contains", "additionalProperties", "properties", "patternProperties", "dependentSchemas", "propertyNames"}
    | {"if", "then", "else", "allOf", "anyOf", "oneOf", "not", "unevaluatedItems", "unevaluatedProperties"}
    | {"type", "const", "enum", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength"}
    | {"pattern", "maxItems", "minItems", "uniqueItems", "maxContains", "minContains", "maxProperties", "minProperties", "required"}
    | {"dependentRequired", "title", "description", "default", "deprecated", "readOnly", "writeOnly", "examples", "format"}
    | {"contentEncoding", "contentMediaType", "contentSchema"}
)
SCALARS: list[Any] = [None, True, False, 0, 1, -1, 1.0, 0.5, 1e300, 2**63 - 1]
SCALARS += ["", "a", "_a", "-a", "é", "a#", "#", "a#b", "string", "integer"]
VALUES = st.sampled_from([
    *SCALARS, [], ["a"], ["a", "a"], ["string"], ["string", "string"], ["string", "x"], [1], [[]], [None],
    {"a": ["b"]}, {"a": ["b", "b"]}, {"a": []}, {"a": True}, {"a": 1},
])  # fmt: skip
SCHEMAS: st.SearchStrategy[Any] = st.recursive(
    st.dictionaries(st.sampled_from(KEYWORDS), VALUES, max_size=2) | st.sampled_from(SCALARS),
    lambda inner: st.dictionaries(
        st.sampled_from(KEYWORDS), inner | st.lists(inner, max_size=2) | st.dictionaries(st.just("a"), inner, max_size=1), max_size=2
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=300)
@given(SCHEMAS)
def test_it_says_what_the_meta_schema_says(schema: Any) -> None:
    assert (not list(faults_of(schema))) == META.is_valid(schema)


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_so_it_does_of_each_keyword_with_any_value(keyword: str) -> None:
    for value in (*SCALARS, [], {}, [{}], ["a"], ["string"], ["string", "string"], {"a": {}}, {"a": ["b"]}, {"a": True}, {"a": 1}):
        assert (not list(faults_of({keyword: value}))) == META.is_valid({keyword: value}), value


@pytest.mark.parametrize(
    ("schema", "faults"),
    [
        ({"minimum": "1"}, ["expected a number, not '1' (at /minimum)"]),
        ({"anyOf": []}, ["expected a list of one or more schemas, not [] (at /anyOf)"]),
        ({"properties": {"a/b": 1}}, ["a schema is a map, `true` or `false`, not a number (at /properties/a~1b)"]),
        (
            {"anyOf": [{}, {"enum": 1}, 2], "required": "a"},
            [
                "expected a list of strings, each once, not 'a' (at /required)",
                "expected a list, not 1 (at /anyOf/1/enum)",
                "a schema is a map, `true` or `false`, not a number (at /anyOf/2)",
            ],
        ),
        (3, ["a schema is a map, `true` or `false`, not a number"]),
    ],
)
def test_all_faults_say_what_was_expected_and_where_the_outer_one_first(schema: Any, faults: list[str]) -> None:
    assert list(map(str, faults_of(schema))) == faults
