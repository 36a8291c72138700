"""The AWS clients: one per service for the lifetime of the process."""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from botocore.config import Config
from botocore.session import Session, get_session

from projects_api.storage.deadline import CONNECT_TIMEOUT, MAX_ATTEMPTS, READ_TIMEOUT, deadline
from projects_api.storage.dynamodb.response_parser import RawItemParserFactory

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

# botocore logs at INFO, on each start, where it found its credentials. Lambda keeps everything from INFO on.
logging.getLogger("botocore").setLevel(logging.WARNING)

#: Size of each client's connection pool. This is also the number of calls that a client can make in parallel.
MAX_CONNECTIONS = 48

#: Read timeout for S3 in the workers that copy artifacts, in seconds. A large copy takes longer than ``READ_TIMEOUT``,
#: and no request waits for a worker.
COPY_TIMEOUT = 60.0


@cache
def session() -> Session:
    """Return the session that all clients share. It checks the deadline before each attempt."""
    shared = get_session()
    shared.register_component("response_parser_factory", RawItemParserFactory())
    shared.register("before-send", deadline.check)
    return shared


def _config(*, read_timeout: float = READ_TIMEOUT, **options: Any) -> Config:
    return Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
        max_pool_connections=MAX_CONNECTIONS,
        tcp_keepalive=True,
        **options,
    )


@cache
def dynamodb() -> DynamoDBClient:
    """Return the DynamoDB client."""
    return cast("DynamoDBClient", session().create_client("dynamodb", config=_config()))


@cache
def s3() -> S3Client:
    """Return the S3 client. With a custom endpoint, the bucket is in the path: it has no host name of its own."""
    has_custom_endpoint = "AWS_ENDPOINT_URL_S3" in os.environ or "AWS_ENDPOINT_URL" in os.environ
    config = _config(
        read_timeout=COPY_TIMEOUT if "ARTIFACTS_BUCKET" in os.environ else READ_TIMEOUT,
        signature_version="s3v4",
        s3={"addressing_style": "path" if has_custom_endpoint else "virtual"},
        response_checksum_validation="when_required",  # else the signature of a presigned URL requires an extra header
    )
    return cast("S3Client", session().create_client("s3", config=config))


@cache
def sqs() -> SQSClient:
    """Return the SQS client."""
    return cast("SQSClient", session().create_client("sqs", config=_config()))


@cache
def events() -> EventBridgeClient:
    """Return the EventBridge client."""
    return cast("EventBridgeClient", session().create_client("events", config=_config()))


#: The client that a function needs if template.yaml sets the environment variable for it.
_CLIENT_BY_VARIABLE = {
    "TABLE": dynamodb,
    "ARTIFACTS_BUCKET": s3,
    "EXPORTS_BUCKET": s3,
    "EXPORT_QUEUE_URL": sqs,
    "PURGE_QUEUE_URL": sqs,
    "EVENTS_DEAD_LETTERS_URL": sqs,
    "BUS": events,
}

if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    # Create the clients during the init phase, which has a whole CPU. The first invocation has only a fraction of one.
    for variable in _CLIENT_BY_VARIABLE.keys() & os.environ.keys():
        _CLIENT_BY_VARIABLE[variable]()
