"""A network between a function and AWS in which one call fails, and a process that may die at any call."""

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
from tests.support.interruptions import DeathError


class Fault(Enum):
    """What happens to a call: at all of its tries, or only at the first of them."""

    THROTTLED = "throttled"
    CONFLICTS = "another transaction is in the way"
    UNREACHABLE = "connecting takes too long"
    UNANSWERED = "not taken, and no answer in time"
    ANSWER_LOST = "done, and no answer in time"
    FAILED = "not done, and answered 500"
    FAILED_LATE = "done, and answered 500"
    REFUSED = "access denied"
    DEAD_BEFORE = "the process dies before it"
    DEAD_AFTER = "the process dies after it"
    THROTTLED_ONCE = "throttled, once"
    ANSWER_LOST_ONCE = "done and no answer in time, once"

    @property
    def passes(self) -> bool:
        """Whether trying the call again is enough, so that nobody need notice."""
        return self.name.endswith("_ONCE")


class _Body(io.BytesIO):
    """A body as botocore reads it from its connection."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


type Outcome = tuple[tuple[Any, dict[str, Any]] | None, Exception | None]

#: What happens after the call was done.
LATE = {Fault.ANSWER_LOST, Fault.ANSWER_LOST_ONCE, Fault.FAILED_LATE, Fault.DEAD_AFTER}

#: How each service says that it is too much, and that one may not; DynamoDB, where it is not named here.
THROTTLES = {"s3": ("SlowDown", 503), "sqs": ("RequestThrottled", 403), "eventbridge": ("ThrottlingException", 400)}
REFUSALS = {"s3": ("AccessDenied", 403), "sqs": ("AccessDenied", 403)}
WHO = "User: arn:aws:sts::123456789012:assumed-role/projects is not authorized to perform this on arn:aws:"


class Network:
    """Counts the calls of one function, and has the one of this number fail, or all of this name."""

    def __init__(self, fails: int | str | None, fault: Fault | None, before: Callable[[], None]) -> None:
        self.calls: list[str] = []
        self._fails = fails
        self._fault = fault
        self._numbers: dict[str, int] = {}
        self._done: dict[str, Outcome] = {}
        self._before = before
        self._lock = threading.Lock()

    def send(self, send: Callable[[], Outcome], call: str, request: Any, operation: OperationModel) -> Outcome:
        """What becomes of one try of a call."""
        with self._lock:
            first = call not in self._numbers
            if first:
                self._numbers[call] = len(self.calls)
                self.calls.append(operation.name)
        if first and self._numbers[call] == self._fails:
            self._before()
        fault = self._fault
        harmed = self._fails in {self._numbers[call], operation.name} and (
            first or (fault is not None and not fault.passes)
        )
        if fault and fault in LATE and harmed and not (call in self._done and operation.name == "TransactWriteItems"):
            self._done[call] = send()
        if fault and harmed:
            return _harm(fault, request, operation)
        if operation.name == "TransactWriteItems" and call in self._done:
            return self._done[call]  # DynamoDB knows a transaction again by its token, moto does not
        return send()


def _harm(fault: Fault, request: Any, operation: OperationModel) -> Outcome:
    service = operation.service_model.service_id.hyphenize()
    match fault:
        case Fault.DEAD_BEFORE | Fault.DEAD_AFTER:
            raise DeathError
        case Fault.UNREACHABLE:
            return None, ConnectTimeoutError(endpoint_url=request.url)
        case Fault.UNANSWERED | Fault.ANSWER_LOST | Fault.ANSWER_LOST_ONCE:
            return None, ReadTimeoutError(endpoint_url=request.url)
        case Fault.THROTTLED | Fault.THROTTLED_ONCE:
            error = THROTTLES.get(service, ("ProvisionedThroughputExceededException", 400))
        case Fault.REFUSED:
            error = REFUSALS.get(service, ("AccessDeniedException", 400))
        case Fault.CONFLICTS if operation.name == "TransactWriteItems":
            error = ("TransactionCanceledException", 400)
        case Fault.CONFLICTS:
            error = ("TransactionConflictException", 400)
        case _:
            error = ("InternalServerError", 500)
    code, status = error
    body = _Body(f"<Error><Code>{code}</Code></Error>".encode())
    parsed = {
        "Error": {"Code": code, "Message": f"{WHO}{operation.name}"},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}},
        "CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}],
    }
    return (AWSResponse(request.url, status, HTTPHeaders(), body), parsed), None


@contextmanager
def network(
    app: InProcessApp,
    function: str,
    *,
    fails: int | str | None = None,
    fault: Fault | None = None,
    before: Callable[[], None] = lambda: None,
) -> Iterator[Network]:
    """Has the calls of ``function`` go through a network in which some meet ``fault``.

    Args:
        app: The stack.
        function: Whose calls.
        fails: Which: the one of this number, from 0, or all of this name.
        fault: What happens to it, if anything.
        before: What happens right before the one of this number.
    """
    made = Network(fails, fault, before)
    handler = app.handlers[function]
    direct, read = Endpoint._do_get_response, fast_get._send  # type: ignore[attr-defined]  # in no stub

    def through(endpoint: Endpoint, request: Any, operation_model: OperationModel, context: Any) -> Outcome:
        def send() -> Outcome:
            outcome: Outcome = direct(endpoint, request, operation_model, context)
            return outcome

        return made.send(send, context["retries"]["invocation-id"], request, operation_model)

    def reads(request: Any) -> Any:
        def send() -> Outcome:
            return (read(request), {}), None

        operation = clients.s3().meta.service_model.operation_model("GetObject")
        outcome, error = made.send(send, f"{request.url} {request.headers.get('Range')}", request, operation)
        if error:
            raise error
        assert outcome
        return outcome[0]

    def on_network(event: Any, context: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Endpoint, "_do_get_response", through)
            patch.setattr(fast_get, "_send", reads)
            patch.setattr("time.sleep", lambda _: None)
            return handler(event, context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(app.handlers, function, on_network)
        yield made
