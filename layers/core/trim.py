"""Cuts botocore down to what the functions call: ``python trim.py LAYER SERVICE...``, run by the Makefile.

botocore describes over 400 services. That is most of a layer's size, and each start pays for it: to make one client,
botocore looks into the folder of each service and reads the endpoints of all. Its code stays as it is. Of its
descriptions, those of other services go, and of those that stay the texts for people and the compression.
"""

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any


def trim(data: Path, services: set[str]) -> None:
    """Leaves of botocore's ``data`` what clients of ``services`` read."""
    for folder in [one for one in data.iterdir() if one.is_dir()]:
        if folder.name not in services:
            shutil.rmtree(folder)
            continue
        *older, newest = sorted(folder.iterdir())  # versions of the API, by date; a client takes the newest
        for version in older:
            shutil.rmtree(version)
        for path in list(newest.iterdir()):
            _trim_description(path)
    endpoints = data / "endpoints.json"
    _write(endpoints, endpoints_of(json.loads(endpoints.read_bytes()), services))


def _trim_description(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    if not path.name.startswith("examples-"):
        name, _, compressed = path.name.partition(".json")
        described = json.loads(gzip.decompress(content) if compressed else content)
        _write(path.with_name(f"{name}.json"), undocumented(described))


def endpoints_of(endpoints: dict[str, Any], services: set[str]) -> dict[str, Any]:
    """The endpoints of ``services`` in every partition, and of no other service."""
    partitions = [
        partition | {"services": {name: one for name, one in partition["services"].items() if name in services}}
        for partition in endpoints["partitions"]
    ]
    return endpoints | {"partitions": partitions}


def undocumented(description: Any) -> Any:
    """A description whose texts for people are empty; what is called so and is no text, as a shape's member, stays."""
    match description:
        case dict():
            return {
                name: "" if name == "documentation" and isinstance(value, str) else undocumented(value)
                for name, value in description.items()
            }
        case list():
            return [undocumented(one) for one in description]
    return description


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, separators=(",", ":")))


if __name__ == "__main__":
    trim(Path(sys.argv[1], "botocore", "data"), set(sys.argv[2:]))
