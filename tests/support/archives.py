"""An export as a client gets it: started, downloaded, unpacked, and held against its manifest."""

import io
import json
import zipfile
import zlib
from typing import Any
from urllib.request import urlopen

import boto3

from tests.support.api_client import Answer, Client
from tests.support.in_process_app import InProcessApp


def unpacked(body: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest of an archive and its files, each verified against it."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        files = {file["path"]: archive.read(file["path"]) for file in manifest["files"]}
        assert archive.namelist() == ["manifest.json", *files]
    for file in manifest["files"]:
        assert len(files[file["path"]]) == file["size"]
        assert zlib.crc32(files[file["path"]]) == int(file["crc32"], 16)
        assert file["content_type"] == "application/octet-stream"
    return manifest, files


def downloaded(url: str) -> bytes:
    """What a signed URL answers; moto has no server in this process to ask."""
    if url.startswith("http://127.0.0.1"):
        with urlopen(url, timeout=30) as answer:
            return bytes(answer.read())
    bucket, _, key = url.split("?", maxsplit=1)[0].removeprefix("https://").partition("/")
    return boto3.client("s3").get_object(Bucket=bucket.partition(".")[0], Key=key)["Body"].read()


def finished(app: InProcessApp, client: Client, project_id: str) -> Answer:
    client.get(f"/api/projects/{project_id}/export", Accept="application/json")
    app.process_queues()
    return client.get(f"/api/projects/{project_id}/export", Accept="application/json")


def scheduled(app: InProcessApp, alice: Client, project_id: str) -> str:
    """An export that the schedule makes of a project that has been exported as it is."""
    assert app.invoke("ScheduleExports", {})["started"] >= 1
    app.process_queues()
    newest = alice.get(f"/api/projects/{project_id}/exports?limit=1")["items"][0]
    assert (newest["trigger"], newest["status"]) == ("schedule", "ready")
    return str(newest["id"])
