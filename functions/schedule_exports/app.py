"""Starts an export of every project that changed since its last scheduled one. The scheduler calls it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api import telemetry
from projects_api.domain.exports import export_schedule
from projects_api.entities.errors import ProjectsError
from projects_api.entities.ids import ProjectId
from projects_api.telemetry import Metric

#: How many projects are started at once.
STARTING = 16

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Takes anything; answers with how many exports were started, and how many could not be and stay due."""

    def start(project_id: ProjectId) -> bool | None:
        try:
            return export_schedule.start_scheduled(project_id)
        except ProjectsError:
            logger.exception("An export could not be started", extra={"project_id": project_id})
            return None

    with ThreadPoolExecutor(STARTING) as pool:
        outcomes = list(pool.map(start, export_schedule.due()))
    answer = {"started": outcomes.count(True), "failed": outcomes.count(None)}
    logger.info("scheduled", extra=answer)
    telemetry.count(Metric.SCHEDULED_EXPORTS_FAILED, answer["failed"])
    return answer
