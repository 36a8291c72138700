"""A project whose exports a test runs step by step, in this process."""

import contextlib
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3

from projects_api.domain.exports import export_worker
from projects_api.domain.exports.export_worker import OutOfTimeError
from projects_api.entities.errors import StorageUnavailableError
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.storage.dynamodb import keys
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp

#: Runs after which an export that can never become ready has failed. The first runs upload the parts that need no
#: failing call, and each run that makes such progress resets the count of attempts.
RUNS_UNTIL_FAILURE = 2 * export_worker.ATTEMPTS + 1


@dataclass
class ExportRunner:
    """Runs exports of one project, as often as a test needs.

    Attributes:
        app: The in-process app.
        alice: The project's owner.
        project_id: The project.
    """

    app: InProcessApp
    alice: Client
    project_id: str

    def add_file(self, name: str, body: bytes, **options: str) -> None:
        """Store an artifact and record a model that refers to it, or replace both."""
        artifact = self.app.store_artifact(self.project_id, name, body, **options)
        resource = {"id": str(uuid.uuid5(uuid.NAMESPACE_URL, name)), "name": name, "artifact": artifact}
        self.app.publish_event("Model Created", self.project_id, resource, "2026-02-12T08:00:00Z")
        self.app.process_queues()

    def start_export(self, *, previous: str | None = None) -> str:
        """Start a new export of the unchanged project, and return its id.

        The items of earlier exports are deleted first: an unchanged project is not exported again otherwise.

        Args:
            previous: The export whose archive unchanged files are copied from.
        """
        change: dict[str, Any] = {"UpdateExpression": "REMOVE archive_export_id"}
        if previous:
            change = {
                "UpdateExpression": "SET archive_export_id = :id",
                "ExpressionAttributeValues": {":id": {"S": previous}},
            }
        boto3.client("dynamodb").update_item(
            TableName=self.app.stack.table, Key=keys.project(ProjectId(self.project_id)), **change
        )
        for item in self.app.find_items(self.project_id):
            if item["SK"]["S"].startswith("EXPORT#"):
                key = {name: item[name] for name in ("PK", "SK")}
                boto3.client("dynamodb").delete_item(TableName=self.app.stack.table, Key=key)
        return str(self.alice.post(f"/api/projects/{self.project_id}/exports")["export"]["id"])

    def deliver(self, export_id: str) -> None:
        """Deliver the export's message to the worker."""
        self.app.deliver([{"project_id": self.project_id, "export_id": export_id}], "AssembleExport")

    def run_until_done(self, export_id: str, should_continue: Callable[[], Callable[[], bool]]) -> int:
        """Run one worker after another until the export is ready or has failed.

        Args:
            export_id: The export.
            should_continue: Called once for each run. Returns the function that tells this run whether it has time
                left.

        Returns:
            The number of runs.
        """
        runs = 0
        while self.get_export(export_id)["status"] in {"pending", "running"}:
            runs += 1
            with contextlib.suppress(OutOfTimeError, StorageUnavailableError):
                export_worker.assemble(
                    ProjectId(self.project_id), ExportId(export_id), holder=str(runs), should_continue=should_continue()
                )
        self.deliver(export_id)
        return runs

    def get_export(self, export_id: str) -> Any:
        return self.alice.get(f"/api/projects/{self.project_id}/exports/{export_id}")["export"]

    def read_archive(self, export_id: str) -> bytes:
        """Return the archive of a ready export, after checking that no temporary object, upload or work is left."""
        export = self.get_export(export_id)
        assert export["status"] == "ready", export
        s3, bucket = boto3.client("s3"), self.app.stack.exports
        key = f"{self.project_id}/{export_id}.zip"
        stem = f"{self.project_id}/{export_id}"
        objects = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix=stem)["Contents"]]
        assert objects == [f"{stem}.index.gz", key]
        assert not s3.list_multipart_uploads(Bucket=bucket, Prefix=stem).get("Uploads")
        assert all(
            "pending_work" not in item
            for item in self.app.find_items(export_id)
            if item["SK"]["S"].startswith("EXPORT#")
        )
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        assert (len(body), zlib.crc32(body)) == (export["size_bytes"], int(export["crc32"], 16))
        assert export["progress"]["bytes_done"] == export["progress"]["bytes_total"] == len(body)
        return bytes(body)


def create_export_runner(app: InProcessApp, alice: Client, files: dict[str, bytes], **options: str) -> ExportRunner:
    """Create a project with one model per file.

    Args:
        app: The in-process app.
        alice: The project's owner.
        files: The body of each artifact, by its key within the project.
        options: Further arguments of `PutObject`.
    """
    project_id = alice.create("Killed")
    for name, body in files.items():
        artifact = app.store_artifact(project_id, name, body, **options)
        resource = {"id": str(uuid.uuid4()), "name": name, "artifact": artifact}
        app.publish_event("Model Created", project_id, resource, "2026-02-12T08:00:00Z")
    app.process_queues()
    return ExportRunner(app, alice, project_id)
