"""Processing of SQS batches. Each message is processed independently, and SQS redelivers the failed ones."""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api import telemetry
from projects_api.telemetry import Metric

logger = Logger()


def process_batch(event: dict[str, Any], context: LambdaContext, process_message: Callable[[str], None]) -> Any:
    """Call ``process_message`` with the body of each message of an SQS batch.

    Returns:
        The partial batch response (``ReportBatchItemFailures``) with the messages for which ``process_message`` raised.
        SQS redelivers them, and moves them to the dead-letter queue after ``maxReceiveCount`` attempts.
    """

    def process_record(record: SQSRecord) -> None:
        logger.append_keys(
            message_id=record.message_id, project_id=None, resource_id=None, export_id=None, import_id=None
        )
        try:
            process_message(record.body)
        except Exception:
            logger.exception("Processing a message failed")
            telemetry.count(Metric.MESSAGES_FAILED)
            raise

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event=event, record_handler=process_record, processor=processor, context=context)
