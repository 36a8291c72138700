"""Fuzzing of imports with Atheris, which is guided by the coverage of the readers of archives and manifests.

`make fuzz` runs this for FUZZ_SECONDS, and remembers the inputs that reach new code in .fuzz/. The first byte of an
input decides what the others are: an archive, or the manifest of one. An input is a failure if

- any other error occurs than those that tell a user what is wrong,
- an entry lies outside of the archive, or its content has another size than the directory states,
- Python's zipfile also reads an accepted archive, and finds another number of files or other content in them.
"""

import io
import sys
import time
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["projects_api.archive", "projects_api.domain.imports"]):
    from projects_api.archive.archive_errors import ArchiveError
    from projects_api.archive.entry_content import read_content
    from projects_api.archive.inflate import InflateError
    from projects_api.archive.zip_reader import read_entries
    from tests.support.import_plans import plan_in_memory

from tests.support.hostile_archives import HOSTILE_ARCHIVES, build_archive, file_entry, manifest_entry
from tests.support.project_files import FILES
from tests.support.raw_zip import DEFLATED, DESCRIPTOR, UTF8_NAME, RawEntry, write_raw_zip

CORPUS = Path(__file__).parents[1] / ".fuzz"

#: Seeds of more than this are left out: they are slow to mutate.
MAX_SEED_SIZE = 4_096

#: Seconds between two lines with counts.
REPORT_INTERVAL = 10

ARCHIVE, MANIFEST = b"A", b"M"

#: Byte sequences that mutations insert: the signatures of records, flags, methods, and words of manifests.
WORDS = [
    *(rf"PK\x{a:02x}\x{b:02x}" for a, b in ((1, 2), (3, 4), (5, 6), (6, 6), (6, 7), (7, 8))),
    *(r"\x01\x00\x08\x00", r"\x75\x70", r"\xff\xff\xff\xff", r"\x08\x00"),
    *("../", "__MACOSX/", ".DS_Store", "manifest.json", "projects-export/1", "projects-export/2", "1e999"),
    *(r"\"files\":[", r"\"resources\":[", r"\"origin\":null", r"\"path\":"),
]  # fmt: skip

counts: Counter[str] = Counter()
reported_at = time.monotonic()


def check_archive(archive: bytes) -> None:
    """Read an archive and all of its entries, and compare the result with zipfile's."""
    entries = read_entries(lambda start, size: archive[start : start + size], len(archive))
    contents = []
    for entry in entries:
        assert 0 <= entry.data_offset <= entry.data_offset + entry.compressed_size <= len(archive)
        content = b"".join(read_content(lambda start, size: archive[start : start + size], entry))
        assert len(content) == entry.size
        contents.append(content)
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as other:
            # only contents are compared: zipfile takes backslashes for a part of the name
            files = [info for info in other.infolist() if not info.filename.rstrip().endswith(("/", "\\"))]
            others = [other.read(info) for info in files]
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        UnicodeError,
        ValueError,
        zlib.error,
        EOFError,
    ):
        counts["accepted, rejected by zipfile"] += 1
        return
    assert sorted(contents) == sorted(others)
    counts["accepted, the same in zipfile"] += 1


def check_manifest(manifest: bytes) -> None:
    """Plan the import of an archive with a manifest, and read all of its resources."""
    archive = write_raw_zip([manifest_entry(manifest), file_entry()])
    list(plan_in_memory(archive).list_resources())
    counts["accepted manifests"] += 1


def check_input(data: bytes) -> None:
    """Run one input."""
    global reported_at  # noqa: PLW0603 - libFuzzer calls this function with nothing but the input
    counts["inputs"] += 1
    try:
        check_manifest(data[1:]) if data[:1] == MANIFEST else check_archive(data[1:])
    except (ArchiveError, InflateError):
        counts["rejected manifests" if data[:1] == MANIFEST else "rejected archives"] += 1
    if time.monotonic() - reported_at > REPORT_INTERVAL:
        reported_at = time.monotonic()
        print(dict(counts), flush=True)


def write_corpus() -> None:
    """Write the first inputs: hostile archives, archives of other tools, and manifests."""
    CORPUS.mkdir(exist_ok=True)
    tools = [
        write_raw_zip([RawEntry(name.encode(), content, method, flags) for name, content in FILES.items()], zip64=zip64)
        for method in (0, DEFLATED)
        for flags in (0, UTF8_NAME | DESCRIPTOR)
        for zip64 in (False, True)
    ]
    archives = [build_archive(), *tools, *(archive.build() for archive in HOSTILE_ARCHIVES)]
    seeds = [ARCHIVE + archive for archive in archives] + [MANIFEST + FILES["manifest.json"]]
    for number, seed in enumerate(seeds):
        if len(seed) <= MAX_SEED_SIZE:
            (CORPUS / f"seed-{number}").write_bytes(seed)
    (CORPUS.parent / ".fuzz-words").write_text("".join(f'"{word}"\n' for word in WORDS))


if __name__ == "__main__":
    write_corpus()
    atheris.Setup([sys.argv[0], f"-dict={CORPUS.parent / '.fuzz-words'}", *sys.argv[1:], str(CORPUS)], check_input)
    atheris.Fuzz()
