"""Stand-in for Lambda's event source mappings: polls a queue and invokes its function with the messages."""

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local.function_runner import FunctionError, FunctionRunner
from local.stack import REGION, EventSource

logger = logging.getLogger(__name__)

#: How long a receive waits for messages, in seconds: the maximum of SQS.
LONG_POLL_SECONDS = 20

#: The most messages of one receive: the maximum of SQS.
MAX_RECEIVE = 10


def poll_queue(source: EventSource, functions: FunctionRunner, stopping: threading.Event) -> None:
    """Receive messages and invoke the function with them, until ``stopping`` is set.

    Messages that the function processed are deleted. The others return to the queue after their visibility timeout.
    A single thread receives for all invocations, because moto may give the same message to two waiting receivers.
    """
    sqs = boto3.client("sqs")
    queue_arn = sqs.get_queue_attributes(QueueUrl=source.queue_url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    free_slots = threading.Semaphore(source.concurrency)

    def process(messages: list[Any]) -> None:
        try:
            with _log_aws_errors(source, stopping):
                failed_ids = _invoke(source, functions, [sqs_record(message, queue_arn) for message in messages])
                for message in messages:
                    if message["MessageId"] not in failed_ids:
                        sqs.delete_message(QueueUrl=source.queue_url, ReceiptHandle=message["ReceiptHandle"])
        finally:
            free_slots.release()

    while not stopping.is_set():
        free_slots.acquire()
        messages: list[Any] = []
        with _log_aws_errors(source, stopping):
            messages = sqs.receive_message(
                QueueUrl=source.queue_url,
                MaxNumberOfMessages=min(source.batch_size, MAX_RECEIVE),
                WaitTimeSeconds=LONG_POLL_SECONDS,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
        if messages:
            threading.Thread(target=process, args=(messages,), daemon=True).start()
        else:
            free_slots.release()


def sqs_record(message: Any, queue_arn: str) -> dict[str, Any]:
    """Return a received message as the record that Lambda passes to a function.

    See https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html.
    """
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": REGION,
    }


@contextlib.contextmanager
def _log_aws_errors(source: EventSource, stopping: threading.Event) -> Iterator[None]:
    """Log an error of SQS and wait a second before the next call."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        if not stopping.is_set():
            logger.warning("queue of %s: %s", source.function, error)
        stopping.wait(1)


def _invoke(source: EventSource, functions: FunctionRunner, records: list[dict[str, Any]]) -> set[str]:
    """Invoke the function with a batch and return the ids of the messages that failed."""
    try:
        response = functions.invoke(source.function, {"Records": records})
    except FunctionError as error:
        logger.warning("%s", error)
        return {record["messageId"] for record in records}
    return {failure["itemIdentifier"] for failure in (response or {}).get("batchItemFailures", [])}
