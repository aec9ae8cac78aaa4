"""When schedules fire: EventBridge's `rate(5 minutes)` and `cron(minutes hours day-of-month month day-of-week year)`, in UTC.

`parse_schedule` gives a `Rate` or a `Cron`, which answer two questions: when next after a moment, and when last by then.
Times are ms since the epoch. `anchor` is any one of the schedule's own times: a rate is counted from it, a cron needs none.
Going back is as direct as going on, so that whoever comes late finds the latest time without walking through those missed.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, lru_cache

MINUTE_MS = 60_000
DAY_MS = 86_400_000
FIRST_YEAR, LAST_YEAR = 1970, 2199

_UNITS = {"minute": MINUTE_MS, "hour": 60 * MINUTE_MS, "day": DAY_MS}
_EPOCH = date(1970, 1, 1)
_SATURDAY = 7  # days of the week count from Sunday, 1


@dataclass(frozen=True, slots=True)
class Rate:
    period_ms: int

    def next_after(self, moment: int, anchor: int) -> int | None:
        return anchor + ((moment - anchor) // self.period_ms + 1) * self.period_ms

    def latest_at(self, moment: int, anchor: int) -> int | None:
        return anchor + (moment - anchor) // self.period_ms * self.period_ms


@dataclass(frozen=True, slots=True)
class MonthDays:
    """Days by their number in the month. `weekdays`: for each, the working day nearest to it within the month (`15W`)."""

    numbers: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    is_last: bool = False
    is_last_weekday: bool = False

    def of(self, year: int, month: int) -> set[int]:
        length = monthrange(year, month)[1]
        found = {number for number in self.numbers if number <= length}
        found |= {_nearest_weekday(year, month, number, length) for number in self.weekdays if number <= length}
        if self.is_last:
            found.add(length)
        if self.is_last_weekday:
            found.add(_nearest_weekday(year, month, length, length))
        return found


@dataclass(frozen=True, slots=True)
class WeekDays:
    """Days by their place in the week, 1 (Sunday) to 7. `last`: only the month's last such day (`6L`); `nth`: only its nth (`3#2`)."""

    numbers: frozenset[int] = frozenset()
    last: frozenset[int] = frozenset()
    nth: frozenset[tuple[int, int]] = frozenset()

    def of(self, year: int, month: int) -> set[int]:
        length = monthrange(year, month)[1]
        found = set()
        for day in range(1, length + 1):
            weekday = _weekday(year, month, day)
            is_last = weekday in self.last and day > length - 7
            if weekday in self.numbers or is_last or (weekday, (day + 6) // 7) in self.nth:
                found.add(day)
        return found


@dataclass(frozen=True)
class Cron:
    minutes: frozenset[int]
    hours: frozenset[int]
    months: frozenset[int]
    years: frozenset[int]
    days: MonthDays | WeekDays

    @cached_property
    def times_of_day(self) -> tuple[int, ...]:
        """In minutes, ascending; the same on each day."""
        return tuple(sorted(hour * 60 + minute for hour in self.hours for minute in self.minutes))

    def next_after(self, moment: int, anchor: int = 0) -> int | None:
        """None: never again."""
        today, minute = _day_and_minute(moment)
        for day in self._days(today, 1):
            at = bisect_right(self.times_of_day, minute) if day == today else 0
            if at < len(self.times_of_day):
                return day * DAY_MS + self.times_of_day[at] * MINUTE_MS
        return None

    def latest_at(self, moment: int, anchor: int = 0) -> int | None:
        """None: never before."""
        today, minute = _day_and_minute(moment)
        for day in self._days(today, -1):
            at = bisect_left(self.times_of_day, minute + 1) if day == today else len(self.times_of_day)
            if at > 0:
                return day * DAY_MS + self.times_of_day[at - 1] * MINUTE_MS
        return None

    def _days(self, start: int, step: int) -> Iterator[int]:
        """Days since the epoch from `start` on (or back), `start` included: month by month, so that rare days are found soon."""
        begin = _EPOCH + timedelta(days=start)
        months = sorted(self.months)[::step]
        for year in sorted(self.years)[::step]:
            for month in months:
                if ((year - begin.year) * 12 + month - begin.month) * step < 0:
                    continue
                before = (date(year, month, 1) - _EPOCH).days - 1
                days = (before + day for day in sorted(self.days.of(year, month))[::step])
                yield from (day for day in days if (day - start) * step >= 0)


Schedule = Rate | Cron


def _day_and_minute(moment: int) -> tuple[int, int]:
    day, rest = divmod(moment, DAY_MS)
    return day, rest // MINUTE_MS


def _weekday(year: int, month: int, day: int) -> int:
    return date(year, month, day).isoweekday() % 7 + 1


def _nearest_weekday(year: int, month: int, day: int, length: int) -> int:
    """The nearest of Monday to Friday that is in the same month."""
    weekday = _weekday(year, month, day)
    if weekday == _SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == 1:
        return day + 1 if day < length else day - 2
    return day


# ---------------------------------------------------------------------------------------------------------- reading


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()  # JAN ... or SUN ..., counted from `least`


_MINUTES = _Field("minutes", 0, 59)
_HOURS = _Field("hours", 0, 23)
_MONTH_DAY = _Field("day of the month", 1, 31)
_MONTH = _Field("month", 1, 12, ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"))
_WEEK_DAY = _Field("day of the week", 1, 7, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))
_YEAR = _Field("year", FIRST_YEAR, LAST_YEAR)

_RATE = re.compile(r"rate\(\s*([0-9]{1,9})\s+([a-zA-Z]+)\s*\)", re.ASCII)
_CRON = re.compile(r"cron\(([^()]*)\)")


@lru_cache(maxsize=1024)
def parse_schedule(text: str) -> Schedule:
    """Raises ValueError with a sentence for people."""
    if text.startswith("rate("):
        return _rate(text)
    if cron := _CRON.fullmatch(text):
        return _cron(cron[1].upper().split())
    raise ValueError("a schedule is `rate(5 minutes)` or `cron(0 8 ? * MON-FRI *)`")


def _rate(text: str) -> Rate:
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError("a rate is a whole number and a unit, such as `rate(5 minutes)`")
    number, unit = int(match[1]), match[2]
    singular = unit.removesuffix("s")
    if singular not in _UNITS:
        raise ValueError(f"`{unit[:20]}` is no unit of a rate: minutes, hours or days")
    if number < 1:
        raise ValueError("a rate is at least one minute")
    if unit.endswith("s") == (number == 1):
        raise ValueError(f"EventBridge wants `{number} {singular}{'' if number == 1 else 's'}` here")
    return Rate(number * _UNITS[singular])


def _cron(parts: list[str]) -> Cron:
    if len(parts) != 6:
        raise ValueError(f"cron has six fields (minutes, hours, day of the month, month, day of the week, year), not {len(parts)}")
    minutes, hours, month_day, month, week_day, year = parts
    if (month_day == "?") == (week_day == "?"):
        raise ValueError("exactly one of day of the month and day of the week is `?`")
    return Cron(
        _numbers(minutes, _MINUTES),
        _numbers(hours, _HOURS),
        _numbers(month, _MONTH),
        _numbers(year, _YEAR),
        _week_days(week_day) if month_day == "?" else _month_days(month_day),
    )


def _month_days(part: str) -> MonthDays:
    plain, weekdays, is_last, is_last_weekday = [], set(), False, False
    for entry in part.split(","):
        if entry == "L":
            is_last = True
        elif entry == "LW":
            is_last_weekday = True
        elif entry.endswith("W"):
            weekdays.add(_number(entry[:-1], _MONTH_DAY, part))
        else:
            plain.append(entry)
    return MonthDays(_all(plain, _MONTH_DAY, part), frozenset(weekdays), is_last, is_last_weekday)


def _week_days(part: str) -> WeekDays:
    plain, last, nth = [], set(), set()
    for entry in part.split(","):
        day, hash_sign, week = entry.partition("#")
        if hash_sign:
            if week not in ("1", "2", "3", "4", "5"):
                raise _no(part, _WEEK_DAY)
            nth.add((_number(day, _WEEK_DAY, part), int(week)))
        elif entry == "L":  # the last day of the week
            plain.append("SAT")
        elif entry.endswith("L"):
            last.add(_number(entry[:-1], _WEEK_DAY, part))
        else:
            plain.append(entry)
    return WeekDays(_all(plain, _WEEK_DAY, part), frozenset(last), frozenset(nth))


def _numbers(part: str, field: _Field) -> frozenset[int]:
    return _all(part.split(","), field, part)


def _all(entries: Iterable[str], field: _Field, part: str) -> frozenset[int]:
    return frozenset(number for entry in entries for number in _range(entry, field, part))


def _range(entry: str, field: _Field, part: str) -> Iterable[int]:
    """`*`, `5`, `1-5`, `FRI-MON` (around the end), each with `/STEP`; `5/15` goes on to the field's end."""
    span, slash, step = entry.partition("/")
    if slash and not (step.isascii() and step.isdigit() and int(step[:9]) > 0):
        raise _no(part, field)
    if span == "*":
        first, last = field.least, field.most
    else:
        begin, dash, end = span.partition("-")
        first = _number(begin, field, part)
        last = _number(end, field, part) if dash else field.most if slash else first
    if first > last and field is _YEAR:
        raise _no(part, field)
    values = range(first, last + 1) if first <= last else [*range(first, field.most + 1), *range(field.least, last + 1)]
    return values[:: int(step[:9]) if slash else 1]


def _number(text: str, field: _Field, part: str) -> int:
    if text in field.names:
        return field.least + field.names.index(text)
    if text.isascii() and text.isdigit() and len(text) <= 4 and field.least <= int(text) <= field.most:
        return int(text)
    raise _no(part, field)


def _no(part: str, field: _Field) -> ValueError:
    return ValueError(f"`{part[:40]}` is no {field.name} of a cron schedule")
