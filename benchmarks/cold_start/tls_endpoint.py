"""A TLS endpoint in front of an HTTP server, because AWS has no other endpoints."""

import asyncio
import contextlib
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import botocore

BUFFER_SIZE = 1 << 16


@dataclass(frozen=True)
class TlsEndpoint:
    """A running endpoint.

    Attributes:
        url: Its URL.
        authority: The certificate of the authority that signed the endpoint's.
    """

    url: str
    authority: Path

    def create_bundle(self, bundle: Path) -> Path:
        """Write botocore's authorities and that of the endpoint to ``bundle``, and return it."""
        bundle.write_text(Path(botocore.__file__).with_name("cacert.pem").read_text() + self.authority.read_text())
        return bundle

    def create_hashed_folder(self, layer: Path, folder: Path) -> Path:
        """Copy the layer's hashed authorities to ``folder``, add that of the endpoint, and return the folder."""
        shutil.copytree(layer / "botocore" / "cacert", folder)
        command = ("openssl", "x509", "-noout", "-subject_hash", "-in", self.authority)
        name_hash = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        shutil.copy(self.authority, folder / f"{name_hash}.0")
        return folder


@contextlib.contextmanager
def start_tls_endpoint(port: int, folder: Path) -> Iterator[TlsEndpoint]:
    """Forward connections to a port of this machine until the end of the block.

    Args:
        port: The port of the HTTP server.
        folder: An empty folder for the certificates and their keys.

    Yields:
        The endpoint. Clients verify its certificate when `AWS_CA_BUNDLE` names a bundle with its authority.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*_create_certificate(folder))

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_copy(reader, server_writer), _copy(server_reader, writer))

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(forward, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield TlsEndpoint(f"https://localhost:{server.sockets[0].getsockname()[1]}", folder / "authority.pem")
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy bytes until one of the two sides closes its connection."""
    with contextlib.suppress(OSError):
        while data := await reader.read(BUFFER_SIZE):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


def _create_certificate(folder: Path) -> tuple[Path, Path]:
    """Create an authority and a certificate for `localhost`. Return the files of the certificate and its key."""
    request = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1")
    authority = ("-keyout", folder / "authority.key", "-out", folder / "authority.pem")
    subprocess.run([*request, *authority, "-subj", "/CN=Benchmark"], check=True, capture_output=True)
    certificate, key = folder / "certificate.pem", folder / "certificate.key"
    names = (
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-addext",
        "basicConstraints=CA:FALSE",
    )
    signed = ("-CA", folder / "authority.pem", "-CAkey", folder / "authority.key", "-keyout", key, "-out", certificate)
    subprocess.run([*request, *signed, *names], check=True, capture_output=True)
    return certificate, key
