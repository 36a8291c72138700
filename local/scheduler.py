"""Stand-in for EventBridge Scheduler: invokes a function each time its schedule is due."""

import logging
import threading
from datetime import UTC, datetime

from local import schedule_expression
from local.function_runner import FunctionError, FunctionRunner
from local.stack import Schedule

logger = logging.getLogger(__name__)

#: The longest wait in seconds: the machine may sleep meanwhile, so the time is read again.
MAX_WAIT = 60.0


def run_schedule(schedule: Schedule, functions: FunctionRunner, stopping: threading.Event) -> None:
    """Invoke the schedule's function each time it is due, until ``stopping`` is set or the schedule is over.

    A failed invocation is logged and not retried.
    """
    expression = schedule_expression.parse(schedule.expression)
    while due_at := expression.next_time(datetime.now(UTC)):
        while (seconds := (due_at - datetime.now(UTC)).total_seconds()) > 0:
            if stopping.wait(min(MAX_WAIT, seconds)):
                return
        try:
            functions.invoke(schedule.function, {})
        except FunctionError as error:
            logger.warning("%s", error)
