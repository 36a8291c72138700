"""The sweep job: deletes artifacts without a project. EventBridge Scheduler invokes it."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api import telemetry
from projects_api.domain import artifact_sweep
from projects_api.telemetry import Metric

#: The sweep stops this many milliseconds before the timeout. The next run continues.
TIME_RESERVE = 60_000

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Return the numbers of projects looked up and of artifacts deleted. The event is ignored."""
    swept = artifact_sweep.sweep(should_continue=lambda: context.get_remaining_time_in_millis() > TIME_RESERVE)
    result = {"projects": swept.projects, "deleted": swept.artifacts}
    logger.info("Sweep completed", extra=result)
    telemetry.count(Metric.ARTIFACTS_SWEPT, swept.artifacts)
    return result
