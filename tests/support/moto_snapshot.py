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
        self._app = app
        self._buckets = (app.stack.artifacts, app.stack.exports)
        self._items = deepcopy(self._table.items)
        self._versions = self._list_versions()
        self._bodies = {location: self._read_object(*location) for location in self._versions}
        self._uploads = {name: deepcopy(dict(self._get_bucket(name).multiparts)) for name in self._buckets}

    @property
    def _table(self) -> Any:
        """The current table. moto replaces the table object when it cancels a transaction."""
        return dynamodb_backends[ACCOUNT_ID][REGION].tables[self._app.stack.table]

    def restore(self) -> None:
        """Restore the table and the buckets."""
        self._table.items = deepcopy(self._items)
        current = self._list_versions()
        for location in current.keys() | self._versions.keys():
            if current.get(location) != self._versions.get(location):
                self._restore_object(*location)
        self._versions = self._list_versions()
        for name, uploads in self._uploads.items():
            stored = self._get_bucket(name).multiparts
            stored.clear()
            stored.update(deepcopy(uploads))

    def is_unchanged(self) -> bool:
        """Return whether the table, the keys of the objects and the uploads are the same as in the snapshot."""
        return (
            _serialize_items(self._table.items) == _serialize_items(self._items)
            and self._list_versions().keys() == self._versions.keys()
            and all(self._get_bucket(name).multiparts.keys() == self._uploads[name].keys() for name in self._buckets)
        )

    @staticmethod
    def _get_bucket(name: str) -> Any:
        return s3_backends[ACCOUNT_ID]["aws"].buckets[name]

    def _list_versions(self) -> dict[Location, list[str]]:
        """Return the ids of the versions and delete markers of each object, by bucket and key."""
        return {
            (bucket, key): [version.version_id for version in versions]
            for bucket in self._buckets
            for key, versions in dict(self._get_bucket(bucket).keys).items()
        }

    def _read_object(self, bucket: str, key: str) -> bytes:
        body: bytes = self._app.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def _restore_object(self, bucket: str, key: str) -> None:
        objects = self._get_bucket(bucket).keys
        dict.pop(objects, key, None)  # moto's own pop fails for delete markers
        if (bucket, key) in self._bodies:
            self._app.s3.put_object(Bucket=bucket, Key=key, Body=self._bodies[bucket, key])


def _serialize_items(items: Any) -> list[str]:
    return sorted(json.dumps(item.to_json(), sort_keys=True) for rows in items.values() for item in rows.values())
