"""Translation of AWS errors: each error of AWS raises the storage error that states its meaning."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from projects_api.entities.errors import ProjectFullError, StorageUnavailableError, TooLargeError
from projects_api.storage import clients
from projects_api.storage.aws_errors import (
    ConditionFailedError,
    ContentionError,
    ObjectMissingError,
    ThrottledError,
    translate_aws_errors,
)
from projects_api.storage.s3 import fast_get
from tests.support.fault_injection import Fault, inject_fault
from tests.support.in_process_app import InProcessApp

ITEM_TOO_LARGE = "Item size has exceeded the maximum allowed size"
UPDATE_TOO_LARGE = "Item size to update has exceeded the maximum allowed size"
SYNTAX_ERROR = "Invalid UpdateExpression: Syntax error"

ITEM = {"PK": {"S": "TEST"}, "SK": {"S": "TEST"}}

#: A call of each client and of the faster reader of S3 objects, by its operation. `etag` is that of the object "key".
CALLS: dict[str, Callable[[InProcessApp, str], object]] = {
    "PutItem": lambda app, _: clients.dynamodb().put_item(TableName=app.stack.table, Item=ITEM),
    "TransactWriteItems": lambda app, _: clients.dynamodb().transact_write_items(
        TransactItems=[{"Put": {"TableName": app.stack.table, "Item": ITEM}}]
    ),
    "PutObject": lambda app, _: clients.s3().put_object(Bucket=app.stack.exports, Key="key", Body=b"body"),
    "GetObject": lambda app, etag: fast_get.get(app.stack.exports, "key", etag=etag),
    "SendMessage": lambda app, _: clients.sqs().send_message(
        QueueUrl=app.sqs.create_queue(QueueName="test")["QueueUrl"], MessageBody="body"
    ),
    "PutEvents": lambda app, _: clients.events().put_events(
        Entries=[{"EventBusName": app.stack.bus, "Source": "test", "DetailType": "Test", "Detail": "{}"}]
    ),
}


def build_error(code: str, message: str = "", *, status: int = 400) -> ClientError:
    metadata: Any = {"HTTPStatusCode": status}
    return ClientError({"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}, "Any")


def build_cancellation(*reasons: str | tuple[str, str]) -> ClientError:
    """Build the error of a cancelled transaction, with the code, or the code and message, of each of its writes."""
    pairs = [(reason, "") if isinstance(reason, str) else reason for reason in reasons]
    error = build_error("TransactionCanceledException")
    error.response["CancellationReasons"] = [{"Code": code, "Message": message} for code, message in pairs]
    return error


@pytest.mark.parametrize(
    ("aws_error", "expected"),
    [
        (build_error("ConditionalCheckFailedException"), ConditionFailedError),
        (build_error("TransactionConflictException"), ContentionError),
        (build_error("TransactionInProgressException"), ContentionError),
        (build_error("ItemCollectionSizeLimitExceededException"), ProjectFullError),
        (build_error("ValidationException", ITEM_TOO_LARGE), TooLargeError),
        (build_error("ValidationException", UPDATE_TOO_LARGE), TooLargeError),
        (build_error("ProvisionedThroughputExceededException"), ThrottledError),
        (build_error("InternalServerError", status=500), StorageUnavailableError),
        (build_error("AnythingElse", status=503), StorageUnavailableError),
        (build_error("NoSuchKey", status=404), ObjectMissingError),
        (ReadTimeoutError(endpoint_url="https://nowhere"), StorageUnavailableError),
        (build_cancellation("None", "TransactionConflict"), ContentionError),
        (build_cancellation("ThrottlingError", "None"), ContentionError),
        (build_cancellation("ProvisionedThroughputExceeded", "TransactionConflict"), ContentionError),
        (build_cancellation("None", "ItemCollectionSizeLimitExceeded"), ProjectFullError),
        (build_cancellation("TransactionConflict", "ItemCollectionSizeLimitExceeded"), ProjectFullError),
        (build_cancellation("None", ("ValidationError", UPDATE_TOO_LARGE)), TooLargeError),
        (build_cancellation("TransactionConflict", "ConditionalCheckFailed"), ConditionFailedError),
        (build_cancellation(("ValidationError", UPDATE_TOO_LARGE), "ConditionalCheckFailed"), ConditionFailedError),
        (build_error("ValidationException", SYNTAX_ERROR), ClientError),
        (build_error("AccessDeniedException"), ClientError),
        (build_cancellation("None", ("ValidationError", SYNTAX_ERROR)), ClientError),
    ],
)
def test_error_translation(aws_error: Exception, expected: type[Exception]) -> None:
    with pytest.raises(Exception) as raised, translate_aws_errors():  # noqa: PT011 - the type is asserted below
        raise aws_error
    assert type(raised.value) is expected


def test_cancellation_names_failed_conditions() -> None:
    with pytest.raises(ConditionFailedError) as raised, translate_aws_errors():
        raise build_cancellation("None", "ConditionalCheckFailed", "TransactionConflict")
    assert raised.value.failed == [False, True, False]


def call_with_fault(app: InProcessApp, monkeypatch: pytest.MonkeyPatch, operation: str, fault: Fault) -> None:
    """Make one call to AWS with a fault, as a function would.

    Raises:
        StorageUnavailableError: The fault outlasted the client's retries.
    """
    etag = app.s3.put_object(Bucket=app.stack.exports, Key="key", Body=b"body")["ETag"]

    def handler(event: Any, context: Any) -> None:
        with translate_aws_errors():
            CALLS[operation](app, etag)

    monkeypatch.setitem(app.handlers, "GetProject", handler)
    with inject_fault(app, "GetProject", failing_call=operation, fault=fault) as network:
        app.handlers["GetProject"](None, None)
    assert operation in network.calls


LASTING_FAULTS = [
    Fault.THROTTLED,
    Fault.UNREACHABLE,
    Fault.NO_RESPONSE,
    Fault.FAILED,
    Fault.RESPONSE_LOST,
    Fault.FAILED_LATE,
]


@pytest.mark.memory
@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("fault", LASTING_FAULTS, ids=lambda fault: fault.name)
def test_lasting_faults_are_equivalent(
    app: InProcessApp, monkeypatch: pytest.MonkeyPatch, operation: str, fault: Fault
) -> None:
    """Every fault that outlasts the retries raises the same error, or its subclass for throttling."""
    with pytest.raises(StorageUnavailableError) as raised:
        call_with_fault(app, monkeypatch, operation, fault)
    assert type(raised.value) is (ThrottledError if fault is Fault.THROTTLED else StorageUnavailableError)


@pytest.mark.memory
@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("fault", [Fault.THROTTLED_ONCE, Fault.RESPONSE_LOST_ONCE], ids=lambda fault: fault.name)
def test_retries_overcome_one_failure(
    app: InProcessApp, monkeypatch: pytest.MonkeyPatch, operation: str, fault: Fault
) -> None:
    """A function does not notice a fault of the first attempt, so that test_faults.py injects one only into writes.

    The faster reader leaves throttling to the worker, which makes fewer requests for a while.
    """
    if operation == "GetObject" and fault is Fault.THROTTLED_ONCE:
        with pytest.raises(ThrottledError):
            call_with_fault(app, monkeypatch, operation, fault)
    else:
        call_with_fault(app, monkeypatch, operation, fault)
