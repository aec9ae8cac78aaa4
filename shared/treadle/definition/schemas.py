"""JSON Schema 2020-12 as definitions use it (`input`, `signal.schema`): whether a schema is one, and whether a value fits it.

Kept out: references to other documents (nothing is ever fetched) and regular expressions that RE2 cannot run (they could
take for ever). jsonschema is imported where a value is looked at: most definitions have no schema, and the import is slow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

import re2

from ..regexes import Regexes
from .diagnostics import Path, pointer
from .metaschema import SchemaFault, faults_of

MAX_VIOLATIONS = 20
_DATA = frozenset({"const", "enum", "default", "examples"})  # keywords whose values are no schemas


def schema_faults(schema: Any, regexes: Regexes | None = None) -> Iterator[SchemaFault]:
    """Why it may not be used. `regexes`: the same for all schemas of a definition."""
    for fault in faults_of(schema):
        yield SchemaFault(f"this is no JSON Schema: {fault.message}", fault.path)
    yield from _unsafe(schema, schema, (), regexes or Regexes())


def first_fault(schema: Any) -> SchemaFault | None:
    """None: it may be used."""
    return next(schema_faults(schema), None)


def violations(schema: Any, value: Any) -> list[tuple[str, str]]:
    """(JSON pointer, message) of what in `value` breaks a schema that has no fault; at most 20."""
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    validator = _validator()(schema, registry=Registry())
    try:
        faults = islice(validator.iter_errors(value), MAX_VIOLATIONS)
        return [(pointer(tuple(fault.absolute_path)), fault.message[:500]) for fault in faults]
    except RecursionError:
        return [("", "the schema refers to itself without end")]
    except Unresolvable as error:
        return [("", f"the schema refers to what is not there: {error.ref[:200]}")]


def asked_for(schema: Any, value: Any) -> list[tuple[str, str]]:
    """As `violations`, but nothing of the value is told, only what the schema asks for: the value may hold a secret."""
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        faults = islice(_validator()(schema, registry=Registry()).iter_errors(value), MAX_VIOLATIONS)
        return [(pointer(tuple(fault.absolute_path)), _rule(fault.validator, fault.validator_value)) for fault in faults]
    except RecursionError:
        return [("", "the schema refers to itself without end")]
    except Unresolvable as error:
        return [("", f"the schema refers to what is not there: {error.ref[:200]}")]


def _rule(keyword: Any, wanted: Any) -> str:
    return f"the schema asks for `{keyword}: {json.dumps(wanted, ensure_ascii=False)[:200]}`"


@lru_cache(maxsize=1)
def _validator() -> Any:
    """The validator with RE2 wherever JSON Schema has regular expressions."""
    from jsonschema import Draft202012Validator, ValidationError, validators

    def pattern(validator: Any, wanted: str, instance: Any, schema: Any) -> Iterator[Any]:
        if isinstance(instance, str) and not re2.search(wanted, instance):
            yield ValidationError(f"{instance!r} does not match {wanted!r}")

    def pattern_properties(validator: Any, wanted: dict[str, Any], instance: Any, schema: Any) -> Iterator[Any]:
        for key in instance if isinstance(instance, dict) else ():
            for regex, inner in wanted.items():
                if re2.search(regex, key):
                    yield from validator.descend(instance[key], inner, path=key, schema_path=regex)

    def additional_properties(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[Any]:
        known, patterns = schema.get("properties", {}), list(schema.get("patternProperties", {}))
        for key in instance if isinstance(instance, dict) else ():
            if key in known or any(re2.search(regex, key) for regex in patterns):
                continue
            if wanted is False:
                yield ValidationError(f"{key!r} is not allowed here")
            else:
                yield from validator.descend(instance[key], wanted, path=key)

    changed = {"pattern": pattern, "patternProperties": pattern_properties, "additionalProperties": additional_properties}
    return validators.extend(Draft202012Validator, changed)  # type: ignore[no-untyped-call]


# ------------------------------------------------------------------------------------------------ what is kept out


def _unsafe(schema: Any, root: Any, path: Path, regexes: Regexes) -> Iterator[SchemaFault]:
    if isinstance(schema, list):
        for number, inner in enumerate(schema):
            yield from _unsafe(inner, root, (*path, number), regexes)
    if not isinstance(schema, dict):
        return
    if "unevaluatedProperties" in schema and "patternProperties" in schema:
        yield SchemaFault("`unevaluatedProperties` beside `patternProperties` is not supported", path)
    for key, inner in schema.items():
        if key in ("$ref", "$dynamicRef") and isinstance(inner, str):
            yield from (SchemaFault(message, (*path, key)) for message in _bad_reference(inner, root))
        elif key == "pattern" and isinstance(inner, str):
            yield from (SchemaFault(message, (*path, key)) for message in _bad_regex(inner, regexes))
        elif key == "patternProperties" and isinstance(inner, dict):
            for regex in inner:
                yield from (SchemaFault(message, (*path, key, regex)) for message in _bad_regex(regex, regexes))
        if key not in _DATA:
            yield from _unsafe(inner, root, (*path, key), regexes)


def _bad_reference(reference: str, root: Any) -> Iterator[str]:
    if not reference.startswith("#"):
        yield f"the schema refers to another document ({reference[:100]}); only `#...` is allowed"
        return
    target = root
    for part in reference[1:].split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(target, list) and name.isdecimal() and name == str(int(name[:20])) and int(name) < len(target):
            target = target[int(name)]
        elif isinstance(target, dict) and name in target:
            target = target[name]
        else:
            yield f"the schema refers to what is not there: {reference[:100]}"
            return


def _bad_regex(regex: str, regexes: Regexes) -> Iterator[str]:
    if (fault := regexes.fault(regex)) is not None:
        yield f"RE2 does not take the pattern {regex[:100]!r}: {fault}"
