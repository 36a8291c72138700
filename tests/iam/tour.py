"""Has every function do all that it ever does, so that each of its permissions is used."""

from __future__ import annotations

import sys
import uuid
from typing import Any
from unittest.mock import patch

import boto3

from projects_api.domain import exports, projects
from projects_api.model.errors import StorageUnavailableError
from projects_api.model.ids import ExportId, ProjectId
from projects_api.storage import archives, artifacts, members
from projects_api.storage.exports import Lease
from tests.clients import Client
from tests.iam.calls import Request, queue_arn
from tests.world import World

MIB = 1 << 20


def tour(world: World) -> None:
    """Everything, with every function under its own policies."""
    alice, bob = world.user("alice"), world.user("bob")
    with patch.object(exports, "WAIT", 0.05), patch.object(exports, "FIRST_LOOK", 0.01):
        project_id = _projects_and_members(world, alice, bob)
        _artifacts(world, project_id)
        _exports(world, alice, project_id)
        _interrupted_exports(world, alice, project_id)
        _export_of_a_deleted_project(world, alice)
        _deletion(world, alice, project_id)
        _lost_messages(world, alice)
    key = world.invoke("CreateApiKey", {"email": alice.email, "scopes": ["read"]})
    world.invoke("RevokeApiKey", {"key_id": key["key_id"]})
    world.invoke("RegisterUser", {"email": alice.email, "name": "Again"})
    _lambda_itself(world)
    world.dead_letters()


def _projects_and_members(world: World, alice: Client, bob: Client) -> str:
    project_id = alice.post("/api/projects", {"name": "n"}, Idempotency_Key=str(uuid.uuid4()))["project_id"]
    project = f"/api/projects/{project_id}"
    alice.put(project, {"name": "m"})
    alice.get(project)
    alice.get("/api/projects?limit=1")
    alice.get("/api/projects?sort_field=name")
    for role in ("viewer", "editor"):
        assert alice.post(f"{project}/members", {"email": bob.email, "role": role}).status in {200, 201}
    alice.get(f"{project}/members")
    assert alice.delete(f"{project}/members/{bob.user_id}").status == 200
    assert alice.post(f"{project}/members", {"email": bob.email}).status == 201
    return str(project_id)


def _artifacts(world: World, project_id: str) -> None:
    for size, checksum in ((9 * MIB, "CRC32"), (10, "SHA256")):
        artifact = world.store(project_id, f"models/{uuid.uuid4()}", bytes(size), ChecksumAlgorithm=checksum)
        world.announce("Model Created", project_id, {"id": str(uuid.uuid4()), "name": "m", "artifact": artifact})
    gone = str(uuid.uuid4())
    for change in ("Dataset Created", "Dataset Updated", "Dataset Deleted"):
        world.announce(change, project_id, {"id": gone, "name": "d"})
    world.announce("Dataset Created", str(uuid.uuid4()), {"id": gone, "name": "d"})
    world.work_off()
    with world.permissions.acting_as(
        "AssembleExport"
    ):  # an artifact of parts, whose checksums moto does not keep apart
        pin = next(artifacts.pins(ProjectId(project_id)))
        artifacts._combined_crc32(pin)


def _exports(world: World, alice: Client, project_id: str) -> None:
    path = f"/api/projects/{project_id}"
    alice.get(f"{path}/timeline")
    alice.get(f"{path}/timeline?type=model")
    export_id = alice.post(f"{path}/exports")["export"]["id"]
    world.work_off()
    assert alice.post(f"{path}/exports")["export"]["status"] == "ready"
    alice.get(f"{path}/exports")
    alice.get(f"{path}/exports/{export_id}")
    alice.get(f"{path}/export")
    alice.put(path, {"name": "changed"})
    alice.get(f"{path}/export")
    world.work_off()
    small = alice.create("Small")
    alice.get(f"/api/projects/{small}/export")
    world.work_off()
    assert alice.get(f"/api/projects/{small}/export").body.startswith(b"PK")
    for method, route in (("GET", "export"), ("POST", "exports")):
        for key in world.objects(f"{small}/"):
            world.s3.delete_object(Bucket=world.stack.exports, Key=key)
        assert alice.request(method, f"/api/projects/{small}/{route}").status in {202, 307}  # it is made anew
        world.work_off()
    alice.put(path, {"name": "changed again"})
    world.invoke("ScheduleExports", {})
    world.work_off()


def _interrupted_exports(world: World, alice: Client, project_id: str) -> None:
    """One that is cut off before its end, and gone on with beside an upload that is superfluous; one out of time."""
    path, function = f"/api/projects/{project_id}", sys.modules["functions_assemble_export"]
    alice.put(path, {"name": "interrupted"})
    export_id = alice.post(f"{path}/exports")["export"]["id"]
    message = {"project_id": project_id, "export_id": export_id}
    with patch.object(archives.Upload, "complete", side_effect=StorageUnavailableError):
        world.deliver([message], "AssembleExport")
    key = archives.key_of(ProjectId(project_id), ExportId(export_id))
    boto3.client("s3").create_multipart_upload(Bucket=world.stack.exports, Key=key)
    world.deliver([message], "AssembleExport")
    resumed = alice.get(f"{path}/exports/{export_id}")["export"]
    assert resumed["status"] == "ready", resumed
    alice.put(path, {"name": "out of time"})
    export_id = alice.post(f"{path}/exports")["export"]["id"]
    with patch.object(function, "RESERVE", 10**9):
        world.deliver([{"project_id": project_id, "export_id": export_id}], "AssembleExport")
    world.work_off()


def _export_of_a_deleted_project(world: World, alice: Client) -> None:
    project_id = alice.create("Short-lived")
    export_id = alice.post(f"/api/projects/{project_id}/exports")["export"]["id"]
    ready = Lease.ready

    def deleted_meanwhile(lease: Lease, **how: Any) -> None:
        alice.delete(f"/api/projects/{project_id}")
        ready(lease, **how)

    with patch.object(Lease, "ready", deleted_meanwhile):
        world.deliver([{"project_id": project_id, "export_id": export_id}], "AssembleExport")
    world.work_off()


def _deletion(world: World, alice: Client, project_id: str) -> None:
    s3 = boto3.client("s3")
    s3.create_multipart_upload(Bucket=world.stack.artifacts, Key=f"projects/{project_id}/unfinished")
    s3.create_multipart_upload(
        Bucket=world.stack.exports, Key=archives.key_of(ProjectId(project_id), ExportId(str(uuid.uuid4())))
    )
    with patch.object(members, "DELETED_AT_ONCE", 1), patch.object(projects, "MEMBERS_ENDED", 1):
        assert alice.delete(f"/api/projects/{project_id}").status == 200
    with patch.object(sys.modules["functions_purge_project"], "RESERVE", 10**9):
        world.deliver([{"project_id": project_id}], "PurgeProject")
    world.work_off()
    world.deliver([{"project_id": project_id}], "PurgeProject")
    assert not world.items(project_id)


def _lost_messages(world: World, alice: Client) -> None:
    with patch("projects_api.storage.queues._send"):
        exported, deleted = alice.create("Exported"), alice.create("Deleted")
        alice.post(f"/api/projects/{exported}/exports")
        alice.delete(f"/api/projects/{deleted}")
    assert world.resume_stalled()["resumed"] > 1
    world.work_off()


def _lambda_itself(world: World) -> None:
    """What Lambda does in a function's name: writes its logs, and receives from its queue."""
    for function in world.stack.functions:
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            stream = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/projects:log-stream:s"
            assert world.permissions.permits(function, Request(action, stream))
    for source in world.stack.sources:
        for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"):
            assert world.permissions.permits(source.function, Request(action, queue_arn(source.queue_url)))
