"""The SQS queues: send messages to the workers and to the dead-letter queue."""

import json
from collections.abc import Sequence
from datetime import timedelta
from itertools import batched
from typing import Any

from projects_api import settings
from projects_api.entities.ids import ExportId, ImportId, ProjectId
from projects_api.storage import clients
from projects_api.storage.aws_errors import translate_aws_errors

#: How long the recovery job leaves the message for new work to the function that records the work. That function may
#: die before it sends the message.
MESSAGE_TIMEOUT = timedelta(minutes=5)

#: How long a message in a queue may wait for a worker before the recovery job sends another. SQS does not lose
#: messages, but all workers may be busy for hours.
QUEUE_TIMEOUT = timedelta(hours=6)

#: Maximum number of messages in one request
#: (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html).
BATCH_LIMIT = 10

#: Maximum size of a message with its attributes, in bytes
#: (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html).
MAX_MESSAGE_SIZE = 1 << 20


def send_exports(exports: Sequence[tuple[ProjectId, ExportId]]) -> list[bool]:
    """Queue exports for assembly. A repeated message does not assemble an archive twice.

    Returns:
        For each of ``exports``, whether SQS has accepted its message.
    """
    messages = [{"project_id": project_id, "export_id": export_id} for project_id, export_id in exports]
    return _send_in_batches(settings.export_queue_url(), messages)


def send_import(import_id: ImportId) -> None:
    """Queue an import for its worker. A repeated message does not import the archive twice."""
    _send(settings.import_queue_url(), {"import_id": import_id})


def send_purges(project_ids: Sequence[ProjectId]) -> list[bool]:
    """Queue deleted projects for their purge, and return for each whether SQS has accepted its message."""
    return _send_in_batches(settings.purge_queue_url(), [{"project_id": project_id} for project_id in project_ids])


def send_purge(project_id: ProjectId, *, run: int = 1, delay: int = 0) -> None:
    """Queue a deleted project for its purge.

    Args:
        project_id: The project.
        run: The number of this run. A run that does not complete the purge queues the next one.
        delay: How long SQS keeps the message back, in seconds.
    """
    _send(settings.purge_queue_url(), {"project_id": project_id, "run": run}, delay=delay)


def send_dead_letter(body: str, *, reason: str) -> None:
    """Send a rejected event to the dead-letter queue.

    Args:
        body: The event. The message contains all of it.
        reason: Becomes the message attribute ``reason``, cut to the size that ``body`` leaves.
    """
    available = MAX_MESSAGE_SIZE - len(body.encode()) - len("reason" + "String")
    reason = reason.encode()[: max(available, 1)].decode(errors="ignore")
    with translate_aws_errors():
        clients.sqs().send_message(
            QueueUrl=settings.events_dead_letters_url(),
            MessageBody=body,
            MessageAttributes={"reason": {"DataType": "String", "StringValue": reason}},
        )


def _send(queue_url: str, message: dict[str, Any], *, delay: int = 0) -> None:
    with translate_aws_errors():
        clients.sqs().send_message(QueueUrl=queue_url, MessageBody=json.dumps(message), DelaySeconds=delay)


def _send_in_batches(queue_url: str, messages: Sequence[dict[str, Any]]) -> list[bool]:
    accepted: list[bool] = []
    for batch in batched(messages, BATCH_LIMIT, strict=False):
        with translate_aws_errors():
            response = clients.sqs().send_message_batch(
                QueueUrl=queue_url,
                Entries=[{"Id": str(number), "MessageBody": json.dumps(body)} for number, body in enumerate(batch)],
            )
        ids = {entry["Id"] for entry in response.get("Successful", [])}
        accepted += [str(number) in ids for number in range(len(batch))]
    return accepted
