"""The AWS clients: one per service for the lifetime of the process."""

from __future__ import annotations

import logging
import os
from functools import cache
from pathlib import Path
from ssl import SSLContext
from typing import TYPE_CHECKING, Any, cast

from botocore import httpsession
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

#: Read timeout for S3 in the workers, in seconds. No request waits for a worker.
WORKER_TIMEOUT = 60.0

#: Largest copy for which ``WORKER_TIMEOUT`` is enough, in bytes: S3 would have to copy less than 4 MiB per second.
MAX_QUICK_COPY = 256 << 20

#: Read timeout for larger copies, in seconds. It is enough for 5 GiB at 16 MiB per second.
LARGE_COPY_TIMEOUT = 320.0


#: botocore's certificate authorities, each in a file named by its hash. Only the layer has this folder
#: (layers/core/split_certificates.py).
HASHED_AUTHORITIES = Path(httpsession.DEFAULT_CA_BUNDLE).with_suffix("")


class SharedSslContext(SSLContext):
    """An SSL context that parses a bundle of certificates once, and not for each connection.

    urllib3 adds the bundle to the context before each handshake, and parsing takes longer than the handshake
    (https://github.com/urllib3/urllib3/issues/3623). From a folder of hashed files, OpenSSL parses only the certificate
    that it needs.
    """

    def load_verify_locations(self, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
        """Trust the authorities of a bundle, or of a folder of hashed files, unless the context does already."""
        bundles, bundle = self.__dict__.setdefault("_bundles", set()), (cafile, capath, cadata)
        if bundle in bundles:
            return
        if cafile == httpsession.where() and HASHED_AUTHORITIES.is_dir():
            cafile, capath = None, HASHED_AUTHORITIES
        elif cafile and Path(cafile).is_dir():
            cafile, capath = None, cafile
        super().load_verify_locations(cafile, capath, cadata)
        bundles.add(bundle)


@cache
def ssl_context() -> SharedSslContext:
    """Return the SSL context of all connections to AWS, with botocore's settings and certificate authorities."""
    context = httpsession.create_urllib3_context()
    context.__class__ = SharedSslContext  # botocore has no parameter for the class
    context.check_hostname = True  # urllib3 would do it itself, but http.client does not
    context.load_verify_locations(httpsession.get_cert_path(session().get_config_variable("ca_bundle") or True))
    return cast("SharedSslContext", context)


# botocore has no parameter for the SSL context either
httpsession.URLLib3Session._get_ssl_context = lambda _: ssl_context()  # type: ignore[attr-defined]  # noqa: SLF001


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
        read_timeout=WORKER_TIMEOUT if {"ARTIFACTS_BUCKET", "EXPORTS_BUCKET"} <= os.environ.keys() else READ_TIMEOUT,
        signature_version="s3v4",
        s3={"addressing_style": "path" if has_custom_endpoint else "virtual"},
        request_checksum_calculation="when_required",  # a part may have only the algorithm of its upload
        response_checksum_validation="when_required",  # else the signature of a presigned URL requires an extra header
    )
    return cast("S3Client", session().create_client("s3", config=config))


@cache
def s3_for_large_copies() -> S3Client:
    """Return an S3 client for copies of more than ``MAX_QUICK_COPY`` bytes. A copy that timed out is not repeated."""
    config = Config(read_timeout=LARGE_COPY_TIMEOUT, retries={"mode": "standard", "total_max_attempts": 1})
    return cast("S3Client", session().create_client("s3", config=s3().meta.config.merge(config)))


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
    "IMPORT_QUEUE_URL": sqs,
    "PURGE_QUEUE_URL": sqs,
    "EVENTS_DEAD_LETTERS_URL": sqs,
    "BUS": events,
}

if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    # Create the clients during the init phase, which has a whole CPU. The first invocation has only a fraction of one.
    for variable in _CLIENT_BY_VARIABLE.keys() & os.environ.keys():
        _CLIENT_BY_VARIABLE[variable]()
