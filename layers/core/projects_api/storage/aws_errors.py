"""Where storage errors become the domain's: the one place that knows AWS's error codes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from projects_api.entities.errors import ProjectFullError, StorageUnavailableError, TooLargeError

logger = Logger(child=True)

#: What passes by itself: to be answered with 503, or tried again by a queue.
TRANSIENT = frozenset(
    {
        "InternalError",
        "InternalServerError",
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
    }
)

#: What another call is in the way of: of another transaction's, or of the very same, which is under way still.
CONFLICTS = frozenset({"TransactionConflictException", "TransactionInProgressException"})

MISSING = frozenset({"NoSuchKey", "NoSuchVersion", "404", "PreconditionFailed", "412"})

#: Why a transaction is cancelled that may well pass when it is tried again.
TRANSIENT_CANCELLATIONS = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})

#: How DynamoDB says that an item, or all of a transaction, is too large. It has no code of its own for that.
TOO_LARGE = re.compile(r"size.* exceed|exceed.* size", re.IGNORECASE)

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
    """Another write was in the way, or a batch was only partly done; botocore retries neither."""


class ObjectMissingError(Exception):
    """The object is not in the bucket, or not in the version that was asked for."""


@contextmanager
def translate_aws_errors() -> Iterator[None]:
    """Lets only our own errors out, and those that say that this program is wrong.

    Raises:
        ConditionFailedError: A conditional write did not apply.
        ObjectMissingError: S3 has no such object, or it changed.
        ContentionError: Another transaction was in the way.
        ProjectFullError: The project's partition takes no more.
        TooLargeError: An item takes more than there is room for in one.
        StorageUnavailableError: A time-out, a throttle, a fault of AWS's, after the client's own retries.
    """
    try:
        yield
    except ClientError as error:
        meaning = _meaning(error)
        if meaning is None:
            raise
        raise meaning from error
    except BotoCoreError as error:  # no connection, no answer in time, no credentials
        logger.warning("AWS did not answer: %s", type(error).__name__)
        raise StorageUnavailableError from error


def _meaning(error: ClientError) -> Exception | None:
    """What an error of AWS's means, or None where it means that this program is wrong."""
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "TransactionCanceledException":
        return _cancelled(error.response.get("CancellationReasons", []))  # type: ignore[arg-type]  # stubs know no such key
    if code == "ConditionalCheckFailedException":
        return ConditionFailedError([True], [{}])
    if code in CONFLICTS:
        return ContentionError()
    if code in MISSING:
        return ObjectMissingError(code)
    if code in TRANSIENT or status in SERVER_ERRORS:
        logger.warning("AWS did not do as asked: %s", code)
        return StorageUnavailableError()
    return _refused(code.removesuffix("Exception"), error.response.get("Error", {}).get("Message", ""))


def _cancelled(reasons: list[dict[str, Any]]) -> Exception | None:
    """What a cancelled transaction means; what repeating will not help outweighs the rest."""
    codes = [str(reason.get("Code", "None")) for reason in reasons]
    failed = [code == "ConditionalCheckFailed" for code in codes]
    if any(failed):
        return ConditionFailedError(failed, [dict(reason.get("Item", {})) for reason in reasons])
    for code, reason in zip(codes, reasons, strict=True):
        if refused := _refused(code, reason.get("Message", "")):
            return refused
    if set(codes) - {"None"} <= TRANSIENT_CANCELLATIONS:
        return ContentionError()
    return None


def _refused(code: str, message: str) -> Exception | None:
    """What a write that can't ever be done means, said of one item or of a whole call."""
    if code == "ItemCollectionSizeLimitExceeded":
        return ProjectFullError()
    if code in {"Validation", "ValidationError"} and TOO_LARGE.search(message):
        return TooLargeError()
    return None
