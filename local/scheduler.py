"""EventBridge Scheduler on one machine: invoke a function whenever its expression is due."""

import logging
import re
import threading
import time
from datetime import UTC, datetime, timedelta

from croniter import croniter

from local.function_runner import FunctionError, Functions
from local.stack import Schedule

logger = logging.getLogger(__name__)


def run_schedule(schedule: Schedule, functions: Functions, ended: threading.Event) -> None:
    """Calls the function whenever the expression says so, until the end."""
    while True:
        due = next_time(schedule.expression, datetime.now(UTC))
        while datetime.now(UTC) < due:
            if ended.wait(min(1.0, max(0.0, due.timestamp() - time.time()))):
                return
        try:
            functions.invoke(schedule.function, {})
        except FunctionError as error:
            logger.warning("%s", error)


def next_time(expression: str, after: datetime) -> datetime:
    """When a ``rate(…)`` or ``cron(…)`` of EventBridge Scheduler's is next due.

    Raises:
        ValueError: It is neither.
    """
    if rate := re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression):
        return after + timedelta(**{f"{rate[2]}s": int(rate[1])})
    if cron := re.fullmatch(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) \S+\)", expression):
        minute, hour, day, month, weekday = cron.groups()
        # EventBridge counts the days of the week from 1, Sunday; cron from 0
        weekday = re.sub(r"(?<![#\d])\d", lambda digit: str(int(digit[0]) - 1), weekday)
        usual = " ".join((minute, hour, day.replace("?", "*"), month, weekday.replace("?", "*")))
        due: datetime = croniter(usual, after).get_next(datetime)
        return due
    raise ValueError(f"'{expression}' is no rate(…) or cron(…) of EventBridge Scheduler")
