"""The purge worker: deletes the files and records of deleted projects."""

import json
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api.domain.purge import PurgeIncompleteError, purge_project, send_again
from projects_api.entities.ids import ProjectId
from projects_api.sqs_batch import process_batch

#: A run hands over to the next this many milliseconds before its timeout.
TIME_RESERVE = 20_000

#: The delay of the message for the next run, in seconds.
RESEND_DELAY = 5

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Process a batch of SQS messages and return the failed ones, which SQS redelivers."""

    def purge(body: str) -> None:
        message = json.loads(body)
        project_id = ProjectId(message["project_id"])
        logger.append_keys(project_id=project_id)
        try:
            purge_project(project_id, should_continue=lambda: context.get_remaining_time_in_millis() > TIME_RESERVE)
        except PurgeIncompleteError as error:
            send_again(project_id, run=message.get("run", 1) + 1, delay=RESEND_DELAY)
            logger.info("Purge incomplete", extra={"reason": str(error)})
        else:
            logger.info("Purge completed")

    return process_batch(event, purge)
