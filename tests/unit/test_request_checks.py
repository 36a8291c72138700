"""The checks of requests to the AWS stand-in: signatures, and web pages of other origins."""

from typing import Any

import pytest
from moto.s3.models import CorsRule
from werkzeug.test import Client, TestResponse
from werkzeug.wrappers import Response

from local.request_checks import CheckedApplication

ORIGIN = "https://app.example.com"
SIGNED = "/artifacts/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0123"

#: The CORS rules of the buckets.
RULES = {
    "artifacts": [
        CorsRule(["GET"], ["https://only-reads.example"], ["*"]),
        CorsRule(["GET", "PUT"], ["https://*.example.com"], ["content-*"], ["ETag"], 600),
    ],
    "public": [CorsRule(["PUT"], ["*"], ["*"], ["ETag"])],
    "exports": [],
}


def start() -> Client:
    application: Any = Response("reached", headers={"Access-Control-Allow-Origin": "*"})
    return Client(CheckedApplication(application, RULES.get))


def preflight(path: str, method: str = "PUT", headers: str = "", origin: str = ORIGIN) -> TestResponse:
    request = {"Origin": origin, "Access-Control-Request-Method": method}
    if headers:
        request["Access-Control-Request-Headers"] = headers
    return start().options(path, headers=request)


@pytest.mark.parametrize("query", ["X-Amz-Signature=0", "AWSAccessKeyId=a&Signature=0&Expires=1"])
@pytest.mark.parametrize("authorization", ["Bearer prj_secret", "AWS4-HMAC-SHA256 Credential=x", ""])
def test_signed_url_with_header(query: str, authorization: str) -> None:
    """Two signatures are rejected as by S3. The response does not repeat them."""
    response = start().get(f"/artifacts/k?{query}", headers={"Authorization": authorization})
    assert response.status_code == 400
    assert "<Code>InvalidArgument</Code><Message>Only one auth mechanism allowed;" in response.text
    assert "secret" not in response.text


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_bytes_of_an_object_are_no_form(content_type: str) -> None:
    """`curl -X PUT --data-binary` declares a form, which S3 does not parse."""

    def echo(environ: Any, start_response: Any) -> Any:
        return Response(f"{environ['CONTENT_TYPE']} {environ['wsgi.input'].read(3)}")(environ, start_response)

    client = Client(CheckedApplication(echo, RULES.get))
    response = client.put(SIGNED, data=b"\xff=%", headers={"Content-Type": content_type})
    assert response.text == r"application/octet-stream b'\xff=%'"


def test_one_signature() -> None:
    assert start().get(SIGNED).text == "reached"
    assert start().get("/artifacts/k", headers={"Authorization": "AWS4-HMAC-SHA256 Credential=x"}).text == "reached"


def test_allowed_preflight() -> None:
    response = preflight("/artifacts/projects/p/k", headers="Content-Type, content-md5")
    assert (response.status_code, response.text) == (200, "")
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert response.headers["Access-Control-Allow-Methods"] == "GET, PUT"
    assert response.headers["Access-Control-Allow-Headers"] == "content-type, content-md5"
    assert response.headers["Access-Control-Expose-Headers"] == "ETag"
    assert response.headers["Access-Control-Max-Age"] == "600"
    assert preflight("/public/k").headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (("/",), "CORS is not enabled"),
        (("/exports/k",), "CORS is not enabled"),
        (("/2015-03-31/functions/f/invocations", "POST"), "CORS is not enabled"),
        (("/artifacts/k", "DELETE"), "not allowed"),
        (("/artifacts/k", "PUT", "x-amz-acl"), "not allowed"),
        (("/artifacts/k", "PUT", "", "https://evil.example"), "not allowed"),
        (("/artifacts/k", "PUT", "", "https://app.example.com.evil.example"), "not allowed"),
        (("/artifacts/k", "PUT", "", "https://only-reads.example"), "not allowed"),
    ],
)
def test_refused_preflight(request_: tuple[str, ...], message: str) -> None:
    response = preflight(*request_)
    assert response.status_code == 403
    assert "<Code>AccessForbidden</Code><Message>CORSResponse: " in response.text
    assert message in response.text
    assert "Access-Control-Allow-Origin" not in response.headers


def test_response_to_page_of_another_origin() -> None:
    """A page may read the response of a signed URL only if a rule of the bucket allows it."""
    allowed = start().get(SIGNED, headers={"Origin": ORIGIN})
    assert (allowed.text, allowed.headers["Access-Control-Allow-Origin"]) == ("reached", ORIGIN)
    assert allowed.headers["Access-Control-Allow-Credentials"] == "true"
    refused = start().get(SIGNED, headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in refused.headers


@pytest.mark.parametrize("query", ["", "?X-Amz-Signature=0", "?Signature=0&Expires=1"])
@pytest.mark.parametrize(
    "path", ["/moto-api/reset", "/", "/2015-03-31/functions/RegisterUser/invocations", "/artifacts", "/artifacts/k"]
)
def test_unsigned_request_of_a_page(path: str, query: str) -> None:
    """A page may send some requests without asking first. They have no valid signature, and AWS requires one."""
    response = start().post(path + query, data="Action=x", headers={"Origin": ORIGIN, "Content-Type": "text/plain"})
    assert response.status_code == 403
    assert "<Code>AccessDenied</Code>" in response.text
