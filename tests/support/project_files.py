"""The files of an archive that people unpack, and zip again with other tools."""

import json
import zlib

from tests.support.hostile_archives import CONTENT, OTHER_ID, PATH, build_manifest

#: A name that tells UTF-8 from code page 437, and NFC from NFD.
UMLAUT = "reports/Größe.md"

_MANIFEST = build_manifest(
    resources=[{}, {"id": OTHER_ID, "type": "report", "path": UMLAUT}],
    files=[
        {},
        {"path": UMLAUT, "file_name": "Größe.md", "size": 3, "crc32": f"{zlib.crc32(b'# x'):08x}",
         "resource_id": OTHER_ID},
    ],
)  # fmt: skip
#: The content of each file by its path.
FILES = {"manifest.json": json.dumps(_MANIFEST).encode(), PATH: CONTENT, UMLAUT: b"# x"}
