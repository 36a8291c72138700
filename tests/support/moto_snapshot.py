"""The table and the buckets as they were: what a test goes back to between its cells, and compares with."""

import json
from copy import deepcopy
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from local.stack import REGION
from tests.support.in_process_app import InProcessApp

type Place = tuple[str, str]


class Snapshot:
    """What moto's table and the buckets hold. A test with one is marked ``memory``, since no other engine goes back."""

    def __init__(self, app: InProcessApp) -> None:
        self._name = app.stack.table
        self._items = deepcopy(self._table.items)
        self._buckets = (app.stack.artifacts, app.stack.exports)
        self._s3 = app.s3
        self._objects = {place: self._body(*place) for place in self._places()}

    @property
    def _table(self) -> Any:
        """The table as it is now: a transaction that is cancelled puts another in its place."""
        return dynamodb_backends[ACCOUNT_ID][REGION].tables[self._name]

    def restore(self) -> None:
        """Has both hold again what they held."""
        self._table.items = deepcopy(self._items)
        there = self._places()
        for bucket, key in there.keys() - self._objects.keys():
            self._s3.delete_object(Bucket=bucket, Key=key, VersionId=there[bucket, key])
        for bucket, key in self._objects.keys() - there.keys():
            self._s3.put_object(Bucket=bucket, Key=key, Body=self._objects[bucket, key])

    def holds(self) -> bool:
        """Whether both are still what they were."""
        return _json(self._table.items) == _json(self._items) and self._places().keys() == self._objects.keys()

    def _places(self) -> dict[Place, str]:
        """The bucket and key of each object, with its version."""
        listed = [(bucket, self._s3.list_object_versions(Bucket=bucket)) for bucket in self._buckets]
        return {(bucket, one["Key"]): one["VersionId"] for bucket, page in listed for one in page.get("Versions", [])}

    def _body(self, bucket: str, key: str) -> bytes:
        body: bytes = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return body


def _json(items: Any) -> list[str]:
    return sorted(json.dumps(item.to_json(), sort_keys=True) for rows in items.values() for item in rows.values())
