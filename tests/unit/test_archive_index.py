"""The index of an archive: its file format, and which entries of it a new archive takes over."""

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from projects_api.archive import zip_writer
from projects_api.archive.archive_index import FORMAT, IndexedEntry, decode_index, encode_index, index_entries
from projects_api.archive.zip_writer import Entry
from projects_api.entities.content import Pin

MOMENT = datetime(2026, 2, 10, 9, 0, 2, 999_999, tzinfo=UTC)
MANIFEST = Entry("manifest.json", 10, 1, MOMENT)
ENTRY, OTHER = Entry("größe/a", 3, 42, MOMENT), Entry("b", 0, 0, MOMENT)
PIN, OTHER_PIN = Pin("projects/p/a", '"e"', 3), Pin("projects/p/b", '"f"', 0)
SECONDS = int(MOMENT.timestamp())
INDEXED = [
    IndexedEntry("größe/a", 50, 3, 42, "projects/p/a", '"e"', SECONDS),
    IndexedEntry("b", 110, 0, 0, "projects/p/b", '"f"', SECONDS),
]


def test_entries_are_indexed_without_the_manifest() -> None:
    indexed = index_entries([MANIFEST, ENTRY, OTHER], [0, 50, 110, 150], [PIN, OTHER_PIN])
    assert list(indexed) == INDEXED


def test_format() -> None:
    """Each line is JSON: first the archive, then its entries."""
    lines = gzip.decompress(encode_index('"x"', 200, INDEXED)).decode().splitlines()
    assert lines == [
        f'{{"format": "{FORMAT}", "etag": "\\"x\\"", "size": 200}}',
        f'["gr\\u00f6\\u00dfe/a",50,3,42,"projects/p/a","\\"e\\"",{SECONDS}]',
        f'["b",110,0,0,"projects/p/b","\\"f\\"",{SECONDS}]',
    ]


def test_index_is_read_as_it_was_written() -> None:
    index = decode_index(encode_index('"x-3"', 1 << 40, INDEXED))
    assert index
    assert (index.etag, index.size) == ('"x-3"', 1 << 40)
    assert index.entries == {entry.path: entry for entry in INDEXED}
    assert index.list_checksums() == {("projects/p/a", '"e"'): 42, ("projects/p/b", '"f"'): 0}


def test_unchanged_entries() -> None:
    """An entry is unchanged if its header and its bytes are. A header has its time to the second."""
    index = decode_index(encode_index('"x"', 200, INDEXED))
    assert index
    unchanged = {7: INDEXED[0]}
    assert index.find_unchanged([(7, ENTRY, PIN)]) == unchanged
    assert (
        index.find_unchanged([(7, replace(ENTRY, crc32=0, modified=MOMENT.replace(microsecond=0)), PIN)]) == unchanged
    )
    assert index.find_unchanged([(7, ENTRY, PIN), (9, OTHER, OTHER_PIN)]) == {7: INDEXED[0], 9: INDEXED[1]}
    for entry, pin in (
        (replace(ENTRY, path="a"), PIN),
        (replace(ENTRY, path="b"), PIN),
        (replace(ENTRY, modified=MOMENT + timedelta(seconds=1)), PIN),
        (ENTRY, replace(PIN, key="projects/p/c")),
        (ENTRY, replace(PIN, etag='"g"')),
        (ENTRY, replace(PIN, size=4)),
    ):
        assert index.find_unchanged([(7, entry, pin), (9, OTHER, OTHER_PIN)]) == {9: INDEXED[1]}


HEAD = {"format": FORMAT, "etag": "e", "size": 1}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"no gzip", id="no gzip"),
        pytest.param(b"\x1f\x8b\x08", id="cut in the header"),
        pytest.param(encode_index('"e"', 5, INDEXED)[:-9], id="cut at the end"),
        pytest.param(gzip.compress(b""), id="no lines"),
        pytest.param(gzip.compress(b"no JSON"), id="no JSON"),
        pytest.param(gzip.compress(b"[]"), id="list"),
        pytest.param(gzip.compress(b"{}"), id="no format"),
        pytest.param(gzip.compress(json.dumps({"format": FORMAT, "etag": "e"}).encode()), id="no size"),
        pytest.param(gzip.compress(json.dumps(HEAD | {"format": f"{FORMAT}, newer"}).encode()), id="newer"),
        pytest.param(gzip.compress(json.dumps(HEAD).encode() + b"\n[1]"), id="short entry"),
        pytest.param(gzip.compress(json.dumps(HEAD).encode() + b"\n\xff"), id="no UTF-8"),
    ],
)
def test_file_that_is_no_index(data: bytes) -> None:
    assert decode_index(data) is None


def test_crc32s_of_a_directory() -> None:
    """A worker that finds the archive complete gets the checksums for the index from the archive itself."""
    entries = [
        Entry(path, size, size % 0xFFFFFFFF, MOMENT) for path, size in (("a", 1), ("größe/b", 1 << 33), ("c" * 1000, 7))
    ]
    directory = b"".join(zip_writer.central_header(entry, number << 32) for number, entry in enumerate(entries))
    assert zip_writer.read_crc32s(directory + b"end", 3) == [entry.crc32 for entry in entries]
