"""The table of clients in docs/how-to/download-an-export.md, tried with the clients that every developer has."""

import re
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import requests

from tests.support.running_stack import ROOT

PAGE = ROOT / "docs" / "how-to" / "download-an-export.md"
API_KEY = {"Authorization": "Bearer key"}


class RedirectingServer(ThreadingHTTPServer):
    """A server that redirects as `GET …/export` does.

    Attributes:
        requests: The number of requests for a path that redirects to itself for ever.
        storage_got_key: Whether the last request for a signed URL had an API key.
    """

    requests = 0
    storage_got_key = False


class _Handler(BaseHTTPRequestHandler):
    server: RedirectingServer

    def do_GET(self) -> None:
        location = None
        if self.path.startswith("/pending"):
            self.server.requests += 1
            location = f"/pending?redirect={self.server.requests}"
        elif self.path.startswith("/ready"):
            location = f"http://localhost:{self.server.server_port}/archive?X-Amz-Signature=1"  # another host
        else:
            self.server.storage_got_key = "Authorization" in self.headers
        self.send_response(307 if self.path.startswith("/pending") else 302 if location else 200)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write no log."""


@pytest.fixture
def server() -> Iterator[RedirectingServer]:
    with RedirectingServer(("127.0.0.1", 0), _Handler) as redirecting_server:
        thread = threading.Thread(target=redirecting_server.serve_forever, args=(0.01,))
        thread.start()
        yield redirecting_server
        redirecting_server.shutdown()
        thread.join()


def run(*command: str) -> None:
    subprocess.run([*command, "--header", "Authorization: Bearer key"], capture_output=True, timeout=30, check=False)


def get_with_urllib(url: str) -> None:
    with suppress(urllib.error.HTTPError), urllib.request.urlopen(urllib.request.Request(url, headers=API_KEY)):
        pass


def get_with_requests(url: str) -> None:
    with suppress(requests.TooManyRedirects):
        requests.get(url, headers=API_KEY, timeout=30)


def get_with_httpx(url: str) -> None:
    with suppress(httpx.TooManyRedirects):
        httpx.get(url, headers=API_KEY, follow_redirects=True, timeout=30)


#: How each client sends a GET request with the API key, by its name in the table.
CLIENTS: dict[str, Callable[[str], None]] = {
    "`curl -L`": lambda url: run("curl", "-sL", url),
    "wget": lambda url: run("wget", "-qO-", url),
    "requests": get_with_requests,
    "httpx": get_with_httpx,
    "urllib": get_with_urllib,
}


@pytest.mark.parametrize("name", CLIENTS)
def test_client_is_documented(server: RedirectingServer, name: str) -> None:
    """The page states the client's redirect limit, and whether it sends the API key to the host of a signed URL."""
    row = re.search(rf"^\| {re.escape(name)} \|.*", PAGE.read_text(), re.MULTILINE)
    assert row
    _, limit, *_, sends_key = [cell.strip() for cell in row[0].strip("| ").split(" | ")][1:]
    get = CLIENTS[name]
    get(f"http://127.0.0.1:{server.server_port}/pending")
    get(f"http://127.0.0.1:{server.server_port}/ready")
    assert server.requests - 1 == int(limit.split()[0])
    assert server.storage_got_key == (sends_key == "yes")
