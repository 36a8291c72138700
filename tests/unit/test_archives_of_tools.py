"""Archives as people make them, with the bytes of tools that do not run here. `tests/readers` has those that do."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support.api_client import Client
from tests.support.hostile_archives import CONTENT, zip64_extra
from tests.support.import_plans import plan_in_memory, read_files
from tests.support.imports import import_archive
from tests.support.in_process_app import InProcessApp
from tests.support.project_files import FILES, UMLAUT
from tests.support.raw_zip import DEFLATED, DESCRIPTOR, MAX_32, UTF8_NAME, RawEntry, write_raw_zip

FOLDERS = ("datasets/", "reports/")

UNIX, MAC, FAT, NTFS = 3 << 8, 19 << 8, 0, 10 << 8
JUNK_WARNING, FOLDER_WARNING = "entries that archivers add", "All files are in the folder"


def zip64(entry: RawEntry) -> RawEntry:
    """Return an entry with ZIP64 fields that it does not need."""
    sizes = len(entry.content), len(entry.data)
    return replace(
        entry,
        local_extra=zip64_extra(*sizes),
        central_extra=zip64_extra(*sizes),
        local={"size": MAX_32, "compressed_size": MAX_32},
        central={"size": MAX_32, "compressed_size": MAX_32},
    )


def macos_finder() -> bytes:
    """Apple's Archive Utility: one folder, `__MACOSX`, `.DS_Store`, data descriptors, no UTF-8 flag, and NFD names."""
    extra = struct.pack("<HHIIHH", 0x5855, 12, 1_770_000_000, 1_770_000_000, 501, 20)
    entries = []
    for name, content in {**dict.fromkeys(("", *FOLDERS), b""), **FILES, ".DS_Store": b"\0\0\0\1Bud1"}.items():
        path = f"Churn/{name}".replace("ö", "o\u0308")
        if path.endswith("/"):
            entries.append(RawEntry(path.encode(), made_by=MAC, attributes=0o40755 << 16, local_extra=extra))
            continue
        options: dict[str, Any] = {
            "method": DEFLATED,
            "flags": DESCRIPTOR,
            "made_by": MAC,
            "attributes": 0o100644 << 16,
        }
        entries.append(RawEntry(path.encode(), content, local_extra=extra, central_extra=extra[:12], **options))
        folder, _, last = path.rpartition("/")
        entries.append(RawEntry(f"__MACOSX/{folder}/._{last}".encode(), b"\0\5\x16\7" + bytes(50), **options))
    for entry in entries:
        entry.central_extra = struct.pack("<HHII", 0x5855, 8, 1_770_000_000, 1_770_000_000)
    return write_raw_zip(entries)


def windows_explorer() -> bytes:
    """Explorer's *Compressed folder*: made by FAT, deflated, no folders; the UTF-8 flag where the name needs it."""
    entries = []
    for name, content in FILES.items():
        flags = 0 if name.isascii() else UTF8_NAME
        method = DEFLATED if len(content) > 10 else 0
        entries.append(RawEntry(f"Churn/{name}".encode(), content, method, flags, made_by=FAT | 20, attributes=0x20))
    return write_raw_zip(entries)


def windows_oem_names() -> bytes:
    """Old tools: names in code page 437."""
    return write_raw_zip([RawEntry(name.encode("cp437"), content, made_by=FAT) for name, content in FILES.items()])


def dotnet_backslashes() -> bytes:
    """`ZipFile.CreateFromDirectory` of the .NET Framework before 4.6.1: backslashes between folders."""
    return write_raw_zip(
        [
            RawEntry(name.replace("/", "\\").encode(), content, DEFLATED, UTF8_NAME, made_by=FAT)
            for name, content in FILES.items()
        ]
    )


def unnecessary_zip64() -> bytes:
    return write_raw_zip([zip64(RawEntry(name.encode(), content)) for name, content in FILES.items()], zip64=True)


def comments_gaps_and_order() -> bytes:
    """Comments of entries and of the archive, bytes between entries, and a directory in another order than the data."""
    entries = [
        RawEntry(name.encode(), content, gap=b"PK" + bytes(9), comment=b"PK\5\6") for name, content in FILES.items()
    ]
    offset = 0
    for entry in entries:
        entry.offset, offset = offset + len(entry.gap), offset + len(entry.gap) + len(entry.build_local())
    body = b"".join(entry.gap + entry.build_local() for entry in entries)
    archive = write_raw_zip([entries[index] for index in (2, 0, 1)], comment=b"a comment", end={"offset": len(body)})
    return body + archive


def unicode_path() -> bytes:
    """Info-ZIP on an old system: the name in a local code page, and the Unicode path in an extra field (4.6.9)."""
    entries = []
    for name, content in FILES.items():
        local_name = name.encode("latin-1")
        path = struct.pack("<BI", 1, zlib.crc32(local_name)) + name.encode()
        entries.append(RawEntry(local_name, content, central_extra=struct.pack("<HH", 0x7075, len(path)) + path))
    return write_raw_zip(entries)


def python_zipfile() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("datasets")
        archive.comment = b"a comment"
        for name, content in FILES.items():
            archive.writestr(f"./{name}", content)
    return buffer.getvalue()


def streamed_with_zip64() -> bytes:
    """Tools that cannot seek: data descriptors, and ZIP64 fields where it does not know the size."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

        def tell(self) -> int:
            raise io.UnsupportedOperation

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (name, content) in enumerate(FILES.items()):
            with archive.open(name, "w", force_zip64=bool(number)) as file:
                file.write(content)
    return pipe.getvalue()


def java_jar() -> bytes:
    """`jar -c`: a manifest of its own, and an extra field with the id 0xCAFE."""
    cafe = struct.pack("<HH", 0xCAFE, 0)
    entries = [
        RawEntry(b"META-INF/", local_extra=cafe, central_extra=cafe),
        RawEntry(b"META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\r\n", DEFLATED, UTF8_NAME | DESCRIPTOR),
    ]
    entries += [RawEntry(name.encode(), content, DEFLATED, UTF8_NAME | DESCRIPTOR) for name, content in FILES.items()]
    return write_raw_zip(entries)


#: The tools, each with the warnings of its import.
TOOLS: dict[Callable[[], bytes], list[str]] = {
    macos_finder: [FOLDER_WARNING, JUNK_WARNING],
    windows_explorer: [FOLDER_WARNING],
    windows_oem_names: [],
    dotnet_backslashes: [],
    unnecessary_zip64: [],
    comments_gaps_and_order: [],
    unicode_path: [],
    python_zipfile: [],
    streamed_with_zip64: [],
    java_jar: [JUNK_WARNING],
}


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.__name__)
def test_archive_of_a_tool(tool: Callable[[], bytes]) -> None:
    """Every file is found with its name and content, and what is unusual is a warning."""
    plan = plan_in_memory(tool())
    prefix = "Churn/" if FOLDER_WARNING in TOOLS[tool] else ""
    assert read_files(plan) == {prefix + name: content for name, content in FILES.items() if name != "manifest.json"}
    assert [any(text in warning for text in TOOLS[tool]) for warning in plan.warnings] == [True] * len(TOOLS[tool])
    assert plan.artifacts[UMLAUT].key.endswith("/reports/Größe.md")


@pytest.mark.parametrize("tool", [macos_finder, windows_explorer], ids=lambda tool: tool.__name__)
def test_import_of_an_archive_of_a_tool(app: InProcessApp, alice: Client, tool: Callable[[], bytes]) -> None:
    """The import is ready with warnings, and its files have the content and the content types of the manifest."""
    ready = import_archive(app, alice, tool())
    assert (ready["status"], len(ready["warnings"])) == ("ready", len(TOOLS[tool])), ready
    url = f"/api/projects/{ready['project_id']}"
    assert alice.get(url)["project"]["name"] == "Churn"
    artifacts = [row["artifact"] for row in alice.get(f"{url}/resources")["items"]]
    assert [(row["file_name"], row["size_bytes"], row["content_type"]) for row in artifacts] == [
        ("d.csv", len(CONTENT), "text/csv"),
        ("Größe.md", 3, "text/csv"),
    ]
    assert app.find_broken_invariants() == []
