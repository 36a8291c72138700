"""The local stack's patches of moto."""

from collections.abc import Iterator
from typing import Any

import pytest
from moto.s3 import models
from moto.s3.models import FakeKey, S3Backend, s3_backends
from moto.s3.utils import _VersionedKeyStore

from local.moto_server import patch_version_listing
from tests.support.in_process_app import InProcessApp


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Backend]:
    """Patch moto's S3 as the local stack does, and create a versioned bucket."""
    monkeypatch.setattr(FakeKey, "__deepcopy__", None, raising=False)
    monkeypatch.setattr(_VersionedKeyStore, "iterlists", None)
    patch_version_listing()
    backend: S3Backend = s3_backends["210987654321"]["aws"]
    backend.create_bucket("bucket", "us-east-1")
    backend.put_bucket_versioning("bucket", "Enabled")
    yield backend
    backend.reset()


def test_versions_are_listed_without_copying_bytes(s3: S3Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = [s3.put_object("bucket", "k", value) for value in (b"first", b"second one")]

    def fail(*_: object) -> None:
        raise AssertionError("The bytes were copied.")

    monkeypatch.setattr(models.tempfile, "SpooledTemporaryFile", fail)
    versions, *_ = s3.list_object_versions("bucket")
    assert [(version.etag, version.size, version.version_id, version.is_latest) for version in versions] == [
        (object_.etag, object_.size, object_.version_id, is_latest)
        for object_, is_latest in zip(objects[::-1], (True, False), strict=True)
    ]
    assert [object_.value for object_ in objects] == [b"first", b"second one"]


def test_object_deleted_while_listing(s3: S3Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list leaves the object out."""
    for name in ("kept", "deleted"):
        s3.put_object("bucket", name, b"")
    getlist = _VersionedKeyStore.getlist
    monkeypatch.setattr(
        _VersionedKeyStore, "getlist", lambda self, name: None if name == "deleted" else getlist(self, name)
    )
    versions, *_ = s3.list_object_versions("bucket")
    assert [version.name for version in versions] == ["kept"]


def test_values_of_all_types(app: InProcessApp) -> None:
    """A table returns each value as it was stored, also if it has been updated with an expression."""
    key = {"PK": {"S": "PROJECT#types"}, "SK": {"S": "TYPES"}}
    values: dict[str, Any] = {
        "S": "text",
        "N": "-1.5",
        "B": b"\x00\xff",
        "BOOL": False,
        "NULL": True,
        "SS": ["a"],
        "NS": ["1"],
        "BS": [b"\xff"],
        "L": [{"N": "1"}, {"B": b"\xff"}],
        "M": {"key": {"L": [{"S": ""}]}},
    }
    item = {f"type_{name}": {name: value} for name, value in values.items()}
    app.dynamodb.put_item(TableName=app.stack.table, Item=key | item)
    app.dynamodb.update_item(
        TableName=app.stack.table,
        Key=key,
        UpdateExpression="SET counted = :one + type_N, chosen = if_not_exists(absent, type_M) REMOVE type_S",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    item |= {"counted": {"N": "-0.5"}, "chosen": item["type_M"]}
    del item["type_S"]
    assert app.dynamodb.get_item(TableName=app.stack.table, Key=key)["Item"] == key | item
