"""Assembles the archive of an export, off a queue, and says on the bus how it ended."""

import json
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api.domain.exports import export_worker, finalization, recovery
from projects_api.domain.exports.export_worker import OutOfTimeError
from projects_api.entities.export import ExportStatus
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.sqs_batch import process_batch
from projects_api.telemetry import Metric, count

#: How long before its end a run hands on to the next, in milliseconds: longer than S3 takes to copy the largest part.
TIME_RESERVE = 120_000

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Takes a batch of an SQS queue; answers with the messages to deliver again."""

    def assemble(body: str) -> None:
        message = json.loads(body)
        project_id, export_id = ProjectId(message["project_id"]), ExportId(message["export_id"])
        logger.append_keys(project_id=project_id, export_id=export_id)
        try:
            export_worker.assemble(
                project_id,
                export_id,
                holder=context.aws_request_id,
                should_continue=lambda: context.get_remaining_time_in_millis() > TIME_RESERVE,
            )
        except OutOfTimeError:
            recovery.send_again(project_id, export_id)
        finished = finalization.finalize_export(project_id, export_id)
        if finished:
            count(Metric.EXPORTS_READY if finished.status is ExportStatus.READY else Metric.EXPORTS_FAILED)
        logger.info("worked on an export", extra={"ended": finished.status if finished else None})

    return process_batch(event, context, assemble)
