"""Functions that export a project as a client does, download the archive and verify it against its manifest."""

import io
import json
import zipfile
import zlib
from functools import cache
from typing import Any
from urllib.parse import unquote
from urllib.request import urlopen

import boto3
import jsonschema_rs

from local.stack import ROOT
from tests.support.api_client import Client, Response
from tests.support.in_process_app import InProcessApp


@cache
def manifest_validator() -> jsonschema_rs.Validator:
    """Return the validator of the published schema of manifests."""
    return jsonschema_rs.validator_for(json.loads((ROOT / "docs/reference/manifest.schema.json").read_text()))


def unpack_archive(body: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the manifest of an archive and its files by path, after verifying each file against the manifest."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        manifest_validator().validate(manifest)
        files = {file["path"]: archive.read(file["path"]) for file in manifest["files"]}
        assert archive.namelist() == ["manifest.json", *files]
    for file in manifest["files"]:
        assert len(files[file["path"]]) == file["size"]
        assert zlib.crc32(files[file["path"]]) == int(file["crc32"], 16)
        assert file["content_type"] == "application/octet-stream"
    return manifest, files


def download(url: str) -> bytes:
    """Return the object at a presigned URL.

    The in-process moto has no server, so an object at an AWS URL is read with boto3 instead.
    """
    if url.startswith("http://127.0.0.1"):
        with urlopen(url, timeout=30) as response:
            return bytes(response.read())
    bucket, _, key = url.split("?", maxsplit=1)[0].removeprefix("https://").partition("/")
    return boto3.client("s3").get_object(Bucket=bucket.partition(".")[0], Key=unquote(key))["Body"].read()


def finish_export(app: InProcessApp, client: Client, project_id: str) -> Response:
    """Export a project, and return the response that describes the finished export."""
    client.get(f"/api/projects/{project_id}/export", Accept="application/json")
    app.process_queues()
    return client.get(f"/api/projects/{project_id}/export", Accept="application/json")


def run_scheduled_export(app: InProcessApp, alice: Client, project_id: str) -> str:
    """Run the export schedule, and return the id of the scheduled export of the project."""
    assert app.invoke("ScheduleExports", {})["started"] >= 1
    app.process_queues()
    latest = alice.get(f"/api/projects/{project_id}/exports?limit=1")["items"][0]
    assert (latest["trigger"], latest["status"]) == ("schedule", "ready")
    return str(latest["id"])
