"""Kinds of values in requests that JSON has no type for, each with what it is in the OpenAPI document."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError


def _moment(text: str) -> str:
    """As times are written everywhere: in UTC, with milliseconds."""
    wanted = "must be a time with an offset, such as 2026-11-23T00:00:00Z"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(wanted) from None
    if moment.tzinfo is None:
        raise ValueError(wanted)
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _attribute(value: Any) -> Any:
    if isinstance(value, str | int | float):
        return value
    raise PydanticCustomError("attribute_type", "must be a string, a number or true or false")


def _attribute_or_none(value: Any) -> Any:
    return None if value is None else _attribute(value)


_SCALARS = ["string", "number", "boolean"]
Attribute = Annotated[Any, AfterValidator(_attribute), WithJsonSchema({"type": _SCALARS})]
NewAttribute = Annotated[Any, AfterValidator(_attribute_or_none), WithJsonSchema({"type": [*_SCALARS, "null"]})]
Moment = Annotated[str, AfterValidator(_moment), Field(json_schema_extra={"format": "date-time"})]
Version = Annotated[str, Field(min_length=1, max_length=100, examples=["1.0.0"])]
