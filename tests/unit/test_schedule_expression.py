"""Schedule expressions of EventBridge Scheduler."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.schedule_expression import ScheduleExpressionError, parse
from local.template import load_template, read_schedules

#: A Tuesday.
START = datetime(2026, 2, 10, 9, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "due_at"),
    [
        ("rate(1 minute)", "2026-02-10 09:01:30"),
        ("rate(5 minutes)", "2026-02-10 09:05:30"),
        ("rate(1 hours)", "2026-02-10 10:00:30"),
        ("rate(10 day)", "2026-02-20 09:00:30"),
        ("at(2026-02-11T00:00:00)", "2026-02-11 00:00:00"),
        ("cron(0 3 * * ? *)", "2026-02-11 03:00:00"),
        ("cron(* * * * ? *)", "2026-02-10 09:01:00"),
        ("cron(0/15 9-17 ? * MON-FRI *)", "2026-02-10 09:15:00"),
        ("cron(1/10 * * * ? *)", "2026-02-10 09:01:00"),
        ("cron(*/30 * * * ? *)", "2026-02-10 09:30:00"),
        ("cron(0 10 ? * 1 *)", "2026-02-15 10:00:00"),  # 1 is Sunday
        ("cron(0 10 ? * sat *)", "2026-02-14 10:00:00"),
        ("cron(0 10 ? * L *)", "2026-02-14 10:00:00"),
        ("cron(0 10 ? * 6L *)", "2026-02-27 10:00:00"),
        ("cron(0 10 ? * 3#2 *)", "2026-02-10 10:00:00"),
        ("cron(0 10 ? * TUE#1 *)", "2026-03-03 10:00:00"),
        ("cron(0 10 ? * 1#5 *)", "2026-03-29 10:00:00"),
        ("cron(0 10 L * ? *)", "2026-02-28 10:00:00"),
        ("cron(0 10 LW * ? *)", "2026-02-27 10:00:00"),
        ("cron(0 10 1W * ? *)", "2026-03-02 10:00:00"),  # 1 March is a Sunday, and the month is not left
        ("cron(0 10 14W * ? *)", "2026-02-13 10:00:00"),
        ("cron(0 10 31W 5 ? *)", "2026-05-29 10:00:00"),
        ("cron(0 10 31W FEB,MAR ? *)", "2026-03-31 10:00:00"),
        ("cron(0 0 29 2 ? *)", "2028-02-29 00:00:00"),
        ("cron(0 0 1 JAN ? 2030-2040/5)", "2030-01-01 00:00:00"),
        ("cron(0  0\t1 1 ? 2199)", "2199-01-01 00:00:00"),
    ],
)
def test_next_time(expression: str, due_at: str) -> None:
    assert parse(expression).next_time(START) == datetime.fromisoformat(due_at).replace(tzinfo=UTC)


@pytest.mark.parametrize("expression", ["at(2026-02-10T09:00:30)", "cron(0 3 * * ? 2025)", "cron(0 0 30 2 ? *)"])
def test_schedule_that_is_over(expression: str) -> None:
    assert parse(expression).next_time(START) is None


@pytest.mark.parametrize(
    "expression",
    [
        "daily",
        "",
        "rate(5 minutes",
        "RATE(5 minutes)",
        "rate(0 minutes)",
        "rate(-5 minutes)",
        "rate(1.5 hours)",
        "rate(5 seconds)",
        "rate(5)",
        "rate(999999999999999999 days)",
        "rate(٣ minutes)",
        "at(2026-02-30T00:00:00)",
        "at(2026-02-10)",
        "at(2026-02-10T09:00:00Z)",
        "cron(0 3 * * *)",
        "cron(0 3 * * ? * *)",
        "cron(0 3 * * * *)",
        "cron(0 3 ? * ? *)",
        "cron(60 3 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 3 0 * ? *)",
        "cron(0 3 32W * ? *)",
        "cron(0 3 * 13 ? *)",
        "cron(0 3 * FOO ? *)",
        "cron(0 3 ? * 0 *)",
        "cron(0 3 ? * 8 *)",
        "cron(0 3 ? * 3#6 *)",
        "cron(0 3 ? * 3#1,6#3 *)",
        "cron(0 3 * * ? 1969)",
        "cron(0 3 * * ? 2200)",
        "cron(0/0 3 * * ? *)",
        "cron(*/x 3 * * ? *)",
        "cron(30-10 3 * * ? *)",
        "cron(0,,5 3 * * ? *)",
        "cron(L 3 * * ? *)",
        "cron(? 3 * * ? *)",
    ],
)
def test_invalid_expression(expression: str) -> None:
    with pytest.raises(ScheduleExpressionError):
        parse(expression)


@given(
    st.integers(0, 59), st.integers(0, 23),
    st.sampled_from(["*", "*/7", "15", "L"]), st.sampled_from(["*", "2", "JUN"]),
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - hypothesis takes naive limits
)  # fmt: skip
def test_next_time_is_the_first(minute: int, hour: int, day: str, month: str, after: datetime) -> None:
    """The next time is after ``after``, and no earlier day matches."""
    after = after.replace(tzinfo=UTC)
    due_at = parse(f"cron({minute} {hour} {day} {month} ? *)").next_time(after)
    assert due_at
    assert due_at > after
    assert (due_at.minute, due_at.hour, due_at.second) == (minute, hour, 0)

    def matches(moment: datetime) -> bool:
        is_last = (moment + timedelta(days=1)).day == 1
        days = {"*": True, "*/7": moment.day % 7 == 1, "15": moment.day == 15, "L": is_last}
        return days[day] and moment.month in {"*": range(1, 13), "2": [2], "JUN": [6]}[month]

    candidate = after.replace(hour=hour, minute=minute, second=0, microsecond=0)
    while candidate <= after or not matches(candidate):
        candidate += timedelta(days=1)
    assert due_at == candidate


def test_template() -> None:
    """The schedules of the template are valid."""
    schedules = list(read_schedules(load_template()["Resources"], {}))
    assert len(schedules) >= 2
    for schedule in schedules:
        assert parse(schedule.expression).next_time(START)
