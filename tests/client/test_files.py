"""Tests of single files of an archive: ``projects download``, ``Project.open`` and the fsspec filesystem."""

import io
import json
import math
import random
import signal
import unicodedata
import zipfile
import zlib
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import pytest

from projects_client import Client, ConflictError, DamagedArchiveError, NotFoundError, file_download
from projects_client.file_download import _get_target, select_path, select_paths
from projects_client.remote_archive import FIRST_WINDOW, RemoteArchive
from projects_client.stored_object import StoredObject
from tests.client.conftest import KEY
from tests.client.test_download import wait_until
from tests.support.cli_process import ProjectsCommand
from tests.support.fake_api import PROJECT_ID, FakeService

MIB = 1 << 20
TABLE = b"time,amount\n" + b"".join(b"2026-02-10T09:00:00Z,%d\n" % number for number in range(50_000))
FILES = {
    "datasets/7/table.csv": TABLE,
    "datasets/8/other.csv": b"a,b\n1,2\n",
    "models/large.bin": random.Random(1).randbytes(5 * MIB),
    "models/small.bin": b"weights",
    "reports/r.md": "# Bericht ü\n".encode(),
}


def build_full_archive(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return an archive whose manifest lists resources."""
    resources = [{"id": path, "type": path.partition("s/")[0], "path": path} for path in files]
    rows = [
        {"path": path, "size": len(data), "crc32": f"{zlib.crc32(data):08x}", "resource_id": path}
        for path, data in files.items()
    ]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("manifest.json", json.dumps({"resources": resources, "files": rows}))
        for path, data in files.items():
            archive.writestr(path, data)
    return buffer.getvalue()


@pytest.fixture
def client(service: FakeService) -> Client:
    service.data = build_full_archive(FILES)
    return Client(service.url, KEY)


def count_bytes(service: FakeService) -> int:
    """Return the number of bytes that all requests to the storage asked for."""
    total = 0
    for request in service.downloads:
        first, last = request.headers["Range"].removeprefix("bytes=").split("-")
        total += int(last or len(service.data) - 1) + 1 - int(first)
    return total


def list_files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("arguments", "paths"),
    [
        ((), list(FILES)),
        (("--type", "dataset"), ["datasets/7/table.csv", "datasets/8/other.csv"]),
        (("models/small.bin",), ["models/small.bin"]),
        (("datasets/",), ["datasets/7/table.csv", "datasets/8/other.csv"]),
        (("*.csv", "reports/?.md"), ["datasets/7/table.csv", "datasets/8/other.csv", "reports/r.md"]),
        (("--type", "model", "*small*"), ["models/small.bin"]),
        (("manifest.json",), ["manifest.json"]),
    ],
)
def test_download(
    service: FakeService, projects: ProjectsCommand, client: Client, arguments: tuple[str, ...], paths: list[str]
) -> None:
    """Paths, folders, globs and types select files, which get their paths in the archive."""
    (projects.folder / "out").mkdir()
    result = projects("download", PROJECT_ID, *arguments, "-o", "out")
    assert result.code == 0, result.err
    assert result.out.splitlines() == [f"out/{path}" for path in paths]
    expected = FILES | {"manifest.json": zipfile.ZipFile(io.BytesIO(service.data)).read("manifest.json")}
    assert list_files(projects.folder / "out") == {path: expected[path] for path in paths}


def test_download_reads_only_its_files(service: FakeService, projects: ProjectsCommand, client: Client) -> None:
    assert projects("download", PROJECT_ID, "*.csv").code == 0
    assert count_bytes(service) < 3 * MIB
    assert len(service.downloads) <= 5


def test_download_again(service: FakeService, projects: ProjectsCommand, client: Client) -> None:
    """Complete files are not downloaded again, and a file that differs is replaced by ``--force`` only."""
    assert projects("download", PROJECT_ID).code == 0
    service.downloads.clear()
    again = projects("download", PROJECT_ID)
    assert (again.code, "5 files were there already" in again.err) == (0, True)
    assert count_bytes(service) < MIB
    (projects.folder / "models" / "small.bin").write_text("mine")
    refused = projects("download", PROJECT_ID)
    assert (refused.code, "small.bin exists and differs" in refused.err) == (6, True)
    assert projects("download", PROJECT_ID, "--force").code == 0
    assert (projects.folder / "models" / "small.bin").read_bytes() == b"weights"


def test_download_of_nothing(projects: ProjectsCommand, client: Client) -> None:
    """A pattern, a type or a folder that does not exist is an error that names what there is."""
    unknown = projects("download", PROJECT_ID, "*.parquet")
    assert (unknown.code, "'datasets/7/table.csv'" in unknown.err) == (5, True)
    assert projects("download", PROJECT_ID, "--type", "deployment").code == 5
    assert projects("download", PROJECT_ID, "-o", "nowhere").code == 1


def test_manifest_of_an_empty_project() -> None:
    manifest: dict[str, Any] = {"files": [], "resources": []}
    assert select_paths(manifest, ["manifest.json"], None) == ["manifest.json"]
    with pytest.raises(NotFoundError, match="no files"):
        select_paths(manifest, [], None)


def test_decomposed_name() -> None:
    """A pattern matches a name that looks the same. macOS decomposes letters with accents."""
    path = "reports/über.md"
    manifest = {"files": [{"path": path}], "resources": []}
    path_as_typed, name_as_typed, glob = (unicodedata.normalize("NFD", text) for text in (path, "über.md", "*/über*"))
    assert select_paths(manifest, [path_as_typed, glob], None) == [path]
    assert select_path([path], name_as_typed) == path


@pytest.mark.parametrize("path", ["datasets/8/other.csv", "models/large.bin"])
def test_concurrent_downloads(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Two downloads never write to the same part. A large file has one part, to resume."""
    project = client.projects.get(PROJECT_ID)
    finish = file_download._finish

    def finish_after_other_download(*arguments: Any) -> None:
        monkeypatch.setattr(file_download, "_finish", finish)
        with pytest.raises(ConflictError, match="Another download") if path == "models/large.bin" else nullcontext():
            project.download(path, tmp_path)
        finish(*arguments)

    monkeypatch.setattr(file_download, "_finish", finish_after_other_download)
    project.download(path, tmp_path)
    assert list_files(tmp_path) == {path: FILES[path]}


def test_interrupted_write(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing remains of a small file that is not complete."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(file_download, "_finish", interrupt)
    with pytest.raises(KeyboardInterrupt):
        client.projects.get(PROJECT_ID).download("models/small.bin", tmp_path)
    assert list_files(tmp_path) == {}


def test_killed_download(service: FakeService, projects: ProjectsCommand, client: Client) -> None:
    """The next run resumes a large file in its middle."""
    service.break_offsets.extend([None, None, None, 2 * MIB, 2 * MIB])
    service.stalls = True
    process = projects.start("download", PROJECT_ID, "models/large.bin")
    part = projects.folder / "models" / f".large.bin.{zlib.crc32(FILES['models/large.bin']):08x}.part"
    wait_until(lambda: part.exists() and part.stat().st_size > MIB)
    process.send_signal(signal.SIGKILL)
    process.wait()
    size = part.stat().st_size
    service.stalls = False
    service.break_offsets.clear()
    service.resumed.set()
    service.downloads.clear()
    assert projects("download", PROJECT_ID, "models/large.bin").code == 0
    assert count_bytes(service) < 5 * MIB - size + 2 * MIB
    assert list_files(projects.folder / "models") == {"large.bin": FILES["models/large.bin"]}


@pytest.mark.parametrize("path", ["models/small.bin", "models/large.bin"])
def test_damaged_file(service: FakeService, projects: ProjectsCommand, client: Client, path: str) -> None:
    """A file that does not match its CRC-32 never gets its name."""
    content = bytearray(service.data)
    content[service.data.index(FILES[path][-7:]) + 2] ^= 1
    service.data = bytes(content)
    result = projects("download", PROJECT_ID, path)
    assert (result.code, "CRC-32" in result.err) == (9, True)
    assert list_files(projects.folder) == {}


@pytest.mark.parametrize(
    "path",
    ["../x", "/etc/passwd", "a/../../x", "a\\b", "C:x", "a/./b", "a//b", "nul", "a/COM1.txt", "a\nb", "..", ""],
)
def test_unsafe_path(path: str) -> None:
    """No path of an archive leads out of the folder."""
    with pytest.raises(DamagedArchiveError):
        _get_target(Path("out"), path)


@pytest.mark.parametrize("path", ["a/b.csv", "null/x", "console.log", "ü 案.csv", "...a", "a..b/c"])
def test_safe_path(path: str) -> None:
    assert _get_target(Path("out"), path) == Path("out") / path


def test_open(service: FakeService, client: Client) -> None:
    """An opened file is seekable, and reads only what is asked for."""
    project = client.projects.get(PROJECT_ID)
    with project.open("models/large.bin") as file:
        content = FILES["models/large.bin"]
        assert file.seekable()
        assert file.seek(-10, io.SEEK_END) == len(content) - 10
        assert file.read() == content[-10:]
        assert file.read() == b""
        file.seek(MIB)
        assert file.read(100) == content[MIB : MIB + 100]
        assert count_bytes(service) < 2 * MIB
        file.seek(0)
        assert file.read() == content
    with pytest.raises(NotFoundError, match=r"models/large\.bin"):
        project.open("models/large")


def test_open_reads_like_a_local_file(service: FakeService, client: Client) -> None:
    """Random seeks and reads give the same as on a local file."""
    chooser, content = random.Random(3), FILES["models/large.bin"]
    local = io.BytesIO(content)
    with client.projects.get(PROJECT_ID).open("models/large.bin") as file:
        for _ in range(60):
            whence = chooser.choice([io.SEEK_SET, io.SEEK_CUR, io.SEEK_END])
            lowest = {io.SEEK_SET: 0, io.SEEK_CUR: -local.tell(), io.SEEK_END: -len(content)}[whence]
            offset = chooser.randint(lowest, len(content) if whence == io.SEEK_SET else 1000)
            assert file.seek(offset, whence) == local.seek(offset, whence)
            size = chooser.choice([0, 1, 7, 1000, 300_000])
            assert file.read(size) == local.read(size)


@pytest.mark.parametrize("size", [-1, 1000, 5 * MIB])
def test_open_checks_whole_files(service: FakeService, client: Client, size: int) -> None:
    """Every way to read a file to its end finds a bit that has changed."""
    content = FILES["models/large.bin"]
    service.data = service.data.replace(content[-100_000:], content[-100_000:-1] + bytes([content[-1] ^ 1]))
    with client.projects.get(PROJECT_ID).open("models/large.bin") as file:
        file.seek(4 * MIB)
        file.read(10)
        assert file.seek(0) == 0
        with pytest.raises(DamagedArchiveError, match=r"models/large\.bin.*CRC-32"):
            list(iter(partial(file.read, size), b""))


def test_open_after_expiry_and_replacement(service: FakeService, client: Client) -> None:
    """A URL that expires is signed again, and an archive that is replaced is an error and no mixture."""
    with client.projects.get(PROJECT_ID).open("models/large.bin") as file:
        file.read(10)
        service.oldest_signature = service.signature_count + 1
        file.seek(3 * MIB)
        assert file.read(10) == FILES["models/large.bin"][3 * MIB :][:10]
        service.etag = '"two"'
        file.seek(2 * MIB)
        with pytest.raises(ConflictError, match="was replaced"):
            file.read(MIB)


def test_compressed_archive(service: FakeService, client: Client) -> None:
    service.data = build_full_archive(FILES, zipfile.ZIP_DEFLATED)
    with pytest.raises(DamagedArchiveError, match="compressed"):
        client.projects.get(PROJECT_ID).open("datasets/7/table.csv")


def test_large_directory(service: FakeService) -> None:
    """A directory that is larger than the first request, and an archive with ZIP64 records, are read."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(66_000):
            archive.writestr(f"f/{number}", b"")
        archive.writestr("last", b"content")
    service.data = buffer.getvalue()
    archive_in_storage = RemoteArchive(StoredObject(len(service.data), lambda: f"{service.url}/archive?signature=1"))
    assert len(archive_in_storage.entries) == 66_001
    assert archive_in_storage.open("last").read() == b"content"
    assert len(service.downloads) <= 4


def test_fsspec(service: FakeService, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The filesystem lists projects, folders and files, and opens files."""
    monkeypatch.setenv("PROJECTS_API_URL", service.url)
    monkeypatch.setenv("PROJECTS_API_KEY", KEY)
    with fsspec.open(f"projects://{PROJECT_ID}/reports/r.md", skip_instance_cache=True) as file:
        assert file.read() == FILES["reports/r.md"]
    files = fsspec.filesystem("projects", url=service.url, key=KEY, skip_instance_cache=True)
    with pytest.raises(io.UnsupportedOperation, match=r"Project\.upload"):
        files.open(f"{PROJECT_ID}/reports/r.md", "wb")
    assert files.ls("", detail=False) == [PROJECT_ID]
    assert sorted(files.ls(f"{PROJECT_ID}/datasets", detail=False)) == [
        f"{PROJECT_ID}/datasets/7",
        f"{PROJECT_ID}/datasets/8",
    ]
    assert files.glob(f"{PROJECT_ID}/datasets/*/*.csv") == [f"{PROJECT_ID}/{path}" for path in list(FILES)[:2]]
    assert files.info(f"{PROJECT_ID}/models/small.bin")["size"] == 7
    assert files.cat_file(f"{PROJECT_ID}/datasets/7/table.csv", start=0, end=4) == b"time"
    with pytest.raises(FileNotFoundError):
        files.open(f"{PROJECT_ID}/nothing")
    with pytest.raises(FileNotFoundError):
        files.ls(f"{PROJECT_ID}/nothing")


def test_pandas(service: FakeService, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pandas reads an opened file, and a URL through fsspec."""
    pandas = pytest.importorskip("pandas", reason="one Python is enough for pandas")
    with client.projects.get(PROJECT_ID).open("datasets/7/table.csv") as file:
        frame = pandas.read_csv(file)
    assert (len(frame), frame["amount"].sum()) == (50_000, sum(range(50_000)))
    assert len(service.downloads) <= 2 + math.log2(len(TABLE) / FIRST_WINDOW) + 1  # the directory, and growing windows
    head = pandas.read_csv(f"projects://{PROJECT_ID}/datasets/7/table.csv", nrows=3,
                           storage_options={"url": service.url, "key": KEY})  # fmt: skip
    assert list(head["amount"]) == [0, 1, 2]
