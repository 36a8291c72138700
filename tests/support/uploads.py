"""Uploads as clients make them: parts sent to signed URLs."""

from collections.abc import Iterable
from typing import Any

import requests

from tests.support.api_client import Client, Response

#: The smallest part that S3 takes, unless it is the last one.
MIN_PART = 5 << 20

#: The content of a small file.
BODY = b"id,left\n1,no\n2,yes\n"


def put_part(url: str, body: bytes) -> requests.Response:
    """Send a part to its URL, as ``curl -T`` does."""
    return requests.put(url, data=body, timeout=60)


def put_parts(upload: Any, body: bytes, numbers: Iterable[int] | None = None) -> None:
    """Send the parts of an upload, or those with some numbers."""
    size = upload["part_size_bytes"]
    for part in upload["parts"]:
        if numbers is None or part["number"] in numbers:
            start = (part["number"] - 1) * size
            response = put_part(part["url"], body[start : start + size])
            assert response.status_code == 200, response.text


def complete(client: Client, upload: Any) -> Response:
    return client.post(f"/api/uploads/{upload['id']}/complete")


def describe(name: str, body: bytes, **fields: Any) -> dict[str, Any]:
    """Return the body of a request that adds a dataset with a file."""
    file = {"name": name, "size_bytes": len(body), "content_type": "text/csv"}
    return {"type": "dataset", "name": name, "file": file, **fields}


def upload_file(client: Client, project_id: str, name: str, body: bytes, **fields: Any) -> Any:
    """Upload a file as a dataset, and return the resource."""
    response = client.post(f"/api/projects/{project_id}/resources", describe(name, body, **fields))
    assert response.status == 201, response
    put_parts(response["upload"], body)
    completed = complete(client, response["upload"])
    assert completed.status == 201, completed
    return completed["resource"]


def start_upload(client: Client, url: str, name: str = "a.csv", body: bytes = BODY, **fields: Any) -> Any:
    """Start the upload of a new resource's file, and return the upload."""
    response = client.post(url, describe(name, body, **fields))
    assert response.status == 201, response
    assert response["resource"] is None
    return response["upload"]
