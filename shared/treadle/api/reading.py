"""Reading JSON that a stranger wrote. Each fault has its own code, and none is found only after something was built from it."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from .problems import refusal

MAX_DEPTH = 100  # sixteen nested groups, three levels each, and room for what steps hold
INT_MIN, INT_MAX = -(2**63), 2**63 - 1

# A string literal, or one that never ends: possessive, so that a hostile text is still read once.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_json(body: bytes) -> Any:
    """The value. Raises Rejected: invalid-encoding, too-deep, invalid-json, duplicate-key, invalid-number."""
    text = read_text(body)
    if _is_too_deep(body):
        raise refusal("too-deep", f"nested more than {MAX_DEPTH} levels deep")
    try:
        value = _decoder.decode(text)
    except json.JSONDecodeError as fault:
        raise refusal("invalid-json", f"line {fault.lineno}, column {fault.colno}: {fault.msg}") from None
    except RecursionError:  # brackets that never close
        raise refusal("too-deep", f"nested more than {MAX_DEPTH} levels deep") from None
    if "\\u" in text and _SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        raise refusal("invalid-encoding", "half of a surrogate pair stands alone")
    return value


def read_text(body: bytes) -> str:
    """Raises Rejected: invalid-encoding."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise refusal("invalid-encoding", f"byte {fault.start + 1} is not UTF-8") from None
    if text.startswith("\ufeff"):
        raise refusal("invalid-encoding", "the body begins with a byte order mark")
    return text


def _is_too_deep(body: bytes) -> bool:
    depth = 0
    for bracket in _STRING.sub(b"", body).translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise refusal("duplicate-key", f"the key {json.dumps(_short(twice))} is there twice")
    return value


def _int(text: str) -> int:
    if len(text) > 20 or not INT_MIN <= int(text) <= INT_MAX:
        raise refusal("invalid-number", f"{_short(text)} has more than 64 bits")
    return int(text)


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise refusal("invalid-number", f"{_short(text)} is too large")
    return number


def _constant(text: str) -> Any:
    raise refusal("invalid-number", f"{text} is not a JSON number")


def _short(text: str) -> str:
    return text if len(text) <= 24 else text[:21] + "..."


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_int=_int, parse_float=_float, parse_constant=_constant)


# ------------------------------------------------------------------------------------------------ kinds of values that JSON has none for


def _moment(text: str) -> str:
    """As times are written everywhere: in UTC, with milliseconds."""
    wanted = "must be a time with an offset, such as 2026-11-23T00:00:00Z"
    try:
        moment = datetime.fromisoformat(text)
        in_utc = moment.astimezone(UTC)
    except (ValueError, OverflowError):  # the first and the last hours of the calendar are in no year elsewhere
        raise ValueError(wanted) from None
    if moment.tzinfo is None:
        raise ValueError(wanted)
    return in_utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
