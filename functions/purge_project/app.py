"""Removes what a deleted project left, off a queue."""

import json
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api.domain.purge import PurgeIncompleteError, purge_project, send_again
from projects_api.entities.ids import ProjectId
from projects_api.sqs_batch import process_batch

#: How long before its end a run hands on to the next, in milliseconds, and how long that waits, in seconds.
TIME_RESERVE = 20_000
PAUSE = 5

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Takes a batch of an SQS queue; answers with the messages to deliver again."""

    def purge(body: str) -> None:
        project_id = ProjectId(json.loads(body)["project_id"])
        logger.append_keys(project_id=project_id)
        try:
            purge_project(project_id, should_continue=lambda: context.get_remaining_time_in_millis() > TIME_RESERVE)
        except PurgeIncompleteError as rest:
            send_again(project_id, delay=PAUSE)
            logger.info("purged in part", extra={"rest": str(rest)})
        else:
            logger.info("purged")

    return process_batch(event, context, purge)
