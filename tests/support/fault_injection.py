"""Fault injection: calls of a function to AWS that fail, or at which the function's process crashes."""

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.endpoint import Endpoint
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError
from botocore.model import OperationModel

from projects_api.storage import clients
from projects_api.storage.s3 import fast_get
from tests.support.in_process_app import InProcessApp
from tests.support.interruptions import CrashError


class Fault(Enum):
    """A fault of a call. It affects every attempt of the call or, if its name ends in `_ONCE`, the first alone."""

    THROTTLED = "throttled"
    CONFLICTS = "another transaction conflicts"
    UNREACHABLE = "connecting takes too long"
    NO_RESPONSE = "not executed, no response in time"
    RESPONSE_LOST = "executed, no response in time"
    FAILED = "not executed, response 500"
    FAILED_LATE = "executed, response 500"
    ACCESS_DENIED = "access denied"
    CRASH_BEFORE = "the process crashes before the call"
    CRASH_AFTER = "the process crashes after the call"
    THROTTLED_ONCE = "throttled, once"
    RESPONSE_LOST_ONCE = "executed, no response in time, once"

    @property
    def is_transient(self) -> bool:
        """Return whether one retry overcomes the fault, and the caller notices nothing."""
        return self.name.endswith("_ONCE")


#: The operations that change nothing start with one of these.
READ_PREFIXES = ("BatchGet", "Get", "Head", "List", "Query")


class _Body(io.BytesIO):
    """A response body as botocore reads it from a connection."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


type Outcome = tuple[tuple[Any, dict[str, Any]] | None, Exception | None]

#: The faults that occur after AWS has executed the call.
FAULTS_AFTER_EXECUTION = {Fault.RESPONSE_LOST, Fault.RESPONSE_LOST_ONCE, Fault.FAILED_LATE, Fault.CRASH_AFTER}

#: The error code and status with which a service throttles or denies a call. Any other service responds as DynamoDB.
THROTTLING_ERRORS = {
    "s3": ("SlowDown", 503),
    "sqs": ("RequestThrottled", 403),
    "eventbridge": ("ThrottlingException", 400),
}
DENIAL_ERRORS = {"s3": ("AccessDenied", 403), "sqs": ("AccessDenied", 403)}
DENIAL_PREFIX = "User: arn:aws:sts::123456789012:assumed-role/projects is not authorized to perform this on arn:aws:"


class FaultyNetwork:
    """A network that records the calls of one function, and injects a fault into some of them.

    Attributes:
        calls: The operation of each call, in order. The retries of a call are not counted.
    """

    def __init__(self, failing_call: int | str | None, fault: Fault | None, before_call: Callable[[], None]) -> None:
        self.calls: list[str] = []
        self._failing_call = failing_call
        self._fault = fault
        self._numbers: dict[str, int] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._before_call = before_call
        self._lock = threading.Lock()

    def send(self, send: Callable[[], Outcome], call: str, request: Any, operation: OperationModel) -> Outcome:
        """Make one attempt of a call, or fail it.

        Args:
            send: Sends the request to AWS.
            call: Identifies the call, and is the same for all of its attempts.
            request: The request.
            operation: The operation of the request.

        Returns:
            The outcome of the attempt, as botocore expects it of its endpoint.

        Raises:
            CrashError: The fault is a crash.
        """
        with self._lock:
            is_first_attempt = call not in self._numbers
            if is_first_attempt:
                self._numbers[call] = len(self.calls)
                self.calls.append(operation.name)
        if is_first_attempt and self._numbers[call] == self._failing_call:
            self._before_call()
        fault = self._fault
        fails = self._failing_call in {self._numbers[call], operation.name} and (
            is_first_attempt or (fault is not None and not fault.is_transient)
        )
        # DynamoDB recognizes a repeated transaction by its token, moto does not
        is_repeated_transaction = call in self._outcomes and operation.name == "TransactWriteItems"
        if fault and fault in FAULTS_AFTER_EXECUTION and fails and not is_repeated_transaction:
            self._outcomes[call] = send()
        if fault and fails:
            return _fail(fault, request, operation)
        if is_repeated_transaction:
            return self._outcomes[call]
        return send()


def _fail(fault: Fault, request: Any, operation: OperationModel) -> Outcome:
    service = operation.service_model.service_id.hyphenize()
    match fault:
        case Fault.CRASH_BEFORE | Fault.CRASH_AFTER:
            raise CrashError
        case Fault.UNREACHABLE:
            return None, ConnectTimeoutError(endpoint_url=request.url)
        case Fault.NO_RESPONSE | Fault.RESPONSE_LOST | Fault.RESPONSE_LOST_ONCE:
            return None, ReadTimeoutError(endpoint_url=request.url)
        case Fault.THROTTLED | Fault.THROTTLED_ONCE:
            error = THROTTLING_ERRORS.get(service, ("ProvisionedThroughputExceededException", 400))
        case Fault.ACCESS_DENIED:
            error = DENIAL_ERRORS.get(service, ("AccessDeniedException", 400))
        case Fault.CONFLICTS if operation.name == "TransactWriteItems":
            error = ("TransactionCanceledException", 400)
        case Fault.CONFLICTS:
            error = ("TransactionConflictException", 400)
        case _:
            error = ("InternalServerError", 500)
    code, status = error
    body = _Body(f"<Error><Code>{code}</Code></Error>".encode())
    parsed = {
        "Error": {"Code": code, "Message": f"{DENIAL_PREFIX}{operation.name}"},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}},
        "CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}],
    }
    return (AWSResponse(request.url, status, HTTPHeaders(), body), parsed), None


@contextmanager
def inject_fault(
    app: InProcessApp,
    function: str,
    *,
    failing_call: int | str | None = None,
    fault: Fault | None = None,
    before_call: Callable[[], None] = lambda: None,
) -> Iterator[FaultyNetwork]:
    """Inject a fault into the calls of a function to AWS.

    Args:
        app: The in-process app.
        function: The function whose calls are affected.
        failing_call: The number of the call to fail, counted from 0, or the name of the operation to fail at every
            call.
        fault: The fault, or None to only record the calls.
        before_call: Called right before the call of the number `failing_call`.

    Yields:
        The network, which records the calls.
    """
    network = FaultyNetwork(failing_call, fault, before_call)
    handler = app.handlers[function]
    send_direct, get_direct = Endpoint._do_get_response, fast_get._send  # type: ignore[attr-defined]  # in no stub

    def send_request(endpoint: Endpoint, request: Any, operation_model: OperationModel, context: Any) -> Outcome:
        def send() -> Outcome:
            outcome: Outcome = send_direct(endpoint, request, operation_model, context)
            return outcome

        return network.send(send, context["retries"]["invocation-id"], request, operation_model)

    def get_object(request: Any) -> Any:
        def send() -> Outcome:
            return (get_direct(request), {}), None

        operation = clients.s3().meta.service_model.operation_model("GetObject")
        outcome, error = network.send(send, f"{request.url} {request.headers.get('Range')}", request, operation)
        if error:
            raise error
        assert outcome
        return outcome[0]

    def handle_on_network(event: Any, context: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Endpoint, "_do_get_response", send_request)
            patch.setattr(fast_get, "_send", get_object)
            patch.setattr("time.sleep", lambda _: None)
            return handler(event, context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(app.handlers, function, handle_on_network)
        yield network
