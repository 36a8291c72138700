"""Records what sibling services say of their resources: EventBridge events, off a queue.

What can't ever be recorded is put aside in the dead-letter queue with its reason. What fails for now is left in the
queue, which delivers it again, and at last puts it aside as well.
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
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Takes a batch of an SQS queue; answers with the messages to deliver again."""
    outcomes = record_together(record["body"] for record in event["Records"])

    def work(body: str) -> None:
        if body not in outcomes:
            record(body)
        elif error := outcomes[body]:
            raise StorageUnavailableError from error

    return process_batch(event, context, work)


def record_together(bodies: Iterable[str]) -> dict[str, StorageUnavailableError | None]:
    """Records the events of one project in one transaction: all change its counts, and those can change once at a time.

    Returns:
        By its body, what keeps an event from being recorded for now, or None where it is recorded. What is not in here
        is to be recorded by itself, so that one event that can't be keeps no other back.
    """
    projects: dict[ProjectId, dict[str, Resource]] = defaultdict(dict)
    for body in bodies:
        with suppress(Exception):  # met again by itself, where it keeps no other back
            project_id, resource = parse(body)
            projects[project_id][body] = resource
    outcomes: dict[str, StorageUnavailableError | None] = {}
    for project_id, events in projects.items():
        for some in batched(events, RESOURCES_PER_TRANSACTION, strict=False):
            if len(some) > 1:
                with suppress(ConflictError, ProjectNotFoundError):
                    outcomes |= dict.fromkeys(some, _recorded(project_id, [events[body] for body in some]))
    return outcomes


def _recorded(project_id: ProjectId, events: list[Resource]) -> StorageUnavailableError | None:
    try:
        changed = resources.record(project_id, events)
    except StorageUnavailableError as error:
        return error
    logger.info("recorded", extra={"project_id": project_id, "events": len(events), "changed": changed})
    return None


def record(body: str) -> None:
    """Records one event, or puts it aside."""
    try:
        project_id, resource = parse(body)
        logger.append_keys(project_id=project_id, resource_id=resource.id)
        changed = resources.record(project_id, [resource])
    except (EventRejectedError, ConflictError) as error:
        set_aside(body, str(error))
    except ProjectNotFoundError:
        set_aside(body, "detail.project_id: there is no such project, or it has been deleted")
    else:
        logger.info("recorded", extra={"events": 1, "changed": changed})


def set_aside(body: str, reason: str) -> None:
    printable = "".join(c if c.isprintable() else "?" for c in reason)[:1000]
    sqs.send_dead_letter(body, reason=printable)
    logger.warning("refused", extra={"reason": printable})
    telemetry.count(Metric.EVENTS_REJECTED)
