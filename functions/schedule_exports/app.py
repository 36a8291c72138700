"""Starts an export of each project that changed after its last scheduled one. EventBridge Scheduler invokes it."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import batched, takewhile
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api import telemetry
from projects_api.domain.exports import export_schedule
from projects_api.domain.exports.export_schedule import Outcome
from projects_api.entities.ids import ProjectId
from projects_api.storage.sqs import BATCH_LIMIT
from projects_api.telemetry import Metric

#: The number of batches that are started in parallel.
PARALLEL_STARTS = 16

#: The run ends this many milliseconds before its timeout.
TIME_RESERVE = 30_000

logger = Logger()


class ScheduleIncompleteError(Exception):
    """The time of this run is over, and projects are still due. Lambda retries the invocation, which continues."""


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Return the numbers of started and failed exports. The event is ignored, and failed projects stay due.

    Raises:
        ScheduleIncompleteError: There are more projects than one run can start.
    """

    def has_time(_: object = None) -> bool:
        return context.get_remaining_time_in_millis() > TIME_RESERVE

    def start(project_ids: Sequence[ProjectId]) -> Outcome | None:
        return export_schedule.start_scheduled(project_ids) if has_time() else None

    batches = batched(export_schedule.find_due_projects(), BATCH_LIMIT, strict=False)
    with ThreadPoolExecutor(PARALLEL_STARTS) as pool:
        outcomes = list(pool.map(start, takewhile(has_time, batches)))
    completed = [outcome for outcome in outcomes if outcome]
    result = {
        "started": sum(outcome.started for outcome in completed),
        "failed": sum(outcome.failed for outcome in completed),
    }
    logger.info("Scheduled exports started", extra=result)
    telemetry.count(Metric.SCHEDULED_EXPORTS_FAILED, result["failed"])
    if len(completed) < len(outcomes) or not has_time():
        raise ScheduleIncompleteError
    return result
