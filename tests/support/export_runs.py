"""A project whose exports a worker assembles in this process, and what it leaves behind."""

import contextlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3

from projects_api.domain.exports import export_worker
from projects_api.domain.exports.export_worker import OutOfTimeError
from projects_api.entities.errors import StorageUnavailableError
from projects_api.entities.ids import ExportId, ProjectId
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp


@dataclass
class Exported:
    """A project to be exported again and again."""

    app: InProcessApp
    alice: Client
    project_id: str

    def start(self) -> str:
        """A new export of the project, whose content is what it was; its id."""
        for item in self.app.items(self.project_id):
            if item["SK"]["S"].startswith("EXPORT#"):
                key = {name: item[name] for name in ("PK", "SK")}
                boto3.client("dynamodb").delete_item(TableName=self.app.stack.table, Key=key)
        return str(self.alice.post(f"/api/projects/{self.project_id}/exports")["export"]["id"])

    def deliver(self, export_id: str) -> None:
        """Has the worker work on the export."""
        self.app.deliver([{"project_id": self.project_id, "export_id": export_id}], "AssembleExport")

    def runs(self, export_id: str, should_continue: Callable[[], Callable[[], bool]]) -> int:
        """Has one worker after another go on with the export, until it has ended.

        Args:
            export_id: The export.
            should_continue: Makes what each of them asks whether there is time left.

        Returns:
            How many it took.
        """
        runs = 0
        while self.export(export_id)["status"] in {"pending", "running"}:
            runs += 1
            with contextlib.suppress(OutOfTimeError, StorageUnavailableError):
                export_worker.assemble(
                    ProjectId(self.project_id), ExportId(export_id), holder=str(runs), should_continue=should_continue()
                )
        self.deliver(export_id)
        return runs

    def export(self, export_id: str) -> Any:
        return self.alice.get(f"/api/projects/{self.project_id}/exports/{export_id}")["export"]

    def archive(self, export_id: str) -> bytes:
        """The archive, behind which nothing is left."""
        export = self.export(export_id)
        assert export["status"] == "ready", export
        s3, bucket = boto3.client("s3"), self.app.stack.exports
        key = f"{self.project_id}/{export_id}.zip"
        stem = f"{self.project_id}/{export_id}"
        assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket, Prefix=stem)["Contents"]] == [key]
        assert not s3.list_multipart_uploads(Bucket=bucket, Prefix=stem).get("Uploads")
        assert all(
            "pending_work" not in item for item in self.app.items(export_id) if item["SK"]["S"].startswith("EXPORT#")
        )
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        assert len(body) == export["size_bytes"]
        assert export["progress"]["bytes_done"] == export["progress"]["bytes_total"] == len(body)
        return bytes(body)


def put_together(app: InProcessApp, alice: Client, files: dict[str, bytes], **more: str) -> Exported:
    project_id = alice.create("Killed")
    for name, body in files.items():
        artifact = app.store(project_id, name, body, **more)
        resource = {"id": str(uuid.uuid4()), "name": name, "artifact": artifact}
        app.announce("Model Created", project_id, resource, "2026-02-12T08:00:00Z")
    app.process_queues()
    return Exported(app, alice, project_id)
