"""The recovery job: resumes what has stalled, and removes retired archives. EventBridge Scheduler invokes it."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api import telemetry
from projects_api.domain import recovery
from projects_api.telemetry import Metric

#: A run leaves the rest to the next one this many milliseconds before its timeout.
TIME_RESERVE = 15_000

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Return the number of messages sent and of archives removed. The event is ignored."""
    resumed = recovery.resume_stalled(should_continue=lambda: context.get_remaining_time_in_millis() > TIME_RESERVE)
    result = {"resumed": resumed}
    logger.info("Recovery completed", extra=result)
    telemetry.count(Metric.STALLED_RESUMED, result["resumed"])
    return result
