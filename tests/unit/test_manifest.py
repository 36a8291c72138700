"""The manifest of an archive, byte for byte, the list of its files, and the archive's other metadata."""

import io
import zipfile
from datetime import UTC, datetime
from itertools import repeat
from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st

from projects_api.archive.manifest import File, encode_manifest, list_files
from projects_api.archive.metadata import ArchiveMetadata
from projects_api.archive.parts import Directory, Header, Range, Segment
from projects_api.archive.zip_writer import encode_directory, local_header
from projects_api.entities.content import Content, Pin
from projects_api.entities.ids import ProjectId, ResourceId, UserId
from projects_api.entities.project import Member, Project, Role
from projects_api.entities.resource import Artifact, Origin, Resource, ResourceType
from projects_api.entities.user import Email

MOMENT = datetime(2026, 2, 10, 9, 0, 2, tzinfo=UTC)
LATER = datetime(2026, 2, 11, 9, 0, 2, tzinfo=UTC)
PROJECT = Project(
    ProjectId("p"),
    "Größe",
    "About it",
    UserId("u"),
    MOMENT,
    LATER,
    counts={ResourceType.MODEL: 2, ResourceType.REPORT: 1},
)
MEMBERS = [
    Member(UserId("u"), Email("ada@example.com"), "Ada", Role.OWNER, MOMENT),
    Member(UserId("v"), Email("bob@example.com"), "Bob", Role.VIEWER, LATER),
]
BINARY = Artifact("projects/p/models/b.bin", "application/octet-stream")
TEXT = Artifact("projects/p/models/a.txt", "text/plain")
MODEL = Resource(ResourceId("1"), ResourceType.MODEL, "first", MOMENT, "v", {"note": "ü", "path": "own"}, BINARY)
ORIGIN = Origin(ProjectId("o"), ResourceId("5"))
COPY = Resource(ResourceId("2"), ResourceType.MODEL, "second", LATER, "v", {}, BINARY, origin=ORIGIN)
REPORT = Resource(ResourceId("3"), ResourceType.REPORT, "third", LATER, "v", {"fields": 1}, TEXT)
BARE = Resource(ResourceId("4"), ResourceType.EXPERIMENT, "fourth", LATER, "v", {})
CONTENT = Content(PROJECT, MEMBERS, [MODEL, COPY, REPORT, BARE])

MANIFEST = """{
"format": "projects-export/2",
"project": {"id": "p", "name": "Größe", "description": "About it", "status": "active", "owner_id": "u", \
"model_count": 2, "report_count": 1, "created_at": "2026-02-10T09:00:02.000000Z", \
"updated_at": "2026-02-11T09:00:02.000000Z"},
"members": [
{"user_id": "u", "email": "ada@example.com", "name": "Ada", "role": "owner", \
"created_at": "2026-02-10T09:00:02.000000Z"},
{"user_id": "v", "email": "bob@example.com", "name": "Bob", "role": "viewer", \
"created_at": "2026-02-11T09:00:02.000000Z"}],
"resources": [
{"note": "ü", "path": "models/b.bin", "id": "1", "type": "model", "name": "first", \
"timestamp": "2026-02-10T09:00:02.000000Z", "origin": null, "fields": {"path": "own"}},
{"id": "2", "type": "model", "name": "second", "timestamp": "2026-02-11T09:00:02.000000Z", \
"origin": {"project_id": "o", "resource_id": "5"}, "path": "models/b.bin"},
{"fields": {"fields": 1}, "id": "3", "type": "report", "name": "third", "timestamp": "2026-02-11T09:00:02.000000Z", \
"origin": null, "path": "models/a.txt"},
{"id": "4", "type": "experiment", "name": "fourth", "timestamp": "2026-02-11T09:00:02.000000Z", \
"origin": null, "path": null}],
"files": [
{"path": "models/a.txt", "file_name": "a.txt", "size": 3, "crc32": "0000002a", "content_type": "text/plain", \
"resource_id": "3"},
{"path": "models/b.bin", "file_name": "b.bin", "size": 5, "crc32": "0000002a", \
"content_type": "application/octet-stream", "resource_id": "1"}]
}
"""


def test_the_files_are_in_the_order_of_their_keys_and_a_shared_artifact_appears_once() -> None:
    assert list_files(CONTENT) == [File("models/a.txt", TEXT, REPORT), File("models/b.bin", BINARY, MODEL)]


def test_the_manifest_has_the_documented_form() -> None:
    rows = list(encode_manifest(CONTENT, list_files(CONTENT), [3, 5], repeat(42)))
    assert b"".join(rows).decode() == MANIFEST


def test_an_artifact_of_the_manifests_name_gets_another_path() -> None:
    artifact = Artifact("projects/p/manifest.json", "application/json")
    resource = Resource(ResourceId("1"), ResourceType.MODEL, "m", MOMENT, "v", {}, artifact)
    (file,) = list_files(Content(PROJECT, [], [resource]))
    assert file.path.casefold() != "manifest.json"


@given(st.integers(1, 3_000))
def test_metadata_and_files_make_the_archive(slice_size: int) -> None:
    """The division of the manifest and the directory among parts does not change the bytes of the archive."""
    contents = [b"abc", b"hello"]
    pins = [Pin(f"key {number}", '"etag"', len(content)) for number, content in enumerate(contents)]
    metadata = ArchiveMetadata(CONTENT, list_files(CONTENT), pins, lambda index: crc32(contents[index - 1]))
    metadata.encode()
    segments: list[Segment] = []
    for index, entry in enumerate(metadata.entries):
        segments.append(Header(index, len(local_header(entry))))
        step = entry.size if index else slice_size
        segments += [Range(index, start, min(step, entry.size - start)) for start in range(0, entry.size, step)]
    size = len(encode_directory(metadata.entries))
    segments += [Directory(start, min(slice_size, size - start)) for start in range(0, size, slice_size)]
    parts = [bytearray(segment.size) for segment in segments]
    for segment, part in zip(segments, parts, strict=True):
        if isinstance(segment, Range) and segment.index:
            part[:] = contents[segment.index - 1]
    archive = metadata.fill_in(segments, bytearray().join(parts))
    assert archive == b"".join(metadata.fill_in([segment], part) for segment, part in zip(segments, parts, strict=True))
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        assert [opened.read(name) for name in ("models/a.txt", "models/b.bin")] == contents
        expected = MANIFEST.encode()
        for content in contents:
            expected = expected.replace(b"0000002a", b"%08x" % crc32(content), 1)
        assert opened.read("manifest.json") == expected
        entries = metadata.read_entries(metadata.directory)
        assert [entry.crc32 for entry in entries] == [opened.getinfo(entry.path).CRC for entry in entries]
        for entry in entries:  # zipfile does not compare the checksum in the local header
            assert archive[opened.getinfo(entry.path).header_offset :].startswith(local_header(entry))
