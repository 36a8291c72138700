"""The AWS clients, one of each for a function's life, with time-outs that fit a request."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, cast

from botocore.config import Config
from botocore.session import Session, get_session

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

#: How many connections a client keeps, and so how many of its calls can be under way at once.
CONNECTIONS = 48


def _config(*, read_timeout: float) -> Config:
    return Config(
        connect_timeout=1,
        read_timeout=read_timeout,
        retries={"mode": "standard", "max_attempts": 4},
        max_pool_connections=CONNECTIONS,
        tcp_keepalive=True,
    )


@cache
def session() -> Session:
    return get_session()


@cache
def dynamodb() -> DynamoDBClient:
    return cast("DynamoDBClient", session().create_client("dynamodb", config=_config(read_timeout=2)))


@cache
def s3() -> S3Client:
    """S3. An endpoint other than AWS's is addressed by path, since its host name has no buckets below it."""
    elsewhere = "AWS_ENDPOINT_URL_S3" in os.environ or "AWS_ENDPOINT_URL" in os.environ
    own = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path" if elsewhere else "virtual"},
        response_checksum_validation="when_required",  # else a presigned URL would demand a header of its reader
    )
    return cast("S3Client", session().create_client("s3", config=_config(read_timeout=60).merge(own)))


@cache
def sqs() -> SQSClient:
    return cast("SQSClient", session().create_client("sqs", config=_config(read_timeout=5)))


@cache
def events() -> EventBridgeClient:
    return cast("EventBridgeClient", session().create_client("events", config=_config(read_timeout=5)))


#: Which client a function needs, by the variables that template.yaml gives it.
_NEEDED = {
    "TABLE": dynamodb,
    "ARTIFACTS_BUCKET": s3,
    "EXPORTS_BUCKET": s3,
    "EXPORT_QUEUE_URL": sqs,
    "PURGE_QUEUE_URL": sqs,
    "EVENTS_DEAD_LETTERS_URL": sqs,
    "BUS": events,
}

if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    # A starting function has a whole processor, and one that answers its first request a fraction of it.
    for variable in _NEEDED.keys() & os.environ.keys():
        _NEEDED[variable]()
