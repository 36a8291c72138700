"""Event source mappings: poll a queue and invoke its function with what arrives."""

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local.function_runner import FunctionError, Functions
from local.stack import REGION, Source

logger = logging.getLogger(__name__)

#: How long a receive waits for messages, in seconds: the longest that SQS takes.
LONG_POLL = 20


def poll_queue(source: Source, functions: Functions, ended: threading.Event) -> None:
    """Receives messages and has the function work on them, as Lambda's event source mapping does, until the end.

    One receives for all, since moto may give two who wait the same message.
    """
    sqs = boto3.client("sqs")
    arn = sqs.get_queue_attributes(QueueUrl=source.queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    free = threading.Semaphore(source.concurrency)

    def work_on(messages: list[Any]) -> None:
        try:
            with _warned(source, ended):
                failed = _failed(source, functions, [sqs_record(message, arn) for message in messages])
                for message in messages:
                    if message["MessageId"] not in failed:
                        sqs.delete_message(QueueUrl=source.queue_url, ReceiptHandle=message["ReceiptHandle"])
        finally:
            free.release()

    while not ended.is_set():
        free.acquire()
        messages: list[Any] = []
        with _warned(source, ended):
            messages = sqs.receive_message(
                QueueUrl=source.queue_url,
                MaxNumberOfMessages=min(source.batch_size, 10),
                WaitTimeSeconds=LONG_POLL,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
        if messages:
            threading.Thread(target=work_on, args=(messages,), daemon=True).start()
        else:
            free.release()


@contextlib.contextmanager
def _warned(source: Source, ended: threading.Event) -> Iterator[None]:
    """Warns of what SQS can't do, and rests for a second before it is asked again."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        if not ended.is_set():
            logger.warning("queue of %s: %s", source.function, error)
        ended.wait(1)


def _failed(source: Source, functions: Functions, records: list[dict[str, Any]]) -> set[str]:
    """The messages that are to be delivered again, by their ids."""
    try:
        answer = functions.invoke(source.function, {"Records": records})
    except FunctionError as error:
        logger.warning("%s", error)
        return {record["messageId"] for record in records}
    return {failure["itemIdentifier"] for failure in (answer or {}).get("batchItemFailures", [])}


def sqs_record(message: Any, arn: str) -> dict[str, Any]:
    """A received message as Lambda hands it to a function."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": REGION,
    }
