"""The export worker: assembles archives from queue messages and publishes the outcomes on the event bus."""

import json
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api.domain.exports import export_recovery, export_worker, finalization
from projects_api.domain.exports.export_worker import OutOfTimeError
from projects_api.entities.export import ExportStatus
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.sqs_batch import process_batch
from projects_api.telemetry import Metric, count

#: A run hands over to the next this many milliseconds before its timeout. It is longer than the longest copy may take
#: (``clients.LARGE_COPY_TIMEOUT``), and than all attempts of a smaller one.
TIME_RESERVE = 350_000

#: The metric of each outcome.
METRICS = {
    ExportStatus.READY: Metric.EXPORTS_READY,
    ExportStatus.FAILED: Metric.EXPORTS_FAILED,
    ExportStatus.CANCELLED: Metric.EXPORTS_CANCELLED,
}

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Process a batch of SQS messages and return the failed ones, which SQS redelivers."""

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
            export_recovery.send_messages([(project_id, export_id)])
        export = finalization.finalize_export(project_id, export_id)
        if export:
            count(METRICS[export.status])
        logger.info("Export run ended", extra={"status": export.status if export else None})

    return process_batch(event, assemble)
