"""Stand-in for EventBridge Scheduler: invokes a function each time its schedule expression is due."""

import logging
import re
import threading
import time
from datetime import UTC, datetime, timedelta

from croniter import croniter

from local.function_runner import FunctionError, FunctionRunner
from local.stack import Schedule

logger = logging.getLogger(__name__)


def run_schedule(schedule: Schedule, functions: FunctionRunner, stopping: threading.Event) -> None:
    """Invoke the schedule's function each time it is due, until ``stopping`` is set.

    A failed invocation is logged and not retried.
    """
    while True:
        due_at = next_time(schedule.expression, datetime.now(UTC))
        while datetime.now(UTC) < due_at:
            if stopping.wait(min(1.0, max(0.0, due_at.timestamp() - time.time()))):
                return
        try:
            functions.invoke(schedule.function, {})
        except FunctionError as error:
            logger.warning("%s", error)


def next_time(expression: str, after: datetime) -> datetime:
    """Return the first time after ``after`` at which a schedule expression is due.

    The year of a cron expression is ignored. The syntax is that of
    https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html.

    Raises:
        ValueError: The expression is neither ``rate(...)`` nor ``cron(...)``.
    """
    if rate := re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression):
        return after + timedelta(**{f"{rate[2]}s": int(rate[1])})
    if cron := re.fullmatch(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) \S+\)", expression):
        minute, hour, day, month, weekday = cron.groups()
        # EventBridge numbers the days of the week from 1 (Sunday), cron from 0
        weekday = re.sub(r"(?<![#\d])\d", lambda digit: str(int(digit[0]) - 1), weekday)
        unix_cron = " ".join((minute, hour, day.replace("?", "*"), month, weekday.replace("?", "*")))
        due_at: datetime = croniter(unix_cron, after).get_next(datetime)
        return due_at
    raise ValueError(f"'{expression}' is not a schedule expression. Use rate(...) or cron(...).")
