"""The recovery job resumes everything that it can, whatever is wrong with the rest."""

from datetime import timedelta

import pytest

from projects_api.domain.resumption import resume_each
from projects_api.entities.errors import StorageUnavailableError
from projects_api.entities.upload import Upload
from projects_api.storage.s3 import artifact_upload
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp
from tests.support.uploads import complete, start_upload

ERRORS = [StorageUnavailableError(), ValueError("a bug")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_failed_upload_does_not_block_others(
    app: InProcessApp, alice: Client, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The run fails in the end, and the next one resumes what is left."""
    project_id = alice.create()
    url = f"/api/projects/{project_id}/resources"
    uploads = [start_upload(alice, url, f"{number}.csv") for number in range(3)]
    abort = artifact_upload.abort

    def fail_once(upload: Upload) -> None:
        if not failed:
            failed.append(upload.id)
            raise error
        abort(upload)

    failed: list[str] = []
    monkeypatch.setattr(artifact_upload, "abort", fail_once)
    with pytest.raises(type(error)):
        app.resume_stalled(after=timedelta(days=8))
    assert failed
    assert len(app.find_uploads(project_id)) == 1
    app.resume_stalled(after=timedelta(days=8))
    assert app.find_uploads(project_id) == []
    assert [complete(alice, upload).status for upload in uploads] == [404] * 3
    assert app.find_broken_invariants() == []


def test_every_item_is_tried() -> None:
    tried: list[int] = []

    def resume(number: int) -> int:
        tried.append(number)
        if number < len(ERRORS):
            raise ERRORS[number]
        return number

    with pytest.raises(StorageUnavailableError):
        resume_each(range(4), resume)
    assert tried == [0, 1, 2, 3]
    assert resume_each([2, 3], resume) == 5
    assert resume_each([2, 3], resume, should_continue=lambda: False) == 2
