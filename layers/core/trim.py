"""Removes the parts of botocore's data that the functions do not need. The Makefile runs it.

Usage: ``python trim.py LAYER``

botocore contains models of over 400 services. They make up most of the layer's size and slow down every cold start,
because creating one client lists the folders of all services, reads the endpoints of all services, and creates a method
for each operation of its own service. The script deletes the models of other services and of operations that the
functions do not call, and documentation and compression from the remaining ones. Code is unchanged.
"""

import gzip
import json
import shutil
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

#: The operations that the functions call, by service.
OPERATIONS = {
    "dynamodb": ("BatchGetItem", "BatchWriteItem", "GetItem", "Query", "TransactWriteItems", "UpdateItem"),
    "events": ("PutEvents",),
    "s3": (
        "AbortMultipartUpload", "CompleteMultipartUpload", "CreateMultipartUpload", "DeleteObject", "DeleteObjects",
        "GetObject", "GetObjectAttributes", "HeadObject", "ListMultipartUploads", "ListObjectVersions", "ListObjectsV2",
        "ListParts", "PutObject", "UploadPart", "UploadPartCopy",
    ),
    "sqs": ("SendMessage", "SendMessageBatch"),
}  # fmt: skip

#: The operations that botocore itself calls: to find the region of a bucket after some errors, and where an account
#: turns endpoint discovery on.
BOTOCORE_OPERATIONS = {"dynamodb": ("DescribeEndpoints",), "s3": ("HeadBucket",)}


def trim(data: Path) -> None:
    """Delete everything from botocore's ``data`` folder that the functions' clients do not read."""
    for folder in [path for path in data.iterdir() if path.is_dir()]:
        if folder.name not in OPERATIONS:
            shutil.rmtree(folder)
            continue
        *older, newest = sorted(folder.iterdir())  # API versions are dates, and clients use the newest
        for version in older:
            shutil.rmtree(version)
        for path in list(newest.iterdir()):
            _trim_model(path, (*OPERATIONS[folder.name], *BOTOCORE_OPERATIONS.get(folder.name, ())))
    endpoints = data / "endpoints.json"
    _write(endpoints, select_endpoints(json.loads(endpoints.read_bytes()), OPERATIONS))


def _trim_model(path: Path, operations: Collection[str]) -> None:
    content = path.read_bytes()
    path.unlink()
    if not path.name.startswith("examples-"):
        name, _, compressed = path.name.partition(".json")
        model = strip_documentation(json.loads(gzip.decompress(content) if compressed else content))
        _write(path.with_name(f"{name}.json"), select_operations(model, operations) if name == "service-2" else model)


def select_operations(model: dict[str, Any], operations: Collection[str]) -> dict[str, Any]:
    """Return the model of a service with only ``operations`` and the shapes that they need."""
    selected = {name: model["operations"][name] for name in operations}
    shapes: dict[str, Any] = {}
    names = set(_find_shapes(selected))
    while names:
        shapes |= {name: model["shapes"][name] for name in names}
        names = set(_find_shapes([shapes[name] for name in names])) - shapes.keys()
    return model | {"operations": selected, "shapes": shapes}


def _find_shapes(model: Any) -> Iterator[str]:
    """Yield the names of all shapes that a part of a model refers to."""
    match model:
        case dict():
            if isinstance(name := model.get("shape"), str):
                yield name
            for value in model.values():
                yield from _find_shapes(value)
        case list():
            for item in model:
                yield from _find_shapes(item)


def select_endpoints(endpoints: dict[str, Any], services: Collection[str]) -> dict[str, Any]:
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
    trim(Path(sys.argv[1], "botocore", "data"))
