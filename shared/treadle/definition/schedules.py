"""Schedules as EventBridge takes them: `rate(5 minutes)` and `cron(minutes hours day-of-month month day-of-week year)`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RATE = re.compile(r"rate\(\s*([0-9]{1,9})\s+([a-zA-Z]+)\s*\)", re.ASCII)
_CRON = re.compile(r"cron\(([^()]*)\)")
_UNITS = ("minute", "hour", "day")


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()  # JAN ... or SUN ..., counted from `least`
    specials: str = ""  # besides , - * /


_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_FIELDS = (
    _Field("minutes", 0, 59),
    _Field("hours", 0, 23),
    _Field("day of the month", 1, 31, specials="?LW"),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 1, 7, _DAYS, specials="?L#"),
    _Field("year", 1970, 2199),
)


def check_schedule(text: str) -> None:
    """Raises ValueError with a sentence for people."""
    if text.startswith("rate("):
        _check_rate(text)
    elif cron := _CRON.fullmatch(text):
        _check_cron(cron[1].split())
    else:
        raise ValueError("a schedule is `rate(5 minutes)` or `cron(0 8 ? * MON-FRI *)`")


def _check_rate(text: str) -> None:
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError("a rate is a whole number and a unit, such as `rate(5 minutes)`")
    number, unit = int(match[1]), match[2]
    if unit.removesuffix("s") not in _UNITS:
        raise ValueError(f"`{unit[:20]}` is no unit of a rate: minutes, hours or days")
    if number < 1:
        raise ValueError("a rate is at least one minute")
    if unit.endswith("s") == (number == 1):
        raise ValueError(f"EventBridge wants `{number} {unit.removesuffix('s')}{'' if number == 1 else 's'}` here")


def _check_cron(parts: list[str]) -> None:
    if len(parts) != len(_FIELDS):
        raise ValueError(f"cron has six fields (minutes, hours, day of the month, month, day of the week, year), not {len(parts)}")
    for part, field in zip(parts, _FIELDS, strict=True):
        for entry in part.split(","):
            if not _is_entry(entry.upper(), field):
                raise ValueError(f"`{part[:40]}` is no {field.name} of a cron schedule")
    if (parts[2] == "?") == (parts[4] == "?"):
        raise ValueError("exactly one of day of the month and day of the week is `?`")


def _is_entry(entry: str, field: _Field) -> bool:
    if entry == "*" or (entry == "?" and "?" in field.specials):
        return True
    if "L" in field.specials and (entry == "L" or (field.names and entry.endswith("L") and _number(entry[:-1], field) is not None)):
        return True
    if "W" in field.specials and entry.endswith("W"):
        return entry == "LW" or _number(entry[:-1], field) is not None
    if "#" in field.specials and "#" in entry:
        day, _, week = entry.partition("#")
        return _number(day, field) is not None and week in ("1", "2", "3", "4", "5")
    return _is_range(entry, field)


def _is_range(entry: str, field: _Field) -> bool:
    span, slash, step = entry.partition("/")
    if slash and not (step.isascii() and step.isdigit() and int(step[:9]) > 0):
        return False
    if span == "*":
        return bool(slash)
    first, dash, last = span.partition("-")
    return _number(first, field) is not None and (not dash or _number(last, field) is not None)


def _number(text: str, field: _Field) -> int | None:
    if text in field.names:
        return field.least + field.names.index(text)
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        return None
    return int(text) if field.least <= int(text) <= field.most else None
