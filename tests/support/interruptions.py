"""Interruptions: an action that a test runs at one of a function's calls to AWS."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Literal

from aws_lambda_powertools.event_handler.api_gateway import BaseRouter
from botocore.exceptions import ClientError

from projects_api.storage import clients


class CrashError(BaseException):
    """A crash of a function's process. It is no `Exception`, and no handler catches it."""


def crash() -> None:
    """Crash the process of the function.

    Raises:
        CrashError: Always.
    """
    raise CrashError


def throttle(**_: Any) -> None:
    """Throttle the call of the function.

    Raises:
        ClientError: Always.
    """
    raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "Any")


@contextlib.contextmanager
def interrupt_call(
    number: int, action: Callable[[], object], *, at: Literal["before-call", "after-call"] = "before-call"
) -> Iterator[list[str]]:
    """Run an action once, right before or after one of the calls to AWS that functions make in the block.

    Args:
        number: The number of the call, counted from 0. A negative number only records the calls.
        action: The action. It may raise an exception and may invoke functions itself.
        at: Whether the action runs before or after the call.

    Yields:
        The operations called so far, without those of the action.
    """
    calls: list[str] = []
    is_acting = False

    def on_call(model: Any, **_: Any) -> None:
        nonlocal is_acting
        if is_acting:
            return
        calls.append(model.name)
        if len(calls) == number + 1:
            is_acting = True
            try:
                with _preserve_current_request():
                    action()
            finally:
                is_acting = False

    aws_clients = [clients.dynamodb(), clients.s3(), clients.sqs(), clients.events()]
    for client in aws_clients:
        client.meta.events.register_first(f"{at}.*.*", on_call)
    try:
        yield calls
    finally:
        for client in aws_clients:
            client.meta.events.unregister(f"{at}.*.*", on_call)


@contextlib.contextmanager
def _preserve_current_request() -> Iterator[None]:
    """Restore the current request after the block.

    Powertools stores the request in a class, because a Lambda environment handles one request at a time. Here a second
    request runs inside the first.
    """
    names = ("current_event", "lambda_context")
    saved = {name: getattr(BaseRouter, name) for name in names if hasattr(BaseRouter, name)}
    try:
        yield
    finally:
        for name, value in saved.items():
            setattr(BaseRouter, name, value)
