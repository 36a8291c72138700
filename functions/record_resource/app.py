"""Records what sibling services say of their resources: EventBridge events, off a queue.

What can't ever be recorded is put aside in the dead-letter queue with its reason. What fails for now is left in the
queue, which delivers it again, and at last puts it aside as well.
"""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from resource_events import RefusedError, parse

from projects_api import telemetry
from projects_api.domain import resources
from projects_api.model.errors import ProjectNotFoundError
from projects_api.storage import queues
from projects_api.telemetry import Metric
from projects_api.workers import work_off

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Takes a batch of an SQS queue; answers with the messages to deliver again."""
    return work_off(event, context, record)


def record(body: str) -> None:
    try:
        project_id, resource = parse(body)
        logger.append_keys(project_id=project_id, resource_id=resource.id)
        changed = resources.record(project_id, resource)
    except RefusedError as error:
        set_aside(body, str(error))
    except ProjectNotFoundError:
        set_aside(body, "detail.project_id: there is no such project, or it has been deleted")
    else:
        logger.info("recorded", extra={"changed": changed})


def set_aside(body: str, reason: str) -> None:
    printable = "".join(c if c.isprintable() else "?" for c in reason)[:1000]
    queues.send_dead_letter(body, reason=printable)
    logger.warning("refused", extra={"reason": printable})
    telemetry.count(Metric.EVENTS_REFUSED)
