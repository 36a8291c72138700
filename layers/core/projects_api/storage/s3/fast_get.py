"""GET of an object for half of the processor time that the client's own takes.

An export of many small files spends its time in the client, not in S3: on resolving the endpoint, validating parameters
and parsing an answer that is nothing but bytes. So here a request is only signed and sent, with botocore's own signer,
HTTP session and events. ``benchmarks/archive`` measures what that is worth.
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
    """The bytes of an object, or those of a range whose ends are both included.

    Raises:
        ObjectMissingError: It is gone, or not the content that ``etag`` names.
        StorageUnavailableError: S3 did not answer as it should, in several attempts.
    """
    headers = {"If-Match": etag}
    if byte_range:
        headers["Range"] = f"bytes={byte_range[0]}-{byte_range[1]}"
    url = _bucket_url(clients.s3(), bucket) + quote(key, safe="/~")

    def attempt() -> bytes:
        request = AWSRequest("GET", url, headers=headers)
        with translate_aws_errors():
            _signer().add_auth(request)
            answer = _send(request.prepare())
            if answer.status_code not in {200, 206}:
                code = _CODE.search(answer.content)
                raise ClientError(
                    {
                        "Error": {"Code": code[1].decode() if code else str(answer.status_code)},
                        "ResponseMetadata": {"HTTPStatusCode": answer.status_code},  # type: ignore[typeddict-item]  # all that is read of it
                    },
                    "GetObject",
                )
            content = bytes(answer.content)
            expected = int(answer.headers.get("Content-Length", len(content)))
            if len(content) != expected:
                raise IncompleteReadError(actual_bytes=len(content), expected_bytes=expected)
            return content

    return retry(attempt, on=StorageUnavailableError)


def _send(request: AWSPreparedRequest) -> AWSResponse:
    """Sends a request, unless one who listens on the client's events answers it, as a test's stand-in for AWS does."""
    answers = clients.s3().meta.events.emit("before-send.s3.GetObject", request=request)
    answer: AWSResponse | None = first_non_none_response(answers)
    return answer or _session(clients.s3()).send(request)


@cache
def _bucket_url(s3: S3Client, bucket: str) -> str:
    """Where the objects of a bucket are, as the client itself addresses them."""
    signed = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "-"})
    return signed.partition("?")[0].removesuffix("-")


@cache
def _session(s3: S3Client) -> URLLib3Session:
    config: Any = s3.meta.config  # the stubs do not know its options
    return URLLib3Session(
        timeout=(config.connect_timeout, config.read_timeout),  # type: ignore[arg-type]  # botocore itself gives a pair
        max_pool_connections=config.max_pool_connections,
    )


def _signer() -> S3SigV4Auth:
    """A signer with the credentials of now: they are renewed while a function lives."""
    return S3SigV4Auth(_credentials().get_frozen_credentials(), "s3", clients.s3().meta.region_name)


@cache
def _credentials() -> Credentials:
    credentials: Credentials | None = clients.session().get_credentials()
    if credentials is None:
        raise NoCredentialsError
    return credentials
