"""Content negotiation by quality values, tested against the examples of RFC 9110 and against Werkzeug."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from projects_api.api.content_negotiation import media_quality, prefers_gzip
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp

pytestmark = pytest.mark.memory("depends on headers only")

JSON, ZIP = "application/json", "application/zip"


@pytest.mark.parametrize(
    ("accept", "prefers_json"),
    [
        ("*/*", False),
        ("", False),
        ("application/json", True),
        ("APPLICATION/JSON", True),
        ("application/json; charset=utf-8", True),
        ("application/json, text/plain, */*", False),  # axios: a tie is not a preference
        ("application/json, */*;q=0.5", True),
        ("application/json;q=0.5, */*;q=0.9", False),
        ("application/*, application/zip;q=0.1", True),
        ("application/zip, application/json", False),
        ("application/json;q=0", False),
        ("application/json;q=0.8, application/zip;q=0.801", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),  # a browser
        ("text/html", False),
        ('application/json;profile="a, */*;q=1";q=0.5, application/zip;q=0.4', True),
        ("application/json;q=high", False),  # not a quality value
        ("application/json;q=1.5", False),
        (",,;q=1,", False),
    ],
)
def test_json_is_preferred(accept: str, *, prefers_json: bool) -> None:
    assert (media_quality(accept, JSON) > media_quality(accept, ZIP)) is prefers_json


ELEMENTS = st.tuples(
    st.sampled_from([JSON, ZIP, "application/*", "*/*", "text/plain"]), st.sampled_from(["", ";q=0", ";q=0.5", ";q=1"])
)


@given(st.lists(ELEMENTS.map("".join), min_size=1, max_size=5, unique_by=lambda element: element.partition(";")[0]))
def test_quality_equals_werkzeug(elements: list[str]) -> None:
    accept = parse_accept_header(", ".join(elements), MIMEAccept)
    for media_type in (JSON, ZIP):
        assert media_quality(", ".join(elements), media_type) == accept.quality(media_type)


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        ("", False),
        ("gzip", True),
        ("br, GZIP", True),
        ("x-gzip", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("*;q=0.5, gzip; Q=0", False),
        ("identity;q=0.5, gzip;q=1.0", True),
        ("identity, gzip;q=0.5", False),
        ("br, deflate", False),
        ("gzipped", False),
    ],
)
def test_gzip_is_preferred(app: InProcessApp, accept_encoding: str, *, expected: bool) -> None:
    assert prefers_gzip(accept_encoding) is expected
    response = Client(app.send).get("/api/docs", Accept_Encoding=accept_encoding)
    assert (response.headers.get("Content-Encoding") == "gzip") is expected
