"""What is handed on to the jobs, and said on the bus."""

import json
from datetime import timedelta
from typing import Any

from projects_api import settings
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.storage import clients
from projects_api.storage.aws_errors import translate_aws_errors

#: How long a message may wait for a worker before it is taken for lost: workers may all be busy.
MESSAGE_TIMEOUT = timedelta(minutes=5)

#: What a message may take, its attributes included (Amazon SQS, "Message quotas").
MESSAGE_BYTES = 1 << 20


def send_export(project_id: ProjectId, export_id: ExportId) -> None:
    """Queues an export for assembly. Sent twice, it is still assembled once."""
    _send(settings.export_queue_url(), {"project_id": project_id, "export_id": export_id})


def send_purge(project_id: ProjectId, *, delay: int = 0) -> None:
    """Queues a deleted project for its purge, to be delivered after ``delay`` seconds."""
    _send(settings.purge_queue_url(), {"project_id": project_id}, delay=delay)


def send_dead_letter(body: str, *, reason: str) -> None:
    """Puts aside an event that can't be recorded, with the reason as the message's attribute ``reason``.

    An event may be as large as a message, and is kept whole: then it is the reason that is cut.
    """
    room = MESSAGE_BYTES - len(body.encode()) - len("reason" + "String")
    reason = reason.encode()[: max(room, 1)].decode(errors="ignore")
    with translate_aws_errors():
        clients.sqs().send_message(
            QueueUrl=settings.events_dead_letters_url(),
            MessageBody=body,
            MessageAttributes={"reason": {"DataType": "String", "StringValue": reason}},
        )


def _send(queue_url: str, message: dict[str, Any], *, delay: int = 0) -> None:
    with translate_aws_errors():
        clients.sqs().send_message(QueueUrl=queue_url, MessageBody=json.dumps(message), DelaySeconds=delay)
