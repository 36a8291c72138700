"""Archives as attackers make them, each with the error of its import. docs/reference/imports.md lists them."""

import json
import random
import struct
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.raw_zip import (
    DEFLATED,
    DESCRIPTOR,
    MAX_16,
    MAX_32,
    PRECOMPRESSED,
    UTF8_NAME,
    RawEntry,
    write_raw_zip,
)

PROJECT_ID, RESOURCE_ID, OTHER_ID = (str(uuid.UUID(int=number, version=4)) for number in range(1, 4))
PATH, CONTENT = "datasets/d.csv", b"a,b\n1,2\n" * 10
MEMBER = {"email": "a@example.com", "name": "A", "role": "viewer", "created_at": "2026-02-10T09:00:00.000000Z"}
MIB = 1 << 20


def build_manifest(
    *, resources: list[dict[str, Any]] | None = None, files: list[dict[str, Any]] | None = None, **changes: Any
) -> dict[str, Any]:
    """Return the manifest of a project with one dataset, which has a file.

    Args:
        resources: The resources, each as what differs from the dataset.
        files: The files, each as what differs from the dataset's file.
        changes: Other sections.
    """
    resource = {"id": RESOURCE_ID, "type": "dataset", "name": "d.csv", "timestamp": "2026-02-10T09:00:00.000000Z",
                "origin": None, "path": PATH, "rows": 10}  # fmt: skip
    file = {"path": PATH, "file_name": "d.csv", "size": len(CONTENT), "crc32": f"{zlib.crc32(CONTENT):08x}",
            "content_type": "text/csv", "resource_id": RESOURCE_ID}  # fmt: skip
    return {
        "format": "projects-export/2",
        "project": {"id": PROJECT_ID, "name": "Churn", "description": ""},
        "members": [],
        "resources": [resource | row for row in resources or [{}]],
        "files": [file | row for row in files or [{}]],
    } | changes


def manifest_entry(manifest: dict[str, Any] | bytes | None = None, **options: Any) -> RawEntry:
    content = manifest if isinstance(manifest, bytes) else json.dumps(manifest or build_manifest()).encode()
    return RawEntry(b"manifest.json", content, **options)


def file_entry(name: bytes = PATH.encode(), content: bytes = CONTENT, **options: Any) -> RawEntry:
    return RawEntry(name, content, **options)


def build_archive(*entries: RawEntry, **options: Any) -> bytes:
    """Return an archive of a manifest and entries, by default of its one file."""
    return write_raw_zip([manifest_entry(), *(entries or [file_entry()])], **options)


def with_manifest(manifest: dict[str, Any] | bytes) -> Callable[[], bytes]:
    return lambda: write_raw_zip([manifest_entry(manifest), file_entry()])


def stating(**changes: Any) -> Callable[[], bytes]:
    """Return an archive whose manifest states something else."""
    return lambda: write_raw_zip([manifest_entry(build_manifest(**changes)), file_entry()])


def with_file(**options: Any) -> Callable[[], bytes]:
    return lambda: build_archive(file_entry(**options))


def with_extra(name: bytes, content: bytes = b"", **options: Any) -> Callable[[], bytes]:
    return lambda: build_archive(file_entry(), RawEntry(name, content, **options))


def with_records(**options: Any) -> Callable[[], bytes]:
    return lambda: build_archive(**options)


def hide_entry_in_another() -> bytes:
    """Return an archive whose second file lies within the first one: both have correct headers for the same bytes."""
    inner = RawEntry(b"datasets/e.csv", b"inner")
    outer = file_entry(content=b"#" + inner.build_local())
    outer_offset = len(manifest_entry().build_local())
    inner.offset = outer_offset + 30 + len(outer.name) + 1
    return build_archive(outer, inner)


def share_compressed_data() -> bytes:
    """Return a zip bomb as David Fifield builds them: a file quotes the header of the next one, and shares its data."""
    inner = RawEntry(b"datasets/e.csv", bytes(50_000), DEFLATED)
    header = inner.build_local().removesuffix(inner.data)
    quote = b"\x00" + struct.pack("<HH", len(header), ~len(header) & MAX_16)  # a stored block (RFC 1951, 3.2.4)
    content = header + inner.content
    sizes = {"crc32": zlib.crc32(content), "size": len(content), "method": DEFLATED}
    outer = file_entry(content=quote + header + inner.data, method=PRECOMPRESSED, local=sizes, central=sizes)
    inner.offset = len(manifest_entry().build_local()) + 30 + len(outer.name) + len(quote)
    return build_archive(outer, inner)


def reach_into_directory() -> bytes:
    """Return an archive whose last file ends within the directory, because its local header has extra fields."""
    sizes = {"compressed_size": len(CONTENT) + 8, "size": len(CONTENT) + 8}
    return build_archive(file_entry(local_extra=struct.pack("<HH8x", 0x9999, 8), local=sizes, central=sizes))


def count_entries(number: int) -> dict[str, int]:
    return {"entries": number, "entries_here": number}


def replace_compressed_data(data: bytes) -> bytes:
    """Return an archive whose file is deflated to other data. All headers agree, also with the manifest."""
    stated = {"method": DEFLATED, "crc32": zlib.crc32(CONTENT), "size": len(CONTENT)}
    return build_archive(file_entry(content=data, method=PRECOMPRESSED, local=stated, central=stated))


def deflate_something_else(content: bytes) -> bytes:
    return replace_compressed_data(file_entry(content=content, method=DEFLATED).data)


def zip64_extra(*numbers: int) -> bytes:
    return struct.pack(f"<HH{len(numbers)}Q", 1, 8 * len(numbers), *numbers)


def claim_size(size: int) -> dict[str, Any]:
    """Return the options of a deflated entry whose headers state another size."""
    compressed_size = len(file_entry(method=DEFLATED).data)
    return {
        "method": DEFLATED,
        "local": {"size": MAX_32},
        "central": {"size": MAX_32},
        "local_extra": zip64_extra(size, compressed_size),
        "central_extra": zip64_extra(size),
    }


def claim_manifest_size(size: int) -> bytes:
    """Return an archive with a deflated manifest whose headers state another size."""
    content = random.Random(0).randbytes(MIB)
    return write_raw_zip([manifest_entry(content, method=DEFLATED, local={"size": size}, central={"size": size})])


def in_three_days() -> str:
    return (datetime.now(UTC) + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True)
class HostileArchive:
    """An archive that an import rejects.

    Attributes:
        section: The heading in the documentation.
        description: The archive, as a phrase.
        error: A part of the error.
        build: Returns the archive.
    """

    section: str
    description: str
    error: str
    build: Callable[[], bytes]


def rename_local() -> bytes:
    return write_raw_zip([file_entry(), manifest_entry()]).replace(PATH.encode(), b"datasets/D.csv", 1)


def count_too_many_entries() -> bytes:
    count = 250_001
    end = {"entries": count, "entries_here": count}
    return build_archive(zip64_end=end, end=dict.fromkeys(end, MAX_16), directory=bytes(46 * count))


#: For each section of the documentation, descriptions of archives with a part of the error and the archive.
_ARCHIVES: dict[str, list[tuple[str, str, Callable[[], bytes]]]] = {
    "The archive": [
        ("cut off", "does not end with an end record", lambda: build_archive()[:-1]),
        ("bytes after the end", "does not end with an end record", lambda: build_archive() + b"x"),
        ("bytes in front that the offsets do not count", "has bytes in front of it", lambda: b"MZ" + build_archive()),
        (
            "another archive in the comment",
            "more than one end record",
            lambda: build_archive(comment=write_raw_zip([])),
        ),
        ("one of several disks", "is split into several files", with_records(end={"disk": 1})),
        ("an end record that counts more entries", "too small for 9 entries", with_records(end=count_entries(9))),
        (
            "an end record that counts fewer entries",
            "more bytes than its entries need",
            with_records(end=count_entries(1)),
        ),
        (
            "a ZIP64 end record that contradicts the end record",
            "contradicts the end record",
            with_records(zip64_end=count_entries(1)),
        ),
        ("a ZIP64 locator that points elsewhere", "points to no ZIP64 end record", with_records(locator={"offset": 4})),
        ("a directory of other bytes", "something that is not an entry", with_records(directory=bytes(200))),
        ("more than 250,000 entries", "250001 entries, more than 250000", count_too_many_entries),
    ],
    "An entry": [
        ("within another entry", "it overlaps with", hide_entry_in_another),
        ("that shares compressed data, as in a zip bomb", "it overlaps with", share_compressed_data),
        ("that ends in the directory", "it overlaps with the central directory", reach_into_directory),
        ("outside of the archive", "it lies outside of the archive", with_file(central={"offset": 1 << 20})),
        ("on another disk", "it lies outside of the archive", with_file(central={"disk": 3})),
        ("without a local header", "there is no local header", with_file(local={"signature": 7})),
        ("whose local header has another name", "another name than the directory", rename_local),
        ("whose local header has another checksum", "another checksum or size", with_file(local={"crc32": 7})),
        ("whose local header has another size", "another checksum or size", with_file(local={"size": 7})),
        (
            "whose local header has another method",
            "another method or other flags",
            with_file(local={"method": DEFLATED}),
        ),
        ("whose local header has other flags", "another method or other flags", with_file(local={"flags": DESCRIPTOR})),
        (
            "with malformed extra fields",
            "its extra fields are malformed",
            with_file(central_extra=b"\x99\x99\x09\x00x"),
        ),
        ("with two ZIP64 fields", "the same extra field twice", with_file(central_extra=zip64_extra(1) * 2)),
        (
            "with a ZIP64 field that is too short",
            "its ZIP64 field is too short",
            with_file(central={"size": MAX_32}, central_extra=struct.pack("<HH4x", 1, 4)),
        ),
        (
            "with the Unicode path of another name",
            "its Unicode path belongs to another name",
            with_file(central_extra=struct.pack("<HHBI", 0x7075, 6, 1, 7) + b"x"),
        ),
        ("that is encrypted", "it is encrypted", with_file(flags=1)),
        ("that is strongly encrypted", "it is encrypted", with_file(flags=1 | 1 << 6)),
        ("that is a patch", "it is a patch", with_file(flags=1 << 5)),
        ("with another compression method", "its compression method is 12", with_file(method=12)),
        ("that is a symbolic link", "it is a link or a special file", with_file(attributes=0o120777 << 16)),
        ("that is a device", "it is a link or a special file", with_file(attributes=0o060644 << 16)),
        ("that is stored with two sizes", "its two sizes differ", with_file(central={"compressed_size": 1})),
        ("that is a folder with content", "it is a folder with content", with_extra(b"folder/", b"x")),
        ("`/etc/passwd`", "its path is absolute", with_extra(b"/etc/passwd")),
        ("`C:\\Windows\\x`", "its path is absolute", with_extra(rb"C:\Windows\x")),
        ("`\\\\server\\x`", "its path is absolute", with_extra(rb"\\server\x")),
        ("`a/../../x`", "its path leads out of the archive", with_extra(b"a/../../x")),
        ("`a\\..\\..\\x`", "its path leads out of the archive", with_extra(rb"a\..\..\x")),
        ("`a/./x`", "an empty part or a '.'", with_extra(b"a/./x")),
        ("`a//x`", "an empty part or a '.'", with_extra(b"a//x")),
        ("with a control character in its name", "a control character", with_extra(b"a\x00x")),
        ("with invalid UTF-8 in its name", "its name is not valid UTF-8", with_extra(b"\xff", flags=UTF8_NAME)),
        ("with a name of more than 2,048 bytes", "its name has more than 2048 bytes", with_extra(b"x" * 2049)),
        ("in more than 512 folders", "it is in more than 512 folders", with_extra(b"x/" * 513 + b"x")),
        ("twice", "the archive has this entry twice", with_extra(PATH.encode())),
        (
            "twice, once with a backslash",
            "the archive has this entry twice",
            with_extra(PATH.replace("/", "\\").encode()),
        ),
        (
            "twice, once decomposed (Unicode NFD)",
            "the archive has this entry twice",
            lambda: build_archive(file_entry(), RawEntry("ü".encode()), RawEntry("u\u0308".encode())),
        ),
        ("deflated to 1/1,000 of 1 GiB", "deflated to less than 1/200 of its size", with_file(**claim_size(1 << 30))),
        ("deflated, with more than 10 GiB", "more than 10737418240", with_file(**claim_size(11 << 30))),
    ],
    "The manifest": [
        ("missing", "The archive has no manifest.json", lambda: write_raw_zip([file_entry()])),
        (
            "in two folders",
            "The archive has no manifest.json",
            lambda: write_raw_zip([RawEntry(b"a/manifest.json"), RawEntry(b"b/manifest.json")]),
        ),
        (
            "of more than 128 MiB",
            "The manifest has 136314880 bytes, more than 134217728",
            lambda: claim_manifest_size(130 * MIB),
        ),
        ("that is larger than stated", "it is larger than the 100 bytes", lambda: claim_manifest_size(100)),
        (
            "with another checksum",
            "its checksum is wrong",
            lambda: write_raw_zip([manifest_entry(local={"crc32": 1}, central={"crc32": 1})]),
        ),
        ("that is no JSON", "The manifest is not valid", with_manifest(b"PK")),
        (
            "with NaN",
            "The manifest is not valid",
            with_manifest(json.dumps(build_manifest(project=float("nan"))).encode()),
        ),
        (
            "of a newer format",
            "this service reads formats up to 'projects-export/2'",
            stating(format="projects-export/3"),
        ),
        ("of another program", "does not begin with its format", with_manifest(b'{"name": "x"}')),
        (
            "without resources",
            "The manifest has no 'resources'",
            with_manifest({name: value for name, value in build_manifest().items() if name != "resources"}),
        ),
        (
            "with a section twice",
            "The manifest has 'members' twice",
            with_manifest(json.dumps(build_manifest()).replace('"members"', '"members": [], "members"', 1).encode()),
        ),
        ("with a row of more than 2 MiB", "more than 2097152", stating(members=["x" * (3 * MIB)])),
        (
            "with 100,000 nested lists",
            "The manifest is not valid",
            with_manifest(b'{"format": "projects-export/2", "project": ' + b"[" * 100_000),
        ),
        (
            "with fields in 60 nested lists",
            "nested more than 50 levels deep",
            stating(resources=[{"fields": {"x": json.loads("[" * 60 + "]" * 60)}}]),
        ),
        ("with more than 10,000 members", "more than 10000 members", stating(members=[MEMBER] * 10_001)),
        (
            "with a member's role that does not exist",
            "Manifest, member 1: role",
            stating(members=[MEMBER | {"role": "king"}]),
        ),
        (
            "with a name that shows nothing",
            "The project has no name",
            stating(project={"id": PROJECT_ID, "name": "\u200b"}),
        ),
        ("with a resource whose name shows nothing", "the name shows nothing", stating(resources=[{"name": "\u200b"}])),
        ("with a resource of another type", "Manifest, resource 1: type", stating(resources=[{"type": "table"}])),
        ("with a resource twice", "the manifest has this resource twice", stating(resources=[{}, {}])),
        (
            "with a resource in three days",
            "more than a day in the future",
            stating(resources=[{"timestamp": in_three_days()}]),
        ),
        ("with more than 100,000 bytes of fields", "more than 100000", stating(resources=[{"note": "x" * 100_001}])),
        ("with a resource whose file is missing", "is not among the files", stating(resources=[{"path": "x"}])),
        ("with a file of no resource", "no resource has this file", stating(resources=[{"path": None}])),
        (
            "with a file of an unknown resource",
            "its resource_id is not among the resources",
            stating(files=[{"resource_id": OTHER_ID}]),
        ),
        ("with a file twice", "the manifest has this file twice", stating(files=[{}, {}])),
        ("with the path `../x`", "path: it is not a safe relative path", stating(files=[{"path": "../x"}])),
        ("with the file name `..`", "file_name: it is not the name of a file", stating(files=[{"file_name": ".."}])),
        (
            "with a file that the archive lacks",
            "The archive has no entry for the file",
            lambda: write_raw_zip([manifest_entry()]),
        ),
        ("that does not name an entry", "the manifest does not name it", with_extra(b"x")),
        ("that states another size", "is not the one in the manifest", stating(files=[{"size": 1}])),
        ("that states another checksum", "is not the one in the manifest", stating(files=[{"crc32": "00000000"}])),
    ],
    "The content of a file": [
        (
            "that is not the one of its checksum",
            "its checksum is wrong",
            lambda: build_archive().replace(CONTENT, CONTENT[::-1]),
        ),
        (
            "that is larger than stated",
            "it is larger than the 80 bytes",
            lambda: deflate_something_else(b"x" * 5_000_000),
        ),
        ("that is smaller than stated", "it is smaller than the 80 bytes", lambda: deflate_something_else(b"x")),
        ("that is no deflated data", "its compressed data is invalid", lambda: replace_compressed_data(b"\xff" * 20)),
        (
            "that continues after its end",
            "continues after the end",
            lambda: replace_compressed_data(file_entry(method=DEFLATED).data + b"x"),
        ),
    ],
}

HOSTILE_ARCHIVES = [
    HostileArchive(section, description, error, build)
    for section, rows in _ARCHIVES.items()
    for description, error, build in rows
]


def render_table() -> str:
    """Return the table of the documentation."""
    lines = []
    for section, rows in _ARCHIVES.items():
        lines += ["", f"| {section} | error |", "|---|---|"]
        lines += [f"| {description} | {error} |" for description, error, _ in rows]
    return "\n".join(lines)
