"""Schedule expressions of EventBridge Scheduler: ``rate(...)``, ``cron(...)`` and ``at(...)``, in UTC.

Libraries for cron do not know its years, ``?``, ``W`` and weekdays that start on Sunday with 1, so this module reads
the syntax of https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html itself.
"""

import calendar
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

MONTHS = {
    name: number
    for number, name in enumerate(
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"], 1
    )
}
WEEKDAYS = {name: number for number, name in enumerate(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"], 1)}
FIRST_YEAR, LAST_YEAR = 1970, 2199
LAST_WEEKDAY = 7

#: The number of Friday in ISO 8601, in which a week starts on Monday.
FRIDAY = 5

#: The longest rate in minutes, a hundred years: later times may be out of the range of ``datetime``.
MAX_RATE = 100 * 366 * 24 * 60

#: Returns whether a schedule is due on a day.
type DayRule = Callable[[date], bool]


class ScheduleExpressionError(ValueError):
    """A text is not a schedule expression that EventBridge Scheduler accepts."""


@dataclass(frozen=True, slots=True)
class RateSchedule:
    """A schedule that is due at an interval."""

    interval: timedelta

    def next_time(self, after: datetime) -> datetime | None:
        """Return the first time after ``after`` at which the schedule is due."""
        return after + self.interval


@dataclass(frozen=True, slots=True)
class OneTimeSchedule:
    """A schedule that is due once."""

    due_at: datetime

    def next_time(self, after: datetime) -> datetime | None:
        """Return the time at which the schedule is due, or None if it is not after ``after``."""
        return self.due_at if self.due_at > after else None


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """A schedule that is due at certain minutes of certain days."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: DayRule
    months: frozenset[int]
    years: frozenset[int]

    def next_time(self, after: datetime) -> datetime | None:
        """Return the first time after ``after`` at which the schedule is due, or None if there is none."""
        start = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
        for year in sorted(year for year in self.years if year >= start.year):
            for month in sorted(self.months):
                for number in range(1, calendar.monthrange(year, month)[1] + 1):
                    day = date(year, month, number)
                    if day < start.date() or not self.days(day):
                        continue
                    for hour in sorted(self.hours):
                        for minute in sorted(self.minutes):
                            due_at = datetime.combine(day, time(hour, minute), UTC)
                            if due_at >= start:
                                return due_at
        return None


type Expression = RateSchedule | OneTimeSchedule | CronSchedule


def parse(text: str) -> Expression:
    """Return the schedule that an expression describes.

    Raises:
        ScheduleExpressionError: EventBridge Scheduler would not accept the expression. The message says why.
    """
    kind, parenthesis, rest = text.partition("(")
    parsers = {"rate": _parse_rate, "cron": _parse_cron, "at": _parse_at}
    if kind not in parsers or not parenthesis or not rest.endswith(")"):
        raise ScheduleExpressionError("Use rate(<number> <unit>), cron(<six fields>) or at(<yyyy-mm-ddThh:mm:ss>).")
    return parsers[kind](rest[:-1])


def _parse_rate(text: str) -> Expression:
    rate = re.fullmatch(r"\s*([0-9]{1,18})\s+(minute|hour|day)s?\s*", text)
    if not rate or int(rate[1]) == 0:
        raise ScheduleExpressionError("A rate is a positive whole number and minutes, hours or days: rate(5 minutes).")
    minutes = int(rate[1]) * {"minute": 1, "hour": 60, "day": 24 * 60}[rate[2]]
    if minutes > MAX_RATE:
        raise ScheduleExpressionError("A rate is at most a hundred years.")
    return RateSchedule(timedelta(minutes=minutes))


def _parse_at(text: str) -> Expression:
    message = "A time has the form at(2026-02-10T09:00:00), in UTC."
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", text, re.ASCII):
        raise ScheduleExpressionError(message)
    try:
        return OneTimeSchedule(datetime.fromisoformat(text).replace(tzinfo=UTC))
    except ValueError:
        raise ScheduleExpressionError(message) from None


def _parse_cron(text: str) -> Expression:
    fields = text.upper().split()
    if len(fields) != len(("minutes", "hours", "day of month", "month", "day of week", "year")):
        raise ScheduleExpressionError(
            "A cron expression has six fields: minutes, hours, day of month, month, day of week and year, as in "
            "cron(0 3 * * ? *)."
        )
    minutes, hours, day, month, weekday, year = fields
    if (day == "?") == (weekday == "?"):
        raise ScheduleExpressionError("Exactly one of day of month and day of week is '?'.")
    return CronSchedule(
        minutes=_parse_values("minutes", minutes, range(60)),
        hours=_parse_values("hours", hours, range(24)),
        days=_parse_day(day) if weekday == "?" else _parse_weekday(weekday),
        months=_parse_values("month", month, range(1, 13), MONTHS),
        years=_parse_values("year", year, range(FIRST_YEAR, LAST_YEAR + 1)),
    )


def _parse_values(field: str, text: str, valid: range, names: dict[str, int] | None = None) -> frozenset[int]:
    """Return the values of a field: ``*``, numbers or names, ranges with ``-``, increments with ``/``, and lists."""

    def parse_value(value: str) -> int:
        number = (names or {}).get(value, int(value) if re.fullmatch(r"[0-9]{1,4}", value) else None)
        if number is None or number not in valid:
            raise ScheduleExpressionError(f"'{text}' is not valid for {field}: values are {valid[0]} to {valid[-1]}.")
        return number

    values: set[int] = set()
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        first_text, dash, last_text = span.partition("-")
        if slash and (not re.fullmatch(r"[0-9]{1,4}", step_text) or int(step_text) == 0):
            raise ScheduleExpressionError(f"'{text}' is not valid for {field}: after '/' comes a positive number.")
        step = int(step_text) if slash else 1
        first = valid[0] if span == "*" else parse_value(first_text)
        last = parse_value(last_text) if dash else valid[-1] if slash or span == "*" else first
        if first > last:
            raise ScheduleExpressionError(f"'{text}' is not valid for {field}: the range ends before it starts.")
        values |= set(range(first, last + 1, step))
    return frozenset(values)


def _parse_day(text: str) -> DayRule:
    """Return the rule of the field day of month: also ``L``, the last, and ``W``, the nearest workday."""
    if text == "L":
        return lambda day: day.day == _last_day(day)
    if text == "LW":
        return lambda day: day == _nearest_workday(day.replace(day=_last_day(day)))
    if nearest := re.fullmatch(r"([0-9]{1,2})W", text):
        (number,) = _parse_values("day of month", nearest[1], range(1, 32))
        return lambda day: number <= _last_day(day) and day == _nearest_workday(day.replace(day=number))
    numbers = _parse_values("day of month", text, range(1, 32))
    return lambda day: day.day in numbers


def _parse_weekday(text: str) -> DayRule:
    """Return the rule of the field day of week: also ``L``, Saturday or the month's last such day, and ``#``."""
    field, valid = "day of week", range(1, LAST_WEEKDAY + 1)
    if text == "L":
        return lambda day: _weekday(day) == LAST_WEEKDAY
    if last := re.fullmatch(r"(\w+)L", text):
        (last_weekday,) = _parse_values(field, last[1], valid, WEEKDAYS)
        return lambda day: _weekday(day) == last_weekday and day.day > _last_day(day) - 7
    if instance := re.fullmatch(r"(\w+)#([1-5])", text):
        (weekday,) = _parse_values(field, instance[1], valid, WEEKDAYS)
        return lambda day: _weekday(day) == weekday and (day.day - 1) // 7 + 1 == int(instance[2])
    weekdays = _parse_values(field, text, valid, WEEKDAYS)
    return lambda day: _weekday(day) in weekdays


def _weekday(day: date) -> int:
    """Return the number of a day of the week, from 1 (Sunday) to 7."""
    return day.isoweekday() % 7 + 1


def _last_day(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def _nearest_workday(day: date) -> date:
    """Return the day from Monday to Friday in the same month that is nearest to ``day``."""
    candidates: Iterable[date] = (day + timedelta(days) for days in (0, -1, 1, -2, 2))
    return next(
        candidate for candidate in candidates if candidate.isoweekday() <= FRIDAY and candidate.month == day.month
    )
