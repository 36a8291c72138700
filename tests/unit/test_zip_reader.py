"""The readers of archives and manifests: limits, how much they read, and random archives and damage."""

import io
import struct
import unicodedata
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projects_api.archive.archive_errors import ArchiveError
from projects_api.archive.central_directory import ArchiveEntry, Limits
from projects_api.archive.inflate import InflateError, inflate
from projects_api.archive.manifest_reader import ManifestError, read_rows
from projects_api.archive.zip_reader import read_entries

CONTENTS = {"manifest.json": b"{}", "a/b.csv": b"1,2\n" * 100, "a/ü.bin": bytes(range(256)), "empty": b""}


def write_zip(
    contents: dict[str, bytes] = CONTENTS, method: int = zipfile.ZIP_STORED, comment: bytes = b""
) -> bytearray:
    """Return an archive that Python's zipfile has written."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for path, content in contents.items():
            archive.writestr(path, content)
        archive.comment = comment
    return bytearray(buffer.getvalue())


def read_archive(data: bytes | bytearray, limits: Limits | None = None) -> list[ArchiveEntry]:
    return read_entries(lambda start, size: bytes(data[start : start + size]), len(data), limits=limits)


def extract(data: bytes | bytearray, entry: ArchiveEntry) -> bytes:
    compressed = bytes(data[entry.data_offset : entry.data_offset + entry.compressed_size])
    if entry.method == zipfile.ZIP_STORED:
        assert zlib.crc32(compressed) == entry.crc32
        return compressed
    return b"".join(inflate([compressed], size=entry.size, crc32=entry.crc32))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("comment", [b"", b"a comment", b"PK\x05\x06" * 5])
def test_reads_every_entry(method: int, comment: bytes) -> None:
    data = write_zip(method=method, comment=comment)
    assert {entry.path: extract(data, entry) for entry in read_archive(data)} == CONTENTS


def test_reads_only_headers_of_large_entries() -> None:
    data = write_zip({"large": bytes(8 << 20), "small": b"x"})
    reads = []

    def read(start: int, size: int) -> bytes:
        reads.append(size)
        return bytes(data[start : start + size])

    read_entries(read, len(data))
    assert sum(reads) < 80_000


def test_limits() -> None:
    data = write_zip(method=zipfile.ZIP_DEFLATED)
    for limits, message in (
        (Limits(archive_size=10), "more than 10"),
        (Limits(entries=3), "4 entries, more than 3"),
        (Limits(directory_size=50), "more than 50"),
        (Limits(name_size=5), "more than 5 bytes"),
        (Limits(depth=0), "more than 0 folders"),
        (Limits(inflated_size=300), "400 bytes, more than 300"),
        (Limits(ratio=2, ratio_exempt_size=10), "less than 1/2"),
    ):
        with pytest.raises(ArchiveError, match=message):
            read_archive(data, limits)


def test_the_first_hundred_errors_are_kept() -> None:
    data = write_zip({f"{number:03}": b"" for number in range(150)})
    with pytest.raises(ArchiveError) as caught:
        read_archive(data, Limits(name_size=1))
    assert (len(caught.value.errors), caught.value.count) == (100, 150)


# ------------------------------------------------------------------------------------------------------------ random

NAMES = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="/\\:"), min_size=1, max_size=9)


@given(st.dictionaries(NAMES.filter(lambda name: name not in {".", ".."}), st.binary(max_size=300)), st.booleans())
def test_random_archives(contents: dict[str, bytes], deflate: bool) -> None:
    data = write_zip(contents, zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED)
    if len({unicodedata.normalize("NFC", name) for name in contents}) < len(contents):
        with pytest.raises(ArchiveError, match="twice"):
            read_archive(data)
        return
    entries = read_archive(data)
    assert sorted(extract(data, entry) for entry in entries) == sorted(contents.values())


@given(st.data())
def test_random_damage(data: st.DataObject) -> None:
    """A damaged archive is rejected, or every entry lies within it. No other error occurs."""
    archive = write_zip(method=data.draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(archive) - 1))
        archive[position : position + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
        if not archive:
            return
    check_archive(bytes(archive))


@given(st.binary(max_size=400))
def test_random_bytes(tail: bytes) -> None:
    check_archive(tail + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, min(len(tail), 90), 0, 0))
    check_archive(tail)


def check_archive(archive: bytes) -> None:
    """Read an archive and its entries. Only the documented errors may occur."""
    try:
        entries = read_archive(archive)
        for entry in entries:
            assert 0 <= entry.data_offset <= entry.data_offset + entry.compressed_size <= len(archive)
            compressed = archive[entry.data_offset : entry.data_offset + entry.compressed_size]
            content = (
                b"".join(inflate([compressed], size=entry.size, crc32=entry.crc32)) if entry.method else compressed
            )
            assert len(content) == entry.size
    except (ArchiveError, InflateError):
        pass


@given(st.binary(max_size=200), st.integers(1, 50), st.integers(-2, 2))
def test_inflate(content: bytes, chunk_size: int, difference: int) -> None:
    """The result is exactly as large as stated, or an error. It is never larger."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    compressed = compressor.compress(content) + compressor.flush()
    chunks = [compressed[start : start + chunk_size] for start in range(0, len(compressed), chunk_size)]
    size = max(0, len(content) + difference)
    pieces: list[bytes] = []
    try:
        pieces.extend(inflate(chunks, size=size, crc32=zlib.crc32(content)))
    except InflateError:
        assert size != len(content)
    else:
        assert b"".join(pieces) == content
    assert sum(len(piece) for piece in pieces) <= size


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not valid at character 0"),
        (b"[]", "not valid"),
        (b"\xff", "UTF-8"),
        (b'{"project": {}}', "begin with its format"),
        (b'{"format": "other/1"}', "begin with its format"),
        (b'{"format": "projects-export/3"}', "up to 'projects-export/2'"),
        (b'{"format": "projects-export/2"}', "no 'project'"),
        (b'{"format": "projects-export/2", "project": 1, "project": 1}', "twice"),
        (b'{"format": "projects-export/2", "files": 1}', "not valid"),
        (b'{"format": "projects-export/2", "files": [1 2]}', "not valid"),
        (b'{"format": "projects-export/2", "project": NaN}', "not valid"),
        (b'{"format": "projects-export/2", "project": ' + b"[" * 100_000, "not valid"),
        (b'{"format": "projects-export/2", "project": ' + b"1" * 10_000 + b"}", "not valid"),
        (b'{"format": "projects-export/2", "project": "' + b"x" * (3 << 20) + b'"}', "more than"),
    ],
)
def test_hostile_manifest(data: bytes, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        list(read_rows([data]))


def test_manifest_in_chunks() -> None:
    data = '{"format": "projects-export/1", "x": [{}], "project": {"name": "ü"}, "members": [], "resources": [1, 2],'
    rows = list(read_rows([bytes([byte]) for byte in (data + ' "files": [ 3 ] }\n').encode()]))
    assert [tuple(row) for row in rows] == [
        ("format", 0, 1),
        ("project", 0, {"name": "ü"}),
        ("resources", 1, 1),
        ("resources", 2, 2),
        ("files", 1, 3),
    ]
