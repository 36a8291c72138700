"""GetObject with half of the CPU time of the botocore client.

An export of many small files spends most of its time in the botocore client, which resolves the endpoint, validates
parameters and parses the response of each request. This module only signs and sends the request, with botocore's own
signer, HTTP session and events. ``benchmarks/archive`` measures the difference.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError, IncompleteReadError, NoCredentialsError
from botocore.hooks import first_non_none_response
from botocore.httpsession import URLLib3Session

from projects_api.entities.errors import StorageUnavailableError
from projects_api.storage import clients
from projects_api.storage.aws_errors import translate_aws_errors
from projects_api.storage.retry import retry

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest, AWSResponse
    from botocore.credentials import Credentials
    from mypy_boto3_s3 import S3Client

_CODE = re.compile(rb"<Code>(\w+)</Code>")


def get(bucket: str, key: str, *, etag: str, byte_range: tuple[int, int] | None = None) -> bytes:
    """Return the bytes of an object, or of a range of it.

    Args:
        bucket: The bucket.
        key: The key of the object.
        etag: The ETag that the object must have.
        byte_range: The offsets of the first and the last byte, both included. By default, the whole object.

    Raises:
        ObjectMissingError: The object does not exist, or has another ETag.
        StorageUnavailableError: S3 did not respond correctly in several attempts.
    """
    headers = {"If-Match": etag}
    if byte_range:
        headers["Range"] = f"bytes={byte_range[0]}-{byte_range[1]}"
    url = _bucket_url(clients.s3(), bucket) + quote(key, safe="/~")

    def attempt() -> bytes:
        request = AWSRequest("GET", url, headers=headers)
        with translate_aws_errors():
            _signer().add_auth(request)
            response = _send(request.prepare())
            if response.status_code not in {200, 206}:
                code = _CODE.search(response.content)
                raise ClientError(
                    {
                        "Error": {"Code": code[1].decode() if code else str(response.status_code)},
                        "ResponseMetadata": {"HTTPStatusCode": response.status_code},  # type: ignore[typeddict-item]  # no other item is read
                    },
                    "GetObject",
                )
            content = bytes(response.content)
            expected = int(response.headers.get("Content-Length", len(content)))
            if len(content) != expected:
                raise IncompleteReadError(actual_bytes=len(content), expected_bytes=expected)
            return content

    return retry(attempt, on=StorageUnavailableError)


def _send(request: AWSPreparedRequest) -> AWSResponse:
    """Send a request, unless a handler of the client's ``before-send`` event returns a response, as moto's does."""
    responses = clients.s3().meta.events.emit("before-send.s3.GetObject", request=request)
    response: AWSResponse | None = first_non_none_response(responses)
    return response or _session(clients.s3()).send(request)


@cache
def _bucket_url(s3: S3Client, bucket: str) -> str:
    """Return the URL that the keys of a bucket are appended to, in the addressing style of the client."""
    signed = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "-"})
    return signed.partition("?")[0].removesuffix("-")


@cache
def _session(s3: S3Client) -> URLLib3Session:
    config: Any = s3.meta.config  # the stubs do not declare the options
    return URLLib3Session(
        timeout=(config.connect_timeout, config.read_timeout),  # type: ignore[arg-type]  # botocore itself passes a pair
        max_pool_connections=config.max_pool_connections,
    )


def _signer() -> S3SigV4Auth:
    """Return a signer with the current credentials, which botocore refreshes when they expire."""
    return S3SigV4Auth(_credentials().get_frozen_credentials(), "s3", clients.s3().meta.region_name)


@cache
def _credentials() -> Credentials:
    credentials: Credentials | None = clients.session().get_credentials()
    if credentials is None:
        raise NoCredentialsError
    return credentials
