"""The AWS clients, one of each for a function's life, with time-outs that fit a request."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

#: How many connections a client keeps, and so how many of its calls can be under way at once.
CONNECTIONS = 32


def _config(*, read_timeout: float) -> Config:
    return Config(
        connect_timeout=1,
        read_timeout=read_timeout,
        retries={"mode": "standard", "max_attempts": 4},
        max_pool_connections=CONNECTIONS,
        tcp_keepalive=True,
    )


@cache
def dynamodb() -> DynamoDBClient:
    return boto3.client("dynamodb", config=_config(read_timeout=2))


@cache
def s3() -> S3Client:
    """S3. An endpoint other than AWS's is addressed by path, since its host name has no buckets below it."""
    elsewhere = "AWS_ENDPOINT_URL_S3" in os.environ or "AWS_ENDPOINT_URL" in os.environ
    own = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path" if elsewhere else "virtual"},
        response_checksum_validation="when_required",  # else a presigned URL would demand a header of its reader
    )
    return boto3.client("s3", config=_config(read_timeout=60).merge(own))


@cache
def sqs() -> SQSClient:
    return boto3.client("sqs", config=_config(read_timeout=5))


@cache
def events() -> EventBridgeClient:
    return boto3.client("events", config=_config(read_timeout=5))
