"""TLS connections to AWS, and the timeouts of copies."""

import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore import httpsession
from botocore.client import BaseClient
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st

import split_certificates
from functions.assemble_export import app as assemble_export
from projects_api.archive import plan as planning
from projects_api.archive.parts import CopiedPart, Seam
from projects_api.archive.plan import plan
from projects_api.archive.zip_writer import Entry
from projects_api.entities.clock import now
from projects_api.entities.content import Pin
from projects_api.entities.errors import StorageUnavailableError
from projects_api.storage import clients
from projects_api.storage.deadline import MAX_ATTEMPTS, MAX_BACKOFF
from projects_api.storage.s3 import fast_get
from projects_api.storage.s3.multipart_upload import MultipartUpload
from tests.support.in_process_app import InProcessApp

MIB, TIB = 1 << 20, 1 << 40


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b"<ListAllMyBucketsResult/>" if self.path == "/" else b"content"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Write no log."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Run an HTTPS server with a certificate of its own, and return its URL and the certificate."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-addext", "keyUsage=digitalSignature,keyCertSign"),
            *("-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    http_server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    http_server.socket = context.wrap_socket(http_server.socket, server_side=True)
    thread = threading.Thread(target=http_server.serve_forever, daemon=True)
    thread.start()
    yield f"https://localhost:{http_server.server_port}", certificate
    http_server.shutdown()
    http_server.server_close()
    thread.join()


@pytest.mark.memory
def test_certificates_are_parsed_once(
    app: InProcessApp, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many connections of several clients and of `fast_get` share one SSL context, which parses each bundle once."""
    url, certificate = server
    parsed: list[object] = []
    load = ssl.SSLContext.load_verify_locations

    def load_and_count(context: ssl.SSLContext, *arguments: object) -> None:
        parsed.append(arguments)
        load(context, *arguments)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", load_and_count)
    contexts = {id(clients.ssl_context())}
    used: list[Any] = [clients.s3(), clients.dynamodb(), clients.sqs()]
    for client in used:
        contexts.add(id(client._endpoint.http_session._get_ssl_context()))
    assert len(contexts) == 1
    for _ in range(4):
        clients.ssl_context().load_verify_locations(str(certificate))
    monkeypatch.setattr(fast_get, "_bucket_url", lambda *_: f"{url}/bucket/")
    monkeypatch.setattr(fast_get, "_send", fast_get._send_over_connection)
    for _ in range(3):
        assert fast_get.get("bucket", "key", etag='"e"') == b"content"
        fast_get._idle_connections("https", url.removeprefix("https://")).pop().close()
    assert len([arguments for arguments in parsed if str(certificate) in str(arguments)]) == 1
    assert len(parsed) <= 2


@pytest.mark.memory
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"], ids=["unknown authority", "certificate of another host"])
def test_certificate_is_verified(
    app: InProcessApp, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    url, certificate = server[0].replace("localhost", host), server[1]
    context = clients.ssl_context.__wrapped__()
    if host == "127.0.0.1":
        context.load_verify_locations(str(certificate))
    monkeypatch.setattr(clients, "ssl_context", lambda: context)
    monkeypatch.setattr(fast_get, "_bucket_url", lambda *_: f"{url}/bucket/")
    monkeypatch.setattr(fast_get, "_send", fast_get._send_over_connection)
    with pytest.raises(StorageUnavailableError):
        fast_get.get("bucket", "key", etag='"e"')


@pytest.mark.memory
@pytest.mark.parametrize("variable", [False, True], ids=["the layer's folder", "AWS_CA_BUNDLE names a folder"])
def test_hashed_authorities(
    app: InProcessApp, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: bool
) -> None:
    """A connection is trusted if the folder has the authority that signed the certificate of the endpoint."""
    url, certificate = server
    folder, bundle = tmp_path / "authorities", tmp_path / "bundle.pem"
    bundle.write_text(Path(httpsession.DEFAULT_CA_BUNDLE).read_text() + certificate.read_text())
    split_certificates.split(bundle, folder)
    ca_bundle, layer_folder = (str(folder), tmp_path / "none") if variable else (None, folder)
    monkeypatch.setattr(clients.session(), "get_config_variable", {"ca_bundle": ca_bundle}.get)
    monkeypatch.setattr(clients, "HASHED_AUTHORITIES", layer_folder)
    context = clients.ssl_context.__wrapped__()
    assert not context.cert_store_stats()["x509"], "the authorities were parsed"
    monkeypatch.setattr(clients, "ssl_context", lambda: context)
    monkeypatch.setattr(fast_get, "_bucket_url", lambda *_: f"{url}/bucket/")
    monkeypatch.setattr(fast_get, "_send", fast_get._send_over_connection)
    assert fast_get.get("bucket", "key", etag='"e"') == b"content"
    assert context.cert_store_stats()["x509"] == 1
    for connection in fast_get._idle_connections("https", url.removeprefix("https://")):
        connection.close()


def test_ca_bundle_replaces_the_authorities(
    app: InProcessApp, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With AWS_CA_BUNDLE, the authorities of the layer are not trusted."""
    _, certificate = server
    split_certificates.split(Path(httpsession.DEFAULT_CA_BUNDLE), tmp_path / "authorities")
    monkeypatch.setattr(clients, "HASHED_AUTHORITIES", tmp_path / "authorities")
    monkeypatch.setattr(clients.session(), "get_config_variable", {"ca_bundle": str(certificate)}.get)
    load = ssl.SSLContext.load_verify_locations
    loaded: list[object] = []

    def load_and_note(context: ssl.SSLContext, *arguments: object) -> None:
        loaded.append(arguments)
        load(context, *arguments)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", load_and_note)
    clients.ssl_context.__wrapped__()
    assert loaded == [(str(certificate), None, None)]


@given(st.lists(st.integers(0, 48 * TIB), max_size=20).filter(lambda sizes: sum(sizes) < 48 * TIB))
def test_copies_and_timeouts_cannot_meet(sizes: list[int]) -> None:
    """S3 has at least a second for each 16 MiB of a copy, and a run ends after all attempts of its last copy."""
    planned = plan([Entry("manifest.json", 2, 0, now()), *(Entry(str(size), size, 0, now()) for size in sizes)])
    copies = [part.source.size for part in planned.parts if isinstance(part, CopiedPart | Seam)]
    copies += [join.size for join in planned.joins if len(planned.volumes) > 1]
    for size in copies:
        large = size > clients.MAX_QUICK_COPY
        timeout, attempts = (clients.LARGE_COPY_TIMEOUT, 1) if large else (clients.WORKER_TIMEOUT, MAX_ATTEMPTS)
        assert size / timeout <= (16 * MIB if large else 5 * MIB)
        assert attempts * timeout + attempts * MAX_BACKOFF < assemble_export.TIME_RESERVE / 1000


@pytest.mark.parametrize("size", [5, 7, 8])
def test_client_of_a_copy(app: InProcessApp, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """The size of a copy decides how long it may take, whether it is a range or the whole object."""
    key = "projects/p/file"
    etag = app.s3.put_object(Bucket=app.stack.artifacts, Key=key, Body=bytes(8))["ETag"]
    upload = MultipartUpload("archive.zip")
    used: list[BaseClient] = []
    make_api_call = BaseClient._make_api_call  # type: ignore[attr-defined]  # in no stub

    def record_client(client: BaseClient, *args: object) -> object:
        used.append(client)
        return make_api_call(client, *args)

    with monkeypatch.context() as patch:
        patch.setattr(clients, "MAX_QUICK_COPY", 6)
        patch.setattr(BaseClient, "_make_api_call", record_client)
        upload.copy_artifact(1, Pin(key, etag, 8), start=0, size=size)
    upload.abort()
    assert used == [clients.s3() if size <= 6 else clients.s3_for_large_copies()]


def test_clients_have_these_timeouts(app: InProcessApp) -> None:
    config: Config = clients.s3_for_large_copies().meta.config
    assert (config.read_timeout, config.retries) == (  # type: ignore[attr-defined]  # in no stub
        clients.LARGE_COPY_TIMEOUT,
        {"mode": "standard", "total_max_attempts": 1},
    )
    assert clients.s3().meta.config.read_timeout == clients.WORKER_TIMEOUT  # type: ignore[attr-defined]  # in no stub
    assert planning.COPY_PART_SIZE <= clients.MAX_QUICK_COPY
