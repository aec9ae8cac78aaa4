"""When schedules fire: known times, and the law that next and latest agree with a walk through every minute."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from treadle.core.moments import from_rfc3339, rfc3339
from treadle.core.schedules import Cron, parse_schedule

MINUTE_MS = 60_000


def at(text: str) -> int:
    return from_rfc3339(text + "Z")


def times(schedule: str, since: str, count: int) -> list[str]:
    """The next few, without seconds."""
    found, moment = [], at(since)
    for _ in range(count):
        following = parse_schedule(schedule).next_after(moment, at(since))
        if following is None:
            break
        found.append(rfc3339(following)[:16])
        moment = following
    return found


@pytest.mark.parametrize(
    ("schedule", "since", "expected"),
    [
        pytest.param("rate(5 minutes)", "2026-11-23T00:02:30", "2026-11-23T00:07 2026-11-23T00:12", id="a rate counts from its beginning"),
        pytest.param("cron(0 3 * * ? *)", "2026-11-23T03:00:00", "2026-11-24T03:00 2026-11-25T03:00", id="each night, not twice"),
        pytest.param("cron(15/20 8 ? * MON *)", "2026-11-23T08:20:00", "2026-11-23T08:35 2026-11-23T08:55 2026-11-30T08:15", id="steps"),
        pytest.param("cron(0 12 L * ? *)", "2027-12-31T13:00:00", "2028-01-31T12:00 2028-02-29T12:00", id="the month's last day"),
        pytest.param("cron(0 0 LW * ? *)", "2026-10-01T00:00:00", "2026-10-30T00:00 2026-11-30T00:00", id="its last working day"),
        pytest.param(
            "cron(0 0 1W 8,11 ? *)", "2026-01-01T00:00:00", "2026-08-03T00:00 2026-11-02T00:00", id="the nearest, within the month"
        ),
        pytest.param("cron(0 0 31W 1,5 ? *)", "2026-05-01T00:00:00", "2026-05-29T00:00 2027-01-29T00:00", id="the nearest, backwards"),
        pytest.param("cron(0 9 ? * 3#2 *)", "2026-11-23T00:00:00", "2026-12-08T09:00 2027-01-12T09:00", id="the second Tuesday"),
        pytest.param("cron(0 9 ? * FRIL *)", "2026-11-23T00:00:00", "2026-11-27T09:00 2026-12-25T09:00", id="the last Friday"),
        pytest.param("cron(0 9 ? * L *)", "2026-11-23T00:00:00", "2026-11-28T09:00 2026-12-05T09:00", id="the week's last day is Saturday"),
        pytest.param(
            "cron(0 22-1 ? * * *)",
            "2026-11-23T21:00:00",
            "2026-11-23T22:00 2026-11-23T23:00 2026-11-24T00:00 2026-11-24T01:00",
            id="around midnight",
        ),
        pytest.param(
            "cron(0 0 ? * SAT-MON *)",
            "2026-11-23T00:00:00",
            "2026-11-28T00:00 2026-11-29T00:00 2026-11-30T00:00",
            id="around the week",
        ),
        pytest.param("cron(0 0 29 2 ? *)", "2026-01-01T00:00:00", "2028-02-29T00:00 2032-02-29T00:00", id="leap days"),
        pytest.param("cron(0 0 1 1 ? 2027)", "2026-11-23T00:00:00", "2027-01-01T00:00", id="one year only"),
        pytest.param("cron(0 0 31 2 ? *)", "2026-11-23T00:00:00", "", id="a day that never comes"),
        pytest.param("cron(0 0 1 1 ? 2020)", "2026-11-23T00:00:00", "", id="a year that is over"),
    ],
)
def test_a_schedule_fires(schedule: str, since: str, expected: str) -> None:
    assert " ".join(times(schedule, since, max(1, len(expected.split())))) == expected


@pytest.mark.parametrize(
    ("schedule", "then", "expected"),
    [
        ("rate(1 day)", "2026-11-30T13:00:00", "2026-11-30T00:00:00.000Z"),
        ("cron(0 3 * * ? *)", "2026-11-30T02:59:59", "2026-11-29T03:00:00.000Z"),
        ("cron(0 3 * * ? *)", "2026-11-30T03:00:00", "2026-11-30T03:00:00.000Z"),
        ("cron(0 0 29 2 ? *)", "2026-11-30T00:00:00", "2024-02-29T00:00:00.000Z"),
    ],
)
def test_who_comes_late_finds_the_latest_time(schedule: str, then: str, expected: str) -> None:
    latest = parse_schedule(schedule).latest_at(at(then), at("2026-11-23T00:00:00"))
    assert latest is not None
    assert rfc3339(latest) == expected


# ------------------------------------------------------------------------------------ against every minute, one by one


def fields(least: int, most: int, names: tuple[str, ...] = ()) -> st.SearchStrategy[str]:
    number = st.integers(least, most).map(lambda n: names[n - least] if names and n % 2 else str(n))
    span = st.tuples(number, number).map("-".join)
    steps = st.tuples(st.one_of(st.just("*"), number, span), st.integers(1, most)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    return st.one_of(st.just("*"), st.lists(st.one_of(number, span, steps), min_size=1, max_size=2).map(",".join))


DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
MONTH_DAYS = st.one_of(fields(1, 31), st.sampled_from(["L", "LW", "1W", "15W", "30W", "31W", "L,3", "1W,LW"]))
WEEK_DAYS = st.one_of(fields(1, 7, DAYS), st.sampled_from(["L", "6L", "SUNL", "2#1", "MON#5", "7#3,1L", "L,2"]))
CRONS = st.builds(
    lambda minutes, hours, month, days: f"cron({minutes} {hours} {days[0]} {month} {days[1]} *)",
    fields(0, 59), fields(0, 23), fields(1, 12, MONTHS),
    st.one_of(MONTH_DAYS.map(lambda day: (day, "?")), WEEK_DAYS.map(lambda day: ("?", day))),
)  # fmt: skip


def holds(part: str, value: int, least: int, most: int, names: tuple[str, ...] = ()) -> bool:
    """Whether a field without L, W and # names the value, worked out by counting up."""

    def number(text: str) -> int:
        return names.index(text) + least if text in names else int(text)

    for entry in part.split(","):
        span, _, step = entry.partition("/")
        begin, dash, end = span.partition("-")
        walk = least if span == "*" else number(begin)
        last = most if span == "*" or (step and not dash) else number(end or begin)
        count = 0
        while True:
            if walk == value and count % int(step or 1) == 0:
                return True
            if walk == last:
                break
            walk, count = (walk + 1 if walk < most else least), count + 1
    return False


def is_working_day(day: datetime) -> bool:
    return day.weekday() < 5


def is_nearest(day: datetime, number: int) -> bool:
    """Whether `day` is the working day nearest to the month's day `number`."""
    length = monthrange(day.year, day.month)[1]
    candidates = [day.replace(day=n) for n in range(1, length + 1) if is_working_day(day.replace(day=n))]
    return number <= length and day == min(candidates, key=lambda each: (abs(each.day - number), each.day))


def is_day(moment: datetime, month_days: str, week_days: str) -> bool:
    day, last = moment.replace(hour=0, minute=0), monthrange(moment.year, moment.month)[1]
    weekday = day.isoweekday() % 7 + 1
    for entry in (week_days if month_days == "?" else month_days).split(","):
        if month_days == "?":
            name = entry.rstrip("L").partition("#")[0]
            number = DAYS.index(name) + 1 if name in DAYS else int(name) if name.isdigit() else 0
            if entry == "L":
                found = weekday == 7
            elif entry.endswith("L"):
                found = weekday == number and day.day + 7 > last
            elif "#" in entry:
                found = weekday == number and sum((day.day - 7 * n) > 0 for n in range(6)) == int(entry[-1])
            else:
                found = holds(entry, weekday, 1, 7, DAYS)
        elif entry == "L":
            found = day.day == last
        elif entry == "LW":
            found = is_nearest(day, last)
        elif entry.endswith("W"):
            found = is_nearest(day, int(entry[:-1]))
        else:
            found = holds(entry, day.day, 1, 31)
        if found:
            return True
    return False


def fires(cron: str, moment: datetime) -> bool:
    minutes, hours, month_days, months, week_days, _ = cron[5:-1].split()
    is_time = holds(minutes, moment.minute, 0, 59) and holds(hours, moment.hour, 0, 23)
    return is_time and holds(months, moment.month, 1, 12, MONTHS) and is_day(moment, month_days, week_days)


@settings(deadline=None, max_examples=150)
@given(CRONS, st.datetimes(datetime(2026, 1, 1), datetime(2029, 12, 31)), st.integers(0, 59_999))
def test_next_and_latest_agree_with_every_minute(cron: str, then: datetime, rest_ms: int) -> None:
    start = then.replace(second=0, microsecond=0, tzinfo=UTC)
    moment = int(start.timestamp()) * 1000 + rest_ms
    schedule = parse_schedule(cron)
    assert isinstance(schedule, Cron)
    window = [start + timedelta(minutes=n) for n in range(1, 3 * 1440)]
    following = next((int(each.timestamp()) * 1000 for each in window if fires(cron, each)), None)
    found = schedule.next_after(moment)
    if following is not None:
        assert found == following
    else:
        assert found is None or found > int(window[-1].timestamp()) * 1000
    if found is not None:
        assert fires(cron, datetime.fromtimestamp(found / 1000, UTC))
        assert schedule.latest_at(found) == found
        before = schedule.latest_at(found - 1)
        assert before is None or before <= moment


@given(st.integers(1, 10**6), st.integers(0, 10**13), st.integers(0, 10**13))
def test_a_rate_is_even(number: int, moment: int, anchor: int) -> None:
    rate = parse_schedule(f"rate({number} minute{'s' if number > 1 else ''})")
    latest, following = rate.latest_at(moment, anchor), rate.next_after(moment, anchor)
    assert latest is not None
    assert following is not None
    assert latest <= moment < following == latest + number * MINUTE_MS
    assert (following - anchor) % (number * MINUTE_MS) == 0
