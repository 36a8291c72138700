"""GetObject with a fraction of the CPU time of the botocore client.

An export of many small files spends most of its time in the HTTP client. botocore resolves the endpoint, validates
parameters and parses the response of each request, and urllib3 adds its pool. This module only signs and sends the
request, over connections of its own. It shares the credentials, events, timeouts and the SSL context of the botocore
client.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import re
from collections import deque
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlsplit

from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.hooks import first_non_none_response
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from projects_api.entities.errors import StorageUnavailableError
from projects_api.storage import clients
from projects_api.storage.aws_errors import ThrottledError, translate_object_errors
from projects_api.storage.s3.get_connection import GetConnection, GetResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.credentials import Credentials
    from mypy_boto3_s3 import S3Client

#: Attempts for a request that fails or gets no response, the first one included. A throttled request has one.
MAX_ATTEMPTS = 4

#: SHA-256 of a request without a body.
_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

_CODE = re.compile(rb"<Code>([\w.]+)</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]*)</Message>")


class Response(Protocol):
    """A response, with the attributes of botocore's."""

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def content(self) -> bytes: ...


def get(bucket: str, key: str, *, etag: str, byte_range: tuple[int, int] | None = None) -> bytes:
    """Return the bytes of an object, or of a range of it.

    Args:
        bucket: The bucket.
        key: The key of the object.
        etag: The ETag that the object must have.
        byte_range: The offsets of the first and the last byte, both included. By default, the whole object.

    Raises:
        ObjectMissingError: The object does not exist, or has another ETag.
        ObjectRefusedError: S3 refuses access to the object.
        ThrottledError: S3 requests a lower rate of requests. The caller waits before another attempt.
        StorageUnavailableError: S3 did not respond correctly in several attempts.
    """
    headers = {"if-match": etag}
    if byte_range:
        headers["range"] = f"bytes={byte_range[0]}-{byte_range[1]}"
    url = _bucket_url(clients.s3(), bucket) + quote(key, safe="/~")
    for _ in range(MAX_ATTEMPTS - 1):
        try:
            return _attempt(url, headers)
        except ThrottledError:
            raise
        except StorageUnavailableError:
            continue
    return _attempt(url, headers)


def _attempt(url: str, headers: dict[str, str]) -> bytes:
    with translate_object_errors():
        signed = sign(url, headers, datetime.now(UTC))
        response = _send(AWSPreparedRequest("GET", url, signed, None, stream_output=False))  # type: ignore[arg-type]  # any mapping will do
        content = response.content
        if response.status_code not in {200, 206}:
            code, message = _CODE.search(content), _MESSAGE.search(content)
            raise ClientError(
                {
                    "Error": {
                        "Code": code[1].decode() if code else str(response.status_code),
                        "Message": message[1].decode() if message else "",
                    },
                    "ResponseMetadata": {"HTTPStatusCode": response.status_code},  # type: ignore[typeddict-item]  # no other item is read
                },
                "GetObject",
            )
        expected = int(response.headers.get("Content-Length", len(content)))
        if len(content) != expected:
            raise IncompleteReadError(actual_bytes=len(content), expected_bytes=expected)
        return bytes(content)


def _send(request: AWSPreparedRequest) -> Response:
    """Send a request, unless a handler of the client's ``before-send`` event returns a response, as moto's does."""
    responses = clients.s3().meta.events.emit("before-send.s3.GetObject", request=request)
    response: Response | None = first_non_none_response(responses)
    return response or _send_over_connection(request)


def _send_over_connection(request: AWSPreparedRequest) -> Response:
    parts = urlsplit(request.url)
    if _has_proxy(parts.scheme, parts.netloc):
        response: Response = _proxy_session(clients.s3()).send(request)
        return response
    try:
        response = _exchange(parts.scheme, parts.netloc, request)
    except TimeoutError as error:
        raise ReadTimeoutError(endpoint_url=request.url, error=error) from error
    except http.client.IncompleteRead as error:
        expected = len(error.partial) + (error.expected or 0)
        raise IncompleteReadError(actual_bytes=len(error.partial), expected_bytes=expected) from error
    except (http.client.HTTPException, ConnectionError) as error:
        raise ConnectionClosedError(endpoint_url=request.url, error=error) from error
    except OSError as error:
        raise EndpointConnectionError(endpoint_url=request.url, error=error) from error
    # S3 states the length of an object. Without one, the end of the header is missing.
    if response.status_code in {200, 206} and "Content-Length" not in response.headers:
        raise IncompleteReadError(actual_bytes=0, expected_bytes=0)
    return response


def _exchange(scheme: str, netloc: str, request: AWSPreparedRequest) -> GetResponse:
    """Send a request over an idle connection, or over a new one, and return the response."""
    idle = _idle_connections(scheme, netloc)
    try:
        connection = idle.pop()
    except IndexError:
        connection = GetConnection(scheme, netloc)
    try:
        path = request.url[len(scheme) + len("://") + len(netloc) :]
        response = connection.get(path, dict(request.headers.items()))
    except BaseException:
        connection.close()
        while idle:  # the server has probably closed these as well
            idle.pop().close()
        raise
    if response.is_last:
        connection.close()
    else:
        idle.append(connection)
    return response


@cache
def _idle_connections(scheme: str, netloc: str) -> deque[GetConnection]:  # noqa: ARG001 - key of the cache
    return deque()


@cache
def _has_proxy(scheme: str, netloc: str) -> bool:
    return bool(get_environ_proxies(f"{scheme}://{netloc}"))


@cache
def _proxy_session(s3: S3Client) -> URLLib3Session:
    config: Any = s3.meta.config
    return URLLib3Session(
        timeout=(config.connect_timeout, config.read_timeout),  # type: ignore[arg-type]  # botocore itself passes a pair
        max_pool_connections=config.max_pool_connections,
        proxies=get_environ_proxies(s3.meta.endpoint_url),
    )


@cache
def _bucket_url(s3: S3Client, bucket: str) -> str:
    """Return the URL that the keys of a bucket are appended to, in the addressing style of the client."""
    signed = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "-"})
    return signed.partition("?")[0].removesuffix("-")


def sign(url: str, headers: dict[str, str], moment: datetime) -> dict[str, str]:
    """Return the headers of a signed GET request without a query and a body.

    This is Signature Version 4 with the signed headers in lower case
    (https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html).

    Args:
        url: The URL, with the path encoded.
        headers: The headers, with lower-case names and without a ``host``.
        moment: The current time.
    """
    credentials = _credentials().get_frozen_credentials()
    _, _, host_and_path = url.partition("://")
    host, _, path = host_and_path.partition("/")
    time = moment.strftime("%Y%m%dT%H%M%SZ")
    signed = headers | {"host": host, "x-amz-content-sha256": _EMPTY_SHA256, "x-amz-date": time}
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = sorted(signed)
    lines = "".join(f"{name}:{signed[name]}\n" for name in names)
    canonical = f"GET\n/{path}\n\n{lines}\n{';'.join(names)}\n{_EMPTY_SHA256}"
    scope = f"{time[:8]}/{clients.s3().meta.region_name}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = _signing_key(credentials.secret_key, scope)
    signed["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, SignedHeaders={';'.join(names)},"
        f" Signature={hmac.digest(key, text.encode(), 'sha256').hex()}"
    )
    return signed


@lru_cache(maxsize=4)
def _signing_key(secret_key: str, scope: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


@cache
def _credentials() -> Credentials:
    credentials: Credentials | None = clients.session().get_credentials()
    if credentials is None:
        raise NoCredentialsError
    return credentials
