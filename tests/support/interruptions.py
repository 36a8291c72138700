"""Something else that happens in the midst of what a function does: at one of its calls of AWS."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Literal

from aws_lambda_powertools.event_handler.api_gateway import BaseRouter
from botocore.exceptions import ClientError

from projects_api.storage import clients


class DeathError(BaseException):
    """The end of a function's process: nothing of it runs any more."""


def die() -> None:
    raise DeathError


def throttle(**_: Any) -> None:
    raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "Any")


@contextlib.contextmanager
def interrupted(
    number: int, action: Callable[[], object], *, at: Literal["before-call", "after-call"] = "before-call"
) -> Iterator[list[str]]:
    """Does something once, right before or after one of the calls of AWS that functions make in the block.

    Args:
        number: Which call, counted from 0.
        action: What to do; it may raise, and may call functions itself.
        at: When.

    Returns:
        The names of the calls, as they are made, without those of ``action``.
    """
    made: list[str] = []
    acting = False

    def on_call(model: Any, **_: Any) -> None:
        nonlocal acting
        if acting:
            return
        made.append(model.name)
        if len(made) == number + 1:
            acting = True
            try:
                with _resolver_kept():
                    action()
            finally:
                acting = False

    used = [clients.dynamodb(), clients.s3(), clients.sqs(), clients.events()]
    for client in used:
        client.meta.events.register_first(f"{at}.*.*", on_call)
    try:
        yield made
    finally:
        for client in used:
            client.meta.events.unregister(f"{at}.*.*", on_call)


@contextlib.contextmanager
def _resolver_kept() -> Iterator[None]:
    """Powertools keeps a process's request in a class, since on Lambda there is one at a time; here are two."""
    names = ("current_event", "lambda_context")
    kept = {name: getattr(BaseRouter, name) for name in names if hasattr(BaseRouter, name)}
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(BaseRouter, name, value)
