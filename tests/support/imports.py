"""Functions that import archives as a client does, and the state that a failed import must not leave."""

import io
import zipfile
from datetime import timedelta
from typing import Any

from projects_api.domain.imports.import_start import new_project
from projects_api.entities.clock import now
from projects_api.entities.ids import ImportId, ProjectId, UserId, new_id
from projects_api.entities.project import Caller
from projects_api.entities.project_import import Import, ImportStatus, MembersMode
from projects_api.entities.user import Email
from projects_api.storage.dynamodb import import_store, table
from projects_api.storage.dynamodb.item_mapping import project_to_item
from tests.support.api_client import Client
from tests.support.archives import finish_export
from tests.support.in_process_app import InProcessApp


def start_import(
    app: InProcessApp, client: Client, archive: bytes, *, name: str | None = None, members: str = "none"
) -> str:
    """Store an archive as a completed upload and start its import. Return the id of the import."""
    import_id, moment = ImportId(new_id()), now()
    app.s3.put_object(Bucket=app.stack.artifacts, Key=f"uploads/{import_id}.zip", Body=archive)
    import_ = Import(
        id=import_id,
        importer=Caller(UserId(client.user_id), Email(client.email), client.email.partition("-")[0].title()),
        project_id=ProjectId(new_id()),
        status=ImportStatus.PENDING,
        members=MembersMode(members),
        created_at=moment,
        expires_at=moment + timedelta(days=30),
        name=name,
        size_bytes=len(archive),
        stalled_at=moment + timedelta(minutes=5),
    )
    table.transact(import_store.build_put(import_), table.build_put(project_to_item(new_project(import_, moment))))
    return import_id


def import_archive(app: InProcessApp, client: Client, archive: bytes, **options: Any) -> Any:
    """Import an archive, and return the finished import as the API describes it."""
    import_id = start_import(app, client, archive, **options)
    app.deliver([{"import_id": import_id}], "RunImport")
    return client.get(f"/api/imports/{import_id}")["import"]


def copy_project(app: InProcessApp, client: Client, project_id: str, **options: Any) -> Any:
    """Export a project and copy the export. Return the finished import as the API describes it."""
    export = finish_export(app, client, project_id)["export"]
    body = {"project_id": project_id, "export_id": export["id"], **options}
    started = client.post("/api/imports", body)
    assert started.status == 202, started
    app.process_queues()
    return client.get(f"/api/imports/{started['import']['id']}")["import"]


def zip_files(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return an archive of files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return buffer.getvalue()


def find_leftovers(app: InProcessApp, import_id: str) -> list[str]:
    """Return the items, objects and uploads of an import, except its own record."""
    (record,) = [item for item in app.find_items(import_id) if item["PK"]["S"] == f"IMPORT#{import_id}"]
    project_id = record["project_id"]["S"]
    items = [f"{item['PK']['S']} {item['SK']['S']}" for item in app.find_items(project_id) if item != record]
    objects = [key for part in (project_id, import_id) for key in app.find_objects(part)]
    uploads = [f"upload of {key}" for part in (project_id, import_id) for key in app.find_uploads(part)]
    return items + objects + uploads
