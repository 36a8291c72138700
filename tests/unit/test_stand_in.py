"""Where the stand-in for AWS is mended, so that `make run` neither fills the disk nor warns of what is well."""

from collections.abc import Iterator

import pytest
from moto.s3 import models
from moto.s3.models import FakeKey, S3Backend, s3_backends
from moto.s3.utils import _VersionedKeyStore

from local.moto_server import list_without_bytes


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Backend]:
    """moto's S3 as the local stack has it, with a bucket that keeps versions."""
    monkeypatch.setattr(FakeKey, "__deepcopy__", None, raising=False)
    monkeypatch.setattr(_VersionedKeyStore, "iterlists", None)
    list_without_bytes()
    s3: S3Backend = s3_backends["210987654321"]["aws"]
    s3.create_bucket("bucket", "us-east-1")
    s3.put_bucket_versioning("bucket", "Enabled")
    yield s3
    s3.reset()


def test_versions_are_listed_without_a_copy_of_their_bytes(bucket: S3Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [bucket.put_object("bucket", "k", value) for value in (b"first", b"second one")]

    def no_buffer(*_: object) -> None:
        raise AssertionError("a copy")

    monkeypatch.setattr(models.tempfile, "SpooledTemporaryFile", no_buffer)
    listed, *_ = bucket.list_object_versions("bucket")
    assert [(one.etag, one.size, one.version_id, one.is_latest) for one in listed] == [
        (one.etag, one.size, one.version_id, latest) for one, latest in zip(kept[::-1], (True, False), strict=True)
    ]
    assert [one.value for one in kept] == [b"first", b"second one"]


def test_what_is_deleted_while_it_is_listed_is_left_out(bucket: S3Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("kept", "deleted"):
        bucket.put_object("bucket", name, b"")
    found = _VersionedKeyStore.getlist
    monkeypatch.setattr(
        _VersionedKeyStore, "getlist", lambda self, name: None if name == "deleted" else found(self, name)
    )
    listed, *_ = bucket.list_object_versions("bucket")
    assert [one.name for one in listed] == ["kept"]
