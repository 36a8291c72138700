"""The AWS clients: one of each for the life of a function's process."""

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

# Lambda keeps what libraries log from INFO on, and botocore says at each start where it found its credentials.
logging.getLogger("botocore").setLevel(logging.WARNING)

#: How many connections a client keeps, and so how many of its calls can be under way at once.
CONNECTIONS = 48

#: How long S3 may take to answer a function that has it copy artifacts, and that nobody waits for.
COPY_TIMEOUT = 60.0


@cache
def session() -> Session:
    made = get_session()
    made.register_component("response_parser_factory", RawItemParserFactory())
    made.register("before-send", deadline.check)
    return made


def _config(*, read_timeout: float = READ_TIMEOUT, **own: Any) -> Config:
    return Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
        max_pool_connections=CONNECTIONS,
        tcp_keepalive=True,
        **own,
    )


@cache
def dynamodb() -> DynamoDBClient:
    return cast("DynamoDBClient", session().create_client("dynamodb", config=_config()))


@cache
def s3() -> S3Client:
    """S3. An endpoint other than AWS's is addressed by path, since its host name has no buckets below it."""
    elsewhere = "AWS_ENDPOINT_URL_S3" in os.environ or "AWS_ENDPOINT_URL" in os.environ
    config = _config(
        read_timeout=COPY_TIMEOUT if "ARTIFACTS_BUCKET" in os.environ else READ_TIMEOUT,
        signature_version="s3v4",
        s3={"addressing_style": "path" if elsewhere else "virtual"},
        response_checksum_validation="when_required",  # else a presigned URL would demand a header of its reader
    )
    return cast("S3Client", session().create_client("s3", config=config))


@cache
def sqs() -> SQSClient:
    return cast("SQSClient", session().create_client("sqs", config=_config()))


@cache
def events() -> EventBridgeClient:
    return cast("EventBridgeClient", session().create_client("events", config=_config()))


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
