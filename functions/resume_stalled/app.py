"""Queues again the exports and purges whose message was lost, or whose worker died. The scheduler calls it."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api import telemetry
from projects_api.domain.exports import recovery
from projects_api.telemetry import Metric

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Takes anything; answers with how many messages were sent."""
    answer = {"resumed": recovery.resume_stalled()}
    logger.info("looked for stalled work", extra=answer)
    telemetry.count(Metric.STALLED_RESUMED, answer["resumed"])
    return answer
