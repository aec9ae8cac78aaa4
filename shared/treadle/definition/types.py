"""The small types of the language: each checks a value, says what is wrong in its own words, and knows its JSON Schema.

A check raises `PydanticCustomError` whose type is one of our codes, so that structure.py has nothing to guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Annotated, Any, cast

from pydantic import Discriminator, Field, PlainValidator, Tag, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from ..core.durations import ISO, SHORT, parse_duration
from ..core.patterns import check_pattern
from ..core.resources import CPU, SIZE, parse_amount, parse_rate
from ..core.schedules import parse_schedule
from .diagnostics import MAX_PER_CODE, Code, Path, kind
from .schemas import schema_faults

ABSENT: Any = None  # the default of keys that may be left out (a `null` in the document is not the same: it is refused)
TAG = "‹"  # begins the tags of unions within pydantic's locations, so that they can be told from keys

STEP_ID = r"^[A-Za-z][A-Za-z0-9_]{0,63}$"
WORKFLOW_ID = r"^[a-z][a-z0-9-]{0,62}$"
RESERVED_IDS = frozenset({"in", "true", "false", "null"})  # words of CEL: `steps.in` could not be written
SEMVER = re.compile(
    r"(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)"
    r"(?:-(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*)?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
_WORKFLOW_IDS = "lower-case letters, digits and hyphens, a letter first, at most 63 characters"
MAX_REPEAT = 100_000
MAX_RETRIES = 100


def wrong(
    code: Code, message: str, hint: str | None = None, inside: Path = (), more: Sequence[tuple[str, Path]] = ()
) -> PydanticCustomError:
    """`inside`: the place in the value that is wrong; `more`: what else is, and where."""
    return PydanticCustomError(cast(Any, code.value), "{message}", {"message": message, "hint": hint, "inside": inside, "more": more})


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise wrong(Code.BAD_TYPE, f"expected {what}, not {kind(value)}")
    return value


def _matching(pattern: str, what: str, words: str, blank: str) -> Callable[[Any], str]:
    """`words`: the pattern, for people. `blank`: what may stand in the place of a character that may not."""
    compiled = re.compile(pattern.removeprefix("^").removesuffix("$"), re.ASCII)

    def check(value: Any) -> str:
        text = _text(value, what)
        if not compiled.fullmatch(text):
            raise wrong(Code.BAD_VALUE, f"{what} has {words}", _fitting(text, compiled, blank))
        return text

    return check


def _fitting(text: str, pattern: re.Pattern[str], blank: str) -> str | None:
    """A hint with the nearest id: `My Flow` is `my-flow`."""
    written = text if blank == "_" else re.sub(r"(?<=[a-z0-9])(?=[A-Z])", blank, text).lower()
    written = re.sub(r"[^A-Za-z0-9]+", blank, written).strip(blank)
    return f"did you mean `{written}`?" if text.isascii() and len(text) <= 64 and pattern.fullmatch(written) else None


def _step_id(value: Any) -> str:
    if isinstance(value, str) and value in RESERVED_IDS:
        raise wrong(Code.BAD_VALUE, f"`{value}` is a word of the expression language and cannot be a step's id")
    return _is_step_id(value)


_is_step_id = _matching(STEP_ID, "a step's id", "letters, digits and `_`, a letter first, at most 64 characters", "_")


def _version(value: Any) -> str:
    hint = 'write it in quotes, with three parts: "1.0.0"'
    if not isinstance(value, str):
        raise wrong(Code.BAD_TYPE, f"expected a semantic version, not {kind(value)}", hint)
    if len(value) > 100 or not SEMVER.fullmatch(value):
        raise wrong(Code.BAD_VALUE, "a semantic version has three numbers, such as 1.0.0", hint if value.count(".") < 2 else None)
    return value


def _duration(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise wrong(Code.BAD_DURATION, "a duration has a unit", f"did you mean `{value}s`?")
    text = _text(value, "a duration")
    try:
        parse_duration(text)
    except ValueError as error:
        raise wrong(Code.BAD_DURATION, str(error), _duration_hint(text)) from None
    return text


_UNIT_WORDS = r"milliseconds?|msecs?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d"
_WORDS = re.compile(rf"([0-9]+)\s*({_UNIT_WORDS})", re.IGNORECASE | re.ASCII)
_JOINED = re.compile(r"(?:([0-9]{1,9})d)?\s*(?:([0-9]{1,9})h)?\s*(?:([0-9]{1,9})m)?\s*(?:([0-9]{1,9})s)?", re.ASCII)
_PARTED = re.compile(r"([0-9]{1,6})\.([0-9]{1,2})([smhd])", re.ASCII)
_SMALLER = {"s": ("ms", 1000), "m": ("s", 60), "h": ("m", 60), "d": ("h", 24)}


def _duration_hint(text: str) -> str | None:
    if re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return "to wait for a moment there is `{until: \"timestamp('...')\"}`"
    if weeks := re.fullmatch(r"([0-9]{1,4}) ?w(?:eeks?)?", text, re.ASCII):
        return f"did you mean `{int(weeks[1]) * 7}d`?"
    if (parted := _PARTED.fullmatch(text)) and (hint := _without_fraction(parted)):
        return hint
    if (joined := _JOINED.fullmatch(text)) and sum(amount is not None for amount in joined.groups()) > 1:
        return f"did you mean `{_in_iso(*joined.groups())}`?"
    words = _WORDS.fullmatch(text.strip())
    if words is None:
        return None
    unit = words[2].lower()
    meant = f"{words[1]}{'ms' if unit.startswith(('ms', 'mil')) else unit[0]}"
    return f"did you mean `{meant}`?" if meant != text else None


def _in_iso(days: str | None, hours: str | None, minutes: str | None, seconds: str | None) -> str:
    rest = "".join(f"{amount}{unit}" for amount, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if amount)
    return f"P{f'{days}D' if days else ''}{f'T{rest}' if rest else ''}"


def _without_fraction(parted: re.Match[str]) -> str | None:
    """`1.5h` is 90m, if it is a whole number of the smaller unit."""
    unit, times = _SMALLER[parted[3]]
    amount, rest = divmod(int(parted[1] + parted[2]) * times, 10 ** len(parted[2]))
    return None if rest else f"did you mean `{amount}{unit}`?"


def _schedule(value: Any) -> str:
    text = _text(value, "a schedule")
    try:
        parse_schedule(text)
    except ValueError as error:
        raise wrong(Code.BAD_SCHEDULE, str(error)) from None
    return text


def _event_pattern(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong(Code.BAD_TYPE, f"expected an event pattern, not {kind(value)}")
    try:
        check_pattern(value)
    except ValueError as error:
        raise wrong(Code.BAD_VALUE, str(error)) from None
    return value


def _expression(value: Any) -> Any:
    if not isinstance(value, str | bool | list):
        hint = "an expression is a string; a boolean or a list stands for itself"
        raise wrong(Code.BAD_TYPE, f"expected an expression, not {kind(value)}", hint)
    return value


def _error_pattern(value: Any) -> str:
    text = _text(value, "an error's name")
    if not text or "*" in text[:-1]:
        raise wrong(Code.BAD_VALUE, "an error is matched by its name, by its beginning (`Card*`), or by `*`")
    return text


def _whole(least: int, most: int, too_much: str) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            hint = f"without quotes: {value}" if isinstance(value, str) and value.isdecimal() and len(value) < 10 else None
            raise wrong(Code.BAD_TYPE, f"expected a whole number, not {'a fraction' if isinstance(value, float) else kind(value)}", hint)
        if value < least:
            raise wrong(Code.BAD_VALUE, f"must be at least {least}")
        if value > most:
            raise wrong(Code.LIMIT_EXCEEDED, too_much)
        return value

    return check


def _amount(unit: str, example: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        text = _text(value, f"an amount such as {example}")
        try:
            parse_amount(text, unit)
        except ValueError as error:
            raise wrong(Code.BAD_VALUE, str(error)) from None
        return text

    return check


def _rate(value: Any) -> str:
    text = _text(value, "a rate such as 10/s")
    try:
        parse_rate(text)
    except ValueError as error:
        raise wrong(Code.BAD_VALUE, str(error)) from None
    return text


def _attribute(value: Any) -> Any:
    if not isinstance(value, str | int | float | bool):
        raise wrong(Code.BAD_TYPE, f"an attribute is a string, a number or a boolean, not {kind(value)}")
    return value


def _join(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if isinstance(value, float) or value < 1:
            raise wrong(Code.BAD_JOIN, "the number of a join is a whole number from 1")
        return value
    if not isinstance(value, str):
        raise wrong(Code.BAD_TYPE, f"a join is `all`, `any`, `done` or a number, not {kind(value)}")
    if value not in ("all", "any", "done"):
        hint = f"without quotes: {value}" if re.fullmatch(r"[0-9]{1,5}", value, re.ASCII) else None
        raise wrong(Code.BAD_JOIN, "a join is `all`, `any`, `done` or a number", hint)
    return value


def _json_schema(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, dict | bool):
        raise wrong(Code.BAD_TYPE, f"expected a JSON Schema, not {kind(value)}")
    found = [(fault.message, fault.path) for fault in islice(schema_faults(value, info.context), MAX_PER_CODE)]
    if found:
        raise wrong(Code.BAD_VALUE, found[0][0], inside=found[0][1], more=found[1:])
    return value


def either(**branches: Any) -> Any:
    """A union told apart by the JSON type alone: `either(str=..., list=...)`. What has none of the types goes to the first."""
    names = list(branches)
    tagged = [Annotated[inner, Tag(TAG + name)] for name, inner in branches.items()]
    union = tagged[0]
    for inner in tagged[1:]:
        union = union | inner
    return Annotated[union, Discriminator(lambda value: TAG + (type(value).__name__ if type(value).__name__ in names else names[0]))]


def _in_any_case(pattern: re.Pattern[str]) -> str:
    """For JSON Schema, whose patterns know no flags; blanks around it are let be."""
    letters = re.sub(r"(\\s)|([A-Za-z])", lambda one: one[1] or f"[{one[2].lower()}{one[2].upper()}]", pattern.pattern)
    return rf"^\s*{letters}\s*$"


def _type(check: Callable[..., Any], schema: dict[str, Any]) -> Any:
    return Annotated[Any, PlainValidator(check), WithJsonSchema(schema)]


Json = Annotated[Any, WithJsonSchema({})]
WorkflowId = _type(_matching(WORKFLOW_ID, "a workflow's id", _WORKFLOW_IDS, "-"), {"type": "string", "pattern": WORKFLOW_ID})
StepId = _type(_step_id, {"type": "string", "pattern": STEP_ID, "not": {"enum": sorted(RESERVED_IDS)}})
StepName = Annotated[str, Field(description="The id of a step in the same scope.")]
Version = _type(
    _version,
    {
        "type": "string",
        "description": "A semantic version.",
        "maxLength": 100,
        "pattern": f"^{SEMVER.pattern}$",
        "examples": ["1.0.0", "2.1.0-rc.1"],
    },
)
Duration = _type(
    _duration,
    {
        "type": "string",
        "description": "250ms, 30s, 5m, 2h, 7d, or ISO 8601 (PT30S).",
        "pattern": f"^({SHORT.pattern}|{ISO.pattern})$",
        "examples": ["30s", "PT5M"],
    },
)
Schedule = _type(
    _schedule,
    {"type": "string", "pattern": r"^(cron|rate)\(.*\)$", "examples": ["rate(5 minutes)", "cron(0 8 ? * MON-FRI *)"]},
)
EventPattern = _type(
    _event_pattern,
    {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"type": ["object", "array"], "minProperties": 1, "minItems": 1},
        "examples": [{"source": ["shop"], "detail-type": ["OrderPlaced"]}],
    },
)
Expression = _type(
    _expression,
    {"type": ["string", "boolean", "array"], "description": "A CEL expression; a boolean or a list stands for itself."},
)
ErrorPattern = _type(
    _error_pattern,
    {
        "type": "string",
        "minLength": 1,
        "pattern": "^[^*]*[*]?$",
        "description": "A name, `Card*`, or `*`.",
        "examples": ["Timeout", "Card*", "*"],
    },
)
Count = _type(_whole(1, 2**31, "must be at most 2147483648"), {"type": "integer", "minimum": 1, "maximum": 2**31})
CountFromZero = _type(_whole(0, 2**31, "must be at most 2147483648"), {"type": "integer", "minimum": 0, "maximum": 2**31})
Iterations = _type(_whole(1, MAX_REPEAT, f"at most {MAX_REPEAT} iterations"), {"type": "integer", "minimum": 1, "maximum": MAX_REPEAT})
Attempts = _type(
    _whole(1, MAX_RETRIES + 1, f"at most {MAX_RETRIES} retries"),
    {"type": "integer", "minimum": 1, "maximum": MAX_RETRIES + 1},
)
Retries = _type(_whole(0, MAX_RETRIES, f"at most {MAX_RETRIES} retries"), {"type": "integer", "minimum": 0, "maximum": MAX_RETRIES})
Cpu = _type(_amount("cpu", "2 vCPU"), {"type": "string", "pattern": _in_any_case(CPU), "examples": ["2 vCPU", "0.5 cores"]})
Size = _type(_amount("size", "2GB"), {"type": "string", "pattern": _in_any_case(SIZE), "examples": ["512MB", "2GB"]})
Rate = _type(_rate, {"type": "string", "pattern": "^[0-9]{1,6}/[smh]$", "examples": ["10/s", "30/m"]})
Attribute = _type(_attribute, {"type": ["string", "number", "boolean"]})
Join = _type(_join, {"oneOf": [{"enum": ["all", "any", "done"]}, {"type": "integer", "minimum": 1}]})
JsonSchema = _type(_json_schema, {"type": ["object", "boolean"], "description": "JSON Schema 2020-12."})
