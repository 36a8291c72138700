"""A session with `sam local start-api`: a project from its creation to its purge."""

import io
import json
import time
import zipfile
from collections.abc import Iterator

import pytest
import requests

from local.engines import find_free_ports
from tests.support.api_client import Client, Response
from tests.support.sam_local import SamLocal, SamLocalApp
from tests.support.sample_events import API_KEY, PEOPLE

#: How long the gateway may take to start, in seconds.
START_TIMEOUT = 120


@pytest.fixture(scope="module")
def alice(sam: SamLocal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Start `sam local start-api`, and return a client of Alice."""
    (port,) = find_free_ports(1)
    folder = tmp_path_factory.mktemp("start-api")
    process = sam.start(["start-api", "--port", str(port), "--warm-containers", "LAZY"], folder)
    log = folder / "stderr"
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while not (log.exists() and "Running on" in log.read_text()):
            assert process.is_alive(), log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)

        def send(method: str, path: str, headers: dict[str, str], body: bytes | None) -> Response:
            url = f"http://127.0.0.1:{port}{path}"
            response = requests.request(method, url, headers=headers, data=body, timeout=120, allow_redirects=False)
            print(method, path, response.status_code)
            return Response.from_http(response)

        yield Client(send, API_KEY, PEOPLE["alice"], "alice@example.com")
    finally:
        process.terminate()
        process.join(60)
        assert not process.is_alive()


def test_session(alice: Client, container_app: SamLocalApp) -> None:
    assert Client(alice.send, API_KEY.replace("s", "w")).get("/api/projects").status in {401, 403}
    project_id = alice.create("Demand", description="How much will be sold?")
    path = f"/api/projects/{project_id}"
    assert alice.post(f"{path}/members", {"email": "bob@example.com"}).status == 201

    artifact = container_app.store_artifact(project_id, "datasets/sales.csv", b"day,sold\n" * 1000)
    container_app.publish_event(
        "Dataset Created", project_id, {"id": PEOPLE["dave"], "name": "sales.csv", "artifact": artifact}
    )
    container_app.process_queues()
    (event,) = alice.get(f"{path}/timeline")["events"]
    assert (event["type"], event["name"]) == ("dataset", "sales.csv")

    started = alice.get(f"{path}/export", Accept="application/json")
    assert started.status == 202, started
    container_app.process_queues()
    archive = alice.get(f"{path}/export")
    assert archive.status == 200, archive
    with zipfile.ZipFile(io.BytesIO(archive.body)) as opened:
        assert opened.testzip() is None
        manifest = json.loads(opened.read("manifest.json"))
    assert [file["size"] for file in manifest["files"]] == [9000]

    assert alice.delete(path).json == {"ok": True}
    assert alice.get(path).status == 404
    container_app.process_queues()
    assert container_app.find_items(project_id) == []
    assert container_app.find_objects(project_id) == []
