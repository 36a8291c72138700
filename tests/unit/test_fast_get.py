"""Requests of `fast_get`, compared with those of botocore, and on connections that break."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from projects_api.entities.errors import StorageUnavailableError
from projects_api.storage import clients
from projects_api.storage.aws_errors import ObjectRefusedError, ThrottledError
from projects_api.storage.s3 import fast_get
from tests.support.in_process_app import InProcessApp

pytestmark = [pytest.mark.usefixtures("app"), pytest.mark.memory]


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50),
    st.one_of(st.none(), st.text("abc/+=", min_size=1)),
    st.booleans(),
)
def test_signature_is_that_of_botocore(key: str, token: str | None, with_range: bool) -> None:
    credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", token)
    headers = {"if-match": '"0123-4"'} | ({"range": "bytes=0-9"} if with_range else {})
    url = f"https://bucket.s3.eu-west-1.amazonaws.com/{quote(key, safe='/~')}"
    moment = datetime(2026, 2, 10, 9, 0, 2, tzinfo=UTC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast_get, "_credentials", lambda: credentials)
        patch.setattr("botocore.auth.get_current_datetime", lambda **_: moment.replace(tzinfo=None))
        signed = fast_get.sign(url, headers, moment)
        request = AWSRequest("GET", url, headers=headers)
        S3SigV4Auth(credentials, "s3", clients.s3().meta.region_name).add_auth(request)
    assert sign_parts(signed["authorization"]) == sign_parts(request.headers["Authorization"])
    assert signed.get("x-amz-security-token") == token


def sign_parts(authorization: str) -> list[str]:
    return [part.strip() for part in authorization.split(",")]


class Server(contextlib.AbstractContextManager["Server"]):
    """A server that gives one response after another, each on a connection of its own or on the same one."""

    def __init__(self, responses: list[bytes]) -> None:
        self.connections = 0
        self._responses = iter(responses)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        idle = fast_get._idle_connections("http", self.url.removeprefix("http://"))
        while idle:  # a later server may have the same port
            idle.pop().close()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                while connection.recv(65_536):
                    response = next(self._responses, b"")
                    connection.sendall(response.removesuffix(b"CLOSE"))
                    if not response or response.endswith(b"CLOSE"):
                        break


def build_response(body: bytes, status: str = "200 OK", length: int | None = None) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server with responses, to which `fast_get` sends its requests."""
    with contextlib.ExitStack() as stack:

        def start(*responses: bytes) -> Server:
            server = stack.enter_context(Server(list(responses)))
            monkeypatch.setattr(fast_get, "_bucket_url", lambda *_: f"{server.url}/bucket/")
            return server

        monkeypatch.setattr(fast_get, "_send", fast_get._send_over_connection)
        yield start


def read() -> bytes:
    return fast_get.get("bucket", "key", etag='"e"')


def test_connection_is_reused(serve: Callable[..., Server]) -> None:
    server = serve(build_response(b"one"), build_response(b"two"))
    assert [read(), read()] == [b"one", b"two"]
    assert server.connections == 1


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(b"", id="closed"),
        pytest.param(b"CLOSE", id="closed later"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-LeCLOSE", id="in the header"),
        pytest.param(build_response(b"on", length=3) + b"CLOSE", id="in the body"),
        pytest.param(b"nonsense\r\nCLOSE", id="no HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nonCLOSE", id="no number"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nonCLOSE", id="no length"),
        pytest.param(b"HTTP/1.1 500 Error\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcCLOSE", id="in a chunk"),
        pytest.param(build_response(b"<Code>InternalError</Code>", "500 Error"), id="InternalError"),
    ],
)
def test_broken_connection_is_repeated(serve: Callable[..., Server], broken: bytes) -> None:
    serve(broken, build_response(b"one"))
    assert read() == b"one"


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\noneCLOSE", id="close"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\noneCLOSE", id="HTTP/1.0"),
    ],
)
def test_connection_that_the_server_closes_is_not_reused(serve: Callable[..., Server], last: bytes) -> None:
    server = serve(last, build_response(b"two"))
    assert read() == b"one"
    assert not fast_get._idle_connections("http", server.url.removeprefix("http://"))
    assert read() == b"two"


@pytest.mark.parametrize(
    "refusal",
    [
        b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n7;a=b\r\n<Code>A\r\n9\r\nny</Code>\r\n0\r\nB:\r\n\r\n",
        b"HTTP/1.1 403 Forbidden\r\n\r\n<Code>Any</Code>CLOSE",
    ],
    ids=["in chunks", "without a length"],
)
def test_refusal_without_a_length(serve: Callable[..., Server], refusal: bytes) -> None:
    serve(refusal, build_response(b"one"))
    with pytest.raises(ObjectRefusedError) as error:
        read()
    assert error.value.code == "Any"
    assert read() == b"one"


def test_server_that_is_down(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    serve(b"")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setattr(fast_get, "_bucket_url", lambda *_: f"http://127.0.0.1:{port}/bucket/")
    with pytest.raises(StorageUnavailableError):
        read()


def test_server_that_does_not_respond(serve: Callable[..., Server], app: InProcessApp) -> None:
    server = serve(b"CLOSE", b"CLOSE", b"CLOSE", b"CLOSE", build_response(b"late"))
    with pytest.raises(StorageUnavailableError):
        read()
    assert server.connections == fast_get.MAX_ATTEMPTS


def test_refusals(serve: Callable[..., Server]) -> None:
    serve(
        build_response(b"<Error><Code>SlowDown</Code></Error>", "503 Slow Down"),
        build_response(b"<Error><Code>KMS.DisabledException</Code><Message>off</Message></Error>", "400 Bad Request"),
    )
    with pytest.raises(ThrottledError):
        read()
    with pytest.raises(ObjectRefusedError) as refusal:
        read()
    assert (refusal.value.code, refusal.value.message) == ("KMS.DisabledException", "off")
