"""Removes the parts of botocore's data that the functions do not need. The Makefile runs it.

Usage: ``python trim.py LAYER SERVICE...``

botocore contains models of over 400 services. They make up most of the layer's size and slow down every cold start,
because creating one client lists the folders of all services and reads the endpoints of all services. The script
deletes the models of other services, and documentation and compression from the remaining ones. Code is unchanged.
"""

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any


def trim(data: Path, services: set[str]) -> None:
    """Delete everything from botocore's ``data`` folder that clients of ``services`` do not read."""
    for folder in [path for path in data.iterdir() if path.is_dir()]:
        if folder.name not in services:
            shutil.rmtree(folder)
            continue
        *older, newest = sorted(folder.iterdir())  # API versions are dates, and clients use the newest
        for version in older:
            shutil.rmtree(version)
        for path in list(newest.iterdir()):
            _trim_model(path)
    endpoints = data / "endpoints.json"
    _write(endpoints, select_endpoints(json.loads(endpoints.read_bytes()), services))


def _trim_model(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    if not path.name.startswith("examples-"):
        name, _, compressed = path.name.partition(".json")
        model = json.loads(gzip.decompress(content) if compressed else content)
        _write(path.with_name(f"{name}.json"), strip_documentation(model))


def select_endpoints(endpoints: dict[str, Any], services: set[str]) -> dict[str, Any]:
    """Return only the endpoints of ``services``, in every partition."""
    partitions = [
        partition | {"services": {name: value for name, value in partition["services"].items() if name in services}}
        for partition in endpoints["partitions"]
    ]
    return endpoints | {"partitions": partitions}


def strip_documentation(model: Any) -> Any:
    """Return the model with empty documentation texts. A shape's member called ``documentation`` is kept."""
    match model:
        case dict():
            return {
                name: "" if name == "documentation" and isinstance(value, str) else strip_documentation(value)
                for name, value in model.items()
            }
        case list():
            return [strip_documentation(item) for item in model]
    return model


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, separators=(",", ":")))


if __name__ == "__main__":
    trim(Path(sys.argv[1], "botocore", "data"), set(sys.argv[2:]))
