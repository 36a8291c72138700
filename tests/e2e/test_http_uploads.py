"""Uploads to the running stack with plain curl, as a user makes them."""

import csv
import io
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import requests

from tests.support.api_client import Client
from tests.support.running_stack import RunningStack
from tests.support.uploads import upload_file

#: The size of each part of the large upload but the last: the smallest that S3 takes.
PART_SIZE = 5 << 20


def curl(*arguments: str) -> Any:
    """Run curl, and return the JSON that it prints, or None if it prints nothing."""
    printed = subprocess.run(
        ["curl", "-sS", "--fail-with-body", *arguments], capture_output=True, text=True, check=True
    )
    return json.loads(printed.stdout) if printed.stdout else None


def test_curl_uploads_a_file(stack: RunningStack, alice: Client, tmp_path: Path) -> None:
    """A CSV goes in with curl, appears in the timeline, is exported, and can be read from its URL."""
    api, key = stack.description["base_url"], ("-H", f"Authorization: Bearer {alice.api_key}")
    project_id = alice.create("Churn")
    url = f"{api}/api/projects/{project_id}"
    file = tmp_path / "customers.csv"
    file.write_text("id,left\n1,no\n2,yes\n")
    body = {
        "type": "dataset",
        "name": "customers.csv",
        "fields": {"rows": 2, "columns": 2},
        "file": {"name": "customers.csv", "size_bytes": file.stat().st_size, "content_type": "text/csv"},
    }
    upload = curl(*key, "-d", json.dumps(body), f"{url}/resources")["upload"]
    curl("-T", str(file), upload["parts"][0]["url"])
    resource = curl(*key, "-X", "POST", upload["complete_url"])["resource"]
    (event,) = curl(*key, f"{url}/timeline")["events"]
    assert (event["name"], event["rows"]) == ("customers.csv", 2)
    archive = tmp_path / "churn.zip"
    curl(*key, "-L", "-o", str(archive), f"{url}/export")
    listed = subprocess.run(["unzip", "-l", archive], capture_output=True, text=True, check=True).stdout
    assert f"datasets/{resource['id']}/customers.csv" in listed
    artifact = curl(*key, f"{url}/resources/{resource['id']}")["resource"]["artifact"]
    response = requests.get(artifact["download_url"], timeout=30)
    assert list(csv.DictReader(io.StringIO(response.text))) == [{"id": "1", "left": "no"}, {"id": "2", "left": "yes"}]
    assert response.headers["Content-Type"] == "text/csv"
    assert "customers.csv" in response.headers["Content-Disposition"]
    ranged = requests.get(artifact["download_url"], headers={"Range": "bytes=0-1"}, timeout=30)
    assert (ranged.status_code, ranged.content) == (206, b"id")
    curl(*key, "-X", "DELETE", f"{url}/resources/{resource['id']}")
    assert requests.get(artifact["download_url"], timeout=30).status_code in {403, 404}


def test_curl_imports_an_archive(stack: RunningStack, alice: Client, bob: Client, tmp_path: Path) -> None:
    """One user's archive goes in with curl as the project of another, with its files and members."""
    api, key = stack.description["base_url"], ("-H", f"Authorization: Bearer {bob.api_key}")
    project_id = alice.create("Churn")
    upload_file(alice, project_id, "customers.csv", b"id,left\n1,no\n")
    archive = tmp_path / "churn.zip"
    curl(
        "-H",
        f"Authorization: Bearer {alice.api_key}",
        "-L",
        "-o",
        str(archive),
        f"{api}/api/projects/{project_id}/export",
    )
    body = {"size_bytes": archive.stat().st_size, "name": "Churn, restored", "members": "match"}
    upload = curl(*key, "-d", json.dumps(body), f"{api}/api/imports")["upload"]
    curl("-T", str(archive), upload["parts"][0]["url"])
    import_ = curl(*key, "-X", "POST", upload["complete_url"])["import"]
    deadline = time.monotonic() + 30
    while import_["status"] in {"pending", "running"}:
        assert time.monotonic() < deadline
        time.sleep(0.2)
        import_ = curl(*key, f"{api}/api/imports/{upload['import_id']}")["import"]
    assert (import_["status"], import_["errors"], import_["progress"]["files_done"]) == ("ready", [], 1)
    url = f"{api}/api/projects/{import_['project_id']}"
    project = curl(*key, url)["project"]
    assert (project["name"], project["role"], project["dataset_count"]) == ("Churn, restored", "owner", 1)
    members = curl(*key, f"{url}/members")["items"]
    assert [(member["email"], member["role"]) for member in members] == [(bob.email, "owner"), (alice.email, "admin")]
    (listed,) = curl(*key, f"{url}/resources")["items"]
    artifact = curl(*key, f"{url}/resources/{listed['id']}")["resource"]["artifact"]
    assert requests.get(artifact["download_url"], timeout=30).content == b"id,left\n1,no\n"


def test_upload_is_resumed(stack: RunningStack, alice: Client) -> None:
    """A client that lost everything but the upload's id asks which parts are missing, and sends those alone."""
    project_id = alice.create("Large")
    body = bytes(2 * PART_SIZE) + b"the end"
    file = {"name": "m.bin", "size_bytes": len(body), "content_type": "application/octet-stream"}
    request = {"type": "model", "name": "m", "file": file, "part_size_bytes": PART_SIZE}
    upload = alice.post(f"/api/projects/{project_id}/resources", request)["upload"]
    assert requests.put(upload["parts"][1]["url"], data=body[PART_SIZE : 2 * PART_SIZE], timeout=60).status_code == 200
    parts = alice.post(f"/api/uploads/{upload['id']}/parts", {})["parts"]
    assert [part["uploaded"] for part in parts] == [False, True, False]
    for part in parts:
        if part["url"]:
            start = (part["number"] - 1) * PART_SIZE
            assert requests.put(part["url"], data=body[start : start + PART_SIZE], timeout=60).status_code == 200
    deadline = time.monotonic() + 30
    while (completed := alice.post(f"/api/uploads/{upload['id']}/complete")).status == 202:
        assert time.monotonic() < deadline
        time.sleep(int(completed.headers["Retry-After"]))
    assert completed["resource"]["artifact"]["size_bytes"] == len(body)


def test_browser_may_upload(stack: RunningStack, alice: Client) -> None:
    """The bucket lets a web page of another origin send a part, and read the ETag."""
    project_id = alice.create("Browser")
    file = {"name": "a.csv", "size_bytes": 2, "content_type": "text/csv"}
    body = {"type": "dataset", "name": "a", "file": file}
    url = alice.post(f"/api/projects/{project_id}/resources", body)["upload"]["parts"][0]["url"]
    headers = {"Origin": "https://ml.example.com", "Access-Control-Request-Method": "PUT"}
    preflight = requests.options(url, headers=headers, timeout=30)
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] in {"*", "https://ml.example.com"}
    sent = requests.put(url, data=b"a\n", headers={"Origin": "https://ml.example.com"}, timeout=30)
    assert sent.status_code == 200
    assert sent.headers["Access-Control-Allow-Origin"] in {"*", "https://ml.example.com"}
