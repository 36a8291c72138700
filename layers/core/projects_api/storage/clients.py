"""The AWS clients, one of each for a function's life, and how long a call may take.

A request is answered within its function's time-out even while DynamoDB hangs: docs/architecture.md counts why.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.parsers import JSONParser, ResponseParser, ResponseParserFactory
from botocore.session import Session, get_session

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

# Lambda keeps what libraries log from INFO on, and botocore says at each start where it found its credentials.
logging.getLogger("botocore").setLevel(logging.WARNING)

#: How many connections a client keeps, and so how many of its calls can be under way at once.
CONNECTIONS = 48

#: How often a call is tried in all, and how long a try may take to connect and then to be answered, in seconds.
TRIES = 3
CONNECT_TIMEOUT = 1.0
READ_TIMEOUT = 2.0

#: How long S3 may take to answer a function that has it copy artifacts, and that nobody waits for.
COPY_TIMEOUT = 60.0

#: The longest pause between two tries, in seconds: it is random up to 1, then 2, then 4 and so on.
LONGEST_PAUSE = 2.0 ** (TRIES - 2)

#: What is kept of a request's time for answering it, in seconds.
RESERVE = 0.5


class TooLateError(BotoCoreError):
    """Another try might end after the request has to be answered."""

    fmt = "There is no time left for another try"


class Deadline:
    """Until when a request must be answered; calls fail while there is still time to say so."""

    #: The longest that one try takes, with the pause behind it.
    LONGEST_TRY = CONNECT_TIMEOUT + READ_TIMEOUT + LONGEST_PAUSE

    def __init__(self) -> None:
        self._at = math.inf

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Makes all calls of this process end within ``seconds``. Outside of it they take what time they need."""
        self._at = time.monotonic() + seconds - RESERVE
        try:
            yield
        finally:
            self._at = math.inf

    def check(self, **_: Any) -> None:
        """What a client asks before each try.

        Raises:
            TooLateError: A try begun now might outlast the deadline.
        """
        if time.monotonic() + self.LONGEST_TRY > self._at:
            raise TooLateError


deadline = Deadline()


class _ItemsAsTheyCome(JSONParser):
    """Takes an item as DynamoDB sends it.

    botocore goes through it value by value, and makes of it what it was, but for binaries, of which we have none.
    """

    def _handle_map(self, shape: Any, value: Any) -> Any:
        return value if shape.value.name == "AttributeValue" else super()._handle_map(shape, value)  # type: ignore[misc]  # untyped


class _Parsers(ResponseParserFactory):
    def create_parser(self, protocol_name: str) -> ResponseParser:
        return _ItemsAsTheyCome() if protocol_name == "json" else super().create_parser(protocol_name)


@cache
def session() -> Session:
    made = get_session()
    made.register_component("response_parser_factory", _Parsers())
    made.register("before-send", deadline.check)
    return made


def _config(*, read_timeout: float = READ_TIMEOUT, **own: Any) -> Config:
    return Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": TRIES},
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
