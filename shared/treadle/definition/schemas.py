"""JSON Schema 2020-12 as definitions use it (`input`, `signal.schema`): whether a schema is one, and whether a value fits it.

Two things of JSON Schema are kept out: references to other documents (nothing is ever fetched) and regular expressions
that RE2 cannot run (they could take for ever).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import re2

from .diagnostics import pointer

MAX_VIOLATIONS = 20


def first_fault(schema: Any) -> str | None:
    """Why `schema` is refused, or None."""
    from jsonschema import Draft202012Validator  # here, for most definitions have no schema and the import is slow

    for fault in Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(schema):
        return f"this is no JSON Schema: {fault.message[:200]}" + (f" (at {pointer(tuple(fault.absolute_path))})" if fault.absolute_path else "")
    return next(_unsafe(schema), None)


def violations(schema: Any, value: Any) -> list[tuple[str, str]]:
    """(JSON pointer, message) of what in `value` breaks the schema, at most 20."""
    try:
        faults = [(pointer(tuple(fault.absolute_path)), fault.message[:500]) for fault, _ in zip(_validator().iter_errors_of(schema, value), range(MAX_VIOLATIONS), strict=False)]
    except RecursionError:
        return [("", "the schema refers to itself without end")]
    return faults


@lru_cache(maxsize=1)
def _validator() -> Any:
    """A validator whose `pattern` and `patternProperties` use RE2, and which knows no document but the schema itself."""
    from jsonschema import Draft202012Validator, ValidationError, validators
    from referencing import Registry

    def pattern(validator: Any, wanted: str, instance: Any, schema: Any) -> Iterator[Any]:
        if isinstance(instance, str) and not re2.search(wanted, instance):
            yield ValidationError(f"{instance!r} does not match {wanted!r}")

    def pattern_properties(validator: Any, wanted: dict[str, Any], instance: Any, schema: Any) -> Iterator[Any]:
        if isinstance(instance, dict):
            for regex, inner in wanted.items():
                for key in (key for key in instance if re2.search(regex, key)):
                    yield from validator.descend(instance[key], inner, path=key, schema_path=regex)

    extended = validators.extend(Draft202012Validator, {"pattern": pattern, "patternProperties": pattern_properties})

    class Bound:
        @staticmethod
        def iter_errors_of(schema: Any, value: Any) -> Iterator[Any]:
            return iter(extended(schema, registry=Registry()).iter_errors(value))

    return Bound


def _unsafe(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for inner in schema:
            yield from _unsafe(inner)
    if not isinstance(schema, dict):
        return
    for key, inner in schema.items():
        if key in ("$ref", "$dynamicRef") and isinstance(inner, str) and not inner.startswith("#"):
            yield f"the schema refers to another document ({inner[:100]}); only `#...` is allowed"
        elif key == "pattern" and isinstance(inner, str):
            yield from _bad_regex(inner)
        elif key == "patternProperties" and isinstance(inner, dict):
            for regex in inner:
                yield from _bad_regex(regex)
        if key not in ("const", "enum", "default", "examples"):
            yield from _unsafe(inner)


def _bad_regex(regex: str) -> Iterator[str]:
    try:
        re2.compile(regex)
    except re2.error as error:
        yield f"RE2 does not take the pattern {regex[:100]!r}: {error}"
