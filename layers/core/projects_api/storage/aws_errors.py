"""Translation of AWS errors into the service's own errors."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from projects_api.entities.errors import ProjectFullError, StorageUnavailableError, TooLargeError
from projects_api.telemetry import logger

#: Errors of requests that were sent too fast. Another attempt succeeds only after a while.
THROTTLING_CODES = frozenset(
    {
        "KMSThrottlingException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "503",
    }
)

#: Errors that pass by themselves. A route responds with 503, and a queue delivers the message again.
TRANSIENT_CODES = THROTTLING_CODES | {
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "LimitExceededException",
    "RequestTimeout",
    "RequestTimeoutException",
}

#: Errors that concern the credentials or the clock of this process, although S3 reports them for one object.
CREDENTIAL_CODES = frozenset(
    {
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)

#: Conflicts with another write, or with an earlier attempt of the same one that is still in progress.
CONFLICT_CODES = frozenset(
    {"ConditionalRequestConflict", "TransactionConflictException", "TransactionInProgressException"}
)

#: S3 has no such object, or not with the requested ETag.
MISSING_CODES = frozenset({"NoSuchKey", "NoSuchVersion", "404", "PreconditionFailed", "412"})

#: S3 does not accept the parts of a multipart upload.
PART_CODES = frozenset({"InvalidPart", "InvalidPartOrder", "EntityTooSmall"})

#: Reasons for a cancelled transaction that may succeed in another attempt.
TRANSIENT_CANCELLATIONS = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})

#: DynamoDB's messages for an item or a transaction that is too large. There is no error code for this.
TOO_LARGE_MESSAGE = re.compile(r"size.* exceed|exceed.* size", re.IGNORECASE)

CLIENT_ERRORS = range(400, 500)
SERVER_ERRORS = range(500, 600)


class ConditionFailedError(Exception):
    """The condition of a write did not hold, and nothing was written.

    Attributes:
        failed: For each write of the transaction, in order, whether its condition failed.
        items: For each write, in order, the existing item if its condition failed, else an empty item.
    """

    def __init__(self, failed: Sequence[bool] = (), items: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(f"Conditions failed: {failed}")
        self.failed = failed
        self.items = items


class ContentionError(StorageUnavailableError):
    """Another write was in progress, or a batch was only partly processed. botocore retries neither."""


class ThrottledError(StorageUnavailableError):
    """AWS requests a lower rate of requests."""


class ObjectMissingError(Exception):
    """The object is not in the bucket, or not in the requested version."""


class ObjectRefusedError(Exception):
    """S3 refuses access to an object, and will refuse it again.

    Attributes:
        code: S3's error code (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html). The status code of
            a response without a body, such as of HeadObject.
        message: S3's message, which can contain ARNs.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code = code
        self.message = message


class UploadMissingError(StorageUnavailableError):
    """Another run completed or aborted the multipart upload. The next attempt sees the result."""


class PartsChangedError(Exception):
    """S3 does not assemble the parts: one was replaced after it was listed, or is too small."""


@contextmanager
def translate_aws_errors() -> Iterator[None]:
    """Translate the errors of AWS calls in the block. Errors that only a bug can cause pass through unchanged.

    Raises:
        ConditionFailedError: The condition of a write did not hold.
        ObjectMissingError: S3 has no such object, or the object changed.
        ContentionError: Another transaction was in progress.
        ProjectFullError: The project's partition has reached its size limit.
        TooLargeError: An item or a transaction is too large.
        StorageUnavailableError: A timeout, a throttled request or an AWS fault, after the client's own retries.
    """
    try:
        yield
    except ClientError as error:
        translated = _translate(error)
        if translated is None:
            raise
        raise translated from error
    except BotoCoreError as error:  # no connection, no response in time, no credentials
        logger.warning("AWS did not respond: %s", type(error).__name__)
        raise StorageUnavailableError from error


@contextmanager
def translate_object_errors() -> Iterator[None]:
    """Translate the errors of AWS calls that read an object. Each error is that of the object or of AWS.

    Raises:
        ObjectMissingError: S3 has no such object, or the object changed.
        ObjectRefusedError: S3 refuses access to the object.
        StorageUnavailableError: A timeout, a throttled request or an AWS fault, after the client's own retries.
    """
    try:
        with translate_aws_errors():
            yield
    except ClientError as error:
        code, status = _code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status not in CLIENT_ERRORS or code in CREDENTIAL_CODES:
            raise
        raise ObjectRefusedError(code, error.response.get("Error", {}).get("Message", "")) from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _translate(error: ClientError) -> Exception | None:
    """Return the service's own error, or None if only a bug can cause this error."""
    code = _code(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "TransactionCanceledException":
        return _translate_cancellation(error.response.get("CancellationReasons", []))  # type: ignore[arg-type]  # stubs know no such key
    if code == "ConditionalCheckFailedException":
        return ConditionFailedError([True], [{}])
    if code in _ERRORS:
        return _ERRORS[code](code)
    if code in TRANSIENT_CODES or status in SERVER_ERRORS:
        logger.warning("AWS returned a transient error: %s", code)
        return ThrottledError() if code in THROTTLING_CODES else StorageUnavailableError()
    return _translate_size_error(code.removesuffix("Exception"), error.response.get("Error", {}).get("Message", ""))


#: The errors by AWS's code.
_ERRORS: dict[str, type[Exception]] = {
    "NoSuchUpload": UploadMissingError,
    **dict.fromkeys(CONFLICT_CODES, ContentionError),
    **dict.fromkeys(PART_CODES, PartsChangedError),
    **dict.fromkeys(MISSING_CODES, ObjectMissingError),
}


def _translate_cancellation(reasons: list[dict[str, Any]]) -> Exception | None:
    """Return the error for a cancelled transaction. Permanent reasons take precedence over transient ones."""
    codes = [str(reason.get("Code", "None")) for reason in reasons]
    failed = [code == "ConditionalCheckFailed" for code in codes]
    if any(failed):
        return ConditionFailedError(failed, [dict(reason.get("Item", {})) for reason in reasons])
    for code, reason in zip(codes, reasons, strict=True):
        if size_error := _translate_size_error(code, reason.get("Message", "")):
            return size_error
    if set(codes) - {"None"} <= TRANSIENT_CANCELLATIONS:
        return ContentionError()
    return None


def _translate_size_error(code: str, message: str) -> Exception | None:
    """Return the error for a write that exceeds a size limit. ``code`` is of the whole call or of one of its writes."""
    if code == "ItemCollectionSizeLimitExceeded":
        return ProjectFullError()
    if code in {"Validation", "ValidationError"} and TOO_LARGE_MESSAGE.search(message):
        return TooLargeError()
    return None
