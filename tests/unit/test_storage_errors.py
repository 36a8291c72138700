"""What AWS may answer, and what it means here: each its own error, and none that is told without a reason."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from projects_api.entities.errors import ProjectFullError, StorageUnavailableError, TooLargeError
from projects_api.storage.aws_errors import (
    ConditionFailedError,
    ContentionError,
    ObjectMissingError,
    translate_aws_errors,
)

ITEM_TOO_LARGE = "Item size has exceeded the maximum allowed size"
UPDATE_TOO_LARGE = "Item size to update has exceeded the maximum allowed size"
PROGRAM_IS_WRONG = "Invalid UpdateExpression: Syntax error"


def answered(code: str, message: str = "", *, status: int = 400) -> ClientError:
    metadata: Any = {"HTTPStatusCode": status}
    return ClientError({"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}, "Any")


def cancelled(*reasons: str | tuple[str, str]) -> ClientError:
    """A transaction that was cancelled, with a reason for each of its writes."""
    pairs = [(reason, "") if isinstance(reason, str) else reason for reason in reasons]
    error = answered("TransactionCanceledException")
    error.response["CancellationReasons"] = [{"Code": code, "Message": text} for code, text in pairs]
    return error


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (answered("ConditionalCheckFailedException"), ConditionFailedError),
        (answered("TransactionConflictException"), ContentionError),
        (answered("TransactionInProgressException"), ContentionError),
        (answered("ItemCollectionSizeLimitExceededException"), ProjectFullError),
        (answered("ValidationException", ITEM_TOO_LARGE), TooLargeError),
        (answered("ValidationException", UPDATE_TOO_LARGE), TooLargeError),
        (answered("ProvisionedThroughputExceededException"), StorageUnavailableError),
        (answered("InternalServerError", status=500), StorageUnavailableError),
        (answered("AnythingElse", status=503), StorageUnavailableError),
        (answered("NoSuchKey", status=404), ObjectMissingError),
        (ReadTimeoutError(endpoint_url="https://nowhere"), StorageUnavailableError),
        (cancelled("None", "TransactionConflict"), ContentionError),
        (cancelled("ThrottlingError", "None"), ContentionError),
        (cancelled("ProvisionedThroughputExceeded", "TransactionConflict"), ContentionError),
        (cancelled("None", "ItemCollectionSizeLimitExceeded"), ProjectFullError),
        (cancelled("TransactionConflict", "ItemCollectionSizeLimitExceeded"), ProjectFullError),
        (cancelled("None", ("ValidationError", UPDATE_TOO_LARGE)), TooLargeError),
        (cancelled("TransactionConflict", "ConditionalCheckFailed"), ConditionFailedError),
        (cancelled(("ValidationError", UPDATE_TOO_LARGE), "ConditionalCheckFailed"), ConditionFailedError),
        (answered("ValidationException", PROGRAM_IS_WRONG), ClientError),
        (answered("AccessDeniedException"), ClientError),
        (cancelled("None", ("ValidationError", PROGRAM_IS_WRONG)), ClientError),
    ],
)
def test_each_error_of_aws_has_its_meaning(error: Exception, meaning: type[Exception]) -> None:
    with pytest.raises(Exception) as raised, translate_aws_errors():  # noqa: PT011 - which one it is, is the question
        raise error
    assert type(raised.value) is meaning


def test_of_a_cancelled_transaction_it_is_known_which_condition_failed() -> None:
    with pytest.raises(ConditionFailedError) as raised, translate_aws_errors():
        raise cancelled("None", "ConditionalCheckFailed", "TransactionConflict")
    assert raised.value.failed == [False, True, False]
