"""What works off a queue: each message on its own, and those that failed delivered again."""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api import telemetry
from projects_api.telemetry import Metric

logger = Logger()


def process_batch(event: dict[str, Any], context: LambdaContext, work: Callable[[str], None]) -> Any:
    """Calls ``work`` with the body of each message of a batch of SQS.

    Returns:
        Which messages SQS is to deliver again, as Lambda wants it (``ReportBatchItemFailures``): those whose work
        raised. After the queue's ``maxReceiveCount`` they end in its dead-letter queue.
    """

    def work_on(record: SQSRecord) -> None:
        logger.append_keys(message_id=record.message_id, project_id=None, resource_id=None, export_id=None)
        try:
            work(record.body)
        except Exception:
            logger.exception("A message was not worked off")
            telemetry.count(Metric.MESSAGES_FAILED)
            raise

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event=event, record_handler=work_on, processor=processor, context=context)
