"""Import of a project from an archive."""

import time
from contextlib import suppress
from pathlib import Path

from projects_client.api import ApiClient, Json, parse_id
from projects_client.errors import ImportFailedError, InvalidInputError, ProjectsClientError
from projects_client.progress import OnNote, OnProgress, Step, format_files, ignore
from projects_client.project import Project
from projects_client.records import Import
from projects_client.upload import upload_file

#: First and longest pause between two requests for the status of an import, in seconds.
FIRST_POLL_DELAY, MAX_POLL_DELAY = 0.3, 3.0

#: Errors of an archive that the text of an error lists.
SHOWN_ERRORS = 5


def start_import(
    api: ApiClient,
    path: Path,
    *,
    name: str | None = None,
    members: str = "none",
    progress: OnProgress = ignore,
    note: OnNote = ignore,
) -> Import:
    """Upload an archive, or resume its upload, and return the import that the service has started."""
    options: Json = {"members": members} if name is None else {"members": members, "name": name}

    def create(size: int, part_size: int, key: str) -> Json:
        body = {"size_bytes": size, "part_size_bytes": part_size, **options}
        return dict(api.post("/api/imports", body, idempotency_key=key)["upload"])

    response = upload_file(api, path, {"path": "/api/imports", **options}, create, on_progress=progress, on_note=note)
    return Import.from_json(response["import"])


def get_import(api: ApiClient, import_id: str) -> Import:
    """Return an import.

    Raises:
        InvalidInputError: ``import_id`` is not a UUID.
        NotFoundError: The caller has no such import.
    """
    canonical_id = parse_id(import_id)
    if canonical_id is None:
        raise InvalidInputError(f"'{import_id}' is not the id of an import.")
    return Import.from_json(api.get(f"/api/imports/{canonical_id}")["import"])


def wait_for_import(api: ApiClient, running: Import, progress: OnProgress = ignore) -> Project:
    """Wait until an import is ready, and return the project.

    Raises:
        ImportFailedError: The service rejected the archive or could not finish.
    """
    delay = FIRST_POLL_DELAY
    while True:
        counts = running.progress
        files = format_files(counts.files_done, counts.files_total)
        progress(Step("importing", counts.bytes_done, counts.bytes_total or None, files))
        if running.status == "ready" and running.project_id:
            project = Project(api, {"id": running.project_id})
            with suppress(ProjectsClientError):  # a key that may not read has the id only
                project.refresh()
            return project
        if running.status == "failed":
            raise ImportFailedError(_describe_errors(running), running.errors)
        time.sleep(delay)
        delay = min(delay * 1.5, MAX_POLL_DELAY)
        running = get_import(api, running.id)


def _describe_errors(failed: Import) -> str:
    texts = [str(error.get("detail") or error.get("message") or error) if isinstance(error, dict) else str(error)
             for error in failed.errors[:SHOWN_ERRORS]]  # fmt: skip
    more = max(failed.error_count, len(failed.errors)) - len(texts)
    reasons = " ".join(text.rstrip(".") + "." for text in texts)
    return f"The import failed. {reasons}{f' And {more:,} more.' if more > 0 else ''}".strip()
