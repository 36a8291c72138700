"""What operators see: who a log line is about, and what the dashboard counts.

A log line names things by their ids and never holds an API key, a signed URL or an email. docs/architecture.md says
what each metric means.
"""

from enum import StrEnum
from typing import Any
from uuid import UUID

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import MetricUnit

logger = Logger()


class Metric(StrEnum):
    """The metrics, all counts, in CloudWatch's embedded format with the dimension ``service``."""

    SERVER_ERRORS = "ServerErrors"
    STORAGE_UNAVAILABLE = "StorageUnavailable"
    KEYS_REJECTED = "KeysRejected"
    EVENTS_REJECTED = "EventsRejected"
    MESSAGES_FAILED = "MessagesFailed"
    STALLED_RESUMED = "StalledResumed"
    SCHEDULED_EXPORTS_FAILED = "ScheduledExportsFailed"
    EXPORTS_READY = "ExportsReady"
    EXPORTS_FAILED = "ExportsFailed"


def count(metric: Metric, times: int = 1) -> None:
    """Counts something that happened ``times`` times; nothing is written for none."""
    if times:
        with single_metric(name=metric, unit=MetricUnit.Count, value=times) as one:
            one.add_dimension("service", logger.service)


def identify(event: dict[str, Any]) -> None:
    """Adds to all later log lines which request of an HTTP API they belong to, and whose it is.

    A path's ids are logged only where they are ids: what a client puts in their place may be anything.
    """
    request = event.get("requestContext") or {}
    caller = (request.get("authorizer") or {}).get("lambda") or {}
    logger.append_keys(
        api_request_id=request.get("requestId"),
        route=event.get("routeKey"),
        user_id=caller.get("user_id"),
        key_id=caller.get("key_id"),
        **{
            "member_id" if name == "user_id" else name: value
            for name, value in (event.get("pathParameters") or {}).items()
            if _is_id(value)
        },
    )


def _is_id(value: str) -> bool:
    try:
        UUID(value)
    except ValueError:
        return False
    return True
