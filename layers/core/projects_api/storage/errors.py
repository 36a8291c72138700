"""Where storage errors become the domain's: the one place that knows AWS's error codes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from projects_api.model.errors import StorageUnavailableError

logger = Logger(child=True)

#: What passes by itself: to be answered with 503, or tried again by a queue.
TRANSIENT = frozenset(
    {
        "InternalError",
        "InternalServerError",
        "ItemCollectionSizeLimitExceededException",
        "KMSThrottlingException",
        "InternalFailure",
        "LimitExceededException",
        "NoSuchUpload",  # another run completed or aborted it; the next one sees
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)

SERVER_ERRORS = range(500, 600)


class ConditionFailedError(Exception):
    """A conditional write found something else than it expected, and wrote nothing.

    Attributes:
        items: Per write, in its order: the item that was there, where the write asked for it and its condition failed.
        failed: Per write, whether it was its condition that failed.
    """

    def __init__(self, failed: list[bool], items: list[dict[str, Any]]) -> None:
        super().__init__(f"Conditions failed: {failed}")
        self.failed = failed
        self.items = items


class ContentionError(StorageUnavailableError):
    """Another write was in the way, or a batch was done in part. The client, which tries again what else passes, knows
    of neither."""


class ObjectMissingError(Exception):
    """The object is not in the bucket, or not in the version that was asked for."""


@contextmanager
def translated() -> Iterator[None]:
    """Lets only our own errors out, and those that say that this program is wrong.

    Raises:
        ConditionFailedError: A conditional write did not apply.
        ObjectMissingError: S3 has no such object, or it changed.
        ContentionError: Another transaction was in the way.
        StorageUnavailableError: A time-out, a throttle, a fault of AWS's, after the client's own retries.
    """
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code == "ConditionalCheckFailedException":
            raise ConditionFailedError([True], [{}]) from error
        if code == "TransactionCanceledException":
            raise _cancelled(error) from error
        if code == "TransactionConflictException":
            raise ContentionError from error
        if code in {"NoSuchKey", "NoSuchVersion", "404", "PreconditionFailed", "412"}:
            raise ObjectMissingError(code) from error
        if code in TRANSIENT or status in SERVER_ERRORS:
            logger.warning("AWS did not do as asked: %s", code)
            raise StorageUnavailableError from error
        raise
    except BotoCoreError as error:  # no connection, no answer in time, no credentials
        logger.warning("AWS did not answer: %s", type(error).__name__)
        raise StorageUnavailableError from error


def _cancelled(error: ClientError) -> Exception:
    """What a cancelled transaction means; a failed condition outweighs the rest, since repeating will not help it."""
    reasons: list[dict[str, Any]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
    failed = [reason.get("Code") == "ConditionalCheckFailed" for reason in reasons]
    if any(failed):
        return ConditionFailedError(failed, [dict(reason.get("Item", {})) for reason in reasons])
    codes = {str(reason.get("Code", "None")) for reason in reasons} - {"None"}
    if codes <= {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}:
        return ContentionError()
    return error
