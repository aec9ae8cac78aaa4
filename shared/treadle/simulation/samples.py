"""A value that a JSON Schema takes, as far as it says plainly what it wants: the payload of a signal that somebody sends."""

from __future__ import annotations

from typing import Any

_OF_TYPE: dict[str, Any] = {"string": "x", "integer": 0, "number": 0, "boolean": True, "array": [], "object": {}, "null": None}


def sample(schema: Any) -> Any:
    """Constants, defaults, the first of what is listed; else the least value of its type, with what is required of an object."""
    if not isinstance(schema, dict):
        return {}
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    for key in ("enum", "examples"):
        if schema.get(key):
            return schema[key][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return sample(schema[key][0])
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    match kind:
        case "object":
            return {name: sample(schema.get("properties", {}).get(name)) for name in schema.get("required", ())}
        case "array":
            return [sample(schema.get("items"))] * schema.get("minItems", 0)
        case "string":
            return "x" * max(1, schema.get("minLength", 1))
        case "integer" | "number":
            return schema.get("minimum", 0)
    return _OF_TYPE.get(kind)
