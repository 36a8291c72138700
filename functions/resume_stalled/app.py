"""The recovery job: sends lost messages of exports and purges again. EventBridge Scheduler invokes it."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api import telemetry
from projects_api.domain.exports import recovery
from projects_api.telemetry import Metric

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Return the number of messages sent. The event is ignored."""
    result = {"resumed": recovery.resume_stalled()}
    logger.info("Recovery completed", extra=result)
    telemetry.count(Metric.STALLED_RESUMED, result["resumed"])
    return result
