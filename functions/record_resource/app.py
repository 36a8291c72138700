"""The event worker: records the EventBridge events of other services about their resources.

A rejected event goes to the dead-letter queue together with the reason. SQS redelivers an event whose recording failed
temporarily, and finally moves it to the dead-letter queue too.
"""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from itertools import batched
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api import telemetry
from projects_api.domain import resources
from projects_api.domain.resource_events import EventRejectedError, parse
from projects_api.entities.errors import ConflictError, ProjectNotFoundError, StorageUnavailableError
from projects_api.entities.ids import ProjectId
from projects_api.entities.resource import Resource
from projects_api.sqs_batch import process_batch
from projects_api.storage import sqs
from projects_api.storage.dynamodb.resource_store import RESOURCES_PER_TRANSACTION
from projects_api.telemetry import Metric

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Process a batch of SQS messages and return the failed ones, which SQS redelivers."""
    outcomes = record_by_project(record["body"] for record in event["Records"])

    def process_message(body: str) -> None:
        if body not in outcomes:
            record(body)
        elif error := outcomes[body]:
            raise StorageUnavailableError from error

    return process_batch(event, process_message)


def record_by_project(bodies: Iterable[str]) -> dict[str, StorageUnavailableError | None]:
    """Record the events of each project in one transaction, which avoids conflicts on the project's counts.

    Returns:
        The outcome by message body: None for a recorded event, or the temporary error after which SQS must redeliver
        the event. The caller records the events without an outcome one by one, because one rejected event fails the
        whole transaction.
    """
    projects: dict[ProjectId, dict[str, Resource]] = defaultdict(dict)
    for body in bodies:
        with suppress(Exception):  # the event is parsed again and rejected on its own
            project_id, resource = parse(body)
            projects[project_id][body] = resource
    outcomes: dict[str, StorageUnavailableError | None] = {}
    for project_id, events in projects.items():
        for batch in batched(events, RESOURCES_PER_TRANSACTION, strict=False):
            if len(batch) > 1:
                with suppress(ConflictError, ProjectNotFoundError):
                    outcomes |= dict.fromkeys(batch, _record_batch(project_id, [events[body] for body in batch]))
    return outcomes


def _record_batch(project_id: ProjectId, events: list[Resource]) -> StorageUnavailableError | None:
    try:
        changed = resources.record(project_id, events)
    except StorageUnavailableError as error:
        return error
    logger.info("Events recorded", extra={"project_id": project_id, "events": len(events), "changed": changed})
    return None


def record(body: str) -> None:
    """Record one event, or reject it."""
    try:
        project_id, resource = parse(body)
        logger.append_keys(project_id=project_id, resource_id=resource.id)
        changed = resources.record(project_id, [resource])
    except (EventRejectedError, ConflictError) as error:
        reject(body, str(error))
    except ProjectNotFoundError:
        reject(body, "detail.project_id: there is no such project, or it has been deleted")
    else:
        logger.info("Events recorded", extra={"events": 1, "changed": changed})


def reject(body: str, reason: str) -> None:
    """Send an event to the dead-letter queue, with the reason for the rejection."""
    printable = "".join(c if c.isprintable() else "?" for c in reason)[:1000]
    sqs.send_dead_letter(body, reason=printable)
    logger.warning("Event rejected", extra={"reason": printable})
    telemetry.count(Metric.EVENTS_REJECTED)
