"""A large artifact, exported to general HTTP clients."""

import shutil
import subprocess
import tempfile
import uuid
import zipfile
import zlib
from pathlib import Path

import pytest
import requests

from tests.e2e.test_session import publish_event, wait_until
from tests.support.api_client import Client
from tests.support.running_stack import RunningStack

MIB = 1 << 20
BLOCK = bytes(range(256)) * 4096 * 16  # 16 MiB


@pytest.fixture
def size(pytestconfig: pytest.Config) -> int:
    """Return the size of the artifact in bytes. moto keeps it in memory, SeaweedFS on disk."""
    return (1024 if pytestconfig.getoption("engines") == "real" else 48) * MIB


@pytest.fixture
def project_id(stack: RunningStack, alice: Client, size: int) -> str:
    project_id = alice.create("A large model")
    key = f"projects/{project_id}/models/large.bin"
    with tempfile.TemporaryFile() as file:
        for _ in range(size // len(BLOCK)):
            file.write(BLOCK)
        file.seek(0)
        stack.aws("s3").put_object(
            Bucket=stack.buckets["artifacts"], Key=key, Body=file, ContentLength=size, ChecksumAlgorithm="CRC32"
        )
    artifact = {"key": key, "content_type": "application/octet-stream"}
    publish_event(stack, project_id, "Model", {"id": str(uuid.uuid4()), "name": "large", "artifact": artifact})
    wait_until(lambda: alice.get(f"/api/projects/{project_id}/timeline")["events"])
    return project_id


def assert_complete(archive: Path, size: int) -> None:
    checksum = 0
    for _ in range(size // len(BLOCK)):
        checksum = zlib.crc32(BLOCK, checksum)
    with zipfile.ZipFile(archive) as opened:
        assert opened.namelist() == ["manifest.json", "models/large.bin"]
        assert opened.testzip() is None
        assert opened.getinfo("models/large.bin").file_size == size
        assert checksum == opened.getinfo("models/large.bin").CRC
    archive.unlink()


def test_download_with_curl_and_requests(
    stack: RunningStack, alice: Client, project_id: str, size: int, tmp_path: Path
) -> None:
    url, authorization = f"{stack.description['base_url']}/api/projects/{project_id}/export", f"Bearer {alice.api_key}"
    archive = tmp_path / "archive.zip"
    curl = ["curl", "-fsSL", "-H", f"Authorization: {authorization}", "-o", str(archive), url]
    subprocess.run(curl, check=True, timeout=300)
    assert_complete(archive, size)
    response = requests.get(url, headers={"Authorization": authorization}, stream=True, timeout=300)
    response.raise_for_status()
    with response, archive.open("wb") as file:
        shutil.copyfileobj(response.raw, file)
    assert_complete(archive, size)
