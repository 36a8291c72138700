"""A snapshot of moto's table and buckets, which a test restores between its cases and compares with."""

import json
from copy import deepcopy
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends

from local.stack import REGION
from tests.support.in_process_app import InProcessApp

type Location = tuple[str, str]


class StorageSnapshot:
    """The content of moto's table and of the buckets, with their unfinished multipart uploads.

    A test that uses a snapshot is marked `memory`, because no other engine can restore one.
    """

    def __init__(self, app: InProcessApp) -> None:
        self._name = app.stack.table
        self._items = deepcopy(self._table.items)
        self._buckets = (app.stack.artifacts, app.stack.exports)
        self._s3 = app.s3
        self._objects = {location: self._read_object(*location) for location in self._list_objects()}
        self._uploads = {bucket: deepcopy(dict(self._get_uploads(bucket))) for bucket in self._buckets}

    @property
    def _table(self) -> Any:
        """The current table. moto replaces the table object when it cancels a transaction."""
        return dynamodb_backends[ACCOUNT_ID][REGION].tables[self._name]

    def restore(self) -> None:
        """Restore the table and the buckets."""
        self._table.items = deepcopy(self._items)
        current = self._list_objects()
        for bucket, key in current.keys() - self._objects.keys():
            self._s3.delete_object(Bucket=bucket, Key=key, VersionId=current[bucket, key])
        for bucket, key in self._objects.keys() - current.keys():
            self._s3.put_object(Bucket=bucket, Key=key, Body=self._objects[bucket, key])
        for bucket, uploads in self._uploads.items():
            for upload_id in list(self._get_uploads(bucket)):
                del self._get_uploads(bucket)[upload_id]
            self._get_uploads(bucket).update(deepcopy(uploads))

    def is_unchanged(self) -> bool:
        """Return whether the table, the keys of the objects and the uploads are the same as in the snapshot."""
        return (
            _serialize_items(self._table.items) == _serialize_items(self._items)
            and self._list_objects().keys() == self._objects.keys()
            and all(self._get_uploads(bucket).keys() == self._uploads[bucket].keys() for bucket in self._buckets)
        )

    def _get_uploads(self, bucket: str) -> Any:
        """Return the multipart uploads of a bucket by id."""
        return s3_backends[ACCOUNT_ID]["aws"].buckets[bucket].multiparts

    def _list_objects(self) -> dict[Location, str]:
        """Return the version of each object, by bucket and key."""
        listings = [(bucket, self._s3.list_object_versions(Bucket=bucket)) for bucket in self._buckets]
        return {
            (bucket, version["Key"]): version["VersionId"]
            for bucket, page in listings
            for version in page.get("Versions", [])
        }

    def _read_object(self, bucket: str, key: str) -> bytes:
        body: bytes = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return body


def _serialize_items(items: Any) -> list[str]:
    return sorted(json.dumps(item.to_json(), sort_keys=True) for rows in items.values() for item in rows.values())
