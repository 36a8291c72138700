"""The SQS queues: send messages to the workers and to the dead-letter queue."""

import json
from datetime import timedelta
from typing import Any

from projects_api import settings
from projects_api.entities.ids import ExportId, ImportId, ProjectId
from projects_api.storage import clients
from projects_api.storage.aws_errors import translate_aws_errors

#: How long a message may wait for a worker before the recovery job sends it again. All workers may be busy.
MESSAGE_TIMEOUT = timedelta(minutes=5)

#: Maximum size of a message with its attributes, in bytes
#: (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html).
MAX_MESSAGE_SIZE = 1 << 20


def send_export(project_id: ProjectId, export_id: ExportId) -> None:
    """Queue an export for assembly. A repeated message does not assemble the archive twice."""
    _send(settings.export_queue_url(), {"project_id": project_id, "export_id": export_id})


def send_import(import_id: ImportId) -> None:
    """Queue an import for its worker. A repeated message does not import the archive twice."""
    _send(settings.import_queue_url(), {"import_id": import_id})


def send_purge(project_id: ProjectId, *, delay: int = 0) -> None:
    """Queue a deleted project for its purge. SQS delivers the message after ``delay`` seconds."""
    _send(settings.purge_queue_url(), {"project_id": project_id}, delay=delay)


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
