"""Starts an export of each project that changed after its last scheduled one. EventBridge Scheduler invokes it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api import telemetry
from projects_api.domain.exports import export_schedule
from projects_api.entities.errors import ProjectsError
from projects_api.entities.ids import ProjectId
from projects_api.telemetry import Metric

#: The number of exports that are started in parallel.
PARALLEL_STARTS = 16

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Return the numbers of started and failed exports. The event is ignored, and failed projects stay due."""

    def start(project_id: ProjectId) -> bool | None:
        try:
            return export_schedule.start_scheduled(project_id)
        except ProjectsError:
            logger.exception("Starting an export failed", extra={"project_id": project_id})
            return None

    with ThreadPoolExecutor(PARALLEL_STARTS) as pool:
        outcomes = list(pool.map(start, export_schedule.find_due_projects()))
    result = {"started": outcomes.count(True), "failed": outcomes.count(None)}
    logger.info("Scheduled exports started", extra=result)
    telemetry.count(Metric.SCHEDULED_EXPORTS_FAILED, result["failed"])
    return result
