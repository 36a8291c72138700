"""Log fields of requests, and metrics.

A log line contains ids but never an API key, a signed URL or an email address.
docs/reference/logs-and-metrics.md explains the metrics.
"""

import logging
import os
from enum import StrEnum
from typing import Any
from uuid import UUID

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import MetricUnit

logger = Logger()
# Powertools would follow Lambda's level, which template.yaml keeps at INFO so that Lambda does not drop metrics.
logging.getLogger(logger.name).setLevel(os.environ.get("LOG_LEVEL", "INFO"))


class Metric(StrEnum):
    """The metrics. All are counts in CloudWatch's embedded metric format, with the dimension ``service``."""

    SERVER_ERRORS = "ServerErrors"
    STORAGE_UNAVAILABLE = "StorageUnavailable"
    KEYS_REJECTED = "KeysRejected"
    EVENTS_REJECTED = "EventsRejected"
    MESSAGES_FAILED = "MessagesFailed"
    STALLED_RESUMED = "StalledResumed"
    SCHEDULED_EXPORTS_FAILED = "ScheduledExportsFailed"
    ARTIFACTS_SWEPT = "ArtifactsSwept"
    EXPORTS_READY = "ExportsReady"
    EXPORTS_FAILED = "ExportsFailed"
    EXPORTS_CANCELLED = "ExportsCancelled"
    IMPORTS_READY = "ImportsReady"
    IMPORTS_FAILED = "ImportsFailed"


def count(metric: Metric, times: int = 1) -> None:
    """Add ``times`` to a metric. Write nothing for 0."""
    if times:
        with single_metric(name=metric, unit=MetricUnit.Count, value=times) as metrics:
            metrics.add_dimension("service", logger.service)


def append_request_keys(event: dict[str, Any]) -> None:
    """Add the request's id, route, user, API key id and path ids to all later log lines.

    Path parameters that are not UUIDs are left out, because they may contain any text.

    Args:
        event: An HTTP API event in payload format 2.0.
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
