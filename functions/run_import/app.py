"""The import worker: imports archives from queue messages and publishes the outcomes on the event bus."""

import json
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api.domain.imports import import_finalization, import_recovery, import_worker
from projects_api.domain.imports.import_worker import ImportTimeoutError
from projects_api.entities.ids import ImportId
from projects_api.entities.project_import import ImportStatus
from projects_api.sqs_batch import process_batch
from projects_api.telemetry import Metric, count

#: A run hands over to the next this many milliseconds before its timeout. S3 copies the largest part in less time.
TIME_RESERVE = 120_000

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Process a batch of SQS messages and return the failed ones, which SQS redelivers."""

    def run(body: str) -> None:
        import_id = ImportId(json.loads(body)["import_id"])
        logger.append_keys(import_id=import_id)
        try:
            import_worker.run_import(
                import_id,
                holder=context.aws_request_id,
                should_continue=lambda: context.get_remaining_time_in_millis() > TIME_RESERVE,
            )
        except ImportTimeoutError:
            import_recovery.send_again(import_id)
        import_ = import_finalization.finalize_import(import_id)
        if import_:
            count(Metric.IMPORTS_READY if import_.status is ImportStatus.READY else Metric.IMPORTS_FAILED)
        logger.info("Import run ended", extra={"status": import_.status if import_ else None})

    return process_batch(event, run)
