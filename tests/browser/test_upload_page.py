"""The upload from a web page of another origin, in Chromium, with the code of the how-to guide."""

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from selenium.webdriver import Chrome

from tests.e2e.test_documents import read_code
from tests.support.api_client import Client
from tests.support.running_stack import RunningStack

#: Runs the guide's function with a file, and returns its result and the ETags that the page could read.
SCRIPT = """
const [api, key, project, done] = arguments;
const etags = [], originalFetch = window.fetch;
window.fetch = async (url, options) => {
  const response = await originalFetch(url, options);
  if (options.method === "PUT") etags.push(response.headers.get("ETag"));
  return response;
};
const file = new File(["id,left\\n1,no\\n"], "customers.csv", {type: "text/csv"});
upload(api, key, project, file).then(result => done({result, etags}), error => done({error: String(error)}));
"""


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[str]:
    """Serve an empty page from a port of its own, which makes it another origin than the API and the bucket."""
    (tmp_path / "index.html").write_text("<!doctype html><title>Upload</title>")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_page_uploads_a_file(chromium: Chrome, stack: RunningStack, alice: Client, origin: str) -> None:
    """The page sends the file to the bucket, reads the ETag of the part, and gets the recorded resource."""
    project_id = alice.create("Browser")
    chromium.get(origin)
    chromium.set_script_timeout(60)
    code = read_code("js", "From a web page", "docs/how-to/upload.md")
    outcome = chromium.execute_async_script(code + SCRIPT, stack.description["base_url"], alice.api_key, project_id)
    assert "error" not in outcome
    (etag,) = outcome["etags"]
    assert etag.strip('"')
    resource_id = outcome["result"]["resource"]["id"]
    artifact = alice.get(f"/api/projects/{project_id}/resources/{resource_id}")["resource"]["artifact"]
    assert requests.get(artifact["download_url"], timeout=30).content == b"id,left\n1,no\n"
