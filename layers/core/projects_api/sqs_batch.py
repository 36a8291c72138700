"""Processing of SQS batches. Each message is processed independently, and SQS redelivers the failed ones.

Powertools' batch utility does the same, but it imports its models of all event sources: a tenth of a cold start.
"""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger

from projects_api import telemetry
from projects_api.telemetry import Metric

logger = Logger()


def process_batch(event: dict[str, Any], process_message: Callable[[str], None]) -> dict[str, Any]:
    """Call ``process_message`` with the body of each message of an SQS batch.

    Returns:
        The partial batch response
        (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting)
        with the messages for which ``process_message`` raised. SQS redelivers them, and moves them to the dead-letter
        queue after ``maxReceiveCount`` attempts.
    """
    failed: list[str] = []
    for record in event["Records"]:
        message_id: str = record["messageId"]
        logger.append_keys(message_id=message_id, project_id=None, resource_id=None, export_id=None, import_id=None)
        try:
            process_message(record["body"])
        except Exception:
            logger.exception("Processing a message failed")
            telemetry.count(Metric.MESSAGES_FAILED)
            failed.append(message_id)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
